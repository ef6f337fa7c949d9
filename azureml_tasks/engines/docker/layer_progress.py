"""Report the progress of a pull or a push by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from azureml_tasks.engines.docker.answers import event_details

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from azureml_tasks.reporter import Reporter

    Event = dict[str, Any]

DONE = {"Pull complete", "Already exists", "Pushed", "Layer already exists"}
"""The statuses of a layer that has arrived."""
_MOVING = {"Downloading", "Extracting", "Pushing"}


def show_progress(events: Iterable[Event], reporter: Reporter) -> Iterator[Event]:
    """Yield each of *events*, and report the layer that it is about.

    An event is a JSON line of the engine's API (POST /images/create, /images/NAME/push): `id` of the layer, `status`,
    and `progressDetail` with `current` and `total` bytes.

    Raises:
        UnreadableAnswer: an event is none.
    """
    sizes: dict[str, int] = {}
    for event in map(event_details, events):
        layer, status = str(event.get("id", "")), str(event.get("status"))
        detail = event.get("progressDetail") or {}
        sizes[layer] = int(detail.get("total") or sizes.get(layer, 0))
        if layer and status in DONE:
            reporter.layer(layer, current=sizes[layer], total=sizes[layer], arrived=status.lower())
        elif layer and status in _MOVING:
            reporter.layer(layer, current=int(detail.get("current") or 0), total=sizes[layer])
        yield event
