"""How large the image is, and which of its layers are ours."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from tests.machine.benchmark import by_hand
from tests.machine.benchmark.building import Yard, page_image
from tests.machine.benchmark.by_hand import PAGE
from tests.machine.benchmark.cases import Case
from tests.machine.benchmark.figures import quantity
from tests.machine.benchmark.place import BUILDKIT, LEGACY, Place
from tests.machine.benchmark.rows import Heading, Mark, Measured, Row

__all__ = ["cases"]

_APT = ("libpng-tools", "git")
"""The page's python3-opencv would bring 300 MB; git and what it needs are 30 MB, of which archives would show."""
_AGAINST = "the image of the documentation page's Dockerfile"
_WORDS = 70


def cases(yard: Yard) -> list[Case]:
    """The cases of this module, one for each builder; sizes do not vary, so each is measured once."""
    return [_case(yard.place, builder) for builder in (BUILDKIT, LEGACY)]


def _case(place: Place, builder: str) -> Case:
    heading = Heading(name=f"image size with apt packages, {builder}", against=_AGAINST, mark=Mark(more=0))

    def measure(_headings: Sequence[Heading], _rounds: int) -> Iterable[Row]:
        apt = f"apt = {json.dumps(_APT)}\n"
        project = place.project(f"size-{builder.split(maxsplit=1)[0].lower()}", more=apt)
        (project.folder / PAGE).write_text(by_hand.page(place.base, _APT), encoding="utf-8")
        ours, page = f"{project.name}:1.0.0", page_image(project)
        place.invoke(builder, project.folder, "image.build").seconds()
        place.docker(builder, project.folder, "build", "--file", PAGE, "--tag", page, ".").seconds()
        words = place.words[builder]
        yield Row(
            heading=heading,
            ours=Measured(description=f"invoke image.build ({words})", numbers=[_size(place, ours)]),
            theirs=Measured(
                description=f"docker build of the page Dockerfile ({words})", numbers=[_size(place, page)]
            ),
            unit="B",
            notes=[
                *("ours, above the base:", *_layers(place, ours)),
                *("the page's, above the base:", *_layers(place, page)),
            ],
        )

    return Case(headings=[heading], measure=measure)


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
