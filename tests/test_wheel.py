"""The package as a user has it: its wheel in a virtual environment of its own, without this checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import distribution, requires
from pathlib import Path

import pytest
import tomli
from packaging.requirements import Requirement

from tests.cases import lay_out
from tests.consumers import TASKS, environment, project
from tests.documentation import ROOT


class Installed:
    """A virtual environment with our wheel.

    Args:
        folder: of the environment.
    """

    def __init__(self, folder: Path) -> None:
        self.programs = folder / "bin"

    def run(self, folder: Path, program: str, *words: str) -> tuple[int, str, str]:
        """Run a program of the environment in *folder*; return its exit code and what it printed."""
        env = environment(PATH=f"{self.programs}:{os.environ['PATH']}")
        env.pop("PYTHONPATH", None)
        done = subprocess.run(
            [self.programs / program, *words],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Build the wheel, and install it with links to the packages that it asks for, as pip would install these."""
    folder = tmp_path_factory.mktemp("wheel")
    _finish(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
    (wheel,) = folder.glob("*.whl")
    python = folder / "venv" / "bin" / "python"
    _finish(sys.executable, "-m", "venv", "--without-pip", str(folder / "venv"))
    pip = ["--python", str(python), "install", "--quiet", "--no-index", "--no-deps", "--no-compile"]
    _finish(sys.executable, "-m", "pip", "--disable-pip-version-check", *pip, str(wheel))
    (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    declared = tomli.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    for name in _with_their_own(declared):
        _link(name, packages)
    return Installed(folder / "venv")


def _finish(*words: str) -> None:
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _with_their_own(requirements: list[str]) -> set[str]:
    """Return the names of the distributions for *requirements*, with all that these require in turn."""
    names: set[str] = set()
    left = [Requirement(text) for text in requirements]
    while left:
        requirement = left.pop()
        if requirement.name not in names and (
            not requirement.marker or requirement.marker.evaluate({"extra": ""})
        ):
            names.add(requirement.name)
            left += [Requirement(text) for text in requires(requirement.name) or ()]
    return names


def _link(name: str, packages: Path) -> None:
    """Link what the distribution *name* has among the packages of this process into the folder *packages*."""
    found = distribution(name)
    for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
        link = packages / top
        if not link.exists():
            link.symlink_to(Path(str(found.locate_file(top))))


def test_the_program_works_in_an_empty_folder(installed: Installed, tmp_path: Path) -> None:
    """It is there by its name, and names what to do."""
    version = re.escape(str(distribution("azureml-tasks").version))

    assert re.fullmatch(
        rf"azureml-image {version}\n", installed.run(tmp_path, "azureml-image", "--version")[1]
    )
    code, out, err = installed.run(tmp_path, "azureml-image", "check")
    assert (2, "", f"pyproject.toml: does not exist in {tmp_path}") == (code, out, err.splitlines()[0])


def test_the_package_is_that_of_the_wheel(installed: Installed, tmp_path: Path) -> None:
    """The checkout, which this process imports from, is out of reach; so is a package that is not asked for."""
    program = "import azureml_tasks; print(azureml_tasks.__file__)"
    _, out, _ = installed.run(tmp_path, "python", "-c", program)
    code, _, err = installed.run(tmp_path, "python", "-c", "import pytest")

    assert Path(out.strip()).is_relative_to(installed.programs.parent)
    assert (1, "ModuleNotFoundError: No module named 'pytest'") == (code, err.splitlines()[-1])


@pytest.mark.parametrize(
    "command", [["azureml-image", "dockerfile"], ["python", "-m", "invoke", "image.dockerfile"]]
)
def test_both_programs_write_the_dockerfile(command: list[str], installed: Installed, tmp_path: Path) -> None:
    """Every module and data file that a plan needs is in the wheel."""
    files = {"pyproject.toml": project("demo", 'conda = "conda.yaml"\n'), "tasks.py": TASKS}
    lay_out({**files, "conda.yaml": "dependencies:\n  - numpy=2.1\n"}, tmp_path)

    code, out, err = installed.run(tmp_path, *command)

    assert (0, "", True) == (
        code,
        err,
        "FROM mcr.microsoft.com/azureml/minimal-py312-inference:latest\n" in out,
    )
