"""What `image.doctor` says of Python, uv, this installation, and pip."""

from __future__ import annotations

import shlex
import sys
from importlib import metadata
from importlib.util import cache_from_source
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from azureml_tasks.commands import doctor_machine
from azureml_tasks.commands.doctor_machine import (
    disk_finding,
    installation_finding,
    own_finding,
    pip_finding,
    python_finding,
    uv_finding,
)
from azureml_tasks.engines.doctor_finding import Finding, Status
from azureml_tasks.version import VERSION
from tests.cases import lay_out
from tests.projects import set_text

PACKAGE = Path(doctor_machine.__file__).parents[1]
REST = "on this machine; a build's pip has those of builds"


def test_which_python() -> None:
    """Its version and its path."""
    version = ".".join(map(str, sys.version_info[:3]))
    assert Finding("python", Status.OK, f"{version}, {sys.executable}") == python_finding()


@pytest.mark.parametrize(
    ("installed", "expected"),
    [
        (VERSION, Finding("azureml-tasks", Status.OK, f"{VERSION}, {PACKAGE}")),
        (
            "0.0.1",
            Finding(
                "azureml-tasks",
                Status.WARNING,
                f"{VERSION}, {PACKAGE}, but the environment lists 0.0.1",
                "Another copy of it is on Python's path before the installed one.",
                "Install it again in this environment.",
            ),
        ),
        (
            None,
            Finding("azureml-tasks", Status.OK, f"{VERSION}, {PACKAGE}, not installed but on Python's path"),
        ),
    ],
)
def test_which_of_ours(installed: str | None, expected: Finding, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs, and whether it is what the environment lists."""

    def version(_: str) -> str:
        if installed is None:
            raise metadata.PackageNotFoundError
        return installed

    monkeypatch.setattr(metadata, "version", version)

    assert expected == own_finding()


def test_which_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is needed for its lock files alone."""
    monkeypatch.setenv("PATH", str(tmp_path))
    why = "A project whose requirements are a uv.lock needs it."
    fix = "pip install uv\nor see https://docs.astral.sh/uv/getting-started/installation/"
    assert Finding("uv", Status.NOTE, "there is none on PATH", why, fix) == uv_finding()

    set_text(tmp_path / "uv", "#!/bin/sh\necho 'uv 0.9.1 (abc 2026-01-01)'\n")
    (tmp_path / "uv").chmod(0o755)

    assert Finding("uv", Status.OK, f"0.9.1 (abc 2026-01-01), {tmp_path}/uv") == uv_finding()


def modules(folder: Path, monkeypatch: pytest.MonkeyPatch, *, compiled: bool, keeps: bool) -> Path:
    """Let a Python that keeps what it compiles, or does not, have loaded twelve modules of a package `invoke`."""
    names = ["__init__", *(f"m{number}" for number in range(10)), "inner/m"]
    # The name of another package that counts is in the path.
    package = lay_out({f"{name}.py": "" for name in names}, folder / "docker" / "invoke")
    loaded = {}
    for name in names:
        file = package / f"{name}.py"
        module = ModuleType(f"invoke.{name.replace('/', '.')}" if name != "__init__" else "invoke")
        module.__file__ = str(file)
        loaded[module.__name__] = module
        if compiled:
            set_text(Path(cache_from_source(str(file))), "")
    python = SimpleNamespace(
        modules=loaded, dont_write_bytecode=not keeps, pycache_prefix=None, executable=sys.executable
    )
    monkeypatch.setattr(doctor_machine, "sys", python)
    return package


FINE = Finding("installation", Status.OK, "its modules are compiled, or Python keeps what it compiles")


@pytest.mark.parametrize(("compiled", "keeps"), [(True, True), (True, False), (False, True)])
def test_an_installation_that_is_fast(
    compiled: bool, keeps: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modules are compiled once if Python may keep what it compiles."""
    modules(tmp_path, monkeypatch, compiled=compiled, keeps=keeps)

    assert FINE == installation_finding()


def test_an_installation_that_is_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The modules are compiled at each start, until someone compiles them once."""
    package = modules(tmp_path, monkeypatch, compiled=False, keeps=False)
    command = (sys.executable, "-I", "-m", "compileall", "-q", str(package))

    finding = installation_finding()

    what = "12 modules are compiled again at each start"
    why = "Python may not keep the compiled modules: PYTHONDONTWRITEBYTECODE is set."
    assert Finding("installation", Status.WARNING, what, why, shlex.join(command), command) == finding


def test_an_installation_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this user may not write, `--fix` leaves alone."""
    package = modules(tmp_path, monkeypatch, compiled=False, keeps=True)
    monkeypatch.setattr(doctor_machine, "os", SimpleNamespace(access=lambda *_: False, W_OK=0))

    finding = installation_finding()

    why = "Python may not keep the compiled modules: their folder cannot be written."
    command = shlex.join([sys.executable, "-I", "-m", "compileall", "-q", str(package)])
    fix = f"As the owner of these files: {command}"
    assert (Status.WARNING, why, fix, ()) == (finding.status, finding.why, finding.fix, finding.repair)


def test_the_disk_of_the_project(tmp_path: Path) -> None:
    """It is that of the project's folder."""
    assert str(tmp_path) in disk_finding(tmp_path).what


@pytest.mark.parametrize(
    ("variables", "configuration", "expected"),
    [
        ({}, "", f"none {REST}"),
        ({"HTTPS_PROXY": "http://u:pw@p:1"}, "", f"HTTPS_PROXY=***@p:1 {REST}"),
        ({"HTTPS_PROXY": "http://p:1", "PIP_PROXY": "http://u:pw@q:1"}, "", f"***@q:1, pip's own {REST}"),
        (
            {},
            "[global]\nproxy = http://u:pw@r:1\nindex-url = https://u:pw@i/simple\n",
            f"***@r:1, pip's own {REST}",
        ),
    ],
)
def test_the_proxies_of_pip(
    variables: dict[str, str],
    configuration: str,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its own precede those of the shell; a login is not shown."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.delenv("PIP_PROXY", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    set_text(tmp_path / "pip.conf", configuration)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert Finding("proxies of pip", Status.OK, expected) == pip_finding()


def test_no_module_of_the_project_is_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder named `pip` in the current folder is not run."""
    monkeypatch.chdir(
        lay_out({"pip/__init__.py": "", "pip/__main__.py": 'open("ran", "w").close()\n'}, tmp_path)
    )

    pip_finding()

    assert not (tmp_path / "ran").exists()
