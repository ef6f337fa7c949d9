"""`--json`: what a task has met and made, printed as one object on stdout however the task ends."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_tasks.errors import (
    AzuremlTasksError,
    BuildError,
    FileProblem,
    LocatedProblem,
    SettingsError,
    Terminated,
    machine_error,
    spell_commands,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from azureml_tasks.cli.exit_handling import Messages
    from azureml_tasks.cli.json_common_shapes import Failure, Output
    from azureml_tasks.cli.json_shapes import ImageSteps
    from azureml_tasks.commands.results import StepResult
    from azureml_tasks.errors import Problem
    from azureml_tasks.notice import Notice

_INTERRUPTED = 130
_BY_SIGNAL = 128


@dataclass
class Collected:
    """What a task with `--json` has met and made so far. Its console prints on stderr, and adds to this.

    Args:
        dry: whether effects are only announced.
        notices: warnings, each with the name of its image.
        commands: that would be carried out.
        steps: results of the steps that have ended.
        failures: that the task has reported itself, in place of the error with which it ends.
        parts: further keys of the task's output.
    """

    dry: bool = False
    notices: list[tuple[str, Notice]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    steps: list[StepResult] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    parts: dict[str, Any] = field(default_factory=dict)


@contextmanager
def printed_as_json(task: str, messages: Messages) -> Iterator[Collected]:
    """Collect what the block makes, and print it at its end as one object; its error goes on.

    Args:
        task: its name.
        messages: spell the tasks in a text, and know the project's folder.
    """
    collected, start = Collected(), time.monotonic()
    failures: list[Failure] = []
    code = 0
    try:
        yield collected
    except BrokenPipeError:
        raise
    except (AzuremlTasksError, OSError) as error:
        described = machine_error(error) if isinstance(error, OSError) else error
        code = described.exit_code
        failures = failures_of(described, messages.spell, messages.project)
        raise
    except (KeyboardInterrupt, Terminated) as error:
        code = _INTERRUPTED if isinstance(error, KeyboardInterrupt) else _BY_SIGNAL + error.signal_number
        failures = [_failure("interrupted", "The command was interrupted.")]
        raise
    except Exception as error:
        code, failures = 1, [_failure("bug", f"{type(error).__name__}: {error}")]
        raise
    finally:
        if not isinstance(sys.exc_info()[1], BrokenPipeError):
            output = _output(task, collected, messages, collected.failures or failures)
            _print(replace(output, exit_code=code, seconds=round(time.monotonic() - start, 3)))


def failures_of(
    error: AzuremlTasksError, spell: Callable[[str], str], project: Path | None, image: str = ""
) -> list[Failure]:
    """Return each mistake that *error* stands for.

    Args:
        error: with which a task ends, or what `image.check` has found.
        spell: spells the tasks in a text as they are called here.
        project: its folder, if it is known.
        image: which of the table's images it is about; "" if the table itself is the image, or for all.
    """
    if project:
        error.name_files_from_here(project)
    if isinstance(error, SettingsError):
        return [_of_problem(each, error, spell, image) for each in error.problems]
    file, line = _place_in_project(error, project)
    return [
        _failure(
            error.code,
            spell(error.brief or error.what),
            file=file,
            line=line,
            fix=spell(error.next_step),
            said=spell_commands(error.said, spell),
            log=error.log,
            state=spell(error.state),
            image_name=image,
        )
    ]


def _place_in_project(error: AzuremlTasksError, project: Path | None) -> tuple[str, int | None]:
    """Return the file, relative to the current folder, and the line of the requirement or the command that failed."""
    if isinstance(error, BuildError) and (file := error.file_in(project)):
        return os.path.relpath(file), error.line or None
    return "", None


def _of_problem(problem: Problem, error: SettingsError, spell: Callable[[str], str], image: str) -> Failure:
    is_in_file = isinstance(problem, (FileProblem, LocatedProblem))
    return _failure(
        problem.code,
        spell(problem.what),
        file=problem.file if is_in_file else "",
        line=problem.line or None,
        option="" if is_in_file else problem.file,
        fix=spell(problem.fix),
        state=spell(error.state) or "Nothing was done.",
        image_name=image,
    )


def _failure(code: str, what: str, **more: Any) -> Failure:
    from azureml_tasks.cli.json_common_shapes import Failure

    return Failure(code=code, what=what, **more)


def _output(task: str, collected: Collected, messages: Messages, failures: Sequence[Failure]) -> Output:
    from azureml_tasks.cli.json_common_shapes import Warned
    from azureml_tasks.cli.json_shapes import SHAPES
    from azureml_tasks.commands.results import SmokeTestResult

    project = os.path.relpath(os.path.realpath(messages.project)) if messages.project else os.curdir
    seen = [
        (step.image_name, notice)
        for step in collected.steps
        if isinstance(step, SmokeTestResult) and step.report
        for notice in step.report.warnings
    ]
    warnings = [
        Warned(
            code=notice.code,
            what=messages.spell(notice.what),
            file=(Path(project) / notice.file).as_posix() if notice.file else "",
            line=notice.line or None,
            fix=messages.spell(notice.fix),
            image_name=image,
        )
        for image, notice in [*collected.notices, *seen]
    ]
    parts: dict[str, Any] = {
        **({"images": _images(collected.steps)} if collected.steps else {}),
        **collected.parts,
    }
    return SHAPES[task](
        version=1,
        task=task,
        dry=collected.dry,
        exit_code=0,
        seconds=0.0,
        errors=tuple(failures),
        warnings=tuple(warnings),
        commands=tuple(collected.commands),
        **parts,
    )


def _images(steps: Sequence[StepResult]) -> tuple[ImageSteps, ...]:
    """Return each image with its steps."""
    from azureml_tasks.cli.json_shapes import ImageSteps
    from azureml_tasks.commands.results import BuildResult, PushResult

    images: dict[str, ImageSteps] = {}
    for step in steps:
        name = step.image_name
        image = images.get(name, ImageSteps(name=name))
        if isinstance(step, BuildResult):
            images[name] = replace(image, build=step)
        elif isinstance(step, PushResult):
            images[name] = replace(image, push=step)
        else:
            images[name] = replace(image, smoke_test=step)
    return tuple(images.values())


def _print(output: Output) -> None:
    from azureml_tasks.cli.streams import write
    from azureml_tasks.typed_json import text_of

    write(sys.stdout, f"{text_of(output)}\n")
