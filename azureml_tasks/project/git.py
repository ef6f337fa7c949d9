"""What git says of the project: the commit, and whether the tree is as committed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from azureml_tasks.process import MissingProgram, capture_all
from azureml_tasks.project.model import NoRevision, Revision

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.process import Finished

__all__ = ["public_url", "read"]


_ENV = {"LC_ALL": "C"}


def read(folder: Path) -> Revision | NoRevision:
    """Return the commit of the work tree around *folder*; nothing is changed, not even git's index."""
    git = ["git", "--no-optional-locks", "--no-replace-objects", "-C", str(folder)]
    questions = [
        ["status", "--porcelain=v2", "--branch"],
        ["-c", "log.showSignature=false", "log", "-1", "--format=%ct"],
        ["config", "--get", "remote.origin.url"],
    ]
    try:
        return _revision(*capture_all([[*git, *words] for words in questions], env=_ENV))
    except MissingProgram:
        return NoRevision(why="git is not on PATH")


def _revision(status: Finished, time: Finished, remote: Finished) -> Revision | NoRevision:
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
    if not time.stdout.strip().isdecimal():
        return NoRevision(why=f"git does not tell when {sha} was committed", unexpected=True)
    branch = _header(lines, "branch.head")
    return Revision(
        sha=sha,
        dirty=any(not line.startswith("# ") for line in lines),
        branch="" if branch == "(detached)" else branch,
        time=int(time.stdout),
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
