"""What our commands take that build nothing: `invoke --list`, `image.check` and `image.doctor`."""

from __future__ import annotations

from tests.machine.benchmark.building import Yard
from tests.machine.benchmark.cases import Case, raced
from tests.machine.benchmark.place import BUILDKIT
from tests.machine.benchmark.races import Comparison, Contender
from tests.machine.benchmark.rows import Mark
from tests.machine.benchmark.timing import seconds

__all__ = ["cases"]

_TIMES = 4
"""Rounds of these short commands for one round of the others."""
_CHECK = Comparison(
    name="image.check, no change",
    against="a trivial Invoke task",
    mark=Mark(times=1.5),
    ours="image.check",
    theirs=["hello"],
)
_DOCTOR = Comparison(
    name="image.doctor",
    against="a trivial Invoke task",
    mark=Mark(most=5.0),
    ours="image.doctor",
    theirs=["hello"],
)
_LIST = Comparison(
    name="invoke --list with our collection",
    against="invoke --list with a trivial one",
    mark=Mark(more=0.020),
    ours="our list",
    theirs=["trivial list"],
)


def cases(yard: Yard) -> list[Case]:
    """The cases of this module."""
    place = yard.place

    def contender(name: str) -> Contender:
        word, is_ours = {
            "image.check": ("image.check", True),
            "image.doctor": ("image.doctor", True),
            "hello": ("hello", False),
            "our list": ("--list", True),
            "trivial list": ("--list", False),
        }[name]
        folder = yard.project(BUILDKIT).folder if is_ours else place.trivial
        if name == "image.check":  # Without a change means: since it was built.
            seconds([place.invoke(BUILDKIT, folder, "image.build")])
        description = f"invoke {word}, {'our collection' if is_ours else 'a trivial one'}"
        return Contender(name=name, description=description, commands=[place.invoke(BUILDKIT, folder, word)])

    return [
        raced([_DOCTOR], contender, place.traces),
        *(raced([each], contender, place.traces, times=_TIMES) for each in (_CHECK, _LIST)),
    ]
