"""What the line makes before any engine, for people and for other builders: the Dockerfile and the build context."""

from __future__ import annotations

import shlex
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING

from azureml_tasks.archive import archive
from azureml_tasks.dockerfile import render
from azureml_tasks.errors import Problem, SettingsError
from azureml_tasks.job import prepare
from azureml_tasks.planning import plan
from azureml_tasks.project import load

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.job import Job

__all__ = ["write_context", "write_dockerfile"]

_BUILDERS = (None, "any", "buildkit")


def write_dockerfile(job: Job, builder: str | None, output: Path | None) -> None:
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
    flags = job.terminal.flags + (f" --builder {builder}" if builder else "")
    if not output:
        sys.stdout.write(text)
    elif job.terminal.effect([], before=f"invoke image.dockerfile{flags} > {shlex.quote(str(output))}"):
        output.write_text(text, encoding="utf-8", newline="\n")


def write_context(job: Job, output: Path | None) -> None:
    """Write the build context with its Dockerfile, the archive that every engine gets, to *output* or stdout.

    Raises:
        SettingsError: stdout is a terminal, which an archive would garble.
    """
    if not output and sys.stdout.isatty():
        fix = "invoke image.context --output context.tar\nor: invoke image.context | docker build -"
        raise SettingsError([Problem("stdout", 0, "is a terminal, and the build context is an archive", fix)])
    _, found = prepare(job)
    command = f"invoke image.context{job.terminal.flags} > {shlex.quote(str(output))}"
    if output and not job.terminal.effect([], before=command):
        return
    with output.open("wb") if output else nullcontext(sys.stdout.buffer) as stream:
        for block in job.terminal.progress(archive(found), found.size, "packing the build context"):
            stream.write(block)
