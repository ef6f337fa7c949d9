"""How large the image is, and which of its layers are ours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.machine.benchmark.building import Yard, page_image
from tests.machine.benchmark.by_hand import PAGE
from tests.machine.benchmark.cases import Case
from tests.machine.benchmark.figures import quantity
from tests.machine.benchmark.place import BUILDKIT, Place
from tests.machine.benchmark.rows import Heading, Mark, Measured, Row

__all__ = ["case"]

_HEADING = Heading(
    name="image size",
    against="the image of the documentation page's Dockerfile",
    mark=Mark(more=0),
)
_WORDS = 70


def case(yard: Yard) -> Case:
    """The case of this module."""

    def measure(_headings: Sequence[Heading], _rounds: int) -> Iterable[Row]:
        place = yard.place
        made = place.project("size")
        ours, page = f"{made.name}:1.0.0", page_image(made)
        place.invoke(BUILDKIT, made.folder, "image.build").seconds()
        place.docker(BUILDKIT, made.folder, "build", "--file", PAGE, "--tag", page, ".").seconds()
        yield Row(
            heading=_HEADING,
            ours=Measured(what=f"invoke image.build ({place.words[BUILDKIT]})", numbers=[_size(place, ours)]),
            theirs=Measured(what="docker build of the page Dockerfile", numbers=[_size(place, page)]),
            unit="B",
            notes=[
                *("ours, above the base:", *_layers(place, ours)),
                *("the page's, above the base:", *_layers(place, page)),
            ],
        )

    return Case(headings=[_HEADING], measure=measure)


def _size(place: Place, image: str) -> float:
    return float(place.client.images.get(image).attrs["Size"])


def _layers(place: Place, image: str) -> list[str]:
    """The layers that are not the base's and hold anything, the last one first."""
    below = len(place.client.images.get(place.base).history())
    history = place.client.images.get(image).history()
    own = [layer for layer in history[: len(history) - below] if layer["Size"]]
    return [f"  {quantity(layer['Size'], 'B'):>9}  {_short(layer['CreatedBy'])}" for layer in own]


def _short(command: str) -> str:
    words = " ".join(command.split())
    return words if len(words) <= _WORDS else f"{words[: _WORDS - 1]}…"
