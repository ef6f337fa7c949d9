"""The table of a fault run, and which statements of a message are compared with what is there."""

from __future__ import annotations

import pytest

from tests.machine.faults.judge import Fault, stated
from tests.machine.faults.table import table


def fault(kind: str, *, wrong: bool = False, left: bool = False) -> Fault:
    """Return a fault."""
    return Fault(
        kind=kind, description="", wrong=["w"] if wrong else [], left=["l"] if left else [], history=""
    )


def test_the_table_counts_faults_not_problems() -> None:
    """A fault counts once in each column, however much was wrong or left."""
    faults = [fault("a"), fault("a", wrong=True), fault("a", wrong=True, left=True), fault("b", left=True)]

    expected = """\
| fault | injected | named right | wrong | left behind |
|---|---:|---:|---:|---:|
| a | 3 | 1 | 2 | 1 |
| b | 1 | 1 | 0 | 1 |
| c | 0 | 0 | 0 | 0 |
| all | 4 | 2 | 2 | 2 |"""
    assert expected == table(faults, ["a", "b", "c"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Nothing was pushed. The image is on the engine as demo:1.0. Continue with: invoke image.push",
            ["Nothing was pushed.", "the image is demo:1.0"],
        ),
        (
            "Pushed: 1.0, kept-0123. The image is on the engine as demo:1.0.",
            ["Pushed: 1.0, kept-0123", "the image is demo:1.0"],
        ),
        (
            f"r.io/demo:1.0 names sha256:{'0' * 64} now, and named nothing before: the push may have arrived.",
            [f"1.0 names sha256:{'0' * 64} now"],
        ),
        (
            "The image was built as demo:1.0. It was not pushed.",
            ["It was not pushed.", "the image is demo:1.0"],
        ),
        ("Nothing was built.", ["Nothing was built."]),
        ("The disk is full.", []),
    ],
)
def test_statements_about_effects_are_found(text: str, expected: list[str]) -> None:
    """Each is found in the words that the commands use."""
    statements = stated(text, pushed_before={}, pushed={}, images={}, is_build_unchanged=True)

    assert expected == [statement for statement, _ in statements]


def test_statements_are_compared_with_what_is_there() -> None:
    """What the registry or the engine does not have is not so."""
    text = "Pushed: 1.0, latest. The image is on the engine as demo:1.0."
    statements = stated(
        text,
        pushed_before={},
        pushed={"1.0": "sha256:1"},
        images={"demo:1.0": "sha256:2"},
        is_build_unchanged=True,
    )

    assert [("Pushed: 1.0, latest", False), ("the image is demo:1.0", True)] == statements
