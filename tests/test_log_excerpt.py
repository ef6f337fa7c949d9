"""When a container's log is taken to be whole."""

from __future__ import annotations

import pytest

from azureml_tasks.smoke import log_excerpt
from azureml_tasks.smoke.log_excerpt import LogExcerpt, settled


@pytest.mark.parametrize(
    ("readings", "log"),
    [
        (["", *["Traceback:"] * 5, *["Traceback:\nKeyError"] * 6, "later"], "Traceback:\nKeyError"),
        ([f"line {number}" for number in range(20)], "line 15"),
    ],
)
def test_a_log_is_settled_once_it_has_not_changed_for_a_while(
    readings: list[str], log: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine writes what a container prints line by line; one that goes on printing is not waited for."""
    monkeypatch.setattr(log_excerpt, "_PAUSE", 0)
    rest = iter(readings)

    assert log == settled(lambda: LogExcerpt(text=next(rest))).text
