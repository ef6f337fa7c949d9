"""How the commands' times grow with the number of files and with the model's size: `invoke growth`."""

from __future__ import annotations

import shutil
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.machine import venv
from tests.machine.benchmark import project
from tests.machine.benchmark.curves import Curve, Panel, verdict
from tests.machine.benchmark.drawing import letters, svg
from tests.machine.benchmark.figures import quantity
from tests.machine.benchmark.place import BUILDKIT, Place, place
from tests.machine.benchmark.project import Size
from tests.machine.benchmark.races import say
from tests.machine.benchmark.timing import seconds

__all__ = ["PICTURE", "main", "table"]

PICTURE = venv.CHECKOUT / ".machine" / "reports" / "growth.svg"
_MEGABYTE = 10**6
_FILES = {float(10**power): f"{10**power} files" for power in range(2, 6)}
_MODELS = {float(size): quantity(size, "B") for size in (_MEGABYTE, 10**7, 10**8, 10**9)}
_LARGE = 5 * 10**9
_COLUMN = 14


@dataclass(frozen=True, kw_only=True)
class _Times:
    """What the commands took on a project of one size, in seconds; a field's name with blanks is the command's."""

    first_build: float
    line_changed: float
    no_change: float
    check: float


def main(*, rounds: int, large: bool) -> None:
    """Measure, and print tables, slopes and pictures; the picture for elsewhere goes to `PICTURE`.

    Args:
        rounds: how often each command is timed at each size; the first build is one.
        large: whether a model of 5 GB is measured too.

    Raises:
        NotPossibleError: this machine lacks what it takes.
    """
    models = {**_MODELS, **({float(_LARGE): quantity(_LARGE, "B")} if large else {})}
    with place(model=_MEGABYTE) as here:
        panels = [
            _panel(here, "Files of code, with a model of 1 MB", _FILES, rounds),
            _panel(here, "Bytes of the model, with 200 files of code", models, rounds),
        ]
    for panel in panels:
        verdicts = [f"{curve.name:>{_COLUMN}}  {verdict(curve)}" for curve in panel.curves]
        sys.stdout.write("\n".join(["", table(panel), "", *verdicts, "", letters(panel), ""]))
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(svg(panels), encoding="utf-8")
    sys.stdout.write(f"\npicture: {PICTURE.relative_to(venv.CHECKOUT)}\n")


def table(panel: Panel) -> str:
    """A line for each size, a column for each command."""
    head = "".join(f"{curve.name:>{_COLUMN}}" for curve in panel.curves)
    lines = [panel.title, " " * _COLUMN + head]
    for number, name in enumerate(panel.sizes.values()):
        cells = (quantity(curve.points[number][1], "s") for curve in panel.curves)
        lines.append(f"{name:>{_COLUMN}}" + "".join(f"{cell:>{_COLUMN}}" for cell in cells))
    return "\n".join(lines)


def _panel(here: Place, title: str, sizes: dict[float, str], rounds: int) -> Panel:
    of_files = sizes is _FILES
    times = []
    for size, name in sizes.items():
        say(f"{title}: {name}")
        made = Size(files=round(size), model=_MEGABYTE) if of_files else Size(model=round(size))
        times.append(_measured(here, made, rounds))
    return Panel(title=title, sizes=sizes, curves=list(_curves(list(sizes), times)))


def _curves(sizes: Sequence[float], times: Sequence[_Times]) -> Iterator[Curve]:
    for field in _Times.__dataclass_fields__:
        points = [(size, float(getattr(each, field))) for size, each in zip(sizes, times, strict=True)]
        yield Curve(name=field.replace("_", " "), points=points)


def _measured(here: Place, size: Size, rounds: int) -> _Times:
    """The medians of one size; its project and images are gone afterwards."""
    model = project.weights(here.folder / "growing.bin", size.model)
    made = here.project(f"{size.files}-{size.model}", model=model, files=size.files)
    try:
        return _timed(here, made, rounds)
    finally:
        _remove(made.folder, model)
        here.traces.empty()


def _timed(here: Place, made: project.Project, rounds: int) -> _Times:
    build, check = ([here.invoke(BUILDKIT, made.folder, f"image.{task}")] for task in ("build", "check"))
    first = seconds(build)
    seconds(check)  # The first has more to find out.
    changed, same, checked = [], [], []
    for _ in range(rounds):
        made.change_a_line()
        changed.append(seconds(build))
        same.append(seconds(build))
        checked.append(seconds(check))
    medians = [statistics.median(found) for found in (changed, same, checked)]
    say(", ".join(quantity(found, "s") for found in (first, *medians)))
    return _Times(first_build=first, line_changed=medians[0], no_change=medians[1], check=medians[2])


def _remove(folder: Path, model: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    model.unlink(missing_ok=True)
