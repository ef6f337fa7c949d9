"""One fault run: faults of every kind in turn until the time is over, then the table."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.machine.faults import concurrent_builds, dying_engine, full_disks, kills, pushes
from tests.machine.faults.judge import Fault
from tests.machine.faults.place import Place, place
from tests.machine.faults.table import detail, table

__all__ = ["main"]

_REPORT = Path(__file__).parents[3] / ".machine" / "reports" / "faults.txt"


def main(*, minutes: float, seed: int, only: str) -> int:
    """Inject faults and print what came of them; returns how many were named wrong or left something.

    Args:
        minutes: how long faults are injected.
        seed: decides what fails when; engines and commands take their own time, so a run is never quite repeated.
        only: part of the names of the kinds that are injected; empty for all.

    Raises:
        NotPossibleError: this machine cannot have an engine of its own.
    """
    found: list[Fault] = []
    _REPORT.parent.mkdir(parents=True, exist_ok=True)
    with place(seed) as here, _REPORT.open("w", encoding="utf-8") as report:
        chosen = {kind: inject for kind, inject in _kinds(here).items() if only in kind}
        end = time.monotonic() + minutes * 60
        while time.monotonic() < end:
            for inject in chosen.values():
                for fault in inject():
                    found.append(fault)
                    if fault.wrong or fault.left:
                        report.write(f"{detail(fault)}\n")
                        report.flush()
                    _say(fault, len(found))
                if time.monotonic() >= end:
                    break
            else:
                continue
            break
    sys.stdout.write(f"{table(found, list(chosen))}\n")
    bad = sum(bool(fault.wrong or fault.left) for fault in found)
    if bad:
        print(f"faults: {bad} of {len(found)} in detail: {_REPORT}", file=sys.stderr)
    return bad


def _kinds(here: Place) -> Mapping[str, Callable[[], list[Fault]]]:
    """Return each kind with what injects one of it; it returns nothing if the fault came too late."""
    through_a_push = pushes.Pushes(here)

    def one(inject: Callable[[Place], Fault | None]) -> Callable[[], list[Fault]]:
        return lambda: [fault] if (fault := inject(here)) else []

    return {
        kills.KIND: one(kills.inject),
        pushes.KIND: one(lambda _: through_a_push.inject()),
        full_disks.KIND: one(full_disks.inject),
        dying_engine.KIND: one(dying_engine.inject),
        concurrent_builds.KIND: lambda: concurrent_builds.inject(here),
    }


def _say(fault: Fault, number: int) -> None:
    """Tell the person at the terminal what was injected, and what is wrong."""
    print(f"faults: {number}: {fault.kind}: {fault.what}", file=sys.stderr)
    for problem in [*fault.wrong, *fault.left]:
        print(f"faults:     {problem}", file=sys.stderr, flush=True)
