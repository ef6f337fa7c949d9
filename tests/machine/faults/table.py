"""What came of all faults, as a table and in detail."""

from __future__ import annotations

from collections.abc import Sequence

from tests.machine.faults.judge import Fault

__all__ = ["detail", "table"]


def table(faults: Sequence[Fault], kinds: Sequence[str]) -> str:
    """Return a row for each kind, and their sums."""
    rows = [(kind, [fault for fault in faults if fault.kind == kind]) for kind in kinds]
    lines = ["| fault | injected | named right | wrong | left behind |", "|---|---:|---:|---:|---:|"]
    lines += [_row(kind, of_kind) for kind, of_kind in [*rows, ("all", list(faults))]]
    return "\n".join(lines)


def detail(fault: Fault) -> str:
    """Return everything about a fault that was not named right, or left something."""
    problems = [f"  wrong: {each}" for each in fault.wrong] + [f"  left: {each}" for each in fault.left]
    return "\n".join([f"{fault.kind}: {fault.description}", *problems, fault.history, ""])


def _row(kind: str, faults: Sequence[Fault]) -> str:
    wrong, stays = (sum(map(bool, each)) for each in ([f.wrong for f in faults], [f.left for f in faults]))
    return f"| {kind} | {len(faults)} | {len(faults) - wrong} | {wrong} | {stays} |"
