"""What the line makes before any engine, for people and for other builders: the Dockerfile and the build context."""

from __future__ import annotations

import shlex
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING

from azureml_tasks.commands.run_context import prepare
from azureml_tasks.context.tar_archive import archive
from azureml_tasks.errors import Problem, SettingsError
from azureml_tasks.planning.dockerfile import render
from azureml_tasks.planning.plan import plan
from azureml_tasks.project.load import load

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.commands.run_context import RunContext

__all__ = ["write_context", "write_dockerfile"]

_BUILDERS = (None, "any", "buildkit")


def write_dockerfile(job: RunContext, builder: str | None, output: Path | None) -> None:
    """Write the text of the Dockerfile for *builder*, and nothing else, to *output* or stdout.

    Raises:
        SettingsError: there is no such builder.
    """
    if builder not in _BUILDERS:
        known = ", ".join(filter(None, _BUILDERS))
        raise SettingsError(
            [Problem("--builder", 0, f'is "{builder}", which is not known', f"Known are {known}.")]
        )
    text = render(plan(load(job.folder, job.overrides)), mounts=builder == "buildkit")
    flags = job.reporter.flags + (f" --builder {builder}" if builder else "")
    if not output:
        sys.stdout.write(text)
    elif job.reporter.effect([], before=f"invoke image.dockerfile{flags} > {shlex.quote(str(output))}"):
        output.write_text(text, encoding="utf-8", newline="\n")


def write_context(job: RunContext, output: Path | None) -> None:
    """Write the build context with its Dockerfile, the archive that every engine gets, to *output* or stdout.

    Raises:
        SettingsError: stdout is a terminal, which an archive would garble.
    """
    if not output and sys.stdout.isatty():
        fix = "invoke image.context --output context.tar\nor: invoke image.context | docker build -"
        raise SettingsError([Problem("stdout", 0, "is a terminal, and the build context is an archive", fix)])
    _, found = prepare(job)
    command = f"invoke image.context{job.reporter.flags} > {shlex.quote(str(output))}"
    if output and not job.reporter.effect([], before=command):
        return
    with output.open("wb") if output else nullcontext(sys.stdout.buffer) as stream:
        for block in job.reporter.progress(archive(found), found.size, "packing the build context"):
            stream.write(block)
