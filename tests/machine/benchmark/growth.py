"""How the commands' times grow with the number of files and with the model's size: `invoke growth`."""

from __future__ import annotations

import math
import shutil
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.machine.benchmark.figures import quantity
from tests.machine.benchmark.place import BUILDKIT, Place, place
from tests.machine.benchmark.project import Project, Size, weights
from tests.machine.benchmark.races import say
from tests.machine.benchmark.timing import seconds

__all__ = ["Times", "main", "table"]

_MEGABYTE = 10**6
_FILES = (10**2, 10**3, 10**4, 10**5)
_MODELS = (_MEGABYTE, 10**7, 10**8, 10**9)
_LARGE = 5 * 10**9
_COLUMN = 14
_LINEAR = 1.1
"""The steepest slope that counts as linear: noise makes up for the tenth."""


@dataclass(frozen=True, kw_only=True)
class Times:
    """What the commands took on a project of one size, in seconds; each field names its command."""

    first_build: float
    line_changed: float
    no_change: float
    check: float


def main(*, rounds: int, large: bool) -> None:
    """Measure, and print a table for each thing that grows.

    Args:
        rounds: how often each command is timed at each size; the first build is timed once.
        large: whether a model of 5 GB is measured too.

    Raises:
        NotPossibleError: this machine lacks what it takes.
    """
    files = {number: f"{number} files" for number in _FILES}
    models = {size: quantity(size, "B") for size in (*_MODELS, *([_LARGE] if large else []))}
    with place(model=_MEGABYTE) as here:
        by_files = {
            number: _measured(here, Size(files=number, model=_MEGABYTE), rounds, name)
            for number, name in files.items()
        }
        by_model = {size: _measured(here, Size(model=size), rounds, name) for size, name in models.items()}
    sys.stdout.write(f"\n{table('Files of code, with a model of 1 MB', files, by_files)}\n")
    sys.stdout.write(f"\n{table('Bytes of the model, with 200 files of code', models, by_model)}\n")


def table(title: str, names: Mapping[int, str], times: Mapping[int, Times]) -> str:
    """A line for each size and a column for each command; the last line says how the times grow at the end.

    Args:
        title: what grows.
        names: size -> how it is written, in rising order, at least two.
        times: size -> what the commands took.
    """
    columns = [field.replace("_", " ") for field in Times.__dataclass_fields__]
    lines = [title, _line("", columns)]
    for size, name in names.items():
        lines.append(_line(name, [quantity(number, "s") for number in _numbers(times[size])]))
    slopes = _slopes(list(names)[-2:], [_numbers(times[size]) for size in list(names)[-2:]])
    verdicts = [f"{slope:.2f}{'' if slope <= _LINEAR else ' STEEP'}" for slope in slopes]
    return "\n".join(
        [*lines, _line("slope", verdicts), "slope: of the last step, 0 is constant, 1 is linear"]
    )


def _line(name: str, cells: Sequence[str]) -> str:
    return "".join(f"{cell:>{_COLUMN}}" for cell in (name, *cells))


def _numbers(times: Times) -> list[float]:
    return [float(getattr(times, field)) for field in Times.__dataclass_fields__]


def _slopes(sizes: Sequence[int], times: Sequence[Sequence[float]]) -> Iterator[float]:
    """The power of the size with which each command's time grows between two *sizes*."""
    growth = math.log(sizes[1] / sizes[0])
    return (math.log(after / before) / growth for before, after in zip(*times, strict=True))


def _measured(here: Place, size: Size, rounds: int, name: str) -> Times:
    """The medians of one size; its project and images are gone afterwards."""
    say(name)
    model = weights(here.folder / "growing.bin", size.model)
    project = here.project(f"{size.files}-{size.model}", model=model, files=size.files)
    try:
        return _timed(here, project, rounds)
    finally:
        _remove(project.folder, model)
        here.traces.empty()


def _timed(here: Place, project: Project, rounds: int) -> Times:
    build, check = ([here.invoke(BUILDKIT, project.folder, f"image.{task}")] for task in ("build", "check"))
    first = seconds(build)
    seconds(check)  # The first has more to find out.
    changed, same, checked = [], [], []
    for _ in range(rounds):
        project.change_a_line()
        changed.append(seconds(build))
        same.append(seconds(build))
        checked.append(seconds(check))
    medians = [statistics.median(times) for times in (changed, same, checked)]
    say(", ".join(quantity(median, "s") for median in (first, *medians)))
    return Times(first_build=first, line_changed=medians[0], no_change=medians[1], check=medians[2])


def _remove(folder: Path, model: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    model.unlink(missing_ok=True)
