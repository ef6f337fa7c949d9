"""The commit of the project, and whether the work tree differs from it."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from azureml_tasks.process import MissingProgram, capture_all
from azureml_tasks.project.model import NoRevision, Revision

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from azureml_tasks.process import Finished

_ENV = {"LC_ALL": "C"}


def start_reading(folder: Path) -> Callable[[], Revision | NoRevision]:
    """Do the same as `read` in a thread, and return a function that waits for the result.

    With thousands of files git takes as long as reading them does.
    """
    results: list[Revision | NoRevision | Exception] = []

    def run() -> None:
        try:
            results.append(read(folder))
        except Exception as error:  # noqa: BLE001 -- raised again by the thread that waits
            results.append(error)

    def wait() -> Revision | NoRevision:
        thread.join()
        if isinstance(results[0], Exception):
            raise results[0]
        return results[0]

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return wait


def read(folder: Path) -> Revision | NoRevision:
    """Return the commit of the work tree around *folder*. Nothing is changed, not even git's index."""
    git = ["git", "--no-optional-locks", "--no-replace-objects", "-C", str(folder)]
    commands = [
        ["status", "--porcelain=v2", "--branch"],
        ["-c", "log.showSignature=false", "log", "-1", "--format=%ct"],
        ["config", "--get", "remote.origin.url"],
    ]
    try:
        return _revision(*capture_all([[*git, *words] for words in commands], env=_ENV))
    except MissingProgram:
        return NoRevision(why="git is not on PATH")


def _revision(status: Finished, time: Finished, remote: Finished) -> Revision | NoRevision:
    if status.code:
        if "not a git repository (or any" in status.stderr:
            return NoRevision(why="this is not a git repository")
        errors = status.stderr.strip().splitlines()
        return NoRevision(why=f"git said: {errors[0] if errors else status.code}", unexpected=True)
    lines = status.stdout.splitlines()
    sha = _header(lines, "branch.oid")
    if not re.fullmatch(r"[0-9a-f]{40,64}", sha):
        return NoRevision(why="nothing is committed yet")
    if not time.stdout.strip().isdecimal():
        return NoRevision(why=f"git did not return the time of the commit {sha}", unexpected=True)
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
    """Return *url* without user, password, query and fragment; "" for a path on this machine."""
    if not url.isprintable():
        return ""
    parts = urlsplit(url)
    if not parts.netloc:
        scp_like = re.fullmatch(r"(?:[^/@]+@)?([^/:]+:[^/].*)", url)
        return scp_like[1] if scp_like else ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
