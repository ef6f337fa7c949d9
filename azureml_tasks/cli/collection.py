"""Where a task stands in the consumer's `tasks.py`: its folder, and the configuration of its collections.

Invoke 3.0 hands a task that runs as `pre=` or is called by another task neither the configuration
of its collection nor its environment keys (executor.py, `Executor.execute`), and lets an outer
collection's table replace an inner one's whole (collection.py, `Collection.configuration`). The
executor at work knows the missing part, so it is asked.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from invoke.executor import Executor

from azureml_tasks.errors import Problem, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

    from invoke.collection import Collection
    from invoke.context import Context
    from invoke.tasks import Call, Task

__all__ = ["KEY", "Surroundings", "spoken_before", "surroundings"]

KEY = "azureml_image"


class Surroundings(NamedTuple):
    """What a task's place says.

    Args:
        folder: of the consumer's `tasks.py`, or the current one where Invoke loaded none.
        flags_from: what a flag's path is relative to: the current folder for one that was typed,
            that of `tasks.py` for one that is written there.
        configuration: `azureml_image` as it holds for this task, merged key by key.
    """

    folder: Path
    flags_from: Path
    configuration: Mapping[str, Any]


def surroundings(context: Context, task: Task[Any], project: str | None = None) -> Surroundings:
    """Find out where *task*, which runs in *context*, stands.

    Args:
        context: Invoke's, as the task got it.
        task: the task that runs.
        project: the folder that its flag names, which can tell one collection from another.

    Raises:
        SettingsError: it stands in several collections whose configuration differs, and nothing
            says which is meant; or Invoke leaves out the same task of another collection.
    """
    above: Mapping[str, Any] = _table(dict(context.config))
    frame = _executor_frame()
    if frame is None:
        return Surroundings(folder=Path.cwd(), flags_from=Path.cwd(), configuration=dict(above))
    root: Collection = frame.f_locals["self"].collection
    folder = Path(root.loaded_from) if root.loaded_from else Path.cwd()
    typed = _typed(frame, task)
    if typed:
        _refuse_left_out(frame, root)
        own = _named(root, typed)
    else:
        own = _only(_places(frame, task, project), task)
    return Surroundings(
        folder=folder, flags_from=Path.cwd() if typed else folder, configuration={**own, **above}
    )


def spoken_before(task: Task[Any], project: str | None = None) -> str:
    """What a person types before the names of *task* and its siblings: "serving.", or "" for those of the root."""
    frame = _executor_frame()
    if frame is None:
        return "image."
    name = _typed(frame, task) or next(iter(_places(frame, task, project)), "")
    if not name:
        return "image."  # It is in no collection, so no name leads to it.
    return "".join(f"{part}." for part, _ in _path(frame.f_locals["self"].collection, name))


def _executor_frame() -> FrameType | None:
    """The frame of the executor that runs the current task; None where no executor does."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name == "execute" and isinstance(frame.f_locals.get("self"), Executor):
            return frame
        frame = frame.f_back
    return None


def _typed(frame: FrameType, task: Task[Any]) -> str:
    """The name that *task* was called by; "" where it runs as a part of another."""
    call: Call = frame.f_locals["call"]
    return call.called_as or "" if call.task == task else ""


def _table(configuration: Mapping[str, Any]) -> dict[str, Any]:
    found = configuration.get(KEY, {})
    return {name: found[name] for name in found}


def _path(root: Collection, name: str) -> list[tuple[str, Collection]]:
    """The collections along a dotted name, each with its part of it, the outermost first."""
    found: list[tuple[str, Collection]] = []
    here = root
    for part in name.split("."):
        if part not in here.collections:
            break
        here = here.collections[part]
        found.append((part, here))
    return found


def _named(root: Collection, name: str) -> dict[str, Any]:
    """The configuration along a dotted name; an outer collection stands above an inner one."""
    merged: dict[str, Any] = {}
    for collection in (*(inner for _, inner in reversed(_path(root, name))), root):
        merged |= _table(collection.configuration())
    return merged


def _places(frame: FrameType, task: Task[Any], project: str | None) -> dict[str, dict[str, Any]]:
    """Each name of *task* with its configuration; only those that are for *project*, where some are.

    Without a project the folder of `tasks.py` is meant, as it is everywhere.
    """
    root: Collection = frame.f_locals["self"].collection
    folder = Path(root.loaded_from or ".")
    given = {"project": project} if project else {}
    found = {name: _named(root, name) for name in _names(root, task, ())}
    meant = {
        name: own
        for name, own in found.items()
        if (folder / str(own.get("project", "."))).resolve() == (folder / (project or ".")).resolve()
    }
    return {name: {**own, **given} for name, own in (meant or found).items()}


def _only(places: Mapping[str, dict[str, Any]], task: Task[Any]) -> dict[str, Any]:
    """The configuration that all *places* of *task* agree on."""
    configured = list(places.values())
    if any(other != configured[0] for other in configured[1:]):
        raise SettingsError([_ambiguous(task, places)])
    return configured[0] if configured else {}


def _ambiguous(task: Task[Any], found: Mapping[str, Mapping[str, Any]]) -> Problem:
    *others, last = found
    what = f"{task.name} runs as a part of another task, and {', '.join(others)} and {last} are configured differently"
    folder = found[last].get("project")
    said = f'call(image.{task.__name__}, project="{folder}")' if folder else f"invoke {last}"
    return Problem("tasks.py", 0, what, f"Say which is meant, such as: {said}")


def _refuse_left_out(frame: FrameType, root: Collection) -> None:
    """Invoke takes two collections' copies of a task for one, and runs the first alone (`Executor.dedupe`)."""
    call: Call = frame.f_locals["call"]
    kept = [id(other) for other in frame.f_locals["calls"]]
    left_out = [other for other in frame.f_locals["expanded"] if other == call and id(other) not in kept]
    ours = call.called_as or ""
    for name in (other.called_as or ours for other in left_out):
        if _named(root, name) != _named(root, ours):
            what = f"Invoke takes {ours} and {name} for the same, and would leave {name} out"
            fix = f"invoke --no-dedupe {ours} {name}"
            raise SettingsError([Problem("tasks.py", 0, what, fix)])


def _names(collection: Collection, task: Task[Any], path: tuple[str, ...]) -> Iterator[str]:
    for name, held in collection.tasks.items():
        if held == task:  # Collections hold copies of it.
            yield ".".join((*path, name))
    for name, inner in collection.collections.items():
        yield from _names(inner, task, (*path, name))
