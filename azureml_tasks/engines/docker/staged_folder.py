"""A build context as a folder, from which BuildKit takes only the files that have changed.

BuildKit keeps what it got from a folder, under the last part of the folder's path, and asks again only for files whose
size or time differ. So the code has one folder that stays in the records, under a random name that no other project
has. Its files are copies, whose times follow from their contents: a changed content always has another time. Only the
nanoseconds differ, which no layer holds, so that the same files give the same layers.
https://github.com/tonistiigi/fsutil (diff_containerd.go: sameFile) compares files.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import stat
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from azureml_tasks.context.build_context import read_contents
from azureml_tasks.context.context_file import blocks, changed
from azureml_tasks.context.tar_archive import TIME, mode_of
from azureml_tasks.engines.docker import notes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.context.context_file import ContextFile
    from azureml_tasks.state.runs import Run

FOLDER = "staged"
"""In the records: the staged folder, beside a note of its name and its lock."""
_NOTE = "folder.json"
_SECOND = 10**9
_STEP = 100 if os.name == "nt" else 1
"""Nanoseconds: NTFS counts in hundreds of them."""


@contextmanager
def staged(context: BuildContext, run: Run) -> Iterator[Path]:
    """Yield a folder that holds the Dockerfile and the files of *context*; see `stage`.

    A context with the code uses the folder that stays; any other one, and a build while another one uses that folder,
    gets a folder of its run, whose name is as random.

    Args:
        context: the files.
        run: of the build.

    Raises:
        BuildError: a file has changed since it was hashed.
    """
    with ExitStack() as stack:
        has_code = context.own_name or any(file.name.startswith("code/") for file in context.files)
        folder = _kept_folder(run.records / FOLDER, stack) if has_code else None
        folder = folder or stack.enter_context(run.folder())
        stage(context, folder)
        yield folder


def _kept_folder(home: Path, stack: ExitStack) -> Path | None:
    """Return the folder that stays, for this process alone until *stack* is closed; None if it cannot be used."""
    home.mkdir(exist_ok=True)
    try:
        stack.enter_context(FileLock(home / "lock", timeout=0))
    except (Timeout, OSError):  # Another build uses it, or the file system has no locks.
        return None
    folder = _recorded_folder(home)
    return folder if _keeps_nanoseconds(folder) else None


def _recorded_folder(home: Path) -> Path:
    """Return the recorded folder, or a new one if there is none or it is a copy, such as that of a copied project."""
    note = notes.read(home / _NOTE)
    folders = [entry for entry in home.iterdir() if entry.is_dir() and not entry.is_symlink()]
    for folder in folders:
        if note == {"name": folder.name, "inode": folder.stat().st_ino}:
            return folder
    for folder in folders:
        shutil.rmtree(folder)
    folder = home / secrets.token_hex(16)
    folder.mkdir()
    notes.write(home / _NOTE, {"name": folder.name, "inode": folder.stat().st_ino})
    return folder


def _keeps_nanoseconds(folder: Path) -> bool:
    """Return whether the file system keeps times that differ by nanoseconds, by trying with *folder* itself."""
    moment = TIME * _SECOND + 123_456_789 // _STEP * _STEP
    os.utime(folder, ns=(moment, moment))
    return folder.stat().st_mtime_ns == moment


def stage(context: BuildContext, folder: Path) -> None:
    """Make *folder* hold exactly the Dockerfile and the files of *context*; write only what differs.

    A Dockerfile of the project's own is in it only as one of the files, see `write_dockerfile`.

    Raises:
        BuildError: a file has changed since it was hashed.
    """
    members = context.files if context.own_name else context.members
    others = [file for file in members if file.name not in context.contents]  # Such as the Dockerfile.
    contents = {**context.contents, **read_contents(others)}
    present: dict[str, os.stat_result] = {}
    _find(str(folder), "", present)
    names = {file.name for file in members}
    for name in sorted(present.keys() - names, reverse=True):  # The content of a folder before the folder.
        _remove(f"{folder}/{name}")
        del present[name]
    for file in members:
        path = f"{folder}/{file.name}"
        if file.name.endswith("/"):
            _folder(file, path, present.get(file.name))
        elif file.link:
            _link(file, path, present.get(file.name))
        else:
            _file(file, path, contents[file.name].rpartition(" ")[2], present.get(file.name))
    for file in reversed(members):
        if file.name.endswith("/"):
            os.utime(f"{folder}/{file.name}", (TIME, TIME))
    os.utime(folder, (TIME, TIME))


def write_dockerfile(context: BuildContext, folder: Path) -> Path:
    """Write the project's own Dockerfile into a new *folder*, outside the build context, and return its path.

    BuildKit takes an ignore file beside a Dockerfile instead of that of the context, which was applied already and may
    itself be a file to copy: https://docs.docker.com/build/concepts/context/#filename-and-location.
    """
    folder.mkdir()
    file = folder / context.own_name.rpartition("/")[2]
    file.write_text(context.dockerfile, encoding="utf-8", newline="")
    ignore = file.with_name(f"{file.name}.dockerignore")
    ignore.write_text("# What is ignored is left out already.\n", encoding="utf-8")
    return file


def _find(folder: str, prefix: str, entries: dict[str, os.stat_result]) -> None:
    """Add the status of everything below *folder* to *entries*, by its name, which ends in "/" for a folder."""
    with os.scandir(folder) as scan:
        for entry in scan:
            name = prefix + entry.name
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                entries[f"{name}/"] = status
                _find(entry.path, f"{name}/", entries)
            else:
                entries[name] = status


def _remove(path: str) -> None:
    if path.endswith("/"):
        os.rmdir(path)  # noqa: PTH106 -- one of many; `Path` takes twice the time
    else:
        os.unlink(path)  # noqa: PTH108 -- likewise


def _folder(file: ContextFile, path: str, status: os.stat_result | None) -> None:
    if status is None:
        os.mkdir(path)  # noqa: PTH102 -- see `_remove`
    if status is None or stat.S_IMODE(status.st_mode) != mode_of(file):
        os.chmod(path, mode_of(file))  # noqa: PTH101 -- see `_remove`


def _link(file: ContextFile, path: str, status: os.stat_result | None) -> None:
    if status and stat.S_ISLNK(status.st_mode) and os.readlink(path) == file.link:  # noqa: PTH115 -- see `_remove`
        return
    if status:
        _remove(path)
    os.symlink(file.link, path)  # noqa: PTH211 -- see `_remove`
    os.utime(path, (TIME, TIME), follow_symlinks=False)


def _file(file: ContextFile, path: str, sha256: str, status: os.stat_result | None) -> None:
    """Copy a file, unless its copy has the size, the mode and the time that it must have."""
    moment = TIME * _SECOND + int(sha256[:16], 16) % _SECOND // _STEP * _STEP
    mode = mode_of(file)
    if status:
        if (status.st_size, status.st_mtime_ns, status.st_mode) == (file.size, moment, stat.S_IFREG | mode):
            return
        _remove(path)
    total = hashlib.sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(descriptor, "wb", buffering=0) as stream:  # noqa: PTH123 -- a descriptor
        for block in blocks(file):
            total.update(block)
            stream.write(block)
    if total.hexdigest() != sha256:
        raise changed(file.source)
    os.chmod(path, mode)  # noqa: PTH101 -- see `_remove`
    os.utime(path, ns=(moment, moment))
