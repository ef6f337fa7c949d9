"""A smoke test in the cloud: the files that a run needs for it, and the results in the run's log."""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any

from azureml_tasks.context.context_file import ContextFile
from azureml_tasks.engines.acr.task_file import RESERVED, SERVER, WORKSPACE
from azureml_tasks.smoke.container_protocol import ContainerEnd
from azureml_tasks.smoke.event_form import valid_events
from azureml_tasks.smoke.events import make_report, probe_config
from azureml_tasks.smoke.log_excerpt import excerpt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.project.model import SmokeTestPlan
    from azureml_tasks.smoke.report import Report

    Event = dict[str, Any]

OPEN_SHELL = "invoke image.build --engine docker (a candidate image that fails is deleted)"
_LARGEST_EVENTS = 64 * 1024 * 1024
"""Characters of all events, and bytes of one."""
CLOSING = "container"
"""The last event of a smoke test; without it, the log was cut and nothing is judged."""
_MAX_ANSWER = 1024 * 1024
"""Bytes of an answer that are kept: it comes back through the run's log."""
_SCRIPT = (
    'exec "${AZUREML_CONDA_ENVIRONMENT_PATH:-/usr}/bin/python" -I '
    f"{WORKSPACE}/{RESERVED}/probe_in_acr.py {WORKSPACE}/{RESERVED}/probe.json\n"
)


def event_marker(smoke_test: SmokeTestPlan) -> str:
    """Return the start of each log line with events of this smoke test and no other."""
    return f"azureml-image-smoke-test-{smoke_test.sha256[:16]}"


def smoke_test_files(smoke_test: SmokeTestPlan) -> tuple[ContextFile, ...]:
    """Return the folder of the build context with the scripts of the smoke test and their input."""
    scripts = resources.files("azureml_tasks").joinpath("in_image")
    config = {
        **probe_config(smoke_test, f"http://{SERVER}:5001"),
        "container": SERVER,
        "marker": event_marker(smoke_test),
        "limit": _MAX_ANSWER,
    }
    contents = {
        "probe_in_acr.py": scripts.joinpath("probe_in_acr.py").read_bytes(),
        "probe.json": json.dumps(config, sort_keys=True).encode(),
        "probe.py": scripts.joinpath("probe.py").read_bytes(),
        "probe.sh": _SCRIPT.encode(),
    }
    if smoke_test.default_script:
        contents["default_score.py"] = scripts.joinpath("default_score.py").read_bytes()
    return (
        ContextFile(name=f"{RESERVED}/"),
        *(
            ContextFile(name=f"{RESERVED}/{name}", data=content, size=len(content))
            for name, content in contents.items()
        ),
    )


@dataclass(kw_only=True)
class EventCollector:
    """Extracts the events of a smoke test from the lines of a log.

    Args:
        marker: the start of their lines; "" to extract nothing.
        parts: the parts of each event by its number, each by its place.
        part_counts: how many parts each event has.
        size: characters of all lines so far.
    """

    marker: str = ""
    parts: dict[int, dict[int, str]] = field(default_factory=dict)
    part_counts: dict[int, int] = field(default_factory=dict)
    size: int = 0

    def collect(self, line: str) -> bool:
        """Collect *line* and return True if it starts with the marker."""
        if not self.marker or not line.startswith(self.marker):
            return False
        if match := re.fullmatch(r" (\d{1,9}) (\d{1,9})/(\d{1,9}) (\S+)", line[len(self.marker) :]):
            number, place, count = map(int, match.groups()[:3])
            if (number, place) == (0, 1):  # What came before was not the probe.
                self.parts.clear()
                self.part_counts.clear()
                self.size = 0
            self.size += len(line)
            if self.size <= _LARGEST_EVENTS:
                self.parts.setdefault(number, {})[place] = match[4]
                self.part_counts[number] = count
        return True

    def events(self) -> list[Event]:
        """Return the events in order, up to the first that is incomplete."""
        events = []
        for number in range(len(self.parts)):
            parts = self.parts.get(number, {})
            if len(parts) != self.part_counts.get(number):
                break
            text = "".join(parts[place] for place in sorted(parts))
            event = _unpacked(text)
            if event is None:
                break
            events.append(event)
        return events

    def closed_events(self) -> list[Event]:
        """Return the events if the closing one is among them; else none, as nothing can be judged by them."""
        events = self.events()
        return events if events and events[-1]["event"] == CLOSING else []

    @property
    def was_cut(self) -> bool:
        """Whether the smoke test began, and its closing event did not come."""
        return bool(self.parts) and not self.closed_events()


def _unpacked(text: str) -> Event | None:
    """Return the event that *text* holds; None if it holds none, or is larger than any that the probe prints."""
    unpacking = zlib.decompressobj()
    try:
        event = json.loads(unpacking.decompress(base64.b64decode(text), _LARGEST_EVENTS))
    except (ValueError, RecursionError, zlib.error):
        return None
    is_event = unpacking.eof and isinstance(event, dict) and isinstance(event.get("event"), str)
    return event if is_event else None


def report_from_events(plan: Plan, image: BuiltImage, events: Sequence[Event]) -> Report:
    """Return the report of a smoke test in the cloud."""
    events = valid_events(events)
    container = next((event for event in events if event["event"] == CLOSING), {})
    end = ContainerEnd(
        exit_code=None if container.get("running", True) else int(container["exit_code"]),
        out_of_memory=bool(container.get("out_of_memory")),
        peak_memory=container.get("peak_memory"),
        stop_seconds=container.get("stop"),
        log=excerpt([str(container.get("log", "")).encode(errors="replace")]),
    )
    probe_events = [event for event in events if event["event"] != CLOSING]
    place = f"in the cloud, by run {image.run}" if image.run else "in the cloud"
    return make_report(plan, image, probe_events, end, place=place, look_inside=OPEN_SHELL)
