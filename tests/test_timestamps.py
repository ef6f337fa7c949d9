"""Timestamps as Docker and ACR write them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from azureml_tasks.timestamps import parse_timestamp

MOMENT = datetime(2026, 11, 25, 10, 0, 7, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-25T10:00:07Z", MOMENT),
        ("2026-11-25t10:00:07z", MOMENT),
        ("2026-11-25 10:00:07Z", MOMENT),
        ("2026-11-25T10:00:07.5Z", MOMENT + timedelta(seconds=0.5)),
        ("2026-11-25T10:00:07.1234567Z", MOMENT + timedelta(microseconds=123_456)),
        ("2026-11-25T10:00:07.123456789Z", MOMENT + timedelta(microseconds=123_456)),
        ("2026-11-25T12:00:07+02:00", MOMENT),
        ("2026-11-25T05:00:07.000001-05:00", MOMENT + timedelta(microseconds=1)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=timezone.utc)),
        ("", None),
        ("soon", None),
        ("2026-11-25T10:00:07", None),
        ("2026-13-45T10:00:07Z", None),
        ("2026-11-25T10:00:07Z ", None),
    ],
)
def test_parse(text: str, expected: datetime | None) -> None:
    """Any number of digits and any offset is read; without an offset it is no moment."""
    assert expected == parse_timestamp(text)
