"""Show the progress of a pull or a push by layer: bars in a terminal, else one line for each finished layer."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from azureml_tasks.engines.docker.answers import event_details
from azureml_tasks.plain_text import one_line
from azureml_tasks.sizes import size_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from azureml_tasks.reporter import Reporter

    Event = dict[str, Any]

DONE = {"Pull complete", "Already exists", "Pushed", "Layer already exists"}
"""The statuses of a layer that has arrived."""
_MOVING = {"Downloading", "Extracting", "Pushing"}


def show_progress(events: Iterable[Event], reporter: Reporter) -> Iterator[Event]:
    """Yield each of *events*, and show the layer that it is about.

    An event is a JSON line of the engine's API (POST /images/create, /images/NAME/push): `id` of the layer, `status`,
    and `progressDetail` with `current` and `total` bytes.

    Raises:
        UnreadableAnswer: an event is none.
    """
    events = map(event_details, events)
    yield from _with_bars(events) if sys.stderr.isatty() else _with_lines(events, reporter)


def _with_lines(events: Iterable[Event], reporter: Reporter) -> Iterator[Event]:
    sizes: dict[str, int] = {}
    for event in events:
        layer, status = str(event.get("id", "")), event.get("status")
        sizes[layer] = (event.get("progressDetail") or {}).get("total") or sizes.get(layer, 0)
        if layer and status in DONE:
            size = f"{size_text(sizes[layer])}, " if sizes[layer] else ""
            reporter.say(f"  layer {layer}: {size}{str(status).lower()}")
        yield event


def _with_bars(events: Iterable[Event]) -> Iterator[Event]:
    from tqdm import tqdm

    with ExitStack() as open_bars:
        bars: dict[str, Any] = {}
        for event in events:
            layer, detail = str(event.get("id", "")), event.get("progressDetail") or {}
            if event.get("status") in _MOVING and detail.get("total"):
                if layer not in bars:
                    bars[layer] = tqdm(desc=one_line(layer), unit="B", unit_scale=True, leave=False)
                    open_bars.callback(bars[layer].close)
                bars[layer].total = detail["total"]
                bars[layer].update(detail.get("current", 0) - bars[layer].n)
            yield event
