"""How long a changed line of code takes until the server of `image.serve` answers with it."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress

from tests.machine.benchmark.building import Yard
from tests.machine.benchmark.cases import Case
from tests.machine.benchmark.place import BUILDKIT, Place
from tests.machine.benchmark.project import Project
from tests.machine.benchmark.races import say
from tests.machine.benchmark.rows import Heading, Mark, Measured, Row
from tests.machine.benchmark.timing import FailedError, end, seconds

__all__ = ["case"]

_HEADING = Heading(
    name="image.serve, a changed line of code to its answer",
    against="image.build and image.smoke-test of the same change",
    mark=Mark(most=2.0),
)
_PATIENCE = 120.0  # seconds until an answer


def case(yard: Yard) -> Case:
    """The case of this module."""

    def measure(_headings: Sequence[Heading], rounds: int) -> Iterable[Row]:
        place, project = yard.place, yard.project(BUILDKIT)
        commands = [
            place.invoke(BUILDKIT, project.folder, word) for word in ("image.build", "image.smoke-test")
        ]
        seconds(commands)
        ours, theirs = [], []
        with _serving(place, project) as port:
            _await(port, project.state())
            for number in range(1, rounds + 1):
                project.change_a_line()
                began = time.perf_counter()
                _await(port, project.state())
                answered = time.perf_counter() - began
                tested = seconds(commands)
                say(
                    f"round {number} of {rounds}: answered after {answered:.2f} s, tested after {tested:.2f} s"
                )
                ours.append(answered)
                theirs.append(tested)
        yield Row(
            heading=_HEADING,
            ours=Measured(description=f"invoke image.serve ({place.words[BUILDKIT]})", numbers=ours),
            theirs=Measured(description="invoke image.build, then invoke image.smoke-test", numbers=theirs),
            notes=["ours counts from the file that is written to the first answer of the new code"],
        )

    return Case(headings=[_HEADING], measure=measure)


@contextmanager
def _serving(place: Place, project: Project) -> Iterator[int]:
    """Serve the project's image for the block; yield the port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    run = place.invoke(BUILDKIT, project.folder, "image.serve", "--port", str(port))
    process = subprocess.Popen(
        list(run.words),
        cwd=run.folder,
        env=dict(run.env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield port
    finally:
        end(process)
        process.wait()


def _await(port: int, state: str) -> None:
    """Ask until the answer has *state*.

    Raises:
        FailedError: it does not come.
    """
    until = time.monotonic() + _PATIENCE
    while _state(port) != state:
        if time.monotonic() > until:
            raise FailedError(f"image.serve has not answered with a changed line within {_PATIENCE:.0f} s")
        time.sleep(0.01)  # Nobody tells when the server answers; it can only be asked.


def _state(port: int) -> str:
    """What the server says of its code; "" where it does not answer."""
    headers = {"Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    with closing(connection), suppress(OSError, http.client.HTTPException, ValueError):
        connection.request("POST", "/score", b'{"numbers": [1]}', headers)
        told = json.loads(connection.getresponse().read())
        return str(told["state"])
    return ""
