"""How long `invoke --list` takes, without our collection and with it: `python -m tests.machine.startup`.

The two take turns, so that a machine that slows down slows both. The mark is 50 ms more at most.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

__all__ = ["main"]

_ROUNDS = 40
_TRIVIAL = """\
from invoke.collection import Collection
from invoke.tasks import task

@task
def hello(c):
    print("hello")

ns = Collection(hello)
"""
_OURS = """\
from invoke.collection import Collection
from azureml_tasks import image

ns = Collection(image)
"""


def main() -> None:
    """Measure and print both, in milliseconds: the median, and the middle half of all rounds."""
    with tempfile.TemporaryDirectory() as name:
        projects = {label: Path(name, label) for label in ("trivial", "ours")}
        for label, text in (("trivial", _TRIVIAL), ("ours", _OURS)):
            projects[label].mkdir()
            (projects[label] / "tasks.py").write_text(text, encoding="utf-8")
        for folder in projects.values():
            _milliseconds(folder)  # The first run writes the bytecode, which later ones read.
        times: dict[str, list[float]] = {label: [] for label in projects}
        for _ in range(_ROUNDS):
            for label, folder in projects.items():
                times[label].append(_milliseconds(folder))
    for label, found in times.items():
        low, median, high = statistics.quantiles(found, n=4)
        print(f"{label:<8} {median:6.1f} ms   (half of them {low:.1f} to {high:.1f})")
    trivial, ours = (statistics.median(found) for found in times.values())
    print(f"more     {ours - trivial:6.1f} ms   ({ours / trivial:.2f} times; {_ROUNDS} rounds)")


def _milliseconds(folder: Path) -> float:
    # Without bytecode every run would compile what it imports.
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "invoke", "--list"],
        cwd=folder,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
