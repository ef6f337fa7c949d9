"""Run an image as Azure ML would, send it the requests of the settings, and report on the answers."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources
from typing import TYPE_CHECKING, Any

from azureml_tasks.errors import EngineError
from azureml_tasks.in_image import probe
from azureml_tasks.smoke.container_protocol import FIND_PYTHON, ContainerEnd, end_of
from azureml_tasks.smoke.event_form import parse_event, valid_events
from azureml_tasks.smoke.event_lines import CLOSING, EventCollector, event_marker
from azureml_tasks.smoke.events import make_report, probe_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.reporter import Reporter
    from azureml_tasks.smoke.container_protocol import Container, Runner
    from azureml_tasks.smoke.report import Report

_FOLDER = "/tmp/azureml-image-probe"  # noqa: S108 -- a folder of the container, which is thrown away
_SPARE = 60.0
"""Seconds that a container may take to start and to end."""
_CONNECT = "import socket; socket.create_connection(('127.0.0.1', {port}), 2); print('open')"


def smoke_test(plan: Plan, image: BuiltImage, engine: Runner, reporter: Reporter) -> Report | None:
    """Run *image* and send it the requests of *plan*; return None under --dry.

    Raises:
        EngineError: the image could not be run.
    """
    with engine.running(image, plan.smoke_test) as container:
        if container is None:
            return None
        if plan.smoke_test.mini_batch:
            events, end, place = _call(container, plan, reporter)
        else:
            events, end, place = _ask(container, plan, image, reporter)
    look_inside = f"docker run --rm -it --entrypoint bash {image.id[7:19]}"
    return make_report(plan, image, events, end, place=place, look_inside=look_inside)


def _call(
    container: Container, plan: Plan, reporter: Reporter
) -> tuple[list[dict[str, Any]], ContainerEnd, str]:
    """Read what the driver of a mini-batch prints; return its events, the container's end, and where it ran."""
    smoke_test = plan.smoke_test
    count = len(smoke_test.mini_batch)
    reporter.say(f"calling init() and run() with a mini-batch of {count} file{'s' if count > 1 else ''}")
    collector = EventCollector(marker=event_marker(smoke_test))
    for line in container.printed(smoke_test.start_timeout + smoke_test.mini_batch_timeout + _SPARE):
        collector.collect(line)
    events = valid_events(collector.events())
    place = "called in the image, as by a batch deployment"
    if events and events[-1]["event"] == CLOSING:
        return events, end_of(events[-1]), place
    state = container.state()
    end = ContainerEnd(exit_code=state.exit_code, out_of_memory=state.out_of_memory, log=container.log())
    return events, end, place


def _ask(
    container: Container, plan: Plan, image: BuiltImage, reporter: Reporter
) -> tuple[list[dict[str, Any]], ContainerEnd, str]:
    """Send the requests; return the probe's events, the container's end, and where they were sent from."""
    reporter.say(f"waiting for {image.names[0]} to answer, {plan.smoke_test.start_timeout:g} s at most")
    events, place = _probe(container, plan, reporter)
    state = container.state()
    end = ContainerEnd(
        exit_code=None if state.running else state.exit_code,
        out_of_memory=container.ran_out_of_memory() if state.running else state.out_of_memory,
        peak_memory=container.peak_memory() if state.running else None,
        stop_seconds=container.stop() if state.running else None,
    )
    # The log is complete once the container has stopped.
    return events, replace(end, log=container.log()), place


def _probe(container: Container, plan: Plan, reporter: Reporter) -> tuple[list[dict[str, Any]], str]:
    """Send the requests from this machine or, if the port is not published here, from inside the container.

    Returns:
        The probe's events, and where the requests were sent from.
    """
    events: list[dict[str, Any]] = []
    address = container.address()
    if address:

        def emit(event: dict[str, Any]) -> None:
            _report_progress(event, reporter)
            events.append(event)

        probe.run(
            probe_config(plan.smoke_test, address),
            emit,
            alive=lambda: container.state().running,
            unreachable=lambda: _answers_inside(container, plan.smoke_test.port),
        )
        if not any(event["event"] == "elsewhere" for event in events):
            return events, f"through {address.removeprefix('http://')}"
    why = (
        "because the published port is not on this machine"
        if address
        else "because the engine is on another machine"
    )
    reporter.say(f"sending the requests from inside the container, {why}")
    events = list(_probe_inside(container, plan, reporter))
    if not events and container.state().running:
        raise EngineError(
            f"The image has no Python to send the requests from inside the container, {why}.",
            next_step="Run the smoke test where the engine runs.",
        )
    return events, f"inside the container, {why}"


def _report_progress(event: dict[str, Any], reporter: Reporter) -> None:
    if event["event"] == "waiting":
        reporter.say(f"  {event['seconds']:.1f} s: {event['last']}")
    elif event["event"] == "ready":
        reporter.say(f"  {event['seconds']:.1f} s: ready")


def _probe_inside(container: Container, plan: Plan, reporter: Reporter) -> Iterator[dict[str, Any]]:
    script = resources.files("azureml_tasks").joinpath("in_image/probe.py").read_bytes()
    base_url = f"http://127.0.0.1:{plan.smoke_test.port}"
    config = json.dumps(probe_config(plan.smoke_test, base_url)).encode()
    container.put(_FOLDER, {"probe.py": script, "probe.json": config})
    for line in container.lines(_python(f"{_FOLDER}/probe.py {_FOLDER}/probe.json")):
        if event := parse_event(line):
            _report_progress(event, reporter)
            yield event


def _answers_inside(container: Container, port: int) -> bool:
    """Return whether the *port* is open inside: if it is refused here, it is published on another machine."""
    return list(container.lines(_python(f'-c "{_CONNECT.format(port=port)}"'))) == ["open"]


def _python(arguments: str) -> list[str]:
    """Return the command that runs the image's Python, in any family of base images."""
    return ["/bin/sh", "-c", f'exec "{FIND_PYTHON}" -I {arguments}']
