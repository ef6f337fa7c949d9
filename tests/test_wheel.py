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
from tests.documentation import DOCS, ROOT, blocks


class Installed:
    """A virtual environment with our wheel.

    Args:
        folder: of the environment.
    """

    def __init__(self, folder: Path) -> None:
        self.programs = folder / "bin"

    def run(self, folder: Path, program: str, *words: str, more: Path | None = None) -> tuple[int, str, str]:
        """Run a program of the environment in *folder*; return its exit code and what it printed.

        Args:
            folder: to run in.
            program: its name.
            words: its arguments.
            more: folder with packages that the environment does not have.
        """
        env = environment(PATH=f"{self.programs}:{os.environ['PATH']}")
        env.pop("PYTHONPATH", None)
        env |= {"PYTHONPATH": str(more)} if more else {}
        ended = subprocess.run(
            [self.programs / program, *words],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return ended.returncode, ended.stdout, ended.stderr


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


@pytest.fixture(scope="module")
def with_validator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with validate-pyproject, which our package does not require."""
    folder = tmp_path_factory.mktemp("validate-pyproject")
    for name in _with_their_own(["validate-pyproject"]):
        _link(name, folder)
    return folder


@pytest.fixture(scope="module")
def with_pytest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pytest, which our package does not require."""
    folder = tmp_path_factory.mktemp("pytest")
    for name in _with_their_own(["pytest"]):
        _link(name, folder)
    return folder


def _finish(*words: str) -> None:
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


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
    package = distribution(name)
    for top in {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}:
        link = packages / top
        if not link.exists():
            link.symlink_to(Path(str(package.locate_file(top))))


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


FUNCTIONS = """\
import sys, azureml_tasks
try:
    azureml_tasks.release()
except azureml_tasks.EngineError as error:
    print(error.exit_code, "invoke" in sys.modules)
"""


def test_the_functions_work_without_a_tasks_py(installed: Installed, tmp_path: Path) -> None:
    """A release gets as far as the engine, which does not answer, and needs no Invoke."""
    lay_out({"pyproject.toml": project("demo", 'registry = "r.io"\n')}, tmp_path)

    assert (0, "3 False\n", "") == installed.run(tmp_path, "python", "-c", FUNCTIONS)


def test_the_wheel_has_the_schemas_and_the_pages(installed: Installed, tmp_path: Path) -> None:
    """Editors read the schemas as files, and messages name the pages."""
    look = (
        "from importlib.resources import files; ours = files('azureml_tasks')\n"
        "print(sorted(f'{name}/{each.name}' for name in ('docs', 'schemas') for each in (ours / name).iterdir()))"
    )
    package = ROOT / "azureml_tasks"
    expected = sorted(
        f"{name}/{each.name}" for name in ("docs", "schemas") for each in (package / name).iterdir()
    )

    assert (0, f"{expected}\n", "") == installed.run(tmp_path, "python", "-c", look)


def test_validate_pyproject_finds_the_schema(
    installed: Installed, with_validator: Path, tmp_path: Path
) -> None:
    """By the entry point of the wheel: a good table passes, and a misspelt key is named, as the page shows."""
    program = ("python", "-m", "validate_pyproject", "pyproject.toml")
    lay_out({"pyproject.toml": project("demo")}, tmp_path)
    good = installed.run(tmp_path, *program, more=with_validator)
    lay_out({"pyproject.toml": project("demo", 'nam = "x"\n')}, tmp_path)
    code, out, err = installed.run(tmp_path, *program, more=with_validator)

    assert (0, "Valid file: pyproject.toml\n") == good[:2]
    shown = blocks(DOCS / "editors.md", "console")[1].splitlines()[1:]
    assert (1, shown) == (code, (out + err).splitlines()[: len(shown)])


LOADED = """\
import sys

def test_what_is_loaded():
    ours = sorted(name for name in sys.modules if name.startswith("azureml_tasks"))
    assert ["azureml_tasks", "azureml_tasks.pytest_plugin"] == ours
    assert not {"docker", "invoke", "requests", "yaml"} & set(sys.modules)
"""


def test_pytest_finds_the_fixture(installed: Installed, with_pytest: Path, tmp_path: Path) -> None:
    """Its options are in the help. A run that does not use it loads its module alone, and nothing that we require."""
    lay_out({"test_loaded.py": LOADED}, tmp_path)
    _, options, _ = installed.run(tmp_path, "python", "-m", "pytest", "--help", more=with_pytest)
    code, out, _ = installed.run(tmp_path, "python", "-m", "pytest", more=with_pytest)

    assert "--azureml-image=FOLDER" in options
    assert (0, True) == (code, "1 passed" in out), out


def test_pytest_says_what_is_missing(installed: Installed, with_pytest: Path, tmp_path: Path) -> None:
    """A test that asks an image which is not built is an error with the next step, and no traceback of our code."""
    files = {"pyproject.toml": project("demo"), "test_image.py": "def test_image(azureml_image):\n    pass\n"}
    lay_out(files, tmp_path)
    words = ("-m", "pytest", "--azureml-image=.", "-q")
    code, out, _ = installed.run(tmp_path, "python", *words, more=with_pytest)

    expected = "Nothing is built here yet.\n    azureml-image build\nNothing serves.\n"
    assert (1, True, False) == (code, expected in out, "pytest_plugin" in out), out


def test_a_typed_program_is_checked(installed: Installed, tmp_path: Path) -> None:
    """Mypy --strict, which sees the package of the wheel alone, has nothing to say about the examples of the page."""
    pages = ("python-api.md", "pytest.md")
    texts = [text for page in pages for text in blocks(DOCS / page, "python")]
    examples = [text for text in texts if "import pytest" not in text]  # The environment does not have it.
    names = [f"example_{number}.py" for number, _ in enumerate(examples)]
    lay_out(dict(zip(names, examples, strict=True)), tmp_path)
    wrong = "import azureml_tasks\n\nazureml_tasks.build(3, no_cash=True)\nprint(azureml_tasks.push()[0].diggest)\n"
    lay_out({"wrong.py": wrong}, tmp_path)
    python = str(installed.programs / "python")
    mypy = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", os.devnull]
    env = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(
        [*mypy, "--python-executable", python, *names, "wrong.py"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )

    assert [
        ("wrong.py:3", "call-arg"),
        ("wrong.py:3", "arg-type"),
        ("wrong.py:4", "attr-defined"),
    ] == re.findall(r"^(\w+\.py:\d+): error: .*\[(.*)\]$", ended.stdout, re.MULTILINE), (
        ended.stdout + ended.stderr
    )
