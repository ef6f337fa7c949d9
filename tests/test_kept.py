"""When the prefixes were made that an engine keeps."""

from __future__ import annotations

import pytest

from azureml_tasks.engines.docker.layer_store import built_at


@pytest.mark.parametrize(
    ("created", "expected"),
    [
        ("2026-01-01T00:00:00Z", 1_767_225_600.0),
        ("2026-01-01T00:00:00.5Z", 1_767_225_600.5),
        ("2026-01-01T00:00:01.123456789Z", 1_767_225_601.123456789),
        ("0001-01-01T00:00:00Z", -62_135_596_800.0),
    ],
)
def test_a_moment_is_read_to_the_last_digit(created: str, expected: float) -> None:
    """Of two that were made within a second the later one is later."""
    assert expected == built_at({"Created": created})
