"""What the report of the whole suite says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.machine.outcomes import Outcome, closing_line, counts, engines, report

if TYPE_CHECKING:
    from pathlib import Path

RESULT = """\
<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" errors="1" failures="1" skipped="2" tests="9" time="1.0">
<properties><property name="engine" value="Docker 20.10.24, overlay2" /><property name="other" value="x" />
<property name="engine" value="Docker 26.1.5, images in containerd" /></properties>
</testsuite></testsuites>
"""


def test_pytests_result_is_read(tmp_path: Path) -> None:
    """Counts, and the engines that the tests ran on."""
    path = tmp_path / "result.xml"
    path.write_text(RESULT)

    assert (5, 2, 2) == counts(path)
    assert ["Docker 20.10.24, overlay2", "Docker 26.1.5, images in containerd"] == engines(path)


def test_the_report_names_each_engine_once() -> None:
    """A line for each part, then one for each engine; a failed check counts like a failed test."""
    outcomes = [
        Outcome(part="mypy", code=1, seconds=2.04, failed=1),
        Outcome(
            part="real tests", code=0, seconds=61.0, passed=5, skipped=1, engines=["Podman 4.3.1, overlay"]
        ),
        Outcome(part="more", code=0, seconds=9.0, passed=1, engines=["Docker 20", "Podman 4.3.1, overlay"]),
    ]

    assert report(outcomes) == (
        "    2.0 s  mypy                  exit code 1\n"
        "   61.0 s  real tests            5 passed, 0 failed, 1 skipped\n"
        "    9.0 s  more                  1 passed, 0 failed, 0 skipped\n"
        "engine: Docker 20\n"
        "engine: Podman 4.3.1, overlay"
    )
    assert closing_line(outcomes) == "6 passed, 1 failed, 1 skipped in 72 s"
