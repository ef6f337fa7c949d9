"""Checks side by side: those that follow, those that fail, and those that never answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from azureml_tasks.commands.parallel_checks import Check, run_checks
from azureml_tasks.engines.doctor_finding import Finding, Status
from azureml_tasks.errors import EngineError


def ok(name: str) -> Finding:
    """A finding without anything wrong."""
    return Finding(name, Status.OK, "is there")


def look(
    *findings: Finding, then: Sequence[Check] = ()
) -> Callable[[], tuple[Sequence[Finding], Sequence[Check]]]:
    """Return what a check does that finds *findings*."""
    return lambda: (findings, then)


def nobody(_: Sequence[str]) -> None:
    """Show nothing."""


def test_all_are_run_and_so_are_those_that_follow() -> None:
    """A check may be possible only after another one."""
    later = Check("later", look(ok("a"), ok("b")))

    findings = run_checks(
        [Check("first", look(ok("c"), then=[later])), Check("none", look())], limit=60, waiting=nobody
    )

    assert {"first": (ok("c"),), "later": (ok("a"), ok("b")), "none": ()} == findings


def test_they_run_side_by_side() -> None:
    """Each of two waits for the other."""
    both = threading.Barrier(2, timeout=60)

    def meet() -> tuple[Sequence[Finding], Sequence[Check]]:
        both.wait()
        return [ok("met")], ()

    findings = run_checks([Check("one", meet), Check("other", meet)], limit=60, waiting=nobody)

    assert {"one": (ok("met"),), "other": (ok("met"),)} == findings


def test_one_that_never_answers_is_not_waited_for() -> None:
    """It is named while it is waited for, and reported after the limit; in the end none is named."""
    release, shown = threading.Event(), list[tuple[str, ...]]()

    def never() -> tuple[Sequence[Finding], Sequence[Check]]:
        release.wait()
        return [ok("late")], ()

    findings = run_checks(
        [Check("slow", never)], limit=0.05, waiting=lambda names: shown.append(tuple(names))
    )
    release.set()

    why = "What needs it will be as slow, or wait without an end."
    assert {"slow": (Finding("slow", Status.UNKNOWN, "did not answer within 0.05 s", why),)} == findings
    assert ({("slow",)}, ()) == (set(shown[:-1]), shown[-1])


def test_what_follows_has_the_rest_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is one of all checks: one that begins late is not waited for beyond it."""
    clock, waits, release = [0.0], list[Sequence[str]](), threading.Event()
    monkeypatch.setattr("azureml_tasks.commands.parallel_checks.time.monotonic", lambda: clock[0])

    def slow() -> tuple[Sequence[Finding], Sequence[Check]]:
        clock[0] = 6.0
        return [ok("late")], [Check("next", lambda: (release.wait(), ([], ()))[1])]

    def waiting(names: Sequence[str]) -> None:
        waits.append(names)
        assert len(waits) < 100

    findings = run_checks([Check("first", slow)], limit=5, waiting=waiting)
    release.set()

    assert (ok("late"),) == findings["first"]
    assert ["did not answer within 5 s"] == [each.what for each in findings["next"]]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            EngineError("It stopped.", next_step="docker version", said="it said:\n  no"),
            Finding(
                "x", Status.UNKNOWN, "It stopped. It said: no", "It was not found out.", "docker version"
            ),
        ),
        (
            EngineError("It stopped.", said="w" * 300),
            Finding("x", Status.UNKNOWN, f"It stopped. W{'w' * 198}…", "It was not found out."),
        ),
        (
            OSError("no such thing"),
            Finding(
                "x", Status.UNKNOWN, "This machine reported an error: no such thing.", "It was not found out."
            ),
        ),
    ],
)
def test_an_error_is_a_finding(error: Exception, expected: Finding) -> None:
    """What a person can act on is reported, in few words."""

    def fail() -> tuple[Sequence[Finding], Sequence[Check]]:
        raise error

    assert {"x": (expected,)} == run_checks([Check("x", fail)], limit=60, waiting=nobody)


def test_a_bug_is_raised() -> None:
    """A mistake of ours is no finding."""

    def fail() -> tuple[Sequence[Finding], Sequence[Check]]:
        raise LookupError("of ours")

    with pytest.raises(LookupError, match="of ours"):
        run_checks([Check("x", fail)], limit=60, waiting=nobody)
