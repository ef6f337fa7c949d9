"""The progress of a pull or a push, layer by layer: bars in a terminal, else a line for each that is done."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from azureml_tasks.reporter import Reporter

    Event = dict[str, Any]

__all__ = ["shown"]

_DONE = {"Pull complete", "Already exists", "Pushed", "Layer already exists"}
_MOVING = {"Downloading", "Extracting", "Pushing"}


def shown(events: Iterable[Event], reporter: Reporter) -> Iterator[Event]:
    """Pass the engine's *events* on and show what they say of each layer.

    An event is one JSON line of the engine's API (POST /images/create, /images/NAME/push): `id` is
    the layer's, `status` what happens to it, `progressDetail` holds `current` and `total` bytes.
    """
    follow = _bars if sys.stderr.isatty() else _lines
    yield from follow(events, reporter)


def _lines(events: Iterable[Event], reporter: Reporter) -> Iterator[Event]:
    sizes: dict[str, int] = {}
    for event in events:
        layer, status = str(event.get("id", "")), event.get("status")
        sizes[layer] = (event.get("progressDetail") or {}).get("total") or sizes.get(layer, 0)
        if layer and status in _DONE:
            size = f"{sizes[layer] / 1e6:,.1f} MB, " if sizes[layer] else ""
            reporter.say(f"  layer {layer}: {size}{str(status).lower()}")
        yield event


def _bars(events: Iterable[Event], reporter: Reporter) -> Iterator[Event]:
    from tqdm import tqdm

    del reporter
    with ExitStack() as open_bars:
        bars: dict[str, Any] = {}
        for event in events:
            layer, detail = str(event.get("id", "")), event.get("progressDetail") or {}
            if event.get("status") in _MOVING and detail.get("total"):
                if layer not in bars:
                    bars[layer] = tqdm(desc=layer, unit="B", unit_scale=True, leave=False)
                    open_bars.callback(bars[layer].close)
                bars[layer].total = detail["total"]
                bars[layer].update(detail.get("current", 0) - bars[layer].n)
            yield event
