"""One fault run: faults of every kind in turn until the time is over, then the table."""

from __future__ import annotations

import itertools
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    faults: list[Fault] = []
    _REPORT.parent.mkdir(parents=True, exist_ok=True)
    # A shell starts a background command with these ignored, which would go on to the commands that are to be killed.
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
    with place(seed) as here, _REPORT.open("w", encoding="utf-8") as report:
        pushing = pushes.Pushes(here)
        kinds = {kind: inject for kind, inject in _kinds(here, pushing).items() if only in kind}
        for fault in itertools.chain(_in_turn(list(kinds.values()), minutes), pushing.end()):
            faults.append(fault)
            _say(fault, len(faults))
            if fault.wrong or fault.left:
                report.write(f"{detail(fault)}\n")
                report.flush()
    sys.stdout.write(f"{table(faults, list(kinds))}\n")
    bad = sum(bool(fault.wrong or fault.left) for fault in faults)
    if bad:
        print(f"faults: {bad} of {len(faults)} in detail: {_REPORT}", file=sys.stderr)
    return bad


def _in_turn(kinds: Sequence[Callable[[], list[Fault]]], minutes: float) -> Iterator[Fault]:
    """Inject one of each kind in turn until the time is over."""
    end = time.monotonic() + minutes * 60
    for inject in itertools.cycle(kinds):
        if time.monotonic() >= end:
            return
        yield from inject()


def _kinds(here: Place, pushing: pushes.Pushes) -> Mapping[str, Callable[[], list[Fault]]]:
    """Return each kind with what injects one of it; it returns nothing if the fault came too late."""

    def as_list(inject: Callable[[], Fault | None]) -> Callable[[], list[Fault]]:
        return lambda: [fault] if (fault := inject()) else []

    return {
        kills.KIND: as_list(lambda: kills.inject(here)),
        pushes.KIND: as_list(pushing.inject),
        full_disks.KIND: as_list(lambda: full_disks.inject(here)),
        dying_engine.KIND: as_list(lambda: dying_engine.inject(here)),
        concurrent_builds.KIND: lambda: concurrent_builds.inject(here),
    }


def _say(fault: Fault, number: int) -> None:
    """Tell the person at the terminal what was injected, and what is wrong."""
    print(f"faults: {number}: {fault.kind}: {fault.description}", file=sys.stderr)
    for problem in [*fault.wrong, *fault.left]:
        print(f"faults:     {problem}", file=sys.stderr, flush=True)
