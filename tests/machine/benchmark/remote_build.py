"""What a second remote build sends to ACR after one line of code has changed, against the first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from unittest import mock

from tests.machine.acr import loopback
from tests.machine.acr.data_plane import DataPlane
from tests.machine.acr.messages import Answer, Request
from tests.machine.acr.storage import Storage
from tests.machine.benchmark.building import Yard
from tests.machine.benchmark.cases import Case
from tests.machine.benchmark.place import BUILDKIT, Place
from tests.machine.benchmark.project import Project
from tests.machine.benchmark.races import say
from tests.machine.benchmark.rows import Heading, Mark, Measured, Row
from tests.machine.benchmark.timing import Command

__all__ = ["case"]

_NAME, _AGAINST = "bytes sent to ACR, one line of code changed", "the first remote build of the same project"
_MORE = 10**6
"""Bytes that a remote build may send beside the files of the step that has changed."""


def case(yard: Yard) -> Case:
    """The case of this module; bytes do not vary, so it is measured once."""
    heading = Heading(name=_NAME, against=_AGAINST, mark=Mark(most=_MORE))

    def measure(_headings: Sequence[Heading], _rounds: int) -> Iterable[Row]:
        place = yard.place
        project = place.project("acr")
        with _counted() as sent, loopback.running(place.host) as acr:
            command = _build(place, project, acr)
            first, second = _bytes(command, sent), _bytes(command, sent, project.change_a_line)
        yield Row(
            heading=replace(heading, mark=Mark(most=project.code_bytes() + _MORE)),
            ours=Measured(
                description="image.build --engine acr after a line of code has changed", numbers=[second]
            ),
            theirs=Measured(description="image.build --engine acr for the first time", numbers=[first]),
            unit="B",
            notes=["bodies of all requests to storage and registry, but for those of ACR's own agent"],
        )

    return Case(headings=[heading], measure=measure)


def _build(place: Place, project: Project, acr: loopback.Acr) -> Command:
    words = ("image.build", "--engine", "acr", "--registry", acr.login_server)
    command = place.invoke(BUILDKIT, project.folder, *words)
    return replace(command, env={**command.env, **acr.environment()})


def _bytes(command: Command, sent: list[int], before: Callable[[], object] = lambda: None) -> float:
    before()
    sent.clear()
    took = command.seconds()
    say(f"built remotely in {took:.1f} s; {sum(sent)} bytes sent")
    return float(sum(sent))


@contextmanager
def _counted() -> Iterator[list[int]]:
    """The sizes of all blocks that clients send to storage and to the registry, as they come."""
    sent: list[int] = []
    with _counting(Storage, sent), _counting(DataPlane, sent):
        yield sent


def _counting(of: type[Storage | DataPlane], sent: list[int]) -> AbstractContextManager[object]:
    answer = of.answer

    def counted(self: Storage | DataPlane, request: Request) -> Answer:
        if request.headers.get("user-agent", "").startswith("docker"):  # the agent's own client
            return answer(self, request)  # type: ignore[arg-type]  # each class gets its own
        return answer(self, replace(request, blocks=_noted(request.blocks, sent)))  # type: ignore[arg-type]

    return mock.patch.object(of, "answer", counted)


def _noted(blocks: Iterator[bytes], sent: list[int]) -> Iterator[bytes]:
    for block in blocks:
        sent.append(len(block))
        yield block
