"""Events in the lines of a log: each is one or more lines, see `in_image/probe_in_acr.py`."""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azureml_tasks.project.model import SmokeTestPlan

    Event = dict[str, Any]

CLOSING = "container"
"""The last event of a smoke test; without it, the log was cut and nothing is judged."""
_LARGEST_EVENTS = 64 * 1024 * 1024
"""Characters of all events, and bytes of one."""


def event_marker(smoke_test: SmokeTestPlan) -> str:
    """Return the start of each log line with events of this smoke test and no other."""
    return f"azureml-image-smoke-test-{smoke_test.sha256[:16]}"


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
