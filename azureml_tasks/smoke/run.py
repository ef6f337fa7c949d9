"""Run an image as Azure ML would, send it the requests of the settings, and report on the answers."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import TYPE_CHECKING, Any, cast

from azureml_tasks.errors import EngineError, SmokeTestError
from azureml_tasks.in_image import probe
from azureml_tasks.signals import raise_received
from azureml_tasks.smoke.container_protocol import FIND_PYTHON, ContainerEnd, end_of
from azureml_tasks.smoke.event_form import parse_event, valid_events
from azureml_tasks.smoke.event_lines import CLOSING, EventCollector, event_marker
from azureml_tasks.smoke.events import make_report, probe_config
from azureml_tasks.smoke.report import report_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.reporter import Reporter
    from azureml_tasks.smoke.container_protocol import Container, Runner
    from azureml_tasks.smoke.report import Report

_FOLDER = "/tmp/azureml-image-probe"  # noqa: S108 -- a folder of the container, which is thrown away
_SPARE = 60.0
"""Seconds that a container may take to start and to end."""
_LAST_WORDS = 10.0
"""Seconds that the engine may take to say what a container has printed that is about to be removed."""
_OPEN_SHELL = "invoke image.shell"
_CONNECT = "import socket; socket.create_connection(('127.0.0.1', {port}), 2); print('open')"


def smoke_test(
    plan: Plan,
    image: BuiltImage,
    engine: Runner,
    reporter: Reporter,
    keep_log: Callable[[str], None] = lambda _: None,
) -> Report | None:
    """Run *image* and send it the requests of *plan*; return None under --dry.

    Args:
        plan: with the requests.
        image: to run.
        engine: runs it.
        reporter: shows progress.
        keep_log: takes what the container has printed if there will be no report, as after Ctrl-C.

    Raises:
        EngineError: the image could not be run.
    """
    with engine.running(image, plan.smoke_test) as container:
        if container is None:
            return None
        with _log_kept(container, keep_log):
            if plan.smoke_test.mini_batch:
                events, end, place = _call(container, plan, reporter)
            else:
                events, end, place = _ask(container, plan, image, reporter)
    return make_report(plan, image, events, end, place=place, look_inside=_OPEN_SHELL)


@contextmanager
def answering(plan: Plan, image: BuiltImage, engine: Runner, reporter: Reporter) -> Iterator[Container]:
    """Run *image* for the block, which begins once the health check answers; nothing else is sent.

    Raises:
        SmokeTestError: it does not answer in time.
        EngineError: the image could not be run, or its port is not on this machine.
    """
    with engine.running(image, plan.smoke_test) as running:
        container = cast("Container", running)  # There is no --dry here.
        address = container.address()
        reporter.say(f"waiting for {image.names[0]} to answer, {plan.smoke_test.start_timeout:g} s at most")
        config = probe_config(plan.smoke_test, address, health_only=True)
        events = _probe_outside(container, plan.smoke_test.port, config, reporter) if address else []
        names = {event["event"] for event in events}
        if not address or "elsewhere" in names:
            what = "The engine is on another machine, so its containers cannot be reached from here."
            raise EngineError(what, next_step="Run this where the engine runs.")
        if "ready" not in names:
            raise SmokeTestError(report_text(_report_of_start(plan, image, container, events, address)))
        yield container


def _report_of_start(
    plan: Plan, image: BuiltImage, container: Container, events: list[dict[str, Any]], address: str
) -> Report:
    state = container.state()
    end = ContainerEnd(
        exit_code=None if state.running else state.exit_code,
        out_of_memory=state.out_of_memory,
        log=container.log(),
    )
    place = f"through {address.removeprefix('http://')}"
    return make_report(plan, image, events, end, place=place, look_inside=_OPEN_SHELL)


@contextmanager
def _log_kept(container: Container, keep_log: Callable[[str], None]) -> Iterator[None]:
    """Keep what the container has printed if the block ends with an error, also with one of a signal."""
    try:
        yield
    except BaseException:
        text = None
        with suppress(Exception):  # The first error counts, and may be why there is no log.
            text = container.log(_LAST_WORDS).text
        if text is not None:
            keep_log(text)
        raise


def _call(
    container: Container, plan: Plan, reporter: Reporter
) -> tuple[list[dict[str, Any]], ContainerEnd, str]:
    """Read what the driver of a mini-batch prints; return its events, the container's end, and where it ran."""
    smoke_test = plan.smoke_test
    count = len(smoke_test.mini_batch)
    reporter.say(f"calling init() and run() with a mini-batch of {count} file{'s' if count > 1 else ''}")
    collector = EventCollector(marker=event_marker(smoke_test))
    for line in container.printed(smoke_test.start_timeout + smoke_test.mini_batch_timeout + _SPARE):
        raise_received()
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
    address = container.address()
    if address:
        config = probe_config(plan.smoke_test, address)
        events = _probe_outside(container, plan.smoke_test.port, config, reporter)
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


def _probe_outside(
    container: Container, port: int, config: dict[str, Any], reporter: Reporter
) -> list[dict[str, Any]]:
    """Send what *config* says from this machine; return the probe's events."""
    events: list[dict[str, Any]] = []
    with _progress(reporter) as progress:

        def emit(event: dict[str, Any]) -> None:
            progress.take(event)
            events.append(event)

        def is_alive() -> bool:
            raise_received()  # Python may have dropped the exception of a signal, and this wait takes minutes.
            progress.show()
            return container.state().running

        probe.run(config, emit, alive=is_alive, unreachable=lambda: _answers_inside(container, port))
    return events


@dataclass(kw_only=True)
class _Progress:
    """Shows how long the server has not been ready and why, in one line, and when it was.

    Args:
        reporter: shows it.
        began: seconds of the clock.
        last: why it is not ready; "" if nothing is known, or if it is.
    """

    reporter: Reporter
    began: float = field(default_factory=time.monotonic)
    last: str = ""

    def take(self, event: dict[str, Any]) -> None:
        """Show what *event* says."""
        self.last = str(event["last"]) if event["event"] == "waiting" else ""
        if event["event"] == "ready":
            self.reporter.update("")
            self.reporter.say(f"  {event['seconds']:.1f} s: ready")
        self.show()

    def show(self) -> None:
        """Show how long it has lasted by now."""
        if self.last:
            self.reporter.update(f"  {time.monotonic() - self.began:.1f} s: {self.last}")


@contextmanager
def _progress(reporter: Reporter) -> Iterator[_Progress]:
    """Yield what shows progress, and take its line away in any case: an error may be what is printed next."""
    try:
        yield _Progress(reporter=reporter)
    finally:
        reporter.update("")


def _probe_inside(container: Container, plan: Plan, reporter: Reporter) -> Iterator[dict[str, Any]]:
    script = resources.files("azureml_tasks").joinpath("in_image/probe.py").read_bytes()
    base_url = f"http://127.0.0.1:{plan.smoke_test.port}"
    config = json.dumps(probe_config(plan.smoke_test, base_url)).encode()
    container.put(_FOLDER, {"probe.py": script, "probe.json": config})
    with _progress(reporter) as progress:
        for line in container.lines(_python(f"{_FOLDER}/probe.py {_FOLDER}/probe.json")):
            raise_received()
            if event := parse_event(line):
                progress.take(event)
                yield event


def _answers_inside(container: Container, port: int) -> bool:
    """Return whether the *port* is open inside: if it is refused here, it is published on another machine."""
    return list(container.lines(_python(f'-c "{_CONNECT.format(port=port)}"'))) == ["open"]


def _python(arguments: str) -> list[str]:
    """Return the command that runs the image's Python, in any family of base images."""
    return ["/bin/sh", "-c", f'exec "{FIND_PYTHON}" -I {arguments}']
