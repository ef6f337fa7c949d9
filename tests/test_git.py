"""The commit of a project, as git returns it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from azureml_tasks.project.git import public_url, read, start_reading
from azureml_tasks.project.model import NoRevision, Revision
from tests.git_command import git

if TYPE_CHECKING:
    from pathlib import Path

TIME = "1700000000 +0100"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide from git the configuration of this machine and every repository above the test's folder."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for name, text in {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_CEILING_DIRECTORIES": str(tmp_path.parent),
        "GIT_AUTHOR_DATE": TIME,
        "GIT_COMMITTER_DATE": TIME,
        "LC_ALL": "C",
    }.items():
        monkeypatch.setenv(name, text)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit on the branch `feature/x`."""
    git(tmp_path, "init", "--quiet", "--initial-branch=feature/x")
    (tmp_path / "score.py").write_text("")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message=first")
    return tmp_path


def test_a_clean_commit(repository: Path) -> None:
    """Commit, branch, its time and the remote without its login are read, from a folder below too."""
    (repository / "sub").mkdir()
    git(repository, "remote", "add", "origin", "https://me:secret@example.org/team/it.git?token=x")

    expected = Revision(
        sha=git(repository, "rev-parse", "HEAD"),
        dirty=False,
        branch="feature/x",
        time=1700000000,
        remote="https://example.org/team/it.git",
    )
    assert expected == read(repository / "sub")


def test_a_replaced_commit_is_the_one_that_it_says_it_is(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name is that of its content, so that its time is its own, whatever git shows in its place."""
    revision = read(repository)
    monkeypatch.setenv("GIT_COMMITTER_DATE", "1800000000 +0100")
    git(repository, "commit", "--quiet", "--allow-empty", "--message=second")
    git(repository, "replace", git(repository, "rev-parse", "HEAD~"), "HEAD")
    git(repository, "checkout", "--quiet", "HEAD~")

    assert isinstance(revision, Revision)
    assert revision._replace(branch="") == read(repository)


@pytest.mark.parametrize("change", ["changed", "new", "staged", "removed"])
def test_what_is_not_committed_makes_it_dirty(change: str, repository: Path) -> None:
    """A changed, new, staged or removed file is a tree that is not as committed."""
    if change == "removed":
        (repository / "score.py").unlink()
    else:
        (repository / ("new.py" if change == "new" else "score.py")).write_text("1")
    if change == "staged":
        git(repository, "add", ".")

    revision = read(repository)

    assert isinstance(revision, Revision)
    assert (True, "feature/x", "") == (revision.dirty, revision.branch, revision.remote)


def test_a_detached_head_has_no_branch(repository: Path) -> None:
    """Where HEAD is no branch, the branch is empty."""
    git(repository, "checkout", "--quiet", "--detach")

    revision = read(repository)

    assert isinstance(revision, Revision)
    assert ("", False) == (revision.branch, revision.dirty)


def test_looking_changes_nothing(repository: Path) -> None:
    """Not even git's index is refreshed."""
    os.utime(repository / "score.py", (1, 1))
    before = (repository / ".git" / "index").read_bytes()

    read(repository)

    assert before == (repository / ".git" / "index").read_bytes()


def test_no_repository(tmp_path: Path) -> None:
    """Outside of a repository there is no commit, as expected."""
    assert NoRevision(why="this is not a git repository") == read(tmp_path)


def test_no_commit(tmp_path: Path) -> None:
    """A repository without a commit has no revision."""
    git(tmp_path, "init", "--quiet")

    assert NoRevision(why="nothing is committed yet", fix="git commit") == read(tmp_path)


def test_no_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git on PATH that is the reason."""
    monkeypatch.setenv("PATH", str(repository))

    assert NoRevision(why="git is not on PATH", fix="Install git.") == read(repository)


def test_where_git_stops_to_look_this_does_too(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GIT_CEILING_DIRECTORIES keeps git out of a repository around the project, such as one of a home folder."""
    (repository / "project").mkdir()
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", os.pathsep.join(["/nowhere", str(repository)]))

    assert NoRevision(why="this is not a git repository") == read(repository / "project")


def test_an_empty_folder_with_the_name_of_a_repository_is_none(repository: Path) -> None:
    """The repository around it counts, as for git."""
    (repository / "project/.git").mkdir(parents=True)

    assert isinstance(read(repository / "project"), Revision)


def test_a_repository_that_git_cannot_read_is_unexpected(tmp_path: Path) -> None:
    """The reason has git's own words."""
    (tmp_path / ".git").write_text("gitdir: nowhere\n")

    revision = read(tmp_path)

    assert isinstance(revision, NoRevision)
    assert (True, "git said: fatal:") == (revision.unexpected, revision.why[:16])


def test_git_is_read_in_the_background(tmp_path: Path) -> None:
    """The function that is returned waits for the same answer, each time that it is called."""
    wait = start_reading(tmp_path)

    assert read(tmp_path) == wait() == wait()


def test_an_error_in_the_background_is_raised_by_the_one_who_waits(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A git that this user must not run, say, is not lost in the thread."""

    def refuse(*_: object, **__: object) -> None:
        """Fail as `subprocess.Popen` does."""
        raise PermissionError("git")

    monkeypatch.setattr("azureml_tasks.project.git.capture_all", refuse)
    wait = start_reading(repository)

    with pytest.raises(PermissionError, match="git"):
        wait()


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://example.org/a.git", "https://example.org/a.git"),
        ("https://me@example.org:8443/a.git", "https://example.org:8443/a.git"),
        ("https://me:to@ken@example.org/a?x=1#y", "https://example.org/a"),
        ("ssh://git@example.org:22/a.git", "ssh://example.org:22/a.git"),
        ("git@example.org:team/a.git", "example.org:team/a.git"),
        ("example.org:team/a.git", "example.org:team/a.git"),
        ("/srv/git/a.git", ""),
        ("../a.git", ""),
        ("file:///srv/git/a.git", ""),
        ("", ""),
        ("https://token@dev.azure.com/contoso/a/_git/b", "https://dev.azure.com/contoso/a/_git/b"),
        ("host.example:a\nUSER root", ""),
        ("https://[", ""),
    ],
)
def test_the_url_of_a_remote_has_no_login(url: str, public: str) -> None:
    """User, password, query and fragment are removed; a local path is left out."""
    assert public == public_url(url)
