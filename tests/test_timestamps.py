"""Timestamps as Docker and ACR write them."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import pytest

from azureml_tasks.timestamps import days_since, epoch_seconds, parse_timestamp

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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-01T00:00:00.5Z", 1_767_225_600.5),
        ("2026-01-01T01:00:00+01:00", 1_767_225_600.0),
        ("0001-01-01T00:00:00Z", 0.0),
        ("soon", 0.0),
    ],
)
def test_epoch_seconds(text: str, expected: float) -> None:
    """A timestamp is read as seconds since 1970; what is none, and Docker's zero time, are 0."""
    assert expected == epoch_seconds(text)


def test_days_since() -> None:
    """A time half a day ago is half a day ago."""
    assert 0.49 < days_since(time.time() - 43_200) < 0.51
