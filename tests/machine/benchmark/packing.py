"""Packing a project and sending it to ACR's storage, against what `az acr build` does."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence

from tests.machine import sending
from tests.machine.benchmark.cases import Case
from tests.machine.benchmark.figures import quantity
from tests.machine.benchmark.place import Place
from tests.machine.benchmark.races import say
from tests.machine.benchmark.rows import Heading, Mark, Measured, Row
from tests.machine.benchmark.timing import FailedError

__all__ = ["case"]

_AGAINST = "az acr build"
_PACK = Heading(name="packing 500 MB for ACR, to nowhere", against=_AGAINST, mark=Mark(times=0.1))
_SEND = Heading(name="packing and sending 500 MB to ACR's storage", against=_AGAINST, mark=Mark(times=0.2))
_MEMORY = Heading(name="memory of packing and sending 500 MB", against=_AGAINST, mark=Mark(most=100e6))
_OURS = "what image.build --engine acr does; storage is Azurite"
_THEIRS = "what az acr build does, by azure-cli's own functions; storage is Azurite"


def case(place: Place) -> Case:
    """The case of this module."""

    def measure(headings: Sequence[Heading], rounds: int) -> Iterable[Row]:
        folder = sending.project(place.folder / "sent", place.model.stat().st_size)
        pairs = []
        try:
            for pair in sending.measure(folder, rounds):
                pairs.append(pair)
                took = " and ".join(quantity(each.seconds, "s") for each in pair)
                say(f"round {len(pairs)} of {rounds}: packed and sent in {took}")
        except subprocess.CalledProcessError as error:
            raise FailedError(f"packing and sending failed:\n{error.stderr[-1000:]}") from error
        for heading, part in ((_PACK, "packing"), (_SEND, "seconds"), (_MEMORY, "memory")):
            if heading in headings:
                ours, theirs = ([float(getattr(pair[side], part)) for pair in pairs] for side in (0, 1))
                yield Row(
                    heading=heading,
                    ours=Measured(description=_OURS, numbers=ours),
                    theirs=Measured(description=_THEIRS, numbers=theirs),
                    unit="B" if part == "memory" else "s",
                )

    return Case(headings=[_PACK, _SEND, _MEMORY], measure=measure)
