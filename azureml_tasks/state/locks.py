"""The lock between the commands of one user: one command at a time for a project.

It saves waste and mixed-up records. No result depends on it: a state folder may not be writable. Other projects, also
checkouts of the same one, share no caches and no records, so nobody waits for them.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from azureml_tasks.atomic_write import write_atomically
from azureml_tasks.errors import EngineError
from azureml_tasks.state.project_identity import project_key
from azureml_tasks.state.user_folder import user_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from azureml_tasks.reporter import Reporter

_TIMEOUT = 600.0
"""Seconds that a command waits for another one."""


@contextmanager
def project_lock(folder: Path, reporter: Reporter) -> Iterator[None]:
    """Hold the lock of the project in *folder* for the block; do nothing under --dry.

    Raises:
        EngineError: another command held it for ten minutes.
    """
    with _lock(folder, reporter) as holder:
        if holder is not None:
            what = f"Another command is still running for this project after ten minutes: {holder}."
            fix = "Wait until it has ended, or end it, and run the same command again."
            raise EngineError(what, next_step=fix, state="Nothing was done.")
        yield


@contextmanager
def _lock(folder: Path, reporter: Reporter) -> Iterator[str | None]:
    """Yield None with the lock held, or who holds it after the time is over."""
    if reporter.dry:
        yield None
        return
    from filelock import FileLock, Timeout

    path = user_folder() / "locks" / f"project-{project_key(folder, '')}.lock"
    owner = path.with_suffix(".json")
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            reporter.say(f"waiting up to ten minutes for another command: {_holder(owner)}")
            lock.acquire(timeout=_TIMEOUT)
        write_atomically(owner, json.dumps({"pid": os.getpid(), "folder": str(folder), "since": time.time()}))
    except Timeout:
        yield _holder(owner)
        return
    except (OSError, NotImplementedError) as error:  # The latter on file systems without locks.
        reporter.say(f"continuing without a lock, since {path.parent} cannot be used: {error}")
        yield None
        return
    try:
        yield None
    finally:
        with suppress(OSError):
            owner.unlink(missing_ok=True)
        lock.release()


def _holder(owner: Path) -> str:
    try:
        holder = json.loads(owner.read_bytes())
        since = time.strftime("%H:%M:%S", time.localtime(holder["since"]))
        return f"process {holder['pid']} in {holder['folder']}, since {since}"
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return "a process that has only just started or ended"
