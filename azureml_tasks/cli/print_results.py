"""The results of commands, printed on stdout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.commands.pipeline import refuse_failed
from azureml_tasks.commands.results import BuildResult, PushResult, SmokeTestResult
from azureml_tasks.errors import SmokeTestError, machine_error, stating

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.cli.options import TaskRun
    from azureml_tasks.commands.results import CacheEntry, StepResult


def show_build(run: TaskRun, result: BuildResult) -> None:
    """Print the image's references, or its candidate in a registry; nothing under --dry."""
    if not run.console.dry:
        run.console.result(result.image.candidate or "\n".join(result.image.names))


def show_started_run(run: TaskRun, run_id: str) -> None:
    """Print the ID of a remote build that goes on, and how to follow it; nothing under --dry."""
    if run_id:
        run.console.say(f"to follow it to its end: invoke image.resume --run {run_id} --engine acr")
        run.console.result(run_id)


def show_smoke_test(run: TaskRun, result: SmokeTestResult) -> None:
    """Print the report, and write it as JUnit XML if `--junit` is given.

    Raises:
        SmokeTestError: the image did not pass; with the report.
    """
    try:
        with stating("Nothing was pushed."):
            refuse_failed(result)
        _print_report(run, result)
    finally:
        _write_junit(run, result)


def show_push(run: TaskRun, result: PushResult) -> None:
    """Print the image by its digest, and set the outputs of a CI step; nothing under --dry."""
    if run.console.dry:
        return
    from azureml_tasks.cli.ci_outputs import set_step_outputs

    outputs = {"image": result.reference, "digest": result.digest, "tags": ",".join(result.tags)}
    try:
        with stating(f"Pushed: {result.reference}"):
            run.console.result(result.reference)
    finally:
        set_step_outputs(outputs, run.console)


def show_step(run: TaskRun, result: StepResult) -> None:
    """Print the result of one step of a release; a failed smoke test goes to stderr."""
    if isinstance(result, BuildResult):
        show_build(run, result)
    elif isinstance(result, PushResult):
        show_push(run, result)
    else:
        try:
            refuse_failed(result)
            _print_report(run, result)
        except SmokeTestError as error:
            if run.flag("untested"):
                run.console.say(str(error))
        finally:
            _write_junit(run, result)


def show_cache(run: TaskRun, entries: Sequence[CacheEntry]) -> None:
    """Print one line for each of *entries*."""
    for entry in entries:
        layers = entry.layers
        size = f"{layers.size / 1e6:,.1f} MB" if layers.size else "size unknown"
        current = ", used by the project as it is now" if entry.is_current else ""
        grown = ", with packages added later" if layers.grown else ""
        run.console.result(f"{layers.name}  {size}, {entry.days:.0f} days old{grown}{current}")
    if not entries:
        run.console.say("there are no cached layers")


def show_removed(run: TaskRun, name: str) -> None:
    """Print the name of what was removed."""
    run.console.result(f"removed {name}")


def _write_junit(run: TaskRun, result: SmokeTestResult) -> None:
    """Write the report if `--junit` is given. The smoke test counts without the file, so a failure is a warning."""
    if not run.flag("junit") or not result.report:
        return
    from azureml_tasks.smoke.report import junit_xml

    path = Path(run.flag("junit"))
    try:
        path.write_text(junit_xml(result.report), encoding="utf-8", newline="\n")
    except OSError as error:
        run.console.warn(f"the report of --junit was not written: {machine_error(error).what}")


def _print_report(run: TaskRun, result: SmokeTestResult) -> None:
    if result.report:
        from azureml_tasks.smoke.report import report_text

        run.console.result(report_text(result.report))
