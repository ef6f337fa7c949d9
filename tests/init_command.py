"""Run `image.init` in this process, with the flags that a person types."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.cli import init_report
from azureml_tasks.cli.console import Console
from azureml_tasks.commands.init import InitRequest, prepare, write
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.config.problems import Override
from azureml_tasks.errors import AzuremlTasksError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.commands.init import InitResult

__all__ = ["Ended", "run_init", "run_init_in"]


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How the command ended: its report, or its error.

    Args:
        report: on paper; "" if there is an error.
        error: the whole message; "" if there is none.
        result: of the command; None if there is an error.
    """

    report: str = ""
    error: str = ""
    result: InitResult | None = None


def run_init(folder: Path, words: Sequence[str]) -> Ended:
    """Run `image.init` with *words* in the current folder, which is *folder*; nobody answers questions."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--from", dest="files", action="append", default=[])
    parser.add_argument("--base")
    parser.add_argument("--keep-dockerfile", action="store_true")
    parser.add_argument("--project", default=".")
    parser.add_argument("--root")
    parser.add_argument("--image")
    flags = parser.parse_args(words)
    run = RunContext(
        folder=folder / flags.project,
        reporter=Console(),
        overrides={"base": Override(flags.base, "--base")} if flags.base else {},
        chosen=Override(flags.image, "--image") if flags.image else None,
        root=Override(str(folder / flags.root), "--root") if flags.root else None,
    )
    request = InitRequest(files=tuple(flags.files), keep_dockerfile=flags.keep_dockerfile)
    try:
        result = prepare(run, request, lambda _: None)
        write(run, result)
    except AzuremlTasksError as error:
        return Ended(error=f"{error}\n")
    return Ended(report=init_report.as_text(result, run.reporter.spell, dry=False) + "\n", result=result)


def run_init_in(folder: Path, *words: str) -> Ended:
    """Make *folder* the current one while `image.init` runs with *words*."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        return run_init(folder, words)
    finally:
        os.chdir(before)
