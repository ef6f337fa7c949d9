"""One run of the benchmark: every case, in the order in which people meet them."""

from __future__ import annotations

import os
import platform
import sys

from tests.machine.benchmark import (
    building,
    fresh,
    many_files,
    packing,
    proving,
    remote_build,
    serving,
    sizes,
    starting,
)
from tests.machine.benchmark.building import Yard
from tests.machine.benchmark.cases import Case, chosen, measured
from tests.machine.benchmark.peer_list import PEERS
from tests.machine.benchmark.place import Place, place
from tests.machine.benchmark.rows import Missing, Row
from tests.machine.benchmark.table import closing_line, summary, text
from tests.machine.engine import name_of

__all__ = ["MOST_ROUNDS", "NEWER", "main"]

MOST_ROUNDS = 25
"""Each round adds a requirement to those of the rounds before, and there are no more of them."""

NEWER = "26.1"
"""The engine that can be measured beside the one that answers."""


def main(*, rounds: int, only: str, peers: bool, az: bool, newer: bool) -> None:
    """Measure and print each row as soon as it is there.

    Args:
        rounds: how often each command is timed, `MOST_ROUNDS` at most.
        only: what the headings contain of the rows that are measured; empty for all.
        peers: whether other tools are installed and measured too.
        az: whether `az` is.
        newer: whether all of it is built on an engine 26.1 with images in containerd.

    Raises:
        NotPossibleError: this machine lacks what all rows stand on.
    """
    rows: list[Row | Missing] = []
    with place(newer=newer) as here:
        _print(_opening(here, rounds))
        for case in _cases(here, peers=peers, az=az):
            if headings := chosen(case, only):
                results = measured(case, headings, rounds)
                rows += results
                _print("\n" + "\n\n".join(map(text, results)))
    _print(f"\n{summary(rows)}\n\n{closing_line(rows)}" if rows else f"\nno row's heading contains {only!r}")


def _cases(here: Place, *, peers: bool, az: bool) -> list[Case]:
    yard = Yard(place=here, peers={peer.name: peer for peer in PEERS} if peers else {})
    return [
        *building.cases(yard),
        *([packing.case(here)] if az else []),
        remote_build.case(yard),
        *starting.cases(yard),
        proving.case(yard),
        serving.case(yard),
        *many_files.cases(here),
        *sizes.cases(yard),
        fresh.case(yard),
    ]


def _opening(here: Place, rounds: int) -> str:
    engine = name_of(here.client)
    return "\n".join(
        [
            f"{rounds} rounds in turn; medians, with the quartiles in brackets; ratios round by round",
            f"Python {platform.python_version()}, {os.cpu_count()} cores, {engine}",
            f"project: 200 Python files, 5 packages, a model of {here.model.stat().st_size / 1e6:.0f} MB, and 5,500",
            "files of .git and .venv that are ignored; the base is the stand-in, with a layer of this run's own",
        ]
    )


def _print(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()
