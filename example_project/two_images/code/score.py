"""Predict what the model of the image predicts: the fares or the tips of taxi rides.

A request is `{"rides": [{"at": "1 May 2024, 5:30 pm", "miles": 3.0, "minutes": 10.0}, …]}`.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from dateutil.parser import parse

RUSH_HOURS = range(16, 20)


@cache
def model() -> dict[str, Any]:
    """Return the weights, which are read once."""
    weights: dict[str, Any] = json.loads(Path(os.environ["AZUREML_MODEL_DIR"], "weights.json").read_text())
    return weights


def init() -> None:
    """Load the model before the server reports that it is healthy."""
    model()


def run(data: str) -> dict[str, list[float]]:
    """Return one number for each ride, under the name of what the model predicts."""
    return {model()["predicts"]: [predicted(ride) for ride in json.loads(data)["rides"]]}


def predicted(ride: dict[str, Any]) -> float:
    """Return the dollars of one ride, in cents exactly."""
    weights = model()
    dollars: float = (
        weights["start"] + weights["per_mile"] * ride["miles"] + weights["per_minute"] * ride["minutes"]
    )
    in_rush_hour = parse(ride["at"]).hour in RUSH_HOURS
    return round(dollars + in_rush_hour * weights["rush_hour"], 2)
