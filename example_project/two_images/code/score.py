"""Predict what the model of the image predicts: the fares or the tips of taxi rides.

A request is `{"rides": [[miles, minutes], …]}`.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np


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
    weights = model()
    rides = np.array(json.loads(data)["rides"], dtype=float)
    predicted = rides @ [weights["per_mile"], weights["per_minute"]] + weights["flag"]
    return {weights["predicts"]: predicted.round(2).tolist()}
