"""`image.doctor`: its whole report, how it ends, and what `--fix` does."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from azureml_tasks.cli import doctor_report
from azureml_tasks.cli.console import Console
from azureml_tasks.commands import doctor
from azureml_tasks.commands.doctor import Diagnosis, diagnose
from azureml_tasks.commands.doctor_checks import base_checks, check_of, first_checks, registry_checks
from azureml_tasks.commands.doctor_subject import read_subject
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.config.allowed_registries import AllowedRegistries
from azureml_tasks.config.problems import Override
from azureml_tasks.engines.docker import doctor_registry
from azureml_tasks.engines.docker.client import EngineClient
from azureml_tasks.engines.doctor_finding import Finding, Status
from tests.cases import lay_out
from tests.consumers import PATIENT, consumer, invoke, project
from tests.fake_engine import FakeEngine, json_answer, ready_engine
from tests.projects import set_text

DIGEST = "sha256:" + "5" * 64
BASE = "mcr.microsoft.com/azureml/minimal-py312-inference:latest"
INFO = {
    "Driver": "overlay2",
    "DriverStatus": [["Backing Filesystem", "extfs"]],
    "DockerRootDir": "/nowhere",
    "OSType": "linux",
    "Architecture": "x86_64",
    "OperatingSystem": "Debian GNU/Linux 12 (bookworm)",
    "HttpProxy": "",
}
CLIENT = """\
#!/bin/sh
case "$1 $2" in
"--version ") echo Docker version 28.2.2, build e6534b4 ;;
"version --format") echo 28.2.2 ;;
"buildx version") echo github.com/docker/buildx v0.13.1 788433 ;;
*) exit 1 ;;
esac
"""
TEXT = """\
ok      python                VERSION, PYTHON
ok      uv                    UV
ok      azureml-tasks         OWN
ok      installation          its modules are compiled, or Python keeps what it compiles
ok      disk here             SIZE free at FOLDER
ok      proxies of pip        none on this machine; a build's pip has those of builds
ok      docker configuration  /nowhere/config.json does not exist or is empty: no sign-ins, no helpers
ok      docker client         28.2.2, FOLDER/bin/docker
ok      buildx                v0.13.1
ok      engine                Docker 28.0.1, API 1.48
ok      context               HOST, which DOCKER_HOST names
ok      images                kept by the storage driver overlay2, not in containerd
unknown engine's disk         /nowhere cannot be looked at from here
                              why: A full disk ends builds, pulls and tests.
                              fix: docker system df
ok      proxies of the engine none
ok      proxies of builds     none
ok      platform              linux/amd64, the engine's own
ok      base                  mcr.microsoft.com/azureml/minimal-py312-inference:latest is not here yet; its registry \
has it, and a build pulls it
note    registry              unknown: neither a table nor --registry names one
                              why: Nothing can be pushed without one.
ok      Azure libraries       the extra acr is installed
note    Azure sign-in         NOT SIGNED IN
                              why: Builds in Azure Container Registry, --engine acr, need it.
                              fix: az login
                                   or, in CI: set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET, or use a \
federated credential

1 unknown
"""


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    """An engine without images that describes itself."""
    with ready_engine() as fake:
        fake.headers |= {"Ostype": "linux"}
        fake.answers["GET /v1.48/info"] = json_answer(INFO)
        fake.answers[f"GET /v1.48/distribution/{BASE}/json"] = json_answer({"Descriptor": {"digest": DIGEST}})
        yield fake


def of_person(folder: Path, engine: FakeEngine) -> dict[str, str]:
    """The environment of a person whose docker is a script, and who is signed in to nothing."""
    set_text(folder / "bin" / "docker", CLIENT)
    (folder / "bin" / "docker").chmod(0o755)
    set_text(folder / "bin" / "uv", "#!/bin/sh\necho uv 0.9.1\n")
    (folder / "bin" / "uv").chmod(0o755)
    return {
        "DOCKER_HOST": engine.host,
        "PATH": f"{folder}/bin:/usr/bin:/bin",
        "AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential",
        **dict.fromkeys(
            ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "PIP_PROXY", "PYTHONDONTWRITEBYTECODE"), ""
        ),
        **dict.fromkeys(("http_proxy", "https_proxy", "no_proxy"), ""),
    }


def normal(text: str, engine: FakeEngine) -> str:
    """The report without what differs from machine to machine."""
    words = {
        "python": "VERSION, PYTHON",
        "uv": "UV",
        "azureml-tasks": "OWN",
        "disk here": "SIZE free at FOLDER",
    }
    lines = []
    for line in text.replace(engine.host, "HOST").splitlines(keepends=True):
        name = line[8:30].strip()
        told = words.get(name, "NOT SIGNED IN" if "You are not signed in to Azure." in line else "")
        lines.append(f"{line[:30]}{told}\n" if told else line)
    return "".join(lines)


def test_the_whole_report(engine: FakeEngine, tmp_path: Path) -> None:
    """Each finding has its line, and below it why it matters and what puts it right."""
    ended = invoke(consumer(tmp_path, PATIENT), "image.doctor", env=of_person(tmp_path, engine))

    assert (0, TEXT, "") == (ended.code, normal(ended.out, engine), ended.err)


def test_as_json(engine: FakeEngine, tmp_path: Path) -> None:
    """Programs get the same findings."""
    ended = invoke(consumer(tmp_path, PATIENT), "image.doctor", "--json", env=of_person(tmp_path, engine))

    report = json.loads(ended.out)
    keys = {"name", "status", "what", "why", "fix", "repairable"}
    assert (0, 1, "doctor", []) == (ended.code, report["version"], report["task"], report["repaired"])
    assert all(keys == set(each) for each in report["findings"])
    assert {
        "name": "context",
        "status": "ok",
        "what": f"{engine.host}, which DOCKER_HOST names",
        "why": None,
        "fix": None,
        "repairable": False,
    } in report["findings"]


NO_ENGINE = """\
blocks  engine                Docker's engine does not answer (DOCKER_HOST names unix:///nowhere/docker.sock). \
The connection failed: No such file or directory
                              why: Without it nothing is built or tested here.
                              fix: Start it: open Docker Desktop, or on Linux: sudo systemctl start docker
                                   or, for the engine of docker's current context: unset DOCKER_HOST
note    table                 pyproject.toml does not exist in FOLDER
                              why: Base and registry are not known, unless --base and --registry name them.
                              fix: invoke image.init
note    base                  unknown: neither a table nor --base names one
note    registry              unknown: neither a table nor --registry names one
                              why: Nothing can be pushed without one.
"""


def test_without_an_engine_and_without_a_table(engine: FakeEngine, tmp_path: Path) -> None:
    """What blocks is named once more at the end, with the exit code of a missing engine."""
    folder = lay_out({"tasks.py": PATIENT}, tmp_path / "bare")
    env = {**of_person(tmp_path, engine), "DOCKER_HOST": "unix:///nowhere/docker.sock"}

    ended = invoke(folder, "image.doctor", env=env)

    assert NO_ENGINE in ended.out
    assert ended.out.endswith("\n\n1 blocking problem\n")
    assert (3, "Nothing can be built before this is put right: engine.\n") == (ended.code, ended.err)


def test_what_the_run_itself_says_must_be_right(tmp_path: Path) -> None:
    """A flag with a mistake is one, with and without a table."""
    folder = consumer(tmp_path)
    with_table = invoke(folder, "image.doctor", "--base", "A B")
    (folder / "pyproject.toml").unlink()
    without = invoke(folder, "image.doctor", "--base", "A B")

    rest = """is not an image reference
    Write: --base minimal-py312-inference, or a reference such as "contoso.azurecr.io/bases/serving:4"

1 problem; nothing was done.
"""
    assert (2, f'--base: tool.azureml-image.base: "A B" {rest}') == (with_table.code, with_table.err)
    assert (2, f'--base: "A B" {rest}') == (without.code, without.err)


def only(monkeypatch: pytest.MonkeyPatch, finding: Finding, *, after: Finding | None = None) -> None:
    """Let the one check find *finding*, and *after* where it is looked at again."""
    answers = iter([finding])
    check = check_of(finding.name, lambda: next(answers, after or finding))
    monkeypatch.setattr(doctor, "first_checks", lambda _: [check])


def run_in(
    folder: Path, *, engine: str = "docker", console: Console | None = None, **overrides: str
) -> RunContext:
    """A run in the project of *folder*."""
    by_flag = {name: Override(value=value, source=f"--{name}") for name, value in overrides.items()}
    return RunContext(folder=folder, reporter=console or Console(), engine=engine, overrides=by_flag)


def blocked(name: str) -> Finding:
    """A finding that blocks."""
    return Finding(name, Status.BLOCKS, "is missing")


B, W, N = Status.BLOCKS, Status.WARNING, Status.NOTE


@pytest.mark.parametrize(
    ("engine", "names", "table", "expected"),
    [
        ("docker", ("engine", "Azure sign-in"), "", [B, N]),
        ("docker", ("engine", "Azure sign-in"), "acr = {}\n", [B, W]),
        ("acr", ("engine", "Azure sign-in"), "", [W, B]),
        ("auto", ("engine", "Azure sign-in"), "", [B, B]),
        ("auto", ("engine",), "", [W]),
        ("auto", ("Azure sign-in",), "", [W]),
        ("docker", ("credential helper", "platform", "base"), "", [B, B, B]),
    ],
)
def test_what_blocks_depends_on_the_engine(
    engine: str, names: tuple[str, ...], table: str, expected: list[Status], tmp_path: Path
) -> None:
    """What only the other engine needs does not block."""
    folder = lay_out({"pyproject.toml": project("demo", table)}, tmp_path)
    subject = read_subject(run_in(folder, engine=engine))

    assert expected == [each.status for each in doctor.weighed(subject, [*map(blocked, names)])]


def test_only_the_run_lets_credentials_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The table and Invoke's configuration name a registry, and docker's credentials for it stay where they are."""
    asked: list[tuple[str, bool]] = []

    def note(_config: object, registry: str, _repository: str, *, tries_login: bool) -> list[Finding]:
        asked.append((registry, tries_login))
        return []

    monkeypatch.setattr(doctor_registry, "registry_findings", note)
    folder = lay_out({"pyproject.toml": project("demo", 'registry = "r.io"\n')}, tmp_path)
    by_table, by_flag = run_in(folder), run_in(folder, registry="s.io")
    configured = by_flag._replace(
        overrides={
            "registry": Override(value="t.io", source="Invoke's configuration, azureml_image.registry")
        }
    )
    variable = by_flag._replace(
        overrides={"registry": Override(value="u.io", source="INVOKE_AZUREML_IMAGE_REGISTRY")}
    )
    listed = by_table._replace(allowed_registries=doctor_allowed("r.io"))
    refused = by_table._replace(allowed_registries=doctor_allowed("other.io"))

    for run in (by_table, by_flag, configured, variable, listed, refused):
        for check in registry_checks(read_subject(run)):
            check.look()

    assert [("r.io", False), ("s.io", True), ("t.io", False), ("u.io", True), ("r.io", True)] == asked


def doctor_allowed(*hosts: str) -> AllowedRegistries:
    """The registries that a run allows."""
    return AllowedRegistries(hosts=frozenset(hosts))


def repairable(folder: Path) -> Finding:
    """A finding that a command puts right, which writes a line into `repaired`."""
    command = ("sh", "-c", f"echo once >> {folder}/repaired")
    return Finding("installation", Status.WARNING, "is slow", "It is.", "…", command)


FINE = Finding("installation", Status.OK, "is fast")


def test_fix_puts_right_and_looks_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A harmless command is run once, and the report is that of afterwards."""
    only(monkeypatch, repairable(tmp_path), after=FINE)

    diagnosis = diagnose(run_in(consumer(tmp_path)), fix=True, waiting=lambda _: None)

    assert ("installation",) == diagnosis.repaired
    assert FINE in diagnosis.findings
    assert "once\n" == (tmp_path / "repaired").read_text()


def test_dry_and_echo(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--dry` prints the command and does nothing; `--echo` prints it and runs it."""
    only(monkeypatch, repairable(tmp_path))
    command = f"sh -c 'echo once >> {tmp_path}/repaired'\n"
    folder = consumer(tmp_path)

    dry = diagnose(run_in(folder, console=Console(dry=True)), fix=True, waiting=lambda _: None)
    assert (command, "", ()) == (*capsys.readouterr(), dry.repaired)
    assert not (tmp_path / "repaired").exists()

    echo = diagnose(run_in(folder, console=Console(echo=True)), fix=True, waiting=lambda _: None)
    assert ("", command, ("installation",)) == (*capsys.readouterr(), echo.repaired)


def test_without_fix_nothing_is_changed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The report names the command, and what `--fix` would put right."""
    only(monkeypatch, repairable(tmp_path))

    diagnosis = diagnose(run_in(consumer(tmp_path)), fix=False, waiting=lambda _: None)

    assert not (tmp_path / "repaired").exists()
    text = doctor_report.as_text(diagnosis, Console().spell)
    assert text.endswith(
        "\n1 warning, 1 unknown\nnext: invoke image.doctor --fix, which puts right: installation"
    )


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("sh", "-c", "echo no >&2; exit 1"), "no"),
        (("not-there",), "not-there is not on PATH"),
        (("false",), "exit code 1"),
    ],
)
def test_what_cannot_be_put_right_is_said(
    command: tuple[str, ...],
    why: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A command that fails is a warning, and the finding stays."""
    finding = Finding("installation", Status.WARNING, "is slow", repair=command)
    only(monkeypatch, finding)

    diagnosis = diagnose(run_in(consumer(tmp_path)), fix=True, waiting=lambda _: None)

    assert finding in diagnosis.findings
    assert f"warning: installation was not put right: {why}\n" == capsys.readouterr().err


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([Status.OK, Status.NOTE], "nothing is wrong"),
        ([Status.BLOCKS, Status.WARNING, Status.UNKNOWN], "1 blocking problem, 1 warning, 1 unknown"),
        ([Status.BLOCKS] * 2 + [Status.WARNING] * 2, "2 blocking problems, 2 warnings"),
    ],
)
def test_the_last_line_counts(statuses: list[Status], expected: str) -> None:
    """One line says how many of what there are."""
    findings = tuple(Finding("x", status, "is") for status in statuses)

    assert expected == doctor_report.as_text(Diagnosis(findings), Console().spell).splitlines()[-1]


WRAPPED = """\
warning buildx                there is none here and nobody knows
                              where to find one
                              why: Builds are slower without it,
                                   and fail.
                              fix: sudo apt-get install docker-buildx docker.io
"""


def test_sentences_fit_into_a_terminal() -> None:
    """What is to be pasted stays in one line."""
    fix = "sudo apt-get install docker-buildx docker.io"
    what = "there is none here and nobody knows where to find one"
    finding = Finding("buildx", Status.WARNING, what, "Builds are slower without it, and fail.", fix)

    wrapped, left = (
        doctor_report.as_text(Diagnosis((finding,)), Console().spell, width=each) for each in (66, 40)
    )

    assert wrapped.startswith(WRAPPED)
    assert left.startswith(f"warning buildx                {what}\n")


def test_each_image_of_a_table_counts(tmp_path: Path) -> None:
    """The bases and registries of all images are looked at, each once for a platform; `--image` looks at one."""
    table = """\
[tool.azureml-image]
registry = "r.io"
base = "b.io/one:1"
[tool.azureml-image.images.cpu]
[tool.azureml-image.images.gpu]
base = "b.io/two:1"
[tool.azureml-image.images.arm]
platform = "linux/arm64"
[tool.azureml-image.images.cpu-2]
"""
    folder = lay_out({"pyproject.toml": f'[project]\nname = "demo"\nversion = "1"\n{table}'}, tmp_path)
    run = run_in(folder)

    images = read_subject(run).images
    chosen = read_subject(run._replace(chosen=Override(value="gpu", source="--image"))).images

    assert [("cpu", "b.io/one:1", "demo-cpu"), ("gpu", "b.io/two:1", "demo-gpu")] == [
        (each.image, str(each.base), each.repository) for each in images[:2]
    ]
    checks = base_checks(read_subject(run), cast("EngineClient", None))
    assert [
        "base: b.io/one:1 linux/amd64",
        "base: b.io/two:1 linux/amd64",
        "base: b.io/one:1 linux/arm64",
    ] == [check.name for check in checks]
    assert ["gpu"] == [each.image for each in chosen]
    assert ["registry: r.io"] == [check.name for check in registry_checks(read_subject(run))]


def test_a_table_with_mistakes_still_tells_its_base(tmp_path: Path) -> None:
    """The mistakes are counted, and `image.check` lists them."""
    folder = lay_out({"pyproject.toml": project("demo", 'nam = "x"\napt = 1\n')}, tmp_path)

    subject = read_subject(run_in(folder))

    why = "Nothing can be built before they are corrected."
    assert (
        Finding("table", Status.NOTE, "pyproject.toml has 2 mistakes", why, "invoke image.check"),
    ) == subject.findings
    assert [BASE] == [str(each.base) for each in subject.images]


def test_a_configuration_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is reported in place of what it would say."""
    monkeypatch.setenv("DOCKER_CONFIG", str(lay_out({"config.json": "{"}, tmp_path)))

    subject = read_subject(run_in(consumer(tmp_path / "p")))

    assert ["docker configuration"] == [each.name for each in subject.findings]
    assert Status.BLOCKS is subject.findings[0].status
    assert "docker configuration" not in {check.name for check in first_checks(subject)}


def test_only_a_terminal_shows_what_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line is written over and over, and is gone as soon as nothing is waited for, before a repair is printed."""
    with doctor_report.spinner() as show:
        show(["engine"])
    assert "" == capsys.readouterr().err

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with doctor_report.spinner() as show:
        show(["engine", "azure"])
        show(["r" * 80])
        show([])
        assert f"\r\x1b[K| engine, azure\r\x1b[K/ {'r' * 67}...\r\x1b[K" == capsys.readouterr().err
    assert "\r\x1b[K" == capsys.readouterr().err
