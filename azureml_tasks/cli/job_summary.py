"""What a run did, as Markdown in the summary that GitHub Actions and Azure Pipelines show of a job.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions#adding-a-job-summary,
https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands#uploadsummary-add-some-markdown-content-to-the-build-summary
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.cli.ci_annotations import brief_text
from azureml_tasks.cli.streams import write
from azureml_tasks.commands.results import BuildResult, PushResult, SmokeTestResult
from azureml_tasks.errors import AzuremlTasksError, SmokeTestError, machine_error
from azureml_tasks.notice import Notice
from azureml_tasks.plain_text import clean, one_line
from azureml_tasks.sizes import duration_text, memory_text, size_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from azureml_tasks.cli.options import TaskRun
    from azureml_tasks.commands.results import StepResult
    from azureml_tasks.smoke.report import Report

_FILE = "azureml-image.md"
"""Azure Pipelines shows the file's name as the heading of the section."""
_MOST = 500_000
"""Characters, of up to 4 bytes each in UTF-8; GitHub takes 1 MiB of each step."""
_LONGEST_VALUE = 1000
"""Characters of a name, a reason or a message."""
_MARKDOWN = re.compile(r"[\\`*_\[\]<>~&@#$]")
"""What means something within a line; nothing here begins one."""
_FIRST_ROWS = ("image", "digest")
_VERDICTS = {
    "built": "is built",
    "up-to-date": "is up to date",
    "mounted": "is the base",
    "passed": "passed its smoke test",
    "failed": "failed its smoke test",
    "pushed": "is pushed",
}
"""The status of a step, after the name of the image."""


@contextmanager
def job_summary(run: TaskRun, results: Sequence[StepResult]) -> Iterator[None]:
    """Add what the block does to the summary of the job, however it ends; do nothing elsewhere and under --dry.

    Args:
        run: the task's run.
        results: of the steps that have ended by the end of the block.
    """
    error = ""
    try:
        yield
    except AzuremlTasksError as failed:
        # The table has the checks of a smoke test that failed.
        is_known = isinstance(failed, SmokeTestError) and any(each.status == "failed" for each in results)
        error = "" if is_known else run.console.spell(brief_text(failed))
        raise
    finally:
        if not run.console.dry and (results or error):
            _add(run, summary_text(results, task=run.task, error=error))


def summary_text(results: Sequence[StepResult], *, task: str, error: str = "") -> str:
    """Return the summary as Markdown: a table for each image, and the error that ended the command.

    Args:
        results: of the steps, in order.
        task: the name of the task.
        error: what went wrong; "" if nothing did.
    """
    images: dict[str, list[StepResult]] = {}
    for result in results:
        images.setdefault(result.image_name, []).append(result)
    parts = [_image_text(steps) for steps in images.values()]
    if error:
        parts.append(_table(f"{_escaped(task)} failed", {"error": _lines(error.splitlines())}))
    text = "\n".join(parts)
    return text if len(text) <= _MOST else f"{text[:_MOST].rpartition(chr(10))[0]}\n"


def _image_text(steps: Sequence[StepResult]) -> str:
    rows = dict.fromkeys(_FIRST_ROWS, "")
    for step in steps:
        rows |= dict(_rows(step))
    verdict = _VERDICTS.get(steps[-1].status, steps[-1].status)
    return _table(f"{_escaped(_name_of(steps[-1]))} {verdict}", rows)


def _table(heading: str, rows: Mapping[str, str]) -> str:
    lines = [f"| {_escaped(label)} | {value} |" for label, value in rows.items() if value]
    return "\n".join([f"### {heading}", "", "| | |", "|---|---|", *lines, ""])


def _name_of(step: StepResult) -> str:
    if isinstance(step, PushResult):
        return f"{step.repository}:{step.tags[0]}"
    return step.names[0] if step.names else step.id[:19]


def _rows(step: StepResult) -> Iterator[tuple[str, str]]:
    """Return label and Markdown of each fact; a row without a value is left out."""
    if isinstance(step, BuildResult):
        yield from _build_rows(step)
    elif isinstance(step, PushResult):
        yield "image", _lines(f"{step.repository}:{tag}" for tag in step.tags)
        yield "digest", _escaped(step.digest)
        yield "push", duration_text(step.seconds)
    else:
        yield from _test_rows(step)


def _build_rows(step: BuildResult) -> Iterator[tuple[str, str]]:
    yield "image", _lines(step.names)
    yield "ID", _escaped(step.id)
    yield "size", f"{size_text(step.bytes)} with its base" if step.bytes else ""
    if step.context:
        files = f"{step.context.files:,} file{'' if step.context.files == 1 else 's'}"
        yield "build context", f"{files}, {size_text(step.context.bytes)}"
    yield "rebuilt", ", ".join(map(_escaped, step.rebuilt)) or _rebuilt(step)
    yield "because", _lines(step.because)
    yield "build", duration_text(step.seconds)


def _rebuilt(step: BuildResult) -> str:
    if step.status == "up-to-date":
        return "nothing: files, Dockerfile, base, platform and version are the same"
    return "everything that no cache had: compared with no earlier build" if step.status == "built" else ""


def _test_rows(step: SmokeTestResult) -> Iterator[tuple[str, str]]:
    report = step.report
    if not report:
        return
    count = len(report.checks)
    passed = sum(check.outcome == "passed" for check in report.checks)
    yield "smoke test", f"{passed} of {count} checks passed in {duration_text(step.seconds)}"
    yield (
        "start-up",
        f"ready after {duration_text(report.started)}" if report.started is not None else "never ready",
    )
    for latency in report.latencies:
        times = f"p50 {duration_text(latency.p50)}, p95 {duration_text(latency.p95)} of {latency.repeats}"
        title = latency.name if latency.name.startswith("request") else f"request {latency.name}"
        yield title, f"{latency.status} in {times}"
    yield "peak memory", memory_text(report.peak_memory) if report.peak_memory is not None else ""
    yield from _findings(report)


def _findings(report: Report) -> Iterator[tuple[str, str]]:
    for check in report.checks:
        if check.outcome == "failed":
            yield f"failed: {check.name}", _lines(check.details)
    yield "warnings", _lines(map(str, report.warnings))


def _lines(texts: Iterable[str]) -> str:
    return "<br>".join(map(_escaped, texts))


def _escaped(text: str) -> str:
    """Return *text* as Markdown that shows it as it is, cleaned and in one line.

    A backslash makes any punctuation literal (https://github.github.com/gfm/#backslash-escapes); a pipe, which ends
    a cell before a backslash counts, is a character reference.
    """
    shown = one_line(clean(text))
    shown = shown if len(shown) <= _LONGEST_VALUE else f"{shown[:_LONGEST_VALUE]}…"
    return _MARKDOWN.sub(lambda match: f"\\{match[0]}", shown).replace("|", "&#124;")


def _add(run: TaskRun, text: str) -> None:
    """Add *text* to the summary. What it says has happened, so a file that cannot be written is only a warning."""
    try:
        if path := os.environ.get("GITHUB_STEP_SUMMARY"):
            _append(path, text)
        elif folder := _azure_folder(os.environ):
            file = Path(tempfile.mkdtemp(prefix="azureml-image-", dir=folder)) / _FILE
            _append(str(file), text)
            write(sys.stderr, f"##vso[task.uploadsummary]{one_line(str(file))}\n")  # stdout is for results
    except OSError as error:
        what = f"the summary of the job was not written: {machine_error(error).what}"
        run.console.warn(Notice("job-outputs", what))


def _azure_folder(environment: Mapping[str, str]) -> str:
    """Return the folder that the agent cleans after the job; "" outside of Azure Pipelines.

    The agent uploads a file after the command that names it has ended, so the file stays.
    https://learn.microsoft.com/azure/devops/pipelines/build/variables#agent-variables-devops-services
    """
    return environment.get("AGENT_TEMPDIRECTORY", "") if environment.get("TF_BUILD") else ""


def _append(path: str, text: str) -> None:
    """Append *text* in one write, so that what other steps of the job append at the same time is not mixed with it."""
    data = f"{text}\n".encode("utf-8", "replace")
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    try:
        while data:
            data = data[os.write(file, data) :]
    finally:
        os.close(file)
