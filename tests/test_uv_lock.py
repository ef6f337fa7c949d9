"""What is taken from uv.lock, which uv exports; when it does not fit its pyproject.toml; and that nothing runs."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import azureml_tasks
from azureml_tasks.config.problems import Override
from azureml_tasks.errors import SettingsError
from azureml_tasks.project import lock_files
from azureml_tasks.project.load import load
from azureml_tasks.requirements.install_step import PythonStep
from azureml_tasks.requirements.wanted_python import WantedPython
from tests.cases import lay_out
from tests.projects import read, replaced, set_text
from tests.uv_projects import FILES

ONE, TWO, THREE, FOUR = (" ".join(f"--hash=sha256:{d * 63}{n}" for n in "01") for d in "1234")
SIX = f"six==1.17.0 {THREE}"
REGEX = f"regex==2024.1 ; python_full_version < '3.13' {TWO}"
UVLOOP = f"uvloop==0.22 {FOUR}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project whose requirements are its uv.lock."""
    return lay_out(FILES, tmp_path)


def step(folder: Path) -> PythonStep:
    """Return what pip installs."""
    python = read(folder).python
    assert python
    return python


def problems(folder: Path) -> list[tuple[str, str]]:
    """Return the problems of the lock file: (what, fix)."""
    with pytest.raises(SettingsError) as caught:
        azureml_tasks.load(folder)
    assert 2 == caught.value.exit_code
    assert {("uv.lock", 0)} == {(problem.file, problem.line) for problem in caught.value.problems}
    return [(problem.what, problem.fix) for problem in caught.value.problems]


def table(folder: Path, lines: str) -> None:
    """Add lines to the table."""
    with (folder / "pyproject.toml").open("a") as file:
        file.write(lines)


def test_the_project_has_its_dependencies_with_versions_and_hashes(folder: Path) -> None:
    """Neither the project itself nor a default group is installed; the file that pip gets is made here."""
    python = step(folder)

    assert ((SIX,), True, ("uv.lock",)) == (python.lines, python.pinned, python.names)
    files = {file.name: file.data.decode() for file in python.files if "uv.lock" in file.name}
    assert {"python/locks/uv.lock.txt": f"# uv.lock\n{SIX}\n"} == files


def test_extras_and_groups_are_those_of_the_table(folder: Path) -> None:
    """The lock file has them, so pip gets no requirement without a version for them."""
    table(folder, 'extras = ["Text"]\ndependency-groups = ["serve"]\nproject-dependencies = true\n')

    python = step(folder)

    assert ((REGEX, SIX, UVLOOP), True) == (python.lines, python.pinned)


def test_an_index_other_than_pypi_is_named(folder: Path) -> None:
    """Only if a package that is installed comes from it, and if no pip.conf of the run names the indexes."""
    other = 'registry = "https://example.com/simple"'
    text = FILES["uv.lock"].replace('registry = "https://pypi.org/simple"', other)
    for name in ("pytest", "six"):
        head, start, tail = FILES["uv.lock"].partition(f'name = "{name}"\nversion')
        set_text(
            folder / "uv.lock", head + start + tail.replace('registry = "https://pypi.org/simple"', other, 1)
        )
        lines = step(folder).lines
        assert (name == "six") == ("--extra-index-url https://example.com/simple" in lines)
    set_text(folder / "uv.lock", text)
    table(folder, 'secrets = ["pip-conf"]\n')
    assert (SIX,) == step(folder).lines


MISFITS: dict[str, tuple[Callable[[Path], object], str]] = {
    "another version": (
        lambda folder: replaced(folder / "pyproject.toml", "six>=1.16", "six>=2"),
        "it asks for six>=2, and 1.17.0 is locked",
    ),
    "one more": (
        lambda folder: replaced(folder / "pyproject.toml", '"six>=1.16"', '"six>=1.16", "numpy"'),
        "numpy is not locked",
    ),
    "one less": (
        lambda folder: replaced(folder / "pyproject.toml", '"six>=1.16"', ""),
        "six is not in pyproject.toml any more",
    ),
}


@pytest.mark.parametrize("change", MISFITS)
def test_a_lock_file_that_does_not_fit_is_refused(change: str, folder: Path) -> None:
    """With the command that makes it fit."""
    edit, why = MISFITS[change]
    edit(folder)

    assert [(f"does not fit pyproject.toml: {why}", "uv lock")] == problems(folder)


def test_a_version_that_still_fits_and_an_override_are_no_misfit(folder: Path) -> None:
    """As uv itself judges."""
    replaced(folder / "pyproject.toml", "six>=1.16", "six>=1.17,<2")
    assert (SIX,) == step(folder).lines
    replaced(folder / "pyproject.toml", "six>=1.17,<2", "six<1")
    head = '[manifest]\noverrides = [{ name = "six", specifier = ">1" }]\n\n[[package]]\nname = "pytest"'
    replaced(folder / "uv.lock", '[[package]]\nname = "pytest"', head)
    assert (SIX,) == step(folder).lines


def test_a_lock_file_of_another_project_is_refused(folder: Path) -> None:
    """It has no package of this name."""
    replaced(folder / "uv.lock", 'name = "scoring"', 'name = "other"')

    assert [("does not have the project itself, scoring", "uv lock")] == problems(folder)


def test_a_lock_file_in_a_folder_is_that_of_the_project_there(folder: Path) -> None:
    """The groups and extras of the table are those of this project, and are installed as ever."""
    replaced(folder / "pyproject.toml", '"uv.lock"', '"service/uv.lock"')
    table(folder, 'dependency-groups = ["serve"]\n')
    (folder / "service").mkdir()
    (folder / "uv.lock").rename(folder / "service/uv.lock")
    set_text(folder / "service/pyproject.toml", FILES["pyproject.toml"])

    python = step(folder)

    assert ((SIX, "uvloop"), False) == (python.lines, python.pinned)


def test_the_python_of_the_lock_file_is_compared_with_that_of_the_base(folder: Path) -> None:
    """Where the name of the base does not tell it, the base itself does."""
    wish = WantedPython("uv.lock", 3, "requires-python = >=3.10", ">=3.10")

    assert (wish,) == read(folder).wanted_pythons


WORKSPACE = {
    "pyproject.toml": '[tool.uv.workspace]\nmembers = ["services/*", "libs/*"]\n',
    "uv.lock": """\
version = 1
revision = 3
requires-python = ">=3.10"

[manifest]
members = ["scoring", "shared"]

[[package]]
name = "scoring"
version = "1"
source = { virtual = "services/scoring" }
dependencies = [{ name = "shared" }]

[package.metadata]
requires-dist = [{ name = "shared", editable = "libs/shared" }]

[[package]]
name = "shared"
version = "1"
source = { editable = "libs/shared" }
""",
    "services/scoring/pyproject.toml": """\
[project]
name = "scoring"
version = "1"
requires-python = ">=3.10"
dependencies = ["shared"]

[tool.uv.sources]
shared = { workspace = true }

[tool.azureml-image]
base = "bases/serving:4"
root = "../.."
requirements = "../../uv.lock"
code = ["app", "../../libs/shared/src"]
entry-script = "app/score.py"
""",
    "services/scoring/app/score.py": "def init(): ...\ndef run(data): ...\n",
    "services/scoring/more/more.py": "",
    "libs/shared/pyproject.toml": '[project]\nname = "shared"\nversion = "1"\nrequires-python = ">=3.10"\n',
    "libs/shared/src/shared.py": "",
}


def test_the_lock_file_of_a_workspace_is_that_of_each_project(tmp_path: Path) -> None:
    """A member whose code is copied is not installed; another one is an error with the ways on."""
    lay_out(WORKSPACE, tmp_path)
    root = Override(str(tmp_path), "--root")
    folder = tmp_path / "services/scoring"

    python = load(folder, root=root).facts.python
    replaced(folder / "pyproject.toml", '"../../libs/shared/src"', '"more"')
    with pytest.raises(SettingsError) as caught:
        load(folder, root=root)

    assert ((), ("../../uv.lock",)) == (python and python.lines, python and python.names)
    message = "libs/shared is a package of the project, which pip of the image cannot read"
    assert [("../../uv.lock", message)] == [(each.file, each.what) for each in caught.value.problems]


def test_what_uv_says_is_shown_with_the_command(folder: Path) -> None:
    """A lock file that uv cannot read is no traceback."""
    replaced(folder / "uv.lock", "version = 1\n", "version = 99\n")

    ((message, fix),) = problems(folder)

    assert message.startswith("cannot be exported: uv said: error: ")
    command = "uv export --frozen --no-default-groups --no-emit-project --output-file requirements.txt"
    assert command == fix


def test_an_export_asks_no_index(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told to be offline and to change nothing, in these words of uv."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "uv").write_text(
        f'#!/bin/sh\necho "$@" > {shlex.quote(str(tmp_path / "asked"))}\n', encoding="utf-8"
    )
    (programs / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))

    with suppress(SettingsError):
        load(folder)

    assert {"--frozen", "--offline"} < {*(tmp_path / "asked").read_text(encoding="utf-8").split()}


def test_without_uv_one_sentence_says_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install it, or export where it is."""
    monkeypatch.setenv("PATH", str(folder))

    ((message, fix),) = problems(folder)

    assert ("needs uv, which is not on PATH", True) == (message, fix.startswith("Install uv: https://"))


def test_a_uv_that_does_not_end_is_ended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check never hangs."""
    (folder / "uv").write_text("#!/bin/sh\nexec sleep 600\n")
    (folder / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder) + ":/usr/bin:/bin")
    monkeypatch.setattr(lock_files, "_SECONDS", 0.1)

    assert ["was not exported by uv within 0 seconds"] == [message for message, _ in problems(folder)]


def test_packages_that_no_hash_proves_are_named(folder: Path) -> None:
    """A package of a repository."""
    head, name, tail = FILES["uv.lock"].partition('name = "six"\nversion')
    source = f'source = {{ git = "https://example.com/six?rev=1#{"1" * 40}" }}\n\n[[package]]\n'
    set_text(folder / "uv.lock", f'{head}{name} = "1.17.0"\n{source}{tail.partition("[[package]]")[2]}')

    (message,) = [message for message, _ in problems(folder)]

    assert message == "six has no hash: it comes from a repository or a folder"


TRAP = "#!/bin/sh\necho ran >> RAN\nexec /bin/false\n"


def test_looking_runs_nothing_of_the_project(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Neither the Python of its `.venv`, nor its build backend, nor a program that its settings name."""
    ran = tmp_path_factory.mktemp("trap") / "ran"
    trap = TRAP.replace("RAN", str(ran))
    for name in (".venv/bin/python", ".venv/bin/python3", "bin/python3", "keyring", "git"):
        set_text(folder / name, trap)
        (folder / name).chmod(0o755)
    set_text(folder / ".venv/pyvenv.cfg", "home = /usr/bin\nversion = 3.12.0\n")
    set_text(folder / ".python-version", str(folder / "bin/python3"))
    set_text(folder / "uv.toml", f'keyring-provider = "subprocess"\ncache-dir = "{folder}/cache"\n')
    set_text(folder / "backend.py", f"open({str(ran)!r}, 'a').write('built')\n")
    set_text(folder / "setup.py", f"open({str(ran)!r}, 'a').write('built')\n")
    backend = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    with (folder / "pyproject.toml").open("a") as file:
        file.write(f'\n{backend}\n[tool.uv]\nkeyring-provider = "subprocess"\npackage = true\n')
    replaced(folder / "uv.lock", 'source = { virtual = "." }', 'source = { editable = "." }')
    files = sorted(path for path in folder.rglob("*"))

    assert (SIX,) == step(folder).lines
    assert (False, files) == (ran.exists(), sorted(path for path in folder.rglob("*")))
