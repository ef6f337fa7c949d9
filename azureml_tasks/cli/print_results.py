"""The results of commands, printed on stdout."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.commands.image_smoke_test import refuse_failed
from azureml_tasks.commands.results import BuildResult, PushResult, SmokeTestResult
from azureml_tasks.errors import SmokeTestError, machine_error, stating
from azureml_tasks.notice import Notice
from azureml_tasks.sizes import size_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.cli.options import TaskRun
    from azureml_tasks.commands.results import CacheEntry, StepResult


def show_build(run: TaskRun, result: BuildResult) -> None:
    """Print the image's references, or its candidate in a registry; nothing under --dry."""
    if not run.console.dry:
        run.console.result(result.candidate or "\n".join(result.names))


def show_started_run(run: TaskRun, result: BuildResult) -> None:
    """Print the ID of a remote build that goes on, and how to follow it; nothing under --dry."""
    if run.console.collected:
        run.console.collected.steps.append(result)
    if run_id := result.run:
        run.console.say(f"to follow it to its end: invoke image.resume --run {run_id} --engine acr")
        run.console.result(run_id)


def show_push(run: TaskRun, result: PushResult) -> None:
    """Print the image by its digest, and set the outputs of a CI step; nothing under --dry."""
    if run.console.dry:
        return
    from azureml_tasks.cli.ci_outputs import set_step_outputs

    of_image = f"-{result.image_name}" if result.image_name else ""
    values = {"image": result.image, "digest": result.digest, "tags": ",".join(result.tags)}
    outputs = {f"{name}{of_image}": value for name, value in values.items()}
    try:
        with stating(f"Pushed: {result.image}"):
            run.console.result(result.image)
    finally:
        set_step_outputs(outputs, run.console)


@dataclass
class Steps:
    """Prints the result of each step as it ends, and keeps it.

    Args:
        run: the task's run.
        results: of the steps that have ended.
    """

    run: TaskRun
    results: list[StepResult] = field(default_factory=list)

    def show(self, result: StepResult) -> None:
        """Print the result of one step; a failed smoke test goes to stderr, unless the error shows it."""
        self.results.append(result)
        if self.run.console.collected:
            self.run.console.collected.steps.append(result)
        if isinstance(result, BuildResult):
            show_build(self.run, result)
        elif isinstance(result, PushResult):
            show_push(self.run, result)
        else:
            try:
                self._show_test(result)
                self._annotate(result)
            finally:
                _write_junit(self.run, self.results)

    def _annotate(self, result: SmokeTestResult) -> None:
        """Let a CI system show the warnings of a smoke test, which its report has."""
        if result.report and result.report.warnings:
            from azureml_tasks.cli.ci_annotations import annotate, annotation_of

            console = self.run.console
            annotate(annotation_of(each, console.spell, console.project) for each in result.report.warnings)

    def _show_test(self, result: SmokeTestResult) -> None:
        try:
            refuse_failed(result)
            _print_report(self.run, result)
        except SmokeTestError as error:
            if self.run.flag("untested"):
                self.run.console.say(str(error))


def show_cache(run: TaskRun, entries: Sequence[CacheEntry]) -> None:
    """Print one line for each of *entries*."""
    for entry in entries:
        size = size_text(entry.bytes) if entry.bytes else "size unknown"
        current = ", used by the project as it is now" if entry.is_current else ""
        grown = ", with packages added later" if entry.is_grown else ""
        run.console.result(f"{entry.name}  {size}, {entry.days:.0f} days old{grown}{current}")
    if not entries:
        run.console.say("there are no cached layers")


def show_removed(run: TaskRun, name: str) -> None:
    """Print the name of what was removed."""
    if run.console.collected:
        removed = run.console.collected.parts.get("removed", ())
        run.console.collected.parts["removed"] = (*removed, name)
    run.console.result(f"removed {name}")


def _write_junit(run: TaskRun, results: Sequence[StepResult]) -> None:
    """Write the reports if `--junit` is given. The smoke tests count without the file, so a failure is a warning."""
    tests = [result for result in results if isinstance(result, SmokeTestResult)]
    reports = [test.report for test in tests if test.report]
    if not run.flag("junit") or not reports:
        return
    from azureml_tasks.smoke.report import junit_xml, junit_xml_of_images

    text = junit_xml_of_images(reports) if tests[0].image_name else junit_xml(reports[0])

    path = Path(run.flag("junit"))
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        what = f"the report of --junit was not written: {machine_error(error).what}"
        run.console.warn(Notice("junit-not-written", what))


def _print_report(run: TaskRun, result: SmokeTestResult) -> None:
    if result.report:
        from azureml_tasks.smoke.report import report_text

        run.console.result(report_text(result.report))
