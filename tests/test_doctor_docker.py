"""What `image.doctor` says of docker's configuration, its helpers, its client, the engine, proxies and the base."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from azureml_tasks.engines.docker import doctor_engine
from azureml_tasks.engines.docker.client import EngineClient, connect
from azureml_tasks.engines.docker.docker_config import DockerConfig, read_docker_config
from azureml_tasks.engines.docker.doctor_base import base_finding
from azureml_tasks.engines.docker.doctor_client import client_findings
from azureml_tasks.engines.docker.doctor_config import (
    configuration_finding,
    helper_finding,
    helpers_of,
    knows_login,
)
from azureml_tasks.engines.docker.doctor_engine import (
    disk_finding,
    emulation_finding,
    engine_findings,
    free_space,
    images_finding,
)
from azureml_tasks.engines.docker.doctor_proxies import build_proxies_finding, engine_proxies_finding
from azureml_tasks.engines.doctor_finding import Finding, Status
from azureml_tasks.image_reference import Reference
from azureml_tasks.process import SlowProgram
from tests.cases import lay_out
from tests.fake_engine import FakeEngine, json_answer, ready_engine

OK, NOTE, WARNING, UNKNOWN, BLOCKS = Status
DIGEST, OTHER = "sha256:" + "5" * 64, "sha256:" + "6" * 64
BASE = Reference(host="r.io", repository="base", tag="1", digest="")
PULL = "docker pull --platform linux/amd64 r.io/base:1"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of docker's configuration, whose programs are on PATH."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    """An engine without images, which DOCKER_HOST names."""
    with ready_engine() as fake:
        fake.headers |= {"Ostype": "linux"}
        monkeypatch.setenv("DOCKER_HOST", fake.host)
        yield fake


def configured(folder: Path, values: dict[str, Any], **programs: str) -> DockerConfig:
    """Write config.json and programs, and read the configuration."""
    texts = {name.replace("_", "-"): f"#!/bin/sh\n{text}\n" for name, text in programs.items()}
    lay_out({"config.json": json.dumps(values), **texts}, folder)
    for name in texts:
        (folder / name).chmod(0o755)
    (folder / "config.json").chmod(0o600)
    return read_docker_config()


def client(**more: Any) -> EngineClient:
    """A client of an engine that is not asked."""
    fields = {"context": "default", "host": "unix:///s", "version": "28.0.1", "api": "1.48", **more}
    return EngineClient(**fields)


AUTHS = {"auths": {"r.io": {"auth": "dTpw"}, "s.io": {}}}


def test_a_configuration_that_others_may_read(folder: Path) -> None:
    """It holds sign-ins, and `--fix` takes the right to read from others; a secret is not printed."""
    config, file = configured(folder, AUTHS), folder / "config.json"
    assert Finding(
        "docker configuration", OK, f"{file}, sign-ins in the file itself: r.io"
    ) == configuration_finding(config)

    file.chmod(0o644)

    what = f"{file} holds sign-ins (r.io), and other users of this machine may read it"
    why = "Every user who can read it can push and pull as you."
    command = ("chmod", "600", str(file))
    assert Finding(
        "docker configuration", WARNING, what, why, f"chmod 600 {file}", command
    ) == configuration_finding(config)


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({}, "does not exist or is empty: no sign-ins, no helpers"),
        ({"credsStore": "own"}, "no sign-ins in the file"),
    ],
)
def test_a_configuration_without_secrets(values: dict[str, Any], what: str, folder: Path) -> None:
    """Anybody may read it."""
    config = configured(folder, values)
    (folder / "config.json").chmod(0o644)

    finding = configuration_finding(config)

    assert (OK, True) == (finding.status, what in finding.what)


def test_a_user_without_a_home_folder() -> None:
    """Has no configuration."""
    why = "There are no sign-ins."
    assert Finding(
        "docker configuration", NOTE, "none: this user has no home folder", why
    ) == configuration_finding(DockerConfig())
    assert () == helpers_of(DockerConfig())


STORE = '"credsStore" of FILE'
FIX = 'Install it, or take "credsStore" out of FILE'
TRY = "Try it: docker-credential-own list"
CANNOT = "Docker may not be able to sign in."


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (
            """echo '{"https://index.docker.io/v1/": "u", "contoso.azurecr.io": "<token>"}'""",
            (
                OK,
                f"docker-credential-own ({STORE}) has credentials for contoso.azurecr.io, https://index.docker.io/v1/",
            ),
        ),
        (
            "echo '" + json.dumps({f"r{index}.io": "u" for index in range(7)}) + "'",
            (
                OK,
                f"docker-credential-own ({STORE}) has credentials for r0.io, r1.io, r2.io, r3.io, r4.io and 2 more",
            ),
        ),
        ("echo '{}'", (OK, f"docker-credential-own ({STORE}) has no credentials")),
        ("true", (OK, f"docker-credential-own ({STORE}) has no credentials")),
        (
            "echo not implemented; exit 1",
            (NOTE, f"docker-credential-own ({STORE}) answers, and lists nothing of what it has"),
        ),
        ("echo secret", (WARNING, "docker-credential-own did not answer with JSON", CANNOT, TRY)),
        ("echo '[]'", (WARNING, "docker-credential-own did not answer with an object of JSON", CANNOT, TRY)),
    ],
)
def test_a_helper_is_asked_for_names(script: str, expected: tuple[Any, ...], folder: Path) -> None:
    """It lists registries; what else it prints is not shown."""
    config = configured(folder, {"credsStore": "own"}, docker_credential_own=script)

    (finding,) = map(helper_finding, helpers_of(config))

    status, *told = expected
    texts = [text.replace("FILE", str(folder / "config.json")) for text in told]
    assert ("credential helper", status, *texts, *[""] * (3 - len(texts)), ()) == tuple(finding)


def test_a_helper_that_is_missing(folder: Path) -> None:
    """It blocks if it is for every registry."""
    config = configured(folder, {"credsStore": "own", "credHelpers": {"r.io": "other", "s.io": "own"}})

    findings = [*map(helper_finding, helpers_of(config))]

    file, why = folder / "config.json", "Docker cannot sign in where it is needed."
    assert [
        Finding(
            "credential helper",
            status,
            f'docker-credential-{name}, which "{key}" of {file} names, is not on PATH',
            why,
            f'Install it, or take "{key}" out of {file}',
        )
        for status, name, key in ((BLOCKS, "own", "credsStore"), (WARNING, "other", "credHelpers.r.io"))
    ] == findings


def test_a_helper_that_does_not_answer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may ask for a password where nobody sees it."""

    def slow(*_: object, **__: object) -> None:
        raise SlowProgram("docker-credential-own")

    monkeypatch.setattr("azureml_tasks.engines.docker.doctor_config.capture", slow)

    (finding,) = map(helper_finding, helpers_of(configured(folder, {"credsStore": "own"})))

    why = "A pull or a push waits for it; it may ask for a password in another window."
    assert (
        Finding("credential helper", UNKNOWN, "docker-credential-own did not answer within 4 s", why, TRY)
        == finding
    )


@pytest.mark.parametrize(
    ("values", "script", "registry", "expected"),
    [
        (AUTHS, "", "r.io", True),
        (AUTHS, "", "s.io", False),
        ({"credsStore": "own"}, """echo '{"https://index.docker.io/v1/": "u"}'""", "docker.io", True),
        ({"credsStore": "own"}, """echo '{"https://r.io": "u"}'""", "r.io", True),
        ({"credsStore": "own"}, """echo '{"r.io": "u"}'""", "s.io", False),
        ({"credsStore": "own"}, "exit 1", "r.io", None),
    ],
)
def test_whether_docker_is_signed_in(
    values: dict[str, Any], script: str, registry: str, expected: bool | None, folder: Path
) -> None:
    """The names tell it."""
    config = configured(folder, values, docker_credential_own=script)

    assert expected is knows_login(config, registry)


def docker_script(version: str, buildx: str) -> str:
    """A client of that version, with or without the plug-in; `buildx inspect` names platforms."""
    plugin = f"echo '{buildx}'" if buildx else "exit 1"
    inspect = "echo 'Platforms: linux/amd64*, linux/arm64/v8, linux/386'" if buildx else "exit 1"
    return f"""case "$1 $2" in
"--version ") echo 'Docker version {version}, build 1' ;;
"version --format") echo '{version}' ;;
"buildx version") {plugin} ;;
"buildx inspect") {inspect} ;;
esac"""


@pytest.mark.parametrize(
    ("version", "buildx", "expected"),
    [
        ("28.2.2", "github.com/docker/buildx v0.13.1 788433", (OK, "v0.13.1")),
        ("20.10.24+dfsg1", "", (OK, "not needed: the client 20.10.24+dfsg1 has BuildKit built in")),
        ("28.2.2", "", (WARNING, "the docker client 28.2.2 has no buildx")),
    ],
)
def test_the_client_and_its_plug_in(
    version: str, buildx: str, expected: tuple[Status, str], folder: Path
) -> None:
    """The version, the place, and what builds."""
    config = configured(folder, {}, docker=docker_script(version, buildx))

    program, plugin = client_findings(config)

    assert Finding("docker client", OK, f"{version}, {folder}/docker") == program
    assert expected == (plugin.status, plugin.what)
    assert bool(plugin.fix) == bool(plugin.why) == (plugin.status is WARNING)


def test_without_a_client(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's API builds as well, with less."""
    monkeypatch.setenv("PATH", str(folder))

    (finding,) = client_findings(configured(folder, {}))

    assert ("docker client", WARNING, "there is no docker on PATH") == finding[:3]


def test_the_engine_and_what_leads_to_it(engine: FakeEngine, folder: Path) -> None:
    """DOCKER_HOST precedes the current context, which is said."""
    configured(folder, {"currentContext": "desktop"})

    findings, connected = engine_findings()

    why = 'The current context, "desktop", is not used.'
    assert [
        Finding("engine", OK, "Docker 28.0.1, API 1.48"),
        Finding("context", NOTE, f"{engine.host}, which DOCKER_HOST names", why, "unset DOCKER_HOST"),
    ] == findings
    assert connect() == connected


def test_an_old_engine(engine: FakeEngine, folder: Path) -> None:
    """It has no BuildKit."""
    configured(folder, {})
    engine.headers |= {"Server": "Docker/19.03.1 (linux)", "Api-Version": "1.40"}

    findings, _ = engine_findings()

    assert ("engine", WARNING, "Docker 19.03.1, API 1.40") == findings[0][:3]


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (
            {"Driver": "overlay2", "DriverStatus": [["a", "b"]]},
            (OK, "kept by the storage driver overlay2, not in containerd"),
        ),
        (
            {"Driver": "overlayfs", "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]},
            (OK, "kept in containerd, snapshotter overlayfs"),
        ),
        ({"Driver": "vfs"}, (WARNING, "kept by the storage driver vfs")),
        ({"Driver": 7, "DriverStatus": "?"}, (OK, "kept by the storage driver unknown, not in containerd")),
    ],
)
def test_where_images_are_kept(info: dict[str, Any], expected: tuple[Status, str]) -> None:
    """In containerd or not, and by which driver; an answer of any form is taken."""
    assert expected == images_finding(info)[1:3]


@pytest.mark.parametrize(
    ("host", "info", "is_known"),
    [
        ("unix:///s", {}, True),
        ("tcp://build.contoso.com:2376", {}, False),
        ("unix:///s", {"OperatingSystem": "Docker Desktop"}, False),
        ("unix:///s", {"DockerRootDir": "/nowhere"}, False),
        ("unix:///s", {"DockerRootDir": None}, False),
    ],
)
def test_the_disk_of_the_engine(host: str, info: dict[str, Any], is_known: bool, tmp_path: Path) -> None:
    """It is looked at if it is this machine's, and not that of a virtual machine or of another one."""
    finding = disk_finding(client(host=host), {"DockerRootDir": str(tmp_path), **info})

    assert is_known == (finding.status is not UNKNOWN)


def test_little_room() -> None:
    """Less than five gigabytes are a warning."""
    why = "A full disk ends builds, pulls and tests."
    assert Finding("disk", OK, "5.0 GB free at /f") == free_space("disk", "/f", 5 * 10**9, "clean")
    assert Finding("disk", WARNING, "5.0 GB free at /f", why, "clean") == free_space(
        "disk", "/f", 5 * 10**9 - 1, "clean"
    )


ARM = {"Architecture": "aarch64", "OSType": "linux"}
PLATFORM = "linux/amd64 on an engine of linux/arm64"


@pytest.mark.parametrize(
    ("info", "buildx", "platform", "expected"),
    [
        ({"Architecture": "x86_64"}, "", "linux/amd64", (OK, "linux/amd64, the engine's own")),
        (ARM, "", "linux/arm64/v8", (OK, "linux/arm64/v8, the engine's own")),
        (ARM, "buildx v0.13.1", "linux/amd64", (WARNING, f"{PLATFORM}, emulated")),
        (
            ARM,
            "buildx v0.13.1",
            "linux/s390x",
            (BLOCKS, "linux/s390x on an engine of linux/arm64, and nothing emulates it"),
        ),
        ({**ARM, "OperatingSystem": "Docker Desktop"}, "", "linux/amd64", (WARNING, f"{PLATFORM}, emulated")),
        (ARM, "", "linux/amd64", (UNKNOWN, f"{PLATFORM}; whether it is emulated is not known")),
    ],
)
def test_other_platforms(
    info: dict[str, Any],
    buildx: str,
    platform: str,
    expected: tuple[Status, str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The builder of the engine tells what it runs, and Docker Desktop brings emulators."""
    monkeypatch.setattr(doctor_engine, "_BINFMT", folder / "nothing")
    config = configured(folder, {}, docker=docker_script("28.2.2", buildx))

    finding = emulation_finding(client(config=config), info, platform)

    assert expected == finding[1:3]


@pytest.mark.parametrize(("name", "status"), [("qemu-x86_64", WARNING), ("qemu-s390x", BLOCKS)])
def test_the_kernel_of_this_machine_tells(
    name: str, status: Status, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without buildx, what is registered with it for other platforms counts."""
    monkeypatch.setattr(doctor_engine, "_BINFMT", lay_out({name: ""}, folder / "binfmt"))
    config = configured(folder, {}, docker=docker_script("28.2.2", ""))

    assert status is emulation_finding(client(config=config), ARM, "linux/amd64").status


PROXIES = "proxies of builds"


@pytest.mark.parametrize(
    ("proxies", "shell", "expected"),
    [
        ({}, {}, (OK, "none")),
        (
            {"httpsProxy": "http://me:pw@p:3128", "noProxy": "r.io"},
            {},
            (OK, "HTTPS_PROXY=***@p:3128, NO_PROXY=r.io"),
        ),
        (
            {"httpProxy": "http://localhost:3128"},
            {},
            (WARNING, "HTTP_PROXY=http://localhost:3128; HTTP_PROXY is an address of this machine"),
        ),
        (
            {},
            {"https_proxy": "http://me:pw@p:1"},
            (WARNING, "none, but this shell has HTTPS_PROXY=***@p:1"),
        ),
        ({}, {"NO_PROXY": "x"}, (OK, "none")),
    ],
)
def test_the_proxies_of_builds(
    proxies: dict[str, str],
    shell: dict[str, str],
    expected: tuple[Status, str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those of docker's configuration, compared with those of the shell; a login is not shown."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in shell.items():
        monkeypatch.setenv(name, value)
    config = configured(folder, {"proxies": {"default": proxies}})

    finding = build_proxies_finding(client(config=config))

    assert expected == finding[1:3]
    assert "pw" not in finding.fix


@pytest.mark.parametrize(
    ("info", "shell", "expected"),
    [
        ({"HttpProxy": "http://u:pw@p:1", "NoProxy": ""}, "", (OK, "HTTP_PROXY=***@p:1")),
        ({"HttpProxy": 7}, "", (OK, "none")),
        ({}, "http://p:1", (NOTE, "none, although this shell has some")),
    ],
)
def test_the_proxies_of_the_engine(
    info: dict[str, Any], shell: str, expected: tuple[Status, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine pulls and pushes through its own."""
    for name in (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    if shell:
        monkeypatch.setenv("HTTPS_PROXY", shell)

    assert expected == engine_proxies_finding(info)[1:3]


def days_ago(days: int) -> str:
    """A timestamp of the engine."""
    return (datetime.now(timezone.utc) - timedelta(days=days, hours=1)).isoformat().replace("+00:00", "Z")


def image(days: int = 3, digest: str = DIGEST, architecture: str = "amd64") -> dict[str, Any]:
    """What the engine says of a base."""
    return {
        "Id": OTHER,
        "Os": "linux",
        "Architecture": architecture,
        "Created": days_ago(days),
        "RepoDigests": [f"r.io/base@{digest}"],
    }


def refused(message: str, status: int = 500) -> tuple[int, bytes]:
    """An error of the engine."""
    return json_answer({"message": message}, status)


HAS = json_answer({"Descriptor": {"digest": DIGEST}})
ASKED = "The registry r.io was asked by the engine, without credentials"
STAYS = "Builds take the one that is here until one says --pull."
NO_BUILD = "No build can start from it."


@pytest.mark.parametrize(
    ("local", "registry", "expected"),
    [
        (image(), HAS, (OK, "r.io/base:1 is here, made 3 days ago; its registry has no newer one")),
        (
            image(1, OTHER),
            HAS,
            (
                WARNING,
                "r.io/base:1 is here, made 1 day ago; its registry has another one",
                f"{STAYS} Newer ones have fixes.",
                PULL,
            ),
        ),
        (
            image(0),
            refused("lookup r.io: no such host"),
            (
                NOTE,
                "r.io/base:1 is here, made today; whether there is a newer one is not known",
                f"{ASKED}: lookup r.io: no such host. {STAYS}",
            ),
        ),
        (
            image(0),
            refused("unauthorized: authentication required", 401),
            (
                NOTE,
                "r.io/base:1 is here, made today; whether there is a newer one is not known",
                f"{ASKED}: unauthorized: authentication required. {STAYS}",
                PULL,
            ),
        ),
        (
            image(200),
            (200, b"?"),
            (
                WARNING,
                "r.io/base:1 is here, made 200 days ago; whether there is a newer one is not known",
                f"{ASKED}: the answer has no digest. {STAYS}",
                PULL,
            ),
        ),
        (
            image(architecture="arm64"),
            HAS,
            (BLOCKS, "r.io/base:1 is here for linux/arm64, not for linux/amd64", NO_BUILD, PULL),
        ),
        (None, HAS, (OK, "r.io/base:1 is not here yet; its registry has it, and a build pulls it")),
        (
            None,
            refused("manifest unknown", 404),
            (
                BLOCKS,
                "r.io/base:1 is not here, and its registry does not have it",
                f"{ASKED}: manifest unknown.",
                "Name another base.",
            ),
        ),
        (
            None,
            refused("unauthorized: authentication required", 401),
            (
                UNKNOWN,
                "r.io/base:1 is not here; without a sign-in its registry does not tell whether it has it",
                f"{ASKED}: unauthorized: authentication required.",
                PULL,
            ),
        ),
        (
            None,
            refused("lookup r.io: no such host"),
            (
                BLOCKS,
                "r.io/base:1 is not here, and its registry was not reached",
                f"{ASKED}: lookup r.io: no such host.",
                f"Check the engine's network, DNS and proxies; then: {PULL}",
            ),
        ),
    ],
)
def test_the_base(
    local: dict[str, Any] | None,
    registry: tuple[int, bytes],
    expected: tuple[Any, ...],
    engine: FakeEngine,
    folder: Path,
) -> None:
    """Whether it is here, how old it is, and whether its registry has a newer one."""
    configured(folder, {})
    if local:
        engine.answers["GET /v1.48/images/r.io/base:1/json"] = json_answer(local)
    engine.answers["GET /v1.48/distribution/r.io/base:1/json"] = registry

    assert Finding("base", *expected) == base_finding(connect(), BASE, "linux/amd64")


def test_a_base_without_a_registry(engine: FakeEngine, folder: Path) -> None:
    """Docker Hub is the registry of a name without a host, and no pull is advised of what it may not have."""
    configured(folder, {})
    base = BASE._replace(host="")
    engine.answers["GET /v1.48/images/base:1/json"] = json_answer(image(0))
    engine.answers["GET /v1.48/distribution/base:1/json"] = refused("denied: requested access", 403)

    finding = base_finding(connect(), base, "linux/amd64")

    what = "base:1 is here, made today; whether there is a newer one is not known"
    why = f"The registry docker.io was asked by the engine, without credentials: denied: requested access. {STAYS}"
    assert Finding("base", NOTE, what, why) == finding


def test_a_misspelt_base(engine: FakeEngine, folder: Path) -> None:
    """One that is much like it and is here is named first."""
    configured(folder, {})
    base = BASE._replace(host="", repository="stand-in/minimall")
    tags = [{"RepoTags": None}, {"RepoTags": ["other:1", "stand-in/minimal:1"]}]
    engine.answers["GET /v1.48/images/json"] = json_answer(tags)
    engine.answers["GET /v1.48/distribution/stand-in/minimall:1/json"] = refused(
        "lookup docker.io: no such host"
    )

    finding = base_finding(connect(), base, "linux/amd64")

    assert finding.fix == (
        "Did you mean stand-in/minimal:1, which the engine has?\nCheck the engine's network, DNS and proxies; then: "
        "docker pull --platform linux/amd64 stand-in/minimall:1"
    )


def test_a_base_that_is_named_by_its_digest(engine: FakeEngine, folder: Path) -> None:
    """There is no newer one of it."""
    configured(folder, {})
    base = BASE._replace(tag="", digest=DIGEST)
    engine.answers[f"GET /v1.48/images/{base}/json"] = json_answer(image())

    finding = base_finding(connect(), base, "linux/amd64")

    assert Finding("base", OK, f"{base} is here, made 3 days ago, and named by its digest") == finding


def test_podman_asks_no_registry(engine: FakeEngine, folder: Path) -> None:
    """Its API has no such question."""
    configured(folder, {})
    engine.headers |= {"Server": "Libpod/4.3.1 (linux)"}

    finding = base_finding(connect(), BASE, "linux/amd64")

    what, why = (
        "r.io/base:1 is not here; whether its registry has it is not known",
        "Podman's API asks no registry.",
    )
    assert Finding("base", UNKNOWN, what, why, PULL) == finding
    assert not [each for each in engine.requests if "distribution" in each]
