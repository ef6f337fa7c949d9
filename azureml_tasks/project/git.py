"""The commit of the project, and whether the work tree differs from it. Looking runs nothing of the repository's.

Git runs programs that a configuration names: a file system monitor, filters, hooks, a transport for objects that are
missing (https://git-scm.com/docs/git-config). It takes any folder with HEAD, objects and refs for a repository, and a
hook's variables for the place of one. So `.git` is looked for here and passed to git, and all of these are turned off.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from azureml_tasks.context.file_hashes import FileHashes
from azureml_tasks.context.lfs_pointer import pointer_of
from azureml_tasks.process import MissingProgram, capture, capture_all
from azureml_tasks.project.model import NoRevision, Revision

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from azureml_tasks.process import Finished

LOCAL_VARIABLES = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)
"""The variables by which git tells a hook the place of its repository: `git rev-parse --local-env-vars`."""
_PATHSPECS = tuple(f"GIT_{kind}_PATHSPECS" for kind in ("GLOB", "ICASE", "LITERAL", "NOGLOB"))
"""Variables that give the paths on git's command line another meaning: https://git-scm.com/docs/git."""

ENVIRONMENT: Mapping[str, str | None] = {
    **dict.fromkeys((*LOCAL_VARIABLES, *_PATHSPECS)),
    "LC_ALL": "C",
    # Objects that a partial clone lacks are not fetched, by no transport: GIT_NO_LAZY_FETCH exists from git 2.44 on.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
}
"""What differs for each git that we start."""
_CONFIGURED = r"^(remote\.origin\.url|filter\..*\.(clean|smudge|process|required))$"
_OBJECT_HASHES = {40: "sha1", 64: "sha256"}
"""Hexadecimal digits of an object's name → the algorithm of the repository."""


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
    top = work_tree(folder.resolve())
    if not top:
        return NoRevision(why="this is not a git repository")
    try:
        return _read(top)
    except MissingProgram:
        return NoRevision(why="git is not on PATH", fix="Install git.")


def tracks(folder: Path) -> bool:
    """Return whether git tracks the file or folder *folder* or anything in it; False if git does not say.

    Upper and lower case count as the same, as they do in the file systems of macOS and Windows.
    """
    parent = folder.parent.resolve()
    top = work_tree(parent)
    if not top:
        return False
    path = (parent / folder.name).relative_to(top).as_posix()
    try:
        listed = capture(
            [*_command(top), "ls-files", "-z", "--", f":(top,icase,literal){path}"], env=ENVIRONMENT
        )
    except MissingProgram:
        return False
    return not listed.code and bool(listed.stdout)


def work_tree(folder: Path) -> Path | None:
    """Return the nearest folder with a `.git`, from *folder* upwards; None if there is none.

    A folder that looks like a bare repository is never one: its files may be those of a pull request, while git tracks
    no `.git`. Where git itself stops to look, GIT_CEILING_DIRECTORIES, this does too.
    """
    ceilings = os.environ.get("GIT_CEILING_DIRECTORIES", "").split(os.pathsep)
    for candidate in (folder, *folder.parents):
        if candidate != folder and str(candidate) in ceilings:
            return None
        place = candidate / ".git"
        # A worktree and a submodule have a file. A folder without HEAD is none of git's, and git looks further, too.
        if place.is_file() or (place / "HEAD").is_file() or (place / "HEAD").is_symlink():
            return candidate
    return None


def _read(top: Path) -> Revision | NoRevision:
    git = _command(top)
    # Only git that looks for `.git` itself refuses one that belongs to somebody else; this one runs nothing at all.
    owner, configured = capture_all(
        [
            ["git", "-C", str(top), "rev-parse", "--git-dir"],
            [*git, "config", "--null", "--get-regexp", _CONFIGURED],
        ],
        env={**ENVIRONMENT, "GIT_CEILING_DIRECTORIES": str(top.parent)},
    )
    if owner.code:
        return _failed(owner)
    settings = [entry.partition("\n")[::2] for entry in configured.stdout.split("\0")]
    filters = sorted({name for name, _ in settings if name.startswith("filter.")})
    if strange := [name for name in filters if "=" in name]:
        why = f"git's configuration has {strange[0]}, which cannot be turned off"
        return NoRevision(why=why, unexpected=True)
    for name in filters:
        git += ["-c", f"{name}={'false' if name.endswith('.required') else ''}"]
    commands = [
        ["status", "--porcelain=v2", "--branch", "-z", "--no-ahead-behind", "--no-renames"],
        ["log", "-1", "--format=%ct", "--no-show-signature"],
    ]
    commands[0] += ["--untracked-files=normal", "--ignore-submodules=dirty"]
    status, time = capture_all([[*git, *words] for words in commands], env=ENVIRONMENT)
    remote = next((value for name, value in reversed(settings) if name == "remote.origin.url"), "")
    return _revision(top, status, time, remote)


def _command(top: Path) -> list[str]:
    """Return git for the work tree *top*, without anything that the repository could make it run."""
    return [
        *("git", "--no-pager", "--no-optional-locks", "--no-replace-objects", "-C", str(top)),
        *(f"--git-dir={top / '.git'}", f"--work-tree={top}"),
        *("-c", "core.fsmonitor=", "-c", f"core.hooksPath={os.devnull}"),
    ]


def _revision(top: Path, status: Finished, time: Finished, remote: str) -> Revision | NoRevision:
    if status.code:
        return _failed(status)
    lines = [line for line in status.stdout.split("\0") if line]
    sha = _header(lines, "branch.oid")
    if not re.fullmatch(r"[0-9a-f]{40,64}", sha):
        return NoRevision(why="nothing is committed yet", fix="git commit")
    if not time.stdout.strip().isdecimal():
        return NoRevision(why=f"git did not return the time of the commit {sha}", unexpected=True)
    branch = _header(lines, "branch.head")
    return Revision(
        sha=sha,
        dirty=any(not line.startswith("# ") and not _is_pulled(top, line) for line in lines),
        branch="" if branch == "(detached)" else branch,
        time=int(time.stdout),
        remote=public_url(remote.strip()),
    )


def _failed(git: Finished) -> NoRevision:
    """Return all of git's message: the lines after the first say what to do about a repository of another owner."""
    lines = [line.strip() for line in git.stderr.splitlines() if line.strip()]
    first, *advice = lines or [f"exit code {git.code}"]
    return NoRevision(why=f"git said: {first}", fix="\n".join(advice), unexpected=True)


def _header(lines: list[str], name: str) -> str:
    return next((line.removeprefix(f"# {name} ") for line in lines if line.startswith(f"# {name} ")), "")


class _Changed(NamedTuple):
    """A file that differs from the index, as https://git-scm.com/docs/git-status describes its line."""

    kind: str
    changes: str
    submodule: str
    mode_of_head: str
    mode_of_index: str
    mode: str
    of_head: str
    of_index: str
    path: str


def _is_pulled(top: Path, line: str) -> bool:
    """Return whether a changed file is the one whose Git LFS pointer is committed: without its filter, git cannot tell.

    Git compares contents only if size or times of a file are not those that it noted, as in a copy of a checkout.
    """
    fields = line.split(" ", len(_Changed._fields) - 1)
    if len(fields) != len(_Changed._fields) or not line.startswith("1 .M "):
        return False
    changed = _Changed(*fields)
    file = top / changed.path
    if changed.mode != changed.mode_of_index or file.is_symlink() or not file.is_file():
        return False
    size = file.stat().st_size
    sha256 = FileHashes(file=Path(os.devnull)).sha256(str(file), size)
    pointer = pointer_of(sha256 or "", size)
    algorithm = _OBJECT_HASHES[len(changed.of_index)]
    blob = b"blob %d\0%s" % (len(pointer), pointer)
    return hashlib.new(algorithm, blob, usedforsecurity=False).hexdigest() == changed.of_index


def public_url(url: str) -> str:
    """Return *url* without user, password, query and fragment; "" for a path on this machine."""
    if not url.isprintable():
        return ""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if not parts.netloc:
        scp_like = re.fullmatch(r"(?:[^/@]+@)?([^/:]+:[^/].*)", url)
        return scp_like[1] if scp_like else ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
