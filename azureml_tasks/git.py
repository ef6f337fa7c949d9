"""What git says of the project: the commit, and whether the tree is as committed."""

from __future__ import annotations

import re
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from azureml_tasks.process import MissingProgram, capture, capturing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from azureml_tasks.process import Finished

__all__ = ["NoRevision", "Revision", "asking", "public_url", "read"]


_ENV = {"LC_ALL": "C"}


class Revision(NamedTuple):
    """The commit that a folder stands at.

    Args:
        sha: 40 or 64 hexadecimal digits.
        dirty: whether anything in the work tree is not committed.
        branch: "" where HEAD is detached.
        time: of the commit, seconds since 1970 (UTC).
        remote: URL of `origin` without user, password and query; "" where there is none.
    """

    sha: str
    dirty: bool
    branch: str
    time: int
    remote: str


class NoRevision(NamedTuple):
    """There is no commit to speak of.

    Args:
        why: follows "because".
        unexpected: git could not answer, though there seems to be a repository.
    """

    why: str
    unexpected: bool = False


def read(folder: Path) -> Revision | NoRevision:
    """Ask git for the state of the work tree around *folder*."""
    with asking(folder) as answer:
        return answer(None)


@contextmanager
def asking(folder: Path) -> Iterator[Callable[[Revision | None], Revision | NoRevision]]:
    """Ask git for the state of the work tree around *folder*, and go on until the answer is called for.

    Whoever knows a revision gives it to the answer: the time of its commit is then not asked for again. Nothing is
    changed, not even git's index.
    """
    git = ["git", "--no-optional-locks", "--no-replace-objects", "-C", str(folder)]
    questions = [["status", "--porcelain=v2", "--branch"], ["config", "--get", "remote.origin.url"]]

    def time_of(sha: str) -> str:
        words = ["-c", "log.showSignature=false", "log", "-1", "--format=%ct", sha]
        return capture([*git, *words], env=_ENV).stdout.strip()

    with ExitStack() as stack:
        try:
            finished = stack.enter_context(capturing([[*git, *words] for words in questions], env=_ENV))
        except MissingProgram:
            yield lambda _: NoRevision(why="git is not on PATH")
            return
        finished = cache(finished)
        yield lambda known: _revision(finished(), known, time_of)


def _revision(
    finished: list[Finished], known: Revision | None, time_of: Callable[[str], str]
) -> Revision | NoRevision:
    status, remote = finished
    if status.code:
        said = status.stderr.strip().splitlines()
        outside = "not a git repository (or any" in status.stderr
        return NoRevision(
            why="this is no git repository" if outside else f"git said: {said[0] if said else status.code}",
            unexpected=not outside,
        )
    lines = status.stdout.splitlines()
    sha = _header(lines, "branch.oid")
    if not re.fullmatch(r"[0-9a-f]{40,64}", sha):
        return NoRevision(why="nothing is committed yet")
    time = str(known.time) if known and known.sha == sha else time_of(sha)
    if not time.isdecimal():
        return NoRevision(why=f"git does not tell when {sha} was committed", unexpected=True)
    branch = _header(lines, "branch.head")
    return Revision(
        sha=sha,
        dirty=any(not line.startswith("# ") for line in lines),
        branch="" if branch == "(detached)" else branch,
        time=int(time),
        remote=public_url(remote.stdout.strip()),
    )


def _header(lines: list[str], name: str) -> str:
    return next((line.removeprefix(f"# {name} ") for line in lines if line.startswith(f"# {name} ")), "")


def public_url(url: str) -> str:
    """*url* without user, password, query and fragment; "" for a path on this machine."""
    if not url.isprintable():
        return ""
    parts = urlsplit(url)
    if not parts.netloc:
        scp_like = re.fullmatch(r"(?:[^/@]+@)?([^/:]+:[^/].*)", url)
        return scp_like[1] if scp_like else ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
