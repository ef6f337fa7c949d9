"""The smoke test's time beyond what the server itself takes to get ready."""

from __future__ import annotations

import calendar
import re
import subprocess
import time
from collections.abc import Iterable, Sequence

from tests.machine.benchmark.building import Yard
from tests.machine.benchmark.cases import Case
from tests.machine.benchmark.place import BUILDKIT, Place
from tests.machine.benchmark.project import Project
from tests.machine.benchmark.races import say
from tests.machine.benchmark.rows import Heading, Mark, Measured, Row
from tests.machine.benchmark.timing import FailedError, end

__all__ = ["case"]

_HEADING = Heading(
    name="smoke test, container start to verdict on one request",
    against="the server's own ready line after a plain docker run",
    mark=Mark(more=0.3),
)
_READY = re.compile(rb"^(\d{4}-\d\d-\d\dT\S+)Z .*ready for serving traffic", re.MULTILINE)
_NANO = 10**9


def case(yard: Yard) -> Case:
    """The case of this module."""

    def measure(_headings: Sequence[Heading], rounds: int) -> Iterable[Row]:
        place, project = yard.place, yard.project(BUILDKIT)
        place.invoke(BUILDKIT, project.folder, "image.build").seconds()
        ours, theirs = [], []
        for number in range(rounds + 1):
            verdict, ready = _verdict(place, project), _plain(place, project)
            say(f"round {number} of {rounds}: verdict after {verdict:.2f} s, ready line after {ready:.2f} s")
            if number:  # The first reads the image from disk.
                ours.append(verdict)
                theirs.append(ready)
        yield Row(
            heading=_HEADING,
            ours=Measured(description=f"invoke image.smoke-test ({place.words[BUILDKIT]})", numbers=ours),
            theirs=Measured(description="docker run --detach, with the image's own command", numbers=theirs),
            notes=[
                "both count from the engine's event that the container has started; ours to the first line of",
                "the verdict, so the request, a malformed body and the container's stop are in it",
            ],
        )

    return Case(headings=[_HEADING], measure=measure)


def _verdict(place: Place, project: Project) -> float:
    """Seconds from the container's start to the verdict, as a person sees it."""
    run = place.invoke(BUILDKIT, project.folder, "image.smoke-test")
    began = int(time.time())
    process = subprocess.Popen(
        list(run.words),
        cwd=run.folder,
        env=dict(run.env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        line = process.stdout.readline() if process.stdout else b""
        verdict = time.time()
        rest = process.communicate()[0]
    except BaseException:
        end(process)
        raise
    if process.returncode:
        words = (line + rest).decode(errors="replace")
        raise FailedError(f"`invoke image.smoke-test` ended with {process.returncode}:\n{words}")
    return verdict - _started(place, project, began)


def _plain(place: Place, project: Project) -> float:
    """Seconds from the container's start to the server's own line that it is ready."""
    began = int(time.time())
    container = place.client.containers.run(f"{project.name}:1.0.0", detach=True)
    try:
        start = _started(place, project, began)
        log = b""
        for block in container.logs(stream=True, follow=True, timestamps=True):
            log += block
            if match := _READY.search(log):
                return _moment(match.group(1).decode()) - start
        raise FailedError("the server ended before it was ready")
    finally:
        container.remove(force=True, v=True)


def _started(place: Place, project: Project, since: int) -> float:
    """When the engine last started a container of the project's image, in seconds since the epoch."""
    name = f"{project.name}:1.0.0"
    images = [name, place.client.images.get(name).id]  # a container is known by what it was started as
    filters: dict[str, object] = {"type": "container", "event": "start", "image": images}
    until = int(time.time()) + 1
    events = list(place.client.api.events(since=since, until=until, decode=True, filters=filters))
    if not events:
        raise FailedError(f"the engine knows of no container of {name} that was started")
    return float(events[-1]["timeNano"]) / _NANO


def _moment(text: str) -> float:
    """Seconds since the epoch of a time with nine digits after its point, in UTC."""
    whole, _, fraction = text.partition(".")
    seconds = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S"))
    return seconds + float(f"0.{fraction}")
