"""Predict the iris species from a flower's measurements.

A request is `{"flowers": [[sepal length, sepal width, petal length, petal width], …]}`, in cm.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import joblib
from azureml_inference_server_http.api.aml_response import AMLResponse

MEASUREMENTS = 4
LONGEST = 100.0


@cache
def model() -> Any:
    """Return the trained classifier, which is read once."""
    # The model is in this folder if it is in the image, and in a folder below it if Azure ML mounts it.
    return joblib.load(next(Path(os.environ["AZUREML_MODEL_DIR"]).rglob("iris.joblib")))


def init() -> None:
    """Load the model before the server reports that it is healthy."""
    model()


def run(data: str) -> dict[str, list[Any]] | AMLResponse:
    """Return the species of each flower and the probability of each species, in alphabetical order."""
    try:
        flowers = flowers_in(json.loads(data))
    except ValueError as error:
        return AMLResponse({"message": str(error)}, 400, json_str=True)
    return {
        "species": model().predict(flowers).tolist(),
        "probabilities": model().predict_proba(flowers).tolist(),
    }


def flowers_in(request: Any) -> list[list[float]]:
    """Return the measurements of a request; raise ValueError if it is not as described above."""
    flowers = request.get("flowers") if isinstance(request, dict) else None
    if not isinstance(flowers, list) or not flowers:
        raise ValueError('the request must be {"flowers": [[…], …]} with at least one flower')
    for number, flower in enumerate(flowers, 1):
        if not isinstance(flower, list) or len(flower) != MEASUREMENTS or not all(map(is_length, flower)):
            raise ValueError(f"flower {number} must be {MEASUREMENTS} lengths in cm")
    return flowers


def is_length(value: Any) -> bool:
    """Return whether *value* is a number that can be a length in cm, so neither NaN nor infinite."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= LONGEST
