"""A source's base image in terms of the table."""

from __future__ import annotations

import pytest

from azureml_tasks.image_reference import parse
from azureml_tasks.migration.base_image import base_key, brings_server


@pytest.mark.parametrize(
    ("image", "key", "serves"),
    [
        ("mcr.microsoft.com/azureml/minimal-py312-inference:latest", "minimal-py312-inference", True),
        ("mcr.microsoft.com/azureml/minimal-py312-inference", "minimal-py312-inference", True),
        (
            "mcr.microsoft.com/azureml/minimal-py312-inference:20260316.v1",
            "minimal-py312-inference:20260316.v1",
            True,
        ),
        (
            "mcr.microsoft.com/azureml/curated/mlflow-py312-inference:71",
            "curated/mlflow-py312-inference:71",
            True,
        ),
        (
            "mcr.microsoft.com/azureml/inference-base-2204:latest",
            "mcr.microsoft.com/azureml/inference-base-2204:latest",
            True,
        ),
        (
            "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:1",
            "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:1",
            False,
        ),
        ("python:3.12-slim", "python:3.12-slim", False),
        ("docker.io/library/python:3.12", "docker.io/library/python:3.12", False),
        ("pytorch/pytorch:2.4.0", "pytorch/pytorch:2.4.0", False),
        ("contoso.azurecr.io/bases/serving:4", "contoso.azurecr.io/bases/serving:4", None),
        ("team/serving:4", "team/serving:4", None),
    ],
)
def test_a_base_is_named_as_the_table_names_it(image: str, key: str, *, serves: bool | None) -> None:
    """It has its short form, and its name tells whether it serves."""
    reference = parse(image)

    assert reference is not None
    assert (key, serves) == (base_key(reference), brings_server(reference))
