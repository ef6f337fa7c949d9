"""Checks that run side by side, each in its thread, and are not waited for beyond a limit."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.engines.doctor_finding import Finding, Status, of_error
from azureml_tasks.errors import AzuremlTasksError, machine_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_TICK = 0.1
"""Seconds between two calls of `waiting`."""


class Check(NamedTuple):
    """One check.

    Args:
        name: of what it looks at; each check has its own.
        look: returns the findings, and the checks that are possible after it.
    """

    name: str
    look: Callable[[], tuple[Sequence[Finding], Sequence[Check]]]


class _Ended(NamedTuple):
    """How a check ended."""

    name: str
    findings: Sequence[Finding] = ()
    then: Sequence[Check] = ()
    bug: BaseException | None = None


def run_checks(
    checks: Sequence[Check], *, limit: float, waiting: Callable[[Sequence[str]], None]
) -> Mapping[str, tuple[Finding, ...]]:
    """Run all checks, and those that follow from them, and return the findings of each.

    Threads of a pool would be waited for at the end of the process. These are not: what a check of this kind waits for
    may never answer.

    Args:
        checks: to begin with.
        limit: seconds of all checks, after which those that have not ended are called ones that do not answer.
        waiting: takes the names of the checks that are not at their end, again and again, and none at the end.
    """
    ended: queue.SimpleQueue[_Ended] = queue.SimpleQueue()
    running: set[str] = set()
    end = time.monotonic() + limit
    findings: dict[str, tuple[Finding, ...]] = {}

    def start(those: Sequence[Check]) -> None:
        for check in those:
            running.add(check.name)
            threading.Thread(target=lambda check=check: ended.put(_end_of(check)), daemon=True).start()

    start(checks)
    while running:
        waiting(sorted(running))
        try:
            result = ended.get(timeout=_TICK)
        except queue.Empty:
            if time.monotonic() > end:
                findings |= {name: (_silent(name, limit),) for name in running}
                break
            continue
        if result.bug:
            raise result.bug
        running.remove(result.name)
        findings[result.name] = tuple(result.findings)
        start(result.then)
    waiting(())
    return findings


def _end_of(check: Check) -> _Ended:
    why = "It was not found out."
    try:
        findings, then = check.look()
    except AzuremlTasksError as error:
        return _Ended(check.name, [of_error(check.name, error, Status.UNKNOWN, why)])
    except OSError as error:
        return _Ended(check.name, [of_error(check.name, machine_error(error), Status.UNKNOWN, why)])
    except BaseException as bug:  # noqa: BLE001 -- the thread that waits raises it again
        return _Ended(check.name, bug=bug)
    return _Ended(check.name, findings, then)


def _silent(name: str, limit: float) -> Finding:
    what = f"did not answer within {limit:g} s"
    return Finding(name, Status.UNKNOWN, what, "What needs it will be as slow, or wait without an end.")
