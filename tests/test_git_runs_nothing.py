"""Looking at a repository runs none of the programs that it names, and takes no folder but `.git` for one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import azureml_tasks
from azureml_tasks.project.git import LOCAL_VARIABLES, read, tracks
from azureml_tasks.project.model import NoRevision, Revision
from tests.cases import lay_out
from tests.consumers import consumer, environment, invoke, project
from tests.git_command import git


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide from git the configuration of this machine and every repository above the test's folder."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for name, text in {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_CEILING_DIRECTORIES": str(tmp_path),
        "LC_ALL": "C",
    }.items():
        monkeypatch.setenv(name, text)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit."""
    folder = lay_out({"score.py": "1\n", "big.bin": "content\n"}, tmp_path / "repository")
    committed(folder)
    return folder


def committed(folder: Path) -> None:
    """Commit everything in *folder*, which becomes a repository."""
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=first")


def program(folder: Path) -> tuple[Path, Path]:
    """Return a program that leaves a mark when it runs, and the mark."""
    mark, script = folder / "it-ran", folder / "program.sh"
    script.write_text(f"#!/bin/sh\necho ran >> '{mark}'\nexit 1\n")
    script.chmod(0o755)
    return script, mark


def shown(folder: Path) -> None:
    """Ask git itself, as a person would, whatever that runs and however it ends."""
    subprocess.run(
        ["git", "-C", str(folder), "status"], capture_output=True, check=False, stdin=subprocess.DEVNULL
    )


def looked(folder: Path) -> Revision | NoRevision:
    """Read the commit by a fresh index, so that git compares contents."""
    os.utime(folder / "score.py", (1, 1))
    os.utime(folder / "big.bin", (1, 1))
    return read(folder)


def configured(folder: Path, kind: str, script: Path) -> None:
    """Let the repository's own configuration name *script* as *kind*."""
    if kind == "fsmonitor":
        git(folder, "config", "core.fsmonitor", str(script))
    elif kind == "hook":
        shutil.copy(script, folder / ".git/hooks/post-index-change")
    elif kind == "hooks elsewhere":
        (folder / "hooks").mkdir()
        shutil.copy(script, folder / "hooks/post-index-change")
        git(folder, "config", "core.hooksPath", "hooks")
    elif kind == "lazy fetch":
        for name, value in {
            "extensions.partialClone": "origin",
            "core.repositoryFormatVersion": "1",
            "remote.origin.promisor": "true",
            "remote.origin.url": "ssh://host.example/x.git",
            "core.sshCommand": str(script),
        }.items():
            git(folder, "config", name, value)
        tree = git(folder, "rev-parse", "HEAD^{tree}")
        (folder / ".git/objects" / tree[:2] / tree[2:]).unlink()
    else:
        (folder / ".gitattributes").write_text("*.bin filter=own.kind\n")
        git(folder, "config", f"filter.own.kind.{kind}", str(script))
        git(folder, "config", "filter.own.kind.required", "true")


@pytest.mark.parametrize("kind", ["fsmonitor", "hook", "hooks elsewhere", "clean", "process", "lazy fetch"])
def test_what_a_repository_names_is_not_run(kind: str, repository: Path, tmp_path: Path) -> None:
    """A file system monitor, a hook, a filter that `.gitattributes` asks for, a transport: `git status` runs each."""
    script, mark = program(tmp_path)
    configured(repository, kind, script)

    read(repository)
    looked(repository)
    ran_by_us = mark.exists()
    os.utime(repository / "big.bin", (2, 2))
    shown(repository)

    assert (False, True) == (ran_by_us, mark.exists())


def test_a_filter_that_cannot_be_turned_off_keeps_git_from_looking(repository: Path, tmp_path: Path) -> None:
    """A "=" in its name would end the name on git's command line."""
    script, mark = program(tmp_path)
    (repository / ".gitattributes").write_text("*.bin filter=a=b\n")
    git(repository, "config", "filter.a=b.clean", str(script))

    why = "git's configuration has filter.a=b.clean, which cannot be turned off"
    assert NoRevision(why=why, unexpected=True) == looked(repository)
    assert not mark.exists()


def bare_looking(folder: Path, script: Path) -> Path:
    """Return a project whose files look like a bare repository, as a pull request can add them."""
    config = (
        f"[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = .\n\tfsmonitor = {script}\n"
    )
    files = {"HEAD": "ref: refs/heads/main\n", "config": config, "objects/.keep": "", "refs/.keep": ""}
    return lay_out(files, consumer(folder))


def test_a_folder_that_looks_like_a_bare_repository_is_none(tmp_path: Path) -> None:
    """`image.check` and `load` run nothing there and find no commit; git itself runs what its `config` names."""
    script, mark = program(tmp_path)
    folder = bare_looking(tmp_path / "project", script)

    azureml_tasks.load(folder)
    ended = invoke(folder, "image.check")
    ran_by_us = mark.exists()
    shown(folder)

    assert (NoRevision(why="this is not a git repository"), False) == (read(folder), ran_by_us)
    assert "no revision label" not in ended.err
    assert mark.exists()


def test_a_folder_that_looks_bare_has_the_commit_of_the_repository_around_it(tmp_path: Path) -> None:
    """Its files are files of that repository like any other."""
    script, mark = program(tmp_path)
    folder = bare_looking(tmp_path / "repository/project", script)
    git(tmp_path / "repository", "init", "--quiet")
    git(tmp_path / "repository", "add", "--all")
    git(tmp_path / "repository", "commit", "--quiet", "--message=first")
    sha = git(tmp_path / "repository", "rev-parse", "HEAD")

    revision = read(folder)

    assert isinstance(revision, Revision)
    assert (sha, False, False) == (revision.sha, revision.dirty, mark.exists())


def test_the_variables_of_a_hook_do_not_name_another_repository(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git tells a hook its repository, index and configuration by variables; the commit is that of the folder."""
    expected = read(repository)
    other = lay_out({"other.py": "2\n"}, tmp_path / "other")
    committed(other)
    script, mark = program(tmp_path)
    for name, value in {
        "GIT_DIR": str(other / ".git"),
        "GIT_WORK_TREE": str(other),
        "GIT_INDEX_FILE": str(other / ".git/index"),
        "GIT_OBJECT_DIRECTORY": str(other / ".git/objects"),
        "GIT_PREFIX": "sub/",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.fsmonitor",
        "GIT_CONFIG_VALUE_0": str(script),
        "GIT_CONFIG_PARAMETERS": f"'core.fsmonitor={script}'",
    }.items():
        monkeypatch.setenv(name, value)

    assert isinstance(expected, Revision)
    assert (expected, False) == (read(repository), mark.exists())


def test_variables_about_paths_hide_no_tracked_folder(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`git --literal-pathspecs commit` gives them to its hooks; records that git tracks are found all the same."""
    lay_out({".azureml-image/build.json": "{}"}, repository)
    git(repository, "add", "--all")
    for kind in ("LITERAL", "NOGLOB"):
        monkeypatch.setenv(f"GIT_{kind}_PATHSPECS", "1")

    assert tracks(repository / ".azureml-image")


def test_every_variable_of_git_is_known(tmp_path: Path) -> None:
    """Those that this machine's git names as its own are among those that it is not given."""
    named = git(tmp_path, "rev-parse", "--local-env-vars").split()

    assert [] == [name for name in named if name not in LOCAL_VARIABLES]


def test_a_linked_worktree_has_its_own_commit(repository: Path, tmp_path: Path) -> None:
    """Its `.git` is a file."""
    git(repository, "worktree", "add", "--quiet", "-b", "feature", str(tmp_path / "linked"))
    (tmp_path / "linked/new.py").write_text("")

    revision = read(tmp_path / "linked")

    assert isinstance(revision, Revision)
    assert ("feature", True, git(repository, "rev-parse", "HEAD")) == (
        revision.branch,
        revision.dirty,
        revision.sha,
    )


@pytest.fixture
def with_submodule(repository: Path, tmp_path: Path) -> Path:
    """A repository with another one as its submodule `lib`."""
    other = lay_out({"lib.py": "2\n"}, tmp_path / "other")
    committed(other)
    git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "lib")
    git(repository, "commit", "--quiet", "--message=second")
    return repository


def test_a_submodule_has_its_own_commit(with_submodule: Path) -> None:
    """Its `.git` is a file, too, and its configuration names its work tree."""
    revision = read(with_submodule / "lib")

    assert isinstance(revision, Revision)
    assert (git(with_submodule / "lib", "rev-parse", "HEAD"), False) == (revision.sha, revision.dirty)


def test_a_submodule_is_not_entered(with_submodule: Path, tmp_path: Path) -> None:
    """What its configuration names is not run; another commit of it makes the work tree dirty."""
    script, mark = program(tmp_path)
    git(with_submodule / "lib", "config", "core.fsmonitor", str(script))
    clean = read(with_submodule)
    (with_submodule / "lib/lib.py").write_text("3\n")
    changed = read(with_submodule)
    entered = mark.exists()
    shown(with_submodule)
    git(with_submodule / "lib", "-c", "core.fsmonitor=", "commit", "--quiet", "--all", "--message=moved")
    moved = read(with_submodule)

    assert [False, False, True] == [
        isinstance(each, Revision) and each.dirty for each in (clean, changed, moved)
    ]
    assert (False, True) == (entered, mark.exists())


def test_what_git_says_about_another_owner_is_shown_whole(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git names the command that trusts the repository, below its first line."""
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own, for its tests

    expected = NoRevision(
        why=f"git said: fatal: detected dubious ownership in repository at '{repository}'",
        fix="To add an exception for this directory, call:\n"
        f"git config --global --add safe.directory {repository}",
        unexpected=True,
    )
    assert expected == read(repository)


def test_the_advice_about_another_owner_is_in_the_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The image gets no label of a commit, and the warning says what to do."""
    folder = consumer(tmp_path / "project")
    committed(folder)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")

    expected = (
        f"the image gets no revision label: git said: fatal: detected dubious ownership in repository at '{folder}'\n"
        "    To add an exception for this directory, call:\n"
        f"    git config --global --add safe.directory {folder}"
    )
    assert expected == str(azureml_tasks.load(folder).facts.warnings[0])


def test_a_file_of_git_lfs_that_was_pulled_is_no_change(repository: Path) -> None:
    """Its pointer is committed; git cannot compare it without the filter, which does not run."""
    pointer = (
        "version https://git-lfs.github.com/spec/v1\n"
        "oid sha256:434728a410a78f56fc1b5899c3593436e61ab0c731e9072d95e96db290205e53\nsize 8\n"
    )
    lay_out({"big.bin": pointer, ".gitattributes": "*.bin filter=lfs -text\n"}, repository)
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message=second")
    (repository / "big.bin").write_text("content\n")
    pulled = read(repository)
    (repository / "big.bin").write_text("another\n")
    changed = read(repository)

    assert [False, True] == [isinstance(each, Revision) and each.dirty for each in (pulled, changed)]


@pytest.mark.parametrize("folders", [".", "", "bin", "./bin"])
def test_programs_of_the_project_are_not_run(folders: str, tmp_path: Path) -> None:
    """A relative folder of PATH would find `git` and `docker` in the project: such folders are passed over."""
    files = {"pyproject.toml": project("demo"), "code/score.py": "def init(): ...\ndef run(data): ...\n"}
    folder = consumer(tmp_path / "project", files=files)
    mark = tmp_path / "it-ran"
    for name in ("git", "docker", "docker-buildx", "python3", "ssh", "az"):
        for place in (folder, folder / "bin"):
            place.mkdir(exist_ok=True)
            (place / name).write_text(f"#!/bin/sh\necho ran >> '{mark}'\n")
            (place / name).chmod(0o755)

    path = os.pathsep.join([folders, os.environ["PATH"]])
    for words in (("image.check",), ("--dry", "image.release"), ("image.dockerfile",)):
        invoke(folder, *words, env={"PATH": path})

    assert not mark.exists()


def test_looking_imports_and_runs_nothing_of_the_project(tmp_path: Path) -> None:
    """What Python, pip, pytest and git would run from a folder is neither run nor imported by the tasks."""
    mark = tmp_path / "it-ran"
    text = f"open({str(mark)!r}, 'a').write('ran')\n"
    names = [
        *("setup.py", "conftest.py", "noxfile.py", "hatch_build.py", "sitecustomize.py", "usercustomize.py"),
        *("code/__init__.py", "code/conftest.py", "code/sitecustomize.py", "model/m.pth"),
    ]
    build = '[build-system]\nrequires = []\nbuild-backend = "hatch_build"\nbackend-path = ["."]\n'
    score = f"{text}def init(): ...\ndef run(data): ...\n"
    entry = '[project.entry-points."pytest11"]\nx = "conftest"\n'
    table = 'model = "model"\n' + build
    files = {
        **dict.fromkeys(names, text),
        "code/score.py": score,
        "pyproject.toml": project("demo", table) + entry,
    }
    folder = consumer(tmp_path / "project", files=files)

    exit_codes = [
        invoke(folder, "image.check").code,
        invoke(folder, "--dry", "image.build").code,
        invoke(folder, "image.dockerfile").code,
        invoke(folder, "image.context", "--output=context.tar").code,
    ]
    azureml_tasks.plan(azureml_tasks.load(folder))

    assert ([3, 3, 0, 0], False) == (exit_codes, mark.exists())


def test_no_module_beside_tasks_py_is_imported(tmp_path: Path) -> None:
    """Invoke puts that folder before what is installed; a module there may have the name of one that the tasks use."""
    mark, package = tmp_path / "it-ran", Path(azureml_tasks.__file__).parent
    texts = [path.read_text(encoding="utf-8") for path in package.rglob("*.py")]
    imported = {
        name for text in texts for name in re.findall(r"^ *(?:from|import) (\w+)", text, re.MULTILINE)
    }
    poison = f"open({str(mark)!r}, 'a').write(__name__ + ' ')\n"
    files = {f"{name}.py": poison for name in imported - {"azureml_tasks", "invoke", "__future__"}}
    score = "def init(): ...\ndef run(data): ...\n"
    table = 'code = "."\npip = ["numpy==1"]\n'
    folder = consumer(
        tmp_path / "project", files={**files, "score.py": score, "pyproject.toml": project("demo", table)}
    )

    launcher = (
        lay_out({"start.py": "from invoke.main import program\nprogram.run()\n"}, tmp_path / "bin")
        / "start.py"
    )

    def run(*words: str) -> int:
        argv = [sys.executable, str(launcher), *words]
        return subprocess.run(
            argv, cwd=folder, env=environment(), capture_output=True, check=False
        ).returncode

    codes = [
        run("image.check"),
        run("--dry", "image.release", "--registry=r.io"),
        run("image.dockerfile"),
        run("image.context", "--output=context.tar"),
        run("image.clean"),
    ]

    assert ([3, 3, 0, 0, 0], "") == (codes, mark.read_text(encoding="utf-8") if mark.exists() else "")
