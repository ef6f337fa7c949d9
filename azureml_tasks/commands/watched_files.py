"""Wait for changes of files, with the package watchfiles."""

from __future__ import annotations

import os
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.errors import EngineError, MachineError
from azureml_tasks.signals import raise_received

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from azureml_tasks.planning.plan import Plan

_STEP, _TICK, _LONGEST = 50, 100, 400
"""Milliseconds: without a change after which changes are together, between two looks, and for one group of changes."""
_LIMITS = {
    "file watch limit": "sudo sysctl fs.inotify.max_user_watches=524288",
    "os error 24": "sudo sysctl fs.inotify.max_user_instances=1024",
}
"""What raises a limit of the system, by how watchfiles names it: its errors have no number."""


def refuse_missing_packages(*, debugs: bool) -> None:
    """Refuse to go on without watchfiles, and without debugpy if the run *debugs*.

    All that are missing are named, or else all that are broken.

    Raises:
        EngineError: with the line that installs them.
    """
    needed = ("watchfiles", "debugpy") if debugs else ("watchfiles",)
    if missing := [package for package in needed if not find_spec(package)]:
        verb = "is" if len(missing) == 1 else "are"
        task = "image.serve --debug" if "debugpy" in missing else "image.serve"
        what = f"{task} needs {' and '.join(missing)}, which {verb} not installed."
        raise EngineError(what, next_step=f"pip install {' '.join(missing)}")
    if broken := {package: why for package in needed if (why := _why_broken(package))}:
        what = "; ".join(f"{package} cannot be imported: {why}" for package, why in broken.items())
        raise EngineError(f"{what}.", next_step=f"pip install --force-reinstall {' '.join(broken)}")


def _why_broken(package: str) -> str:
    """Return why an installed package cannot be imported; "" if it can."""
    try:
        return "" if import_module(package).__file__ else "it has no __init__.py"
    except ImportError as error:
        return str(error)


def folders_to_watch(folder: Path, plan: Plan) -> list[str]:
    """Return the project's folder, and those folders outside of it that code and other members of the context are in.

    Args:
        folder: of the project, an absolute path.
        plan: with the members.
    """
    sources = set(plan.code_folders)  # Also those without a file of their own: one may come.
    sources |= {os.path.dirname(file.source) for file in plan.files if file.source}  # noqa: PTH120 -- thousands
    folders: list[str] = [str(folder)]
    for source in sorted(sources):
        if not any(Path(source).is_relative_to(other) for other in folders):
            folders.append(source)
    return folders


def watched(folders: Sequence[str], ignored: Iterable[Path]) -> Iterator[bool]:
    """Yield True after files have changed, and False every tenth of a second without a change, until the end.

    Args:
        folders: with everything in them.
        ignored: folders and files in them that do not count.

    Raises:
        MachineError: this machine cannot watch these folders.
        KeyboardInterrupt: for SIGINT.
        Terminated: for SIGTERM and SIGHUP.
    """
    try:
        for changed in _changes(folders, ignored):
            raise_received()  # Python may have dropped the exception of a signal.
            yield bool(changed)
    except KeyboardInterrupt:
        raise_received()  # It says no more than that a signal was received.
        raise
    except (OSError, RuntimeError) as error:  # The second if the system refuses to watch anything.
        what = f"The folders of the project cannot be watched: {error}."
        fix = next((fix for limit, fix in _LIMITS.items() if limit in str(error)), "")
        raise MachineError(what, next_step=fix) from error


def _changes(folders: Sequence[str], ignored: Iterable[Path]) -> Iterator[object]:
    """Yield groups of changes, without the folders that may not be read and those that are gone.

    Only if there are such folders, watchfiles is told to leave them out: it then ignores a limit of the system as well.
    """
    from watchfiles import DefaultFilter, watch

    watch_all = partial(
        watch,
        *folders,
        watch_filter=DefaultFilter(ignore_paths=list(ignored)),
        debounce=_LONGEST,
        step=_STEP,
        rust_timeout=_TICK,
        yield_on_timeout=True,
    )
    try:
        yield from watch_all(ignore_permission_denied=False)
    except (PermissionError, FileNotFoundError):
        yield from watch_all(ignore_permission_denied=True)
