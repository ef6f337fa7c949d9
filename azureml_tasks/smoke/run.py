"""Run an image as Azure ML would, send it the requests of the settings, and report on the answers."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from importlib import resources
from typing import TYPE_CHECKING, Any

from azureml_tasks.errors import EngineError
from azureml_tasks.in_image import probe
from azureml_tasks.smoke.events import from_events, job

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.reporter import Reporter
    from azureml_tasks.smoke.container import Container, Runner
    from azureml_tasks.smoke.report import Report

__all__ = ["ContainerEnd", "make_report", "smoke_test"]

_INSIDE = "/tmp/azureml-image-probe"  # noqa: S108 -- a folder of the container, which is thrown away
_SLOW_STOP = 5.0
"""Seconds after which an orchestrator's patience is at stake: half of Docker's own grace."""


def smoke_test(plan: Plan, image: BuiltImage, engine: Runner, reporter: Reporter) -> Report | None:
    """Run *image* and ask it everything that the smoke test asks; None under --dry.

    Raises:
        EngineError: the image could not be run at all.
    """
    with engine.running(image, plan.smoke_test, plan.repository) as container:
        if container is None:
            return None
        reporter.say(f"waiting for {image.names[0]} to answer, {plan.smoke_test.start_timeout:g} s at most")
        events, place = _ask(container, plan, reporter)
        state = container.state()
        end = ContainerEnd(
            exited=None if state.running else state.exit_code,
            starved=container.starved() if state.running else state.out_of_memory,
            peak_memory=container.peak_memory() if state.running else None,
            stop=container.stop() if state.running else None,
        )
        log = container.log()
    look_inside = f"docker run --rm -it --entrypoint bash {image.id[7:19]}"
    return make_report(plan, image, events, replace(end, log=log), place=place, look_inside=look_inside)


@dataclass(frozen=True, kw_only=True)
class ContainerEnd:
    """How the container was when everything had been asked.

    Args:
        exited: its exit code; None while it ran.
        starved: whether memory ran out in it.
        peak_memory: bytes; None where it was not measured.
        stop: seconds that it took to stop; None where it was not asked to.
        log: all that it had printed.
    """

    exited: int | None = None
    starved: bool = False
    peak_memory: int | None = None
    stop: float | None = None
    log: str = ""


def make_report(
    plan: Plan,
    image: BuiltImage,
    events: Iterable[Mapping[str, Any]],
    end: ContainerEnd,
    *,
    place: str,
    look_inside: str,
) -> Report:
    """Judge what the prober saw of *image* from *place*, wherever it ran."""
    memory = plan.smoke_test.memory or "no limit set"
    starved = f"the kernel ended a process in the container, since memory ran out ({memory})"
    return from_events(
        events,
        plan.smoke_test.requests,
        image=image.names[0],
        image_id=image.id,
        place=place,
        look_inside=look_inside,
        log=end.log,
        exited=end.exited,
        peak_memory=end.peak_memory,
        warnings=[
            *_of_code(plan),
            *_of_user(image),
            *_of_stop(end.stop or 0.0),
            *([starved] if end.starved else []),
        ],
    )


def _ask(container: Container, plan: Plan, reporter: Reporter) -> tuple[list[dict[str, Any]], str]:
    """Everything the prober saw, and from where: this machine, or inside where the port is not here."""
    events: list[dict[str, Any]] = []
    address = container.address()
    if address:

        def emit(event: dict[str, Any]) -> None:
            _say(event, reporter)
            events.append(event)

        probe.run(
            job(plan.smoke_test, address),
            emit,
            alive=lambda: container.state().running,
            unreachable=lambda: _answers_inside(container),
        )
        if not any(event["event"] == "elsewhere" for event in events):
            return events, f"through {address.removeprefix('http://')}"
    why = (
        "since the published port is not on this machine"
        if address
        else "since the engine is on another machine"
    )
    reporter.say(f"asking from inside the container, {why}")
    events = list(_inside(container, plan, reporter))
    if not events and container.state().running:
        raise EngineError(
            f"The image has no Python that could ask from inside the container, {why}.",
            next_step="Run the smoke test where the engine runs.",
        )
    return events, f"inside the container, {why}"


def _say(event: dict[str, Any], reporter: Reporter) -> None:
    if event["event"] == "waiting":
        reporter.say(f"  {event['seconds']:.1f} s: {event['last']}")
    elif event["event"] == "ready":
        reporter.say(f"  {event['seconds']:.1f} s: ready")


def _python(script: str) -> list[str]:
    """The image's own Python, whichever family it is of."""
    return ["/bin/sh", "-c", f'exec "${{AZUREML_CONDA_ENVIRONMENT_PATH:-/usr}}/bin/python" -I {script}']


def _inside(container: Container, plan: Plan, reporter: Reporter) -> Iterator[dict[str, Any]]:
    script = resources.files("azureml_tasks").joinpath("in_image/probe.py").read_bytes()
    asked = json.dumps(job(plan.smoke_test, "http://127.0.0.1:5001")).encode()
    container.put(_INSIDE, {"probe.py": script, "job.json": asked})
    for line in container.lines(_python(f"{_INSIDE}/probe.py {_INSIDE}/job.json")):
        event: dict[str, Any] = json.loads(line)
        _say(event, reporter)
        yield event


_KNOCK = "import socket; socket.create_connection(('127.0.0.1', 5001), 2); print('open')"


def _answers_inside(container: Container) -> bool:
    """Whether port 5001 is open inside: refused here and open there, it is published somewhere else."""
    return list(container.lines(_python(f'-c "{_KNOCK}"'))) == ["open"]


def _of_code(plan: Plan) -> list[str]:
    if not plan.smoke_test.default_script:
        return []
    return [
        "the image has no code, so an entry script of ours showed that the server starts with its packages"
    ]


def _of_user(image: BuiltImage) -> list[str]:
    return ["the image runs as root"] if image.user in {"", "0", "root"} else []


def _of_stop(seconds: float) -> list[str]:
    if seconds < _SLOW_STOP:
        return []
    return [
        f"the container took {seconds:.1f} s to stop: its base does not end its services when it is asked to"
    ]
