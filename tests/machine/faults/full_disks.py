"""Full disks: of the project, of the user's state and temporary files, of the engine, of the registry."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from tests.machine.faults.checkout import Checkout, new_checkout
from tests.machine.faults.judge import Fault, Judge
from tests.machine.faults.place import Place
from tests.machine.faults.small_disk import filled, small_disk
from tests.machine.faults.trial import TASKS, after, prepared
from tests.machine.faults.truth import on_engine

__all__ = ["KIND", "inject"]

KIND = "full disk"
_SIZE = 24 * 1024 * 1024
_MOST_FREE = 8 * 1024 * 1024


class _Disk(NamedTuple):
    """A disk that is full.

    Args:
        codes: exit codes that name it; 0 if the command can do without, or needs less than is free.
        tasks: that are struck.
    """

    codes: frozenset[int]
    tasks: tuple[str, ...]


_PROJECT, _STATE, _TEMPORARY = "the project's", "the user's state", "temporary files'"
_ENGINE, _REGISTRY = "the engine's", "the registry's"
_DISKS: Mapping[str, _Disk] = {
    _PROJECT: _Disk(frozenset({0, 3}), TASKS),
    _STATE: _Disk(frozenset({0}), ("image.build", "image.push")),
    _TEMPORARY: _Disk(frozenset({0, 3}), ("image.build", "image.push")),
    _ENGINE: _Disk(frozenset({0, 3}), ("image.build", "image.smoke-test", "image.release")),
    _REGISTRY: _Disk(frozenset({0, 6}), ("image.push", "image.release")),
}


def inject(place: Place) -> Fault | None:
    """Run a command with one of the disks full."""
    name = place.random.choice(list(_DISKS))
    disk = _DISKS[name]
    task = place.random.choice(disk.tasks)
    free = place.random.choice([0, place.random.randint(0, 64 * 1024), place.random.randint(0, _MOST_FREE)])
    before = on_engine(place)
    with ExitStack() as stack:

        def small(folder: Path) -> None:
            stack.enter_context(small_disk(folder, _SIZE))

        checkout = new_checkout(place, disk=small if name == _PROJECT else lambda _: None)
        folder = _folder(place, name, checkout)
        if name in {_STATE, _TEMPORARY}:
            small(folder)
        words = prepared(checkout, task)
        judge = Judge.of(place, checkout)
        with filled(folder, free):
            ended = checkout.run(*words)
        wrong = judge.wrong(ended, disk.codes)
        if ended.code:
            wrong += judge.continued(ended)
        description = f"{name} disk has {free:,} bytes free at {task}"
        return after(place, judge, words, before, KIND, description, wrong)


def _folder(place: Place, name: str, checkout: Checkout) -> Path:
    """Return the folder whose file system is to be full."""
    folders = {
        _PROJECT: checkout.folder,
        _STATE: checkout.state,
        _TEMPORARY: checkout.temporary,
        _ENGINE: place.engine_disk,
        _REGISTRY: place.registry_disk,
    }
    return folders[name]
