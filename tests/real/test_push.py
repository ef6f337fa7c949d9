"""`invoke image.push` to a real registry: what is pushed, what is refused, and the messages."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import socket
import stat
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import pytest
from docker.errors import ImageNotFound

from azureml_tasks.cli.console import Console
from azureml_tasks.engines.docker.client import connect
from azureml_tasks.engines.docker.push import push_image
from azureml_tasks.errors import RegistryError
from azureml_tasks.project.load import load
from azureml_tasks.state.records import Records
from tests.projects import replaced
from tests.real.pushed import digest_of, no_registry, refusal
from tests.real.support import (
    Consumer,
    consumer,
    environment_without_docker,
    normal,
    removed_after,
    tags_of,
    unique,
)

if TYPE_CHECKING:
    import docker

    from tests.machine.registry import Registry

SMOKE = {"passed": True, "image": "as it was then"}

SCORE = """\
def init():
    pass


def run(data):
    return data
"""

PROJECT = """\
[project]
name = "{name}"
version = "1.0"

[tool.azureml-image]
base = "{base}"
tags = ["{{version}}", "latest"]
labels = {{ of = "{name}" }}

[tool.azureml-image.smoke-test]
request = "request.json"
"""


@contextmanager
def built(client: docker.DockerClient, base: str, host: str, folder: Path) -> Iterator[Consumer]:
    """Build a project without a registry and record that its image has passed."""
    name = unique("push")
    env = {**environment_without_docker(folder), "DOCKER_CONFIG": str(folder / "docker")}
    files = {
        "pyproject.toml": PROJECT.format(name=name, base=base),
        "request.json": "{}",
        "code/score.py": SCORE,
    }
    project = consumer(folder / name, files, env)
    everywhere = [f"{prefix}{name}:{tag}" for prefix in ("", f"{host}/") for tag in ("1.0", "latest")]
    with removed_after(client, *everywhere):
        ended = project.invoke("image.build")
        assert (0, f"{name}:1.0\n{name}:latest\n") == (ended.code, ended.stdout), ended.stderr
        passed(project)
        yield project


@pytest.fixture(scope="module")
def shared(
    docker_client: docker.DockerClient,
    tiny_base: str,
    registry: Registry,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Consumer]:
    """A project that is built once for this module."""
    with built(docker_client, tiny_base, registry.host, tmp_path_factory.mktemp("shared")) as project:
        yield project


@pytest.fixture
def project(shared: Consumer, tmp_path: Path) -> Consumer:
    """A copy of that project, with the same image."""
    folder = tmp_path / shared.folder.name
    shutil.copytree(shared.folder, folder)
    return Consumer(folder=folder, env={**shared.env, "DOCKER_CONFIG": str(tmp_path / "docker")})


@pytest.fixture
def own(
    docker_client: docker.DockerClient, tiny_base: str, registry: Registry, tmp_path: Path
) -> Iterator[Consumer]:
    """A project with an image of its own, which the test may change."""
    with built(docker_client, tiny_base, registry.host, tmp_path) as project:
        yield project


def passed(project: Consumer) -> None:
    """Record that the image that was built last has passed, as the smoke test does."""
    records = Records(folder=project.folder / ".azureml-image")
    records.write_pass(records.read_build(), load(project.folder, {}).facts.smoke_test.sha256, SMOKE)


def change(project: Consumer) -> None:
    """Change a file of the build context."""
    (project.folder / "code" / "score.py").write_text(f"{SCORE}\n", encoding="utf-8")


def test_push(project: Consumer, registry: Registry) -> None:
    """The image that passed is pushed with each tag; stdout is its reference with the registry's digest."""
    outputs = project.folder / "outputs"
    ended = project.invoke("image.push", "--registry", registry.host, env={"GITHUB_OUTPUT": str(outputs)})
    name = project.folder.name
    digest = digest_of(registry, name, "1.0")
    reference = f"{registry.host}/{name}@{digest}"
    built = project.record("build.json")

    assert (0, f"{reference}\n") == (ended.code, ended.stdout), ended.stderr
    assert digest == digest_of(registry, name, "latest")
    expected = {
        "image": reference,
        "id": built["id"],
        "tags": ["1.0", "latest"],
        "digest": digest,
        "context_sha256": built["context_sha256"],
        "smoke": SMOKE,
    }
    assert expected == project.record("result.json")
    assert f"image={reference}\ndigest={digest}\ntags=1.0,latest\n" == outputs.read_text(encoding="utf-8")


def test_azure_pipelines(project: Consumer, registry: Registry) -> None:
    """In Azure Pipelines the outputs are printed as logging commands after the reference."""
    ended = project.invoke("image.push", "--registry", registry.host, env={"TF_BUILD": "True"})
    digest = digest_of(registry, project.folder.name, "1.0")
    reference = f"{registry.host}/{project.folder.name}@{digest}"

    variable = "##vso[task.setvariable variable={};isOutput=true]{}\n"
    values = {"image": reference, "digest": digest, "tags": "1.0,latest"}
    expected = f"{reference}\n" + "".join(variable.format(*pair) for pair in values.items())
    assert (0, expected) == (ended.code, ended.stdout)


def test_the_table_names_another_registry_and_another_tag_by_now(
    own: Consumer, registry: Registry, docker_client: docker.DockerClient
) -> None:
    """The registry of the table gets the image with the tags of its build; a warning says how it gets the new tag."""
    name, table = own.folder.name, own.folder / "pyproject.toml"
    replaced(table, "tags =", 'registry = "other.example.com"\ntags =')
    assert own.invoke("image.build").code == 0
    passed(own)
    replaced(table, "other.example.com", registry.host)
    replaced(table, '"latest"', '"prod"')
    with removed_after(docker_client, *(f"other.example.com/{name}:{tag}" for tag in ("1.0", "latest"))):
        ended = own.invoke("image.push")

        assert ended.code == 0, ended.stderr
        digest = digest_of(registry, name, "latest")
        warning = (
            f"warning: other.example.com/{name}:1.0 has the tags of its build, 1.0, latest, "
            "and a build would give it 1.0, prod now\n    invoke image.build\n"
        )
        assert (digest, f"{registry.host}/{name}@{digest}\n", True) == (
            digest_of(registry, name, "1.0"),
            ended.stdout,
            warning in ended.stderr,
        ), ended.stderr
        with pytest.raises(HTTPError, match="404"):
            digest_of(registry, name, "prod")


def test_a_kept_tag(own: Consumer, registry: Registry, docker_client: docker.DockerClient) -> None:
    """Beside the tags of the table one is pushed that never moves; the engine does not keep it as a name."""
    name = own.folder.name
    first = own.invoke("image.push", "--registry", registry.host)
    old = digest_of(registry, name, "latest")
    again = own.invoke("image.push", "--registry", registry.host)
    change(own)
    assert own.invoke("image.build").code == 0
    passed(own)
    second = own.invoke("image.push", "--registry", registry.host)
    new = digest_of(registry, name, "latest")

    kept_old, kept_new = f"kept-{old[7:23]}", f"kept-{new[7:23]}"
    assert (0, 0, 0) == (first.code, again.code, second.code)
    assert (old, new) == (digest_of(registry, name, kept_old), digest_of(registry, name, kept_new))
    moved = [f"{registry.host}/{name}:{tag} named {old} before" for tag in ("1.0", "latest")]
    news = [[line for line in run.stderr.splitlines() if "named" in line] for run in (first, again, second)]
    assert [[], [], moved] == news
    assert [] == [tag for tag in tags_of(docker_client, name) if "kept-" in tag]


def test_a_dry_push(project: Consumer, registry: Registry) -> None:
    """`--dry` prints the commands: a local engine knows the digest for the kept tag only after the first push."""
    ended = project.invoke("--dry", "image.push", "--registry", registry.host)
    names = [f"{registry.host}/{project.folder.name}:{tag}" for tag in ("1.0", "kept-DIGEST", "latest")]
    image = project.record("build.json")["id"]

    commands = [line for name in names for line in (f"docker tag {image} {name}", f"docker push {name}")]
    commands.insert(4, f"docker rmi {names[1]}")
    assert (0, commands) == (ended.code, ended.stdout.splitlines())


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (
            'version = "1.0"',
            'version = "1.1"',
            "NAME:1.0 was built for version 1.0, and the project's version is 1.1 now.",
        ),
        (
            "tags =",
            'name = "team/other"\ntags =',
            "NAME:1.0 was built under the name NAME, and the project's image is called team/other now.",
        ),
    ],
)
def test_another_name_or_version(old: str, new: str, why: str, project: Consumer, registry: Registry) -> None:
    """An image is pushed under the name and for the version that it was built for; if they have changed, not at all."""
    file = project.folder / "pyproject.toml"
    file.write_text(file.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    ended = project.invoke("image.push", "--registry", registry.host, "--untested")

    expected = f"""\
{why}
    invoke image.build --registry HOST
    then: invoke image.smoke-test
Nothing was pushed."""
    assert (4, "", expected) == (ended.code, ended.stdout, refusal(ended.stderr, project, registry.host))


@pytest.mark.parametrize("out", ["no such folder/out", "a folder"])
def test_what_cannot_be_written_after_a_push(out: str, project: Consumer, registry: Registry) -> None:
    """A push that has happened is a success whose digest is printed; what cannot be written beside it is a warning."""
    (project.folder / "a folder").mkdir()
    (project.folder / ".azureml-image" / "result.json" / "x").mkdir(parents=True)
    ended = project.invoke(
        "image.push", "--registry", registry.host, env={"GITHUB_OUTPUT": str(project.folder / out)}
    )

    name = project.folder.name
    reference = f"{registry.host}/{name}@{digest_of(registry, name, '1.0')}"
    why = {"a folder": "Is a directory", "no such folder/out": "No such file or directory"}[out]
    warnings = [
        f"the outputs of this step could not be set: This machine reported an error: {project.folder}/{out}: {why}.",
        f"the push of {reference} was not recorded for the environment: This machine reported an error: ",
    ]
    printed = [text for line in ended.stderr.splitlines() if (text := line.removeprefix("warning: ")) != line]
    assert (0, f"{reference}\n") == (ended.code, ended.stdout)
    assert [True, True] == [line.startswith(words) for line, words in zip(printed, warnings, strict=True)], (
        printed
    )


def test_nobody_reads_the_digest(project: Consumer, registry: Registry) -> None:
    """If stdout has no reader or its disk is full, the push is recorded all the same, and the code says which."""
    ended = {}
    for where, redirection in {"full": ">/dev/full", "closed": ">&-"}.items():
        (project.folder / ".azureml-image" / "result.json").unlink(missing_ok=True)
        words = shlex.join([sys.executable, "-m", "invoke", "image.push", "--registry", registry.host])
        completed = subprocess.run(
            ["/bin/sh", "-c", f"{words} {redirection}"],
            cwd=project.folder,
            env=dict(project.env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        ended[where] = (completed.returncode, completed.stderr.decode().splitlines()[-3:])
        assert project.record("result.json")["digest"] == digest_of(registry, project.folder.name, "1.0")

    reference = project.record("result.json")["image"]
    full = ["The disk of this machine is full.", "    df -h", f"Pushed: {reference}"]
    assert ((3, full), 0) == (ended["full"], ended["closed"][0])


def test_progress(project: Consumer, registry: Registry) -> None:
    """Each layer has a line on stderr, below the name that is pushed."""
    ended = project.invoke("image.push", "--registry", registry.host)
    assert f"pushing {registry.host}/{project.folder.name}:1.0\n  layer " in ended.stderr
    layers = [line for line in ended.stderr.splitlines() if line.startswith("  layer ")]

    assert all(
        re.fullmatch(r"  layer [0-9a-f]{12}: .*(pushed|pushing|layer already exists)", line)
        for line in layers
    )
    assert any(line.endswith(("pushed", "layer already exists")) for line in layers)


def test_another_image_than_the_one_that_passed(own: Consumer, registry: Registry) -> None:
    """An image that was built again has not passed."""
    change(own)
    assert own.invoke("image.build").code == 0
    ended = own.invoke("image.push", "--registry", registry.host)

    expected = """\
NAME:1.0 (sha256:ID) has not passed its smoke test.
    invoke image.smoke-test
    or push it anyway: invoke image.push --registry HOST --untested
Nothing was pushed."""
    assert (5, "", expected) == (ended.code, ended.stdout, refusal(ended.stderr, own, registry.host))
    assert "result.json" not in own.records()


@pytest.mark.parametrize("changed", ["request.json", "pyproject.toml"])
def test_another_test_than_the_one_that_was_passed(
    changed: str, project: Consumer, registry: Registry
) -> None:
    """A changed request file or table asks for another smoke test."""
    with (project.folder / changed).open("a", encoding="utf-8") as file:
        file.write("\n" if changed == "request.json" else "repeat = 11\n")
    ended = project.invoke("image.push", "--registry", registry.host)

    expected = """\
NAME:1.0 (sha256:ID) passed another smoke test than the table and its files ask for now.
    invoke image.smoke-test
    or push it anyway: invoke image.push --registry HOST --untested
Nothing was pushed."""
    assert (5, "", expected) == (ended.code, ended.stdout, refusal(ended.stderr, project, registry.host))
    assert "result.json" not in project.records()


def test_untested(project: Consumer, registry: Registry) -> None:
    """--untested pushes an image that has not passed, with a warning, and records no smoke test."""
    (project.folder / ".azureml-image" / "smoke-test.json").unlink()
    ended = project.invoke("image.push", "--registry", registry.host, "--untested")

    warnings = [line for line in ended.stderr.splitlines() if line.startswith("warning: ")]
    name = project.folder.name
    expected = f"warning: {name}:1.0 has not passed its smoke test; it is pushed anyway, as --untested says"
    assert (0, [expected]) == (ended.code, warnings)
    assert project.record("result.json")["smoke"] is None
    assert project.record("result.json")["digest"] == digest_of(registry, name, "1.0")


def test_nothing_is_built(tmp_path: Path, tiny_base: str, engine: str) -> None:
    """Without a record of a build there is nothing to push or to smoke-test: exit code 4 and the next step."""
    del engine
    files = {"pyproject.toml": PROJECT.format(name="nothing", base=tiny_base), "request.json": "{}"}
    project = consumer(tmp_path / "nothing", files, environment_without_docker(tmp_path))
    results = [
        (ended.code, ended.stdout, refusal(ended.stderr, project, ""))
        for ended in (
            project.invoke("image.push", "--registry", "127.0.0.1:1"),
            project.invoke("image.smoke-test"),
        )
    ]

    words = "Nothing is built here yet.\n    invoke image.build{}\nNothing was {}."
    expected = [words.format(" --registry 127.0.0.1:PORT", "pushed"), words.format("", "tested")]
    assert [(4, "", each) for each in expected] == results


def test_the_image_is_gone(own: Consumer, docker_client: docker.DockerClient, registry: Registry) -> None:
    """An image that the engine no longer has is built again, not replaced by another of its name."""
    for tag in ("1.0", "latest"):
        docker_client.images.remove(f"{own.folder.name}:{tag}")
    ended = own.invoke("image.push", "--registry", registry.host)

    expected = """\
The image that was built last, NAME:1.0 (sha256:ID), is gone from the engine.
    invoke image.build --registry HOST
Nothing was pushed."""
    assert (4, "", expected) == (ended.code, ended.stdout, refusal(ended.stderr, own, registry.host))


def test_files_have_changed(project: Consumer, registry: Registry) -> None:
    """If files have changed since the build, there is a warning, and the built image is pushed."""
    change(project)
    ended = project.invoke("image.push", "--registry", registry.host)
    warnings = [line for line in ended.stderr.splitlines() if line.startswith("warning: ")]

    name = project.folder.name
    expected = f"warning: files have changed since {name}:1.0 was built; this command uses what was built"
    assert (0, [expected]) == (ended.code, warnings)


def test_no_registry(project: Consumer) -> None:
    """Without a registry there is nowhere to push to: exit code 2 and the line to write."""
    ended = project.invoke("image.push")

    expected = """\
pyproject.toml:5: [tool.azureml-image] names no registry to push to
    Write: registry = "contoso.azurecr.io"
    or: invoke image.push --registry contoso.azurecr.io

1 problem; nothing was pushed.
"""
    assert (2, "", expected) == (ended.code, ended.stdout, ended.stderr)


def test_the_registry_of_the_build_is_pushed_to(own: Consumer, registry: Registry) -> None:
    """`image.push` after `image.build --registry HOST`, in one line or later, pushes to that registry."""
    name = own.folder.name
    built = ("image.build", f"--registry={registry.host}", "--tag=1.0")

    together = own.invoke(*built, "image.push", "--untested")
    later = own.invoke("image.push", "--untested")

    reference = f"{registry.host}/{name}@{digest_of(registry, name, '1.0')}\n"
    assert (0, f"{registry.host}/{name}:1.0\n{reference}") == (together.code, together.stdout)
    assert (0, reference) == (later.code, later.stdout)


# Sign-in


def signed_in(project: Consumer, config: Mapping[str, Any]) -> None:
    """Write docker's configuration."""
    folder = Path(project.env["DOCKER_CONFIG"])
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def auths(registry: Registry, password: str) -> Mapping[str, Any]:
    """What `docker login` writes."""
    login = b64encode(f"{registry.user}:{password}".encode()).decode()
    return {"auths": {registry.host: {"auth": login}}}


def test_signed_in(project: Consumer, login_registry: Registry, docker_client: docker.DockerClient) -> None:
    """Credentials are those of `docker login`; the password is neither printed nor written."""
    signed_in(project, auths(login_registry, login_registry.password))
    ended = project.invoke("image.push", "--registry", login_registry.host)
    name = project.folder.name
    with removed_after(docker_client, *(f"{login_registry.host}/{name}:{tag}" for tag in ("1.0", "latest"))):
        expected = f"{login_registry.host}/{name}@{digest_of(login_registry, name, '1.0')}\n"
        assert (0, expected) == (ended.code, ended.stdout), ended.stderr
        assert [] == leaks(project, ended.stdout + ended.stderr, login_registry.password)


def test_credential_helper(
    project: Consumer, login_registry: Registry, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    """A credential helper on PATH is called as docker calls it."""
    answer = json.dumps({"Username": login_registry.user, "Secret": login_registry.password})
    helper = tmp_path / "bin" / "docker-credential-vault"
    helper.parent.mkdir()
    asked = tmp_path / "asked"
    helper.write_text(
        f'#!/bin/sh\necho "$@ $(cat)" >> {shlex.quote(str(asked))}\necho {shlex.quote(answer)}\n',
        encoding="utf-8",
    )
    helper.chmod(helper.stat().st_mode | stat.S_IXUSR)
    signed_in(project, {"credHelpers": {login_registry.host: "vault"}})
    path = f"{helper.parent}:{project.env['PATH']}:/bin"
    ended = project.invoke("image.push", "--registry", login_registry.host, env={"PATH": path})
    name = project.folder.name
    with removed_after(docker_client, *(f"{login_registry.host}/{name}:{tag}" for tag in ("1.0", "latest"))):
        expected = f"{login_registry.host}/{name}@{digest_of(login_registry, name, '1.0')}\n"
        assert (0, expected) == (ended.code, ended.stdout), ended.stderr
        assert {f"get {login_registry.host}"} == set(asked.read_text(encoding="utf-8").splitlines())
        assert [] == leaks(project, ended.stdout + ended.stderr, login_registry.password)


def leaks(project: Consumer, output: str, password: str) -> list[str]:
    """Return the files and the output that hold a password, plain or as `docker login` writes it."""
    forms = (password.encode(), b64encode(f"team:{password}".encode()))
    files = {str(path): path.read_bytes() for path in project.folder.rglob("*") if path.is_file()}
    return [
        name
        for name, text in {**files, "output": output.encode()}.items()
        if any(form in text for form in forms)
    ]


@pytest.mark.parametrize("password", ["", "wrong"])
def test_not_signed_in(
    password: str, project: Consumer, login_registry: Registry, docker_client: docker.DockerClient
) -> None:
    """Without credentials, or with wrong ones, the error names the command to sign in: exit code 6."""
    if password:
        signed_in(project, auths(login_registry, password))
    name = project.folder.name
    with removed_after(docker_client, f"{login_registry.host}/{name}:1.0"):
        ended = project.invoke("image.push", "--registry", login_registry.host)

    reason = "unauthorized: authentication required" if password else "no basic auth credentials"
    expected = f"""\
Registry HOST refused the push of HOST/NAME:1.0: you are not signed in (401).
    Sign in with: docker login HOST
    the registry said: {reason}
Nothing was pushed. The image is on the engine as NAME:1.0. Continue with: invoke image.push --registry HOST"""
    assert (6, "", expected) == (
        ended.code,
        ended.stdout,
        refusal(ended.stderr, project, login_registry.host),
    )


# A proxy between the engine and a registry


Meddler = Callable[[bytes], "bytes | None"]
"""Gets a request's first bytes; returns an answer in place of the registry's, b"" to hang up, or None to forward it."""


@contextmanager
def between(registry: Registry, meddle: Meddler, rewrite: Callable[[bytes], bytes] = bytes) -> Iterator[str]:
    """Run a proxy in front of a registry and yield its `host:port`."""
    listener = socket.create_server(("127.0.0.1", 0))
    host, _, port = registry.host.partition(":")

    def serve() -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection((host, int(port)))
                for way in (requests, answers):
                    threading.Thread(target=way, args=(near, far), daemon=True).start()

    def requests(near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while data := near.recv(65536):
                answer = meddle(data)
                if answer is not None:
                    near.sendall(answer)
                    break
                far.sendall(rewrite(data))
        close(near, far)

    def answers(near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while data := far.recv(65536):
                near.sendall(data)
        close(near, far)

    with listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def close(*sockets: socket.socket) -> None:
    """Close both sides, also if the other thread waits for bytes."""
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


def answering(status: str, body: str = "", *, times: int = 1) -> Meddler:
    """Answer the first *times* requests to put a manifest with *status*; hang up if it is empty."""
    left = [times]

    def meddle(data: bytes) -> bytes | None:
        if not re.match(rb"PUT /v2/\S+/manifests/", data) or not left[0]:
            return None
        left[0] -= 1
        fields = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close"
        head = f"HTTP/1.1 {status}\r\n{fields}\r\n\r\n"
        return (head + body).encode() if status else b""

    return meddle


@pytest.mark.parametrize("status", ["503 Service Unavailable", "429 Too Many Requests", ""])
def test_a_temporary_error_is_retried(
    status: str, project: Consumer, registry: Registry, docker_client: docker.DockerClient
) -> None:
    """A push to a registry that is busy or hangs up is retried, with the reason."""
    name = project.folder.name
    with (
        between(registry, answering(status)) as host,
        removed_after(docker_client, f"{host}/{name}:1.0", f"{host}/{name}:latest"),
    ):
        ended = project.invoke("image.push", "--registry", host)
    again = [line for line in ended.stderr.splitlines() if line.endswith("; trying again in 1 s")]

    assert (0, f"{host}/{name}@{digest_of(registry, name, '1.0')}\n") == (ended.code, ended.stdout), (
        ended.stderr
    )
    assert len(again) == 1
    assert again[0].startswith(f"{host} said: ")


DENIED = '{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}'
UNKNOWN = '{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry"}]}'

REFUSALS = {
    "403 Forbidden": """\
Registry HOST refused the push of HOST/NAME:1.0: not allowed (403).
    The identity needs the role AcrPush on this registry (AcrPull to pull); then: docker login HOST
    the registry said: denied
""",
    "404 Not Found": """\
Registry HOST refused the push of HOST/NAME:1.0: it does not exist (404).
    Check the registry and the name of the repository.
    the registry said: name unknown
""",
    "503 Service Unavailable": """\
Registry HOST did not accept the push of HOST/NAME:1.0 in 3 tries.
    Run the same command again later.
    the registry said: received unexpected HTTP status: 503 Service Unavailable
""",
}


@pytest.mark.parametrize(
    ("status", "body", "times"),
    [("403 Forbidden", DENIED, 1), ("404 Not Found", UNKNOWN, 1), ("503 Service Unavailable", "", 3)],
)
def test_refused(
    status: str,
    body: str,
    times: int,
    project: Consumer,
    registry: Registry,
    docker_client: docker.DockerClient,
) -> None:
    """An error inside the engine's answer with status 200 is an error; only a temporary one is retried."""
    name = project.folder.name
    with (
        between(registry, answering(status, body, times=times)) as host,
        removed_after(docker_client, f"{host}/{name}:1.0"),
    ):
        ended = project.invoke("image.push", "--registry", host)

    again = "Continue with: invoke image.push --registry HOST"
    expected = f"{REFUSALS[status]}Nothing was pushed. The image is on the engine as NAME:1.0. {again}"
    assert (6, "", expected) == (ended.code, ended.stdout, refusal(ended.stderr, project, host))
    assert project.records() == [".gitignore", "build.json", "smoke-test.json"]


@pytest.mark.parametrize(
    ("repository", "tag"),
    [("resnet-404/unauthorized/no-such-host", "503"), ("gpt-403/a-503/denied-401", "EOF-x509")],
)
def test_names_that_read_like_errors(
    repository: str, tag: str, registry: Registry, docker_client: docker.DockerClient, tiny_base: str
) -> None:
    """Whatever the repository and the tag are called, a 503 is retried, and a 403 and a 404 are not."""
    image_id, client, name = str(docker_client.images.get(tiny_base).id), connect(), f"{repository}:{tag}"
    refusals = []
    for status, body in (("403 Forbidden", DENIED), ("404 Not Found", UNKNOWN)):
        with (
            between(registry, answering(status, body)) as host,
            removed_after(docker_client, f"{host}/{name}"),
            pytest.raises(RegistryError) as caught,
        ):
            push_image(client, image_id, f"{host}/{name}", Console())
        refusals.append(normal(caught.value.what, {f"{host}/{name}": "NAME", host: "HOST"}))
    with (
        between(registry, answering("503 Service Unavailable", times=2)) as host,
        removed_after(docker_client, f"{host}/{name}"),
    ):
        digest = push_image(client, image_id, f"{host}/{name}", Console())

    expected = [
        "Registry HOST refused the push of NAME: not allowed (403).",
        "Registry HOST refused the push of NAME: it does not exist (404).",
    ]
    assert (expected, digest_of(registry, repository, tag)) == (refusals, digest)


def test_only_the_first_tag_was_pushed(
    project: Consumer, registry: Registry, docker_client: docker.DockerClient
) -> None:
    """If a later tag is refused, the message names those that were pushed."""
    name = project.folder.name

    def meddle(data: bytes) -> bytes | None:
        return answering("403 Forbidden", DENIED)(data) if b"/manifests/latest" in data else None

    with (
        between(registry, meddle) as host,
        removed_after(docker_client, f"{host}/{name}:1.0", f"{host}/{name}:latest"),
    ):
        ended = project.invoke("image.push", "--registry", host)

    expected = """\
Registry HOST refused the push of HOST/NAME:latest: not allowed (403).
    The identity needs the role AcrPush on this registry (AcrPull to pull); then: docker login HOST
    the registry said: denied
Pushed: 1.0, KEPT. The image is on the engine as NAME:1.0. Continue with: invoke image.push --registry HOST"""
    message = re.sub(r"kept-[0-9a-f]{16}", "KEPT", refusal(ended.stderr, project, host))
    assert (6, "", expected) == (ended.code, ended.stdout, message)


def test_somebody_else_pushed_that_tag(
    own: Consumer, registry: Registry, docker_client: docker.DockerClient
) -> None:
    """If the registry's digest is not the one that was sent, the push is an error: somebody else pushed the tag."""
    name = own.folder.name
    assert own.invoke("image.push", "--registry", registry.host).code == 0
    change(own)
    assert own.invoke("image.build").code == 0
    passed(own)

    def rewrite(data: bytes) -> bytes:
        """Answer a request for 1.0 with `latest`, which is still the earlier image."""
        return re.sub(rb"^((?:GET|HEAD) /v2/\S+/manifests/)1\.0 ", rb"\1latest ", data)

    with (
        between(registry, lambda _: None, rewrite) as host,
        removed_after(docker_client, f"{host}/{name}:1.0"),
    ):
        ended = own.invoke("image.push", "--registry", host)

    expected = """\
Registry HOST has sha256:ID as HOST/NAME:1.0, not sha256:ID: somebody else pushed that tag meanwhile.
    Push again, or give the image a tag of its own: --tag
The image was pushed as sha256:ID, and that tag names another one now. The image is on the engine as NAME:1.0. \
Continue with: invoke image.push --registry HOST"""
    assert (6, "", expected) == (ended.code, ended.stdout, refusal(ended.stderr, own, host))


def test_a_registry_that_does_not_answer(project: Consumer, docker_client: docker.DockerClient) -> None:
    """A push to a registry that does not answer is tried three times."""
    with no_registry() as host, removed_after(docker_client, f"{host}/{project.folder.name}:1.0"):
        ended = project.invoke("image.push", "--registry", host)

    expected = """\
Registry HOST could not be reached for the push of HOST/NAME:1.0 in 3 tries: nothing listens at its address.
    Start it, or check the name: registry = "…" in the table, or --registry
    the engine said: Get "http://HOST/v2/": dial tcp HOST: connect: connection refused
Nothing was pushed. The image is on the engine as NAME:1.0. Continue with: invoke image.push --registry HOST"""
    assert (6, "", expected) == (ended.code, ended.stdout, refusal(ended.stderr, project, host))


def test_unknown_host(project: Consumer, docker_client: docker.DockerClient) -> None:
    """A push to a host that does not resolve is not retried."""
    host = "contoso.invalid"
    with removed_after(docker_client, f"{host}/{project.folder.name}:1.0"):
        ended = project.invoke("image.push", "--registry", host)
    message = re.sub(r"said: .*", "said: …", refusal(ended.stderr, project, host))

    expected = """\
Registry HOST could not be reached for the push of HOST/NAME:1.0.
    Check the name: registry = "…" in the table, or --registry
    or, if it is right, the engine's DNS and network
    the registry said: …
Nothing was pushed. The image is on the engine as NAME:1.0. Continue with: invoke image.push --registry HOST"""
    assert (6, "", expected) == (ended.code, ended.stdout, message)
    assert "trying again" not in ended.stderr


def test_a_refused_push_leaves_no_name(project: Consumer, docker_client: docker.DockerClient) -> None:
    """The tag that a push gives the image is removed if the registry refuses it."""
    with no_registry() as host:
        ended = project.invoke("image.push", "--registry", host)

    assert ended.code == 6
    with pytest.raises(ImageNotFound):
        docker_client.images.get(f"{host}/{project.folder.name}:1.0")
    assert docker_client.images.get(f"{project.folder.name}:1.0").id == project.record("build.json")["id"]
