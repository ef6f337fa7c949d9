"""Sizes for people."""

from __future__ import annotations

import pytest

from azureml_tasks.sizes import size_text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (574, "574 bytes"),
        (1_000, "1.0 kB"),
        (2_460_000, "2.5 MB"),
        (788_400_000, "788.4 MB"),
        (5_000_000_000, "5.0 GB"),
    ],
)
def test_the_largest_unit_that_is_filled(count: int, text: str) -> None:
    """Nothing that has a size is shown as nothing."""
    assert size_text(count) == text
