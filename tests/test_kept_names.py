"""Names that the tasks keep for their own images: no project can give them to its own."""

from __future__ import annotations

import re

import pytest

from azureml_tasks.config import validators
from azureml_tasks.config.validators import Rule

KEPT = "is a name that azureml-tasks keeps for its cached layers and candidate images"
HEX = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("rule", "value", "expected"),
    [
        (validators.REPOSITORY, "victim/layers", KEPT),
        (validators.REPOSITORY, "team/victim/candidate", KEPT),
        (validators.REPOSITORY, "azureml-tasks.invalid/victim/layers", KEPT),
        (validators.REPOSITORY, "azureml-tasks.invalid/run", KEPT),
        (validators.REPOSITORY, "azureml-tasks.invalid", KEPT),
        (validators.BASE, f"azureml-tasks.invalid/victim/layers:{HEX}", KEPT),
        (validators.BASE, "azureml-tasks.invalid/run", KEPT),
        (validators.REGISTRY, "azureml-tasks.invalid", "is not a login server"),
        (validators.REGISTRY, "azureml-tasks.invalid:443", "is not a login server"),
        (validators.SHARED_LAYERS, "azureml-tasks.invalid/a", "is not a repository with its login server"),
    ],
)
def test_a_name_that_is_kept_is_refused(rule: Rule, value: str, expected: str) -> None:
    """An image with it could pass for another project's layers; editors see that too."""
    assert expected == rule.error(value)
    assert re.search(rule.schema["pattern"], value) is None


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (validators.REPOSITORY, "layers"),
        (validators.REPOSITORY, "candidate"),
        (validators.REPOSITORY, "layers/scoring"),
        (validators.REPOSITORY, "my-layers"),
        (validators.REPOSITORY, "azureml-tasks.invalids/a"),
        (validators.BASE, "minimal-py312-inference"),
        (validators.BASE, "contoso.azurecr.io/bases/layers:4"),
        (validators.REGISTRY, "azureml-tasks.invalid.contoso.com"),
        (validators.SHARED_LAYERS, "contoso.azurecr.io/scoring/layers"),
    ],
)
def test_similar_names_are_not(rule: Rule, value: str) -> None:
    """Only what would be the name of one of our own images is kept."""
    assert "" == rule.error(value)
    assert re.search(rule.schema["pattern"], value) is not None
