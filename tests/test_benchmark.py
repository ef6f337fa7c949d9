"""What the benchmark says of given numbers."""

from __future__ import annotations

import pytest

from tests.machine.benchmark.growth import Times, table
from tests.machine.benchmark.rows import Heading, Mark, Measured, Missing, Row, at_mark
from tests.machine.benchmark.table import closing_line, summary, text
from tests.machine.benchmark.traces import last_used

TIMES = Row(
    heading=Heading(name="one line of code changed", against="docker build", mark=Mark(times=0.1)),
    ours=Measured(description="invoke image.build", numbers=[0.5, 0.4, 0.6]),
    theirs=Measured(description="docker build .", numbers=[10.0, 8.0, 6.0]),
)
MORE = Row(
    heading=Heading(name="no change", against="a trivial Invoke task", mark=Mark(more=0.06)),
    ours=Measured(description="invoke image.build", numbers=[0.26, 0.28, 0.3]),
    theirs=Measured(description="invoke hello", numbers=[0.2, 0.2, 0.2]),
    beside=[Measured(description="docker build .", numbers=[0.3])],
)
MOST = Row(
    heading=Heading(name="memory", against="az acr build", mark=Mark(most=100e6)),
    ours=Measured(description="image.build --engine acr", numbers=[60e6]),
    theirs=Measured(description="az acr build", numbers=[80e6]),
    unit="B",
    notes=["of the process alone"],
)
NONE = Missing(
    heading=Heading(name="no change", against="BentoML", mark=Mark(times=0.1)),
    why="pip cannot install it:\nno network",
)
ROWS = """\
   0.050 x  at its mark        one line of code changed | docker build
            ratio   0.050 to 0.075
            mark    0.1 times at most
            ours    500 ms (450 ms to 550 ms)  invoke image.build
            theirs  8.00 s (7.00 s to 9.00 s)  docker build .

    1.40 x  SHORT OF ITS MARK  no change | a trivial Invoke task
            ratio   1.35 to 1.45
            mark    60 ms more at most; it is 80 ms more (70 ms to 90 ms more)
            ours    280 ms (270 ms to 290 ms)  invoke image.build
            theirs  200 ms (200 ms to 200 ms)  invoke hello
            beside  300 ms (300 ms to 300 ms)  docker build .

   0.750 x  at its mark        memory | az acr build
            ratio   0.750 to 0.750
            mark    100.0 MB at most
            ours    60.0 MB (60.0 MB to 60.0 MB)  image.build --engine acr
            theirs  80.0 MB (80.0 MB to 80.0 MB)  az acr build
            of the process alone

       -    not measured       no change | BentoML
            pip cannot install it:
            no network

2 at their mark, 1 short of it, 1 not measured"""
SUMMARY = """\
   ratio         mark  reached  row
   0.050        0.1 x  yes      one line of code changed | docker build
    1.40      + 60 ms  NO       no change | a trivial Invoke task
   0.750     100.0 MB  yes      memory | az acr build
       -        0.1 x  -        no change | BentoML"""
GROWTH = """\
Files of code
                 first build  line changed     no change         check
     100 files        1.00 s        1.00 s        1.00 s        1.00 s
    1000 files       10.00 s        1.00 s        2.00 s        1.00 s
   10000 files         100 s        1.00 s       40.00 s        1.00 s
         slope          1.00          0.00    1.30 STEEP          0.00
slope: of the last step, 0 is constant, 1 is linear"""


def test_the_rows_are_told() -> None:
    """Ratio, verdict and heading come first; then mark, both sides, what stands beside, and the sums."""
    rows: list[Row | Missing] = [TIMES, MORE, MOST, NONE]

    assert "\n\n".join([*map(text, rows), closing_line(rows)]) == ROWS


def test_all_rows_are_a_table() -> None:
    """Each row in a line: the ratio, its mark, and whether that was reached."""
    assert summary([TIMES, MORE, MOST, NONE]) == SUMMARY


@pytest.mark.parametrize(
    ("mark", "reached"),
    [
        (Mark(times=0.05), True),
        (Mark(times=0.049), False),
        (Mark(more=-7.6), True),
        (Mark(more=-7.61), False),
        (Mark(most=0.5), True),
        (Mark(most=0.49), False),
    ],
)
def test_a_mark_is_reached_by_the_median(mark: Mark, *, reached: bool) -> None:
    """Ratios and differences are taken round by round: 0.05, 0.05 and 0.1; -9.5, -7.6 and -5.4."""
    heading = Heading(name="a", against="b", mark=mark)

    assert at_mark(Row(heading=heading, ours=TIMES.ours, theirs=TIMES.theirs)) is reached


def test_growth_is_a_table() -> None:
    """Growth is judged by the last step: a start that takes most of a small project's time hides nothing."""
    times = {
        size: Times(first_build=size / 100, line_changed=1.0, no_change=same, check=1.0)
        for size, same in ((100, 1.0), (1000, 2.0), (10000, 40.0))
    }

    assert table("Files of code", {size: f"{size} files" for size in times}, times) == GROWTH


@pytest.mark.parametrize(
    "record",
    [
        {"LastUsedAt": "2026-01-02T03:04:05.123456789Z", "CreatedAt": "2026-01-01T00:00:00Z"},
        {"LastUsedAt": None, "CreatedAt": "2026-01-02T05:04:05+02:00"},
    ],
)
def test_the_engines_times_are_read(record: dict[str, object]) -> None:
    """Nine digits after the point, any zone; what was never used counts from when it was made."""
    assert last_used(record).timestamp() == 1767323045
