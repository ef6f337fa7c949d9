"""What came of the parts of a test run, and the words for it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ENGINE", "Outcome", "closing_line", "counts", "engines", "exit_code", "report"]


ENGINE = "engine"
"""Name of the property by which a part's result names an engine that its tests ran on."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one part.

    Args:
        part: its name.
        code: its exit code.
        seconds: how long it took.
        passed: tests that passed; none for a check.
        failed: tests that failed or could not start; 1 for a check that failed.
        skipped: tests that were skipped.
        engines: the engines that its tests ran on.
    """

    part: str
    code: int
    seconds: float
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    engines: Sequence[str] = ()


def report(outcomes: Sequence[Outcome]) -> str:
    """A line for each part, in the order in which they ran, and one for each engine that was seen."""
    lines = []
    for outcome in outcomes:
        tests = f"{outcome.passed} passed, {outcome.failed} failed, {outcome.skipped} skipped"
        result = (
            tests
            if outcome.passed or outcome.skipped
            else "ok"
            if outcome.code == 0
            else f"exit code {outcome.code}"
        )
        lines.append(f"{outcome.seconds:7.1f} s  {outcome.part:20}  {result}")
    engines = sorted({engine for outcome in outcomes for engine in outcome.engines})
    return "\n".join([*lines, *(f"engine: {engine}" for engine in engines)])


def closing_line(outcomes: Sequence[Outcome]) -> str:
    """The sums, a failed check counted like a failed test."""
    passed, failed, skipped = (
        sum(getattr(outcome, name) for outcome in outcomes) for name in ("passed", "failed", "skipped")
    )
    seconds = sum(outcome.seconds for outcome in outcomes)
    return f"{passed} passed, {failed} failed, {skipped} skipped in {seconds:.0f} s"


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """That of the last part that failed: pytest's own, unless a check alone did."""
    return next((outcome.code for outcome in reversed(outcomes) if outcome.code), 0)


def counts(result: Path) -> tuple[int, int, int]:
    """How many passed, failed or could not start, and were skipped, as pytest has written it to *result*."""
    if not result.exists():
        return 0, 0, 0
    suites = ET.parse(result).getroot().findall("testsuite")  # what our own pytest wrote
    total, failures, errors, skipped = (
        sum(int(suite.get(name, "0")) for suite in suites)
        for name in ("tests", "failures", "errors", "skipped")
    )
    return total - failures - errors - skipped, failures + errors, skipped


def engines(result: Path) -> list[str]:
    """The engines that the tests ran on, as pytest has written them to *result*."""
    if not result.exists():
        return []
    properties = ET.parse(result).getroot().findall(f"testsuite/properties/property[@name='{ENGINE}']")
    return [each.get("value", "") for each in properties]
