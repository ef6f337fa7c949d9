"""The project's own tasks: `python3 tasks.py demo`, `python3 tasks.py test`.

Run by a plain Python, this makes `.venv` with all that is needed and goes on there as Invoke's tasks.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if __name__ == "__main__":
    from tests.machine import venv

    venv.enter(sys.argv[1:])

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from tests.examples import TIMES
from tests.machine import apt, command, demonstration, outcomes, suite

SETTINGS = Path(__file__).resolve().parent / "azureml_tasks" / "docs" / "settings.md"
MARKS = ("<!-- settings:begin -->", "<!-- settings:end -->")


@task
def demo(_context: Context) -> None:
    """Build, smoke-test and push `example_project`, on a real engine and into a real registry."""
    with _orderly():
        code = demonstration.run()
    raise Exit(code=code)


@task(help={"acr": "with a loopback of Azure Container Registry, which builds there"})
def playground(_context: Context, acr: bool = False) -> None:
    """Keep an engine, a stand-in base and a registry on this machine until Ctrl-C, to try things with."""
    with _orderly():
        demonstration.play(acr=acr)


@task(
    help={
        "quick": "only what needs no engine",
        "fuzz": "how many times as many examples the tests with random input try",
    }
)
def test(_context: Context, quick: bool = False, fuzz: int = 1) -> None:  # noqa: PT028 -- a task, no test of pytest's
    """Run every check and every test; on an engine of our own where none answers."""
    if fuzz < 1:
        raise Exit("--fuzz takes 1 or more.", code=2)
    os.environ[TIMES] = str(fuzz)
    with _orderly():
        found = list(suite.quick() if quick else suite.all_of_it())
    sys.stderr.write(f"\n{outcomes.report(found)}\n")
    sys.stderr.flush()
    sys.stdout.write(f"{outcomes.closing_line(found)}\n")
    raise Exit(code=outcomes.exit_code(found))


@task(
    help={
        "rounds": "how often each command is timed",
        "only": "part of the rows' headings, to measure these alone",
        "peers": "BentoML, MLflow, Truss and kedro-docker as well, which are installed for it",
        "az": "packing and sending to ACR as well, against az acr build, which is installed for it",
        "engine": "26.1 for Docker 26.1 with images in containerd; else the engine that answers",
    }
)
def bench(
    _context: Context,
    rounds: int = 5,
    only: str = "",
    peers: bool = False,
    az: bool = False,
    engine: str = "",
) -> None:
    """Measure builds, checks and remote builds side by side with other ways to do the same."""
    from tests.machine.benchmark import run  # needed here alone

    if not 1 <= rounds <= run.MOST_ROUNDS:
        raise Exit(f"--rounds takes 1 to {run.MOST_ROUNDS}.", code=2)
    if engine not in {"", run.NEWER}:
        raise Exit(f"--engine takes {run.NEWER} or nothing.", code=2)
    with _orderly():
        run.main(rounds=rounds, only=only, peers=peers, az=az, newer=bool(engine))


@task(
    help={
        "rounds": "how often each command is timed at each size",
        "large": "a model of 5 GB as well, which takes 20 GB of disk",
    }
)
def growth(_context: Context, rounds: int = 3, large: bool = False) -> None:
    """Measure how times grow with 100 to 100,000 files and with a model of 1 MB to 1 GB."""
    from tests.machine.benchmark import growth as growing  # needed here alone
    from tests.machine.benchmark.timing import FailedError

    if rounds < 1:
        raise Exit("--rounds takes 1 or more.", code=2)
    try:
        with _orderly():
            growing.main(rounds=rounds, large=large)
    except FailedError as error:
        raise Exit(str(error), code=4) from None


@task(
    help={
        "minutes": "how long faults are injected",
        "seed": "decides what fails when",
        "only": "part of the names of the kinds of faults, to inject these alone",
    }
)
def faults(_context: Context, minutes: float = 10.0, seed: int = 0, only: str = "") -> None:
    """Inject faults into builds and pushes: what is said of each, against what is there, and what is left behind."""
    from tests.machine.faults import run  # needed here alone

    with _orderly():
        bad = run.main(minutes=minutes, seed=seed, only=only)
    raise Exit(code=4 if bad else 0)


@task
def docs(_context: Context) -> None:
    """Write what is generated: the tables of settings and codes, what `init` prints, and the JSON Schemas."""
    from azureml_tasks.config import schema  # a broken package must not keep its tests from running
    from tests import codes_page, moving_here, schema_files  # likewise

    schema_files.write()
    codes_page.PAGE.write_text(
        codes_page.rewritten(codes_page.PAGE.read_text(encoding="utf-8")), encoding="utf-8"
    )

    before, rest = SETTINGS.read_text(encoding="utf-8").split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    SETTINGS.write_text(f"{before}{MARKS[0]}\n{schema.markdown()}\n{MARKS[1]}{after}", encoding="utf-8")
    first, *sections = moving_here.sections(moving_here.PAGE.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        shown = [
            moving_here.rewritten(section, Path(folder).resolve() / str(number) / "iris")
            for number, section in enumerate(sections)
        ]
    moving_here.PAGE.write_text("".join([first, *shown]), encoding="utf-8")


@contextmanager
def _orderly() -> Iterator[None]:
    """Stop what was started however this ends, and say in a sentence what the machine lacks."""
    try:
        with command.orderly():
            yield
    except apt.NotPossibleError as error:
        raise Exit(str(error), code=3) from None
