"""What a run has started or staged, noted beforehand, so that a later command can remove what a killed run has left.

A run has a random ID, which is in the name of everything that it makes. It lives as long as it holds the lock of that
ID in the user's state folder; beside the lock, a note lists what is not removed yet. Nobody else knows the ID, so what
is removed because of a note is never somebody else's, also where many machines share one engine.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.atomic_write import write_atomically
from azureml_tasks.signals import delayed
from azureml_tasks.state.user_folder import user_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from filelock import BaseFileLock

left_behind: list[str] = []
"""What runs of this process could not remove, such as `container NAME`; a later command removes it."""
_PREFIX = "run-"
_KINDS = ("container", "image", "folder")
"""In the order of removal: an engine keeps an image that a container uses."""


class Thing(NamedTuple):
    """Something that a run has made.

    Args:
        kind: "container", "image" or "folder".
        name: of the container; a reference of the image; of the folder, in the folder of the records.
        image_id: the image that must still have the reference; "" for any.
    """

    kind: str
    name: str
    image_id: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Run:
    """A run, and what it has made and not removed yet.

    Args:
        records: folder of the project's records.
        host: address of the engine.
    """

    def __init__(self, records: Path, host: str) -> None:
        self.records, self.host = records, host
        self.id = secrets.token_hex(8)
        self._things: dict[Thing, None] = {}
        self._lock: BaseFileLock | None = None
        self._count = 0

    @property
    def things(self) -> list[Thing]:
        """What is not removed yet, in the order in which it must be removed."""
        return sorted(self._things, key=lambda thing: _KINDS.index(thing.kind))

    def new_name(self) -> str:
        """Return a name that nothing else has, with the run's ID."""
        self._count += 1
        return f"{self.id}-{self._count}"

    def note(self, thing: Thing) -> None:
        """Note *thing* before it is made; if the state folder cannot be used, only this process knows of it."""
        self._things[thing] = None
        with suppress(OSError, NotImplementedError):  # The latter on file systems without locks.
            self._lock = self._lock or self._locked()
            self._write()

    def forget(self, thing: Thing) -> None:
        """Forget *thing*, which is removed, or stays for good."""
        self._things.pop(thing, None)
        if self._lock and self._things:
            with suppress(OSError):
                self._write()

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Yield a new, empty folder among the records, which is removed after the block."""
        thing = Thing("folder", _PREFIX + self.new_name())
        path = self.records / thing.name
        self.note(thing)
        path.mkdir(mode=0o700)
        try:
            yield path
        finally:
            with delayed():
                if remove_folder(self.records, thing):
                    self.forget(thing)

    def close(self) -> None:
        """End the run; its note stays if something of it is left."""
        if not self._lock:
            return
        if not self._things:
            with suppress(OSError):
                self._note.unlink(missing_ok=True)
                self._lock_file.unlink(missing_ok=True)
        self._lock.release()
        self._lock = None

    @classmethod
    def read(cls, records: Path, run_id: str, lock: BaseFileLock) -> Run:
        """Return a run that is gone, with what it has left; with nothing if its note is damaged or gone.

        Args:
            records: folder of the project's records.
            run_id: of the run.
            lock: of the run, which is held.
        """
        run = cls(records, "")
        run.id, run._lock = run_id, lock
        with suppress(OSError, ValueError, KeyError, TypeError):
            note = json.loads(run._note.read_bytes())
            run.host = str(note["host"])
            things = [Thing(*map(str, thing)) for thing in note["things"]]
            run._things = dict.fromkeys(thing for thing in things if thing.kind in _KINDS)
        return run

    def _locked(self) -> BaseFileLock:
        from filelock import FileLock

        self._lock_file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._lock_file)
        lock.acquire(timeout=0)
        return lock

    def _write(self) -> None:
        write_atomically(self._note, json.dumps({"host": self.host, "things": list(self._things)}))

    @property
    def _lock_file(self) -> Path:
        return _home(self.records) / f"{self.id}.lock"

    @property
    def _note(self) -> Path:
        """Written once the lock is held, so a note whose lock is free is that of a run that is gone."""
        return _home(self.records) / f"{self.id}.json"


def gone_runs(records: Path) -> Iterator[Run]:
    """Yield each run that has ended without removing everything; its lock is held until the next one is yielded.

    Args:
        records: folder of the project's records.
    """
    try:
        ids = sorted(path.stem for path in _home(records).iterdir() if path.suffix == ".json")
    except OSError:
        return
    if not ids:
        return
    from filelock import FileLock, Timeout

    for run_id in ids:
        lock = FileLock(_home(records) / f"{run_id}.lock")
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError, NotImplementedError):
            continue
        run = Run.read(records, run_id, lock)
        try:
            yield run
        finally:
            run.close()


def has_gone_runs(records: Path) -> bool:
    """Return whether a run has ended without removing everything."""
    return any(run.things for run in gone_runs(records))


def remove_folder(records: Path, thing: Thing) -> bool:
    """Remove a folder of a run among the records; return whether it is gone."""
    path = records / thing.name
    if thing.name.startswith(_PREFIX) and path.parent == records:
        shutil.rmtree(path, ignore_errors=True)
    return not os.path.lexists(path)


def _home(records: Path) -> Path:
    """Return the folder for the runs of the project that has these records."""
    key = hashlib.sha256(os.path.realpath(records).encode()).hexdigest()[:32]
    return user_folder() / "runs" / key
