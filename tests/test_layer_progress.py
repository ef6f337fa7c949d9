"""What a pull or a push shows of its layers without a terminal."""

from __future__ import annotations

from typing import Any

import pytest

from azureml_tasks.cli.console import Console
from azureml_tasks.engines.docker.layer_progress import show_progress

EVENTS: list[dict[str, Any]] = [
    {"status": "The push refers to repository [r.io/a]"},
    {"id": "aaa", "status": "Preparing"},
    {"id": "aaa", "status": "Pushing", "progressDetail": {"current": 1_000_000, "total": 2_500_000}},
    {"id": "bbb", "status": "Layer already exists"},
    {"id": "aaa", "status": "Pushing", "progressDetail": {"current": 2_500_000, "total": 2_500_000}},
    {"id": "aaa", "status": "Pushed"},
    {"aux": {"Digest": "sha256:1"}},
    {"error": "denied"},
]


def test_without_a_terminal_each_layer_that_is_done_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The lines come in the engine's order, with the size where the engine told it; every event goes on."""
    passed_on = list(show_progress(EVENTS, Console()))

    expected = "  layer bbb: layer already exists\n  layer aaa: 2.5 MB, pushed\n"
    assert (EVENTS, "", expected) == (passed_on, *capsys.readouterr())
