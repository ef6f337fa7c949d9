"""Where a task stands in the consumer's `tasks.py`: its folder, and the configuration of its collections.

Invoke 3.0 hands a task that runs as `pre=` or is called by another task neither the configuration
of its collection nor its environment keys (executor.py, `Executor.execute`), and lets an outer
collection's table replace an inner one's whole (collection.py, `Collection.configuration`). The
executor at work knows the missing part, so it is asked.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.executor import Executor

from azureml_tasks.errors import Problem, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

    from invoke.collection import Collection
    from invoke.context import Context
    from invoke.tasks import Task

__all__ = ["KEY", "Surroundings", "surroundings"]

KEY = "azureml_image"


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a task's place says.

    Args:
        folder: of the consumer's `tasks.py`, or the current one where Invoke loaded none.
        configuration: `azureml_image` as it holds for this task, merged key by key.
    """

    folder: Path
    configuration: Mapping[str, Any]


def surroundings(context: Context, task: Task[Any]) -> Surroundings:
    """Find out where *task*, which runs in *context*, stands.

    Raises:
        SettingsError: it stands in several collections whose configuration differs, and was not
            called by one's name.
    """
    above: Mapping[str, Any] = _table(dict(context.config))
    frame = _executor_frame()
    if frame is None:
        return Surroundings(folder=Path.cwd(), configuration=dict(above))
    root: Collection = frame.f_locals["self"].collection
    call = frame.f_locals["call"]
    own = _named(root, call.called_as) if call.task is task and call.called_as else None
    folder = Path(root.loaded_from) if root.loaded_from else Path.cwd()
    return Surroundings(
        folder=folder, configuration={**(own if own is not None else _only(root, task)), **above}
    )


def _executor_frame() -> FrameType | None:
    """The frame of the executor that runs the current task; None where no executor does."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 -- Invoke hands a task no way to its executor
    while frame is not None:
        if frame.f_code.co_name == "execute" and isinstance(frame.f_locals.get("self"), Executor):
            return frame
        frame = frame.f_back
    return None


def _table(configuration: Mapping[str, Any]) -> dict[str, Any]:
    found = configuration.get(KEY, {})
    return {name: found[name] for name in found}


def _named(root: Collection, called_as: str) -> dict[str, Any]:
    """The configuration along a dotted name; an outer collection stands above an inner one."""
    merged: dict[str, Any] = {}
    here = root
    for part in called_as.split("."):
        if part not in here.collections:
            break
        here = here.collections[part]
        merged = {**_table(here._configuration), **merged}  # noqa: SLF001 -- `configuration()` is what replaces tables whole
    return {**merged, **_table(root._configuration)}  # noqa: SLF001 -- likewise


def _only(root: Collection, task: Task[Any]) -> dict[str, Any]:
    """The configuration of the one collection that holds *task*."""
    names = list(_names(root, task, ()))
    found = [_named(root, name) for name in names]
    if any(other != found[0] for other in found[1:]):
        what = (
            f"{names[0]} runs as a part of another task, and {' and '.join(names)} are configured differently"
        )
        fix = 'Say which is meant: call(image.build, project="services/b")'
        raise SettingsError([Problem("tasks.py", 0, what, fix)])
    return found[0] if found else {}


def _names(collection: Collection, task: Task[Any], path: tuple[str, ...]) -> Iterator[str]:
    for name, held in collection.tasks.items():
        if held is task:
            yield ".".join((*path, name))
    for name, inner in collection.collections.items():
        yield from _names(inner, task, (*path, name))
