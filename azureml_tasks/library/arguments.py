"""The arguments of a function become a run, and its errors name commands that mean the same."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from azureml_tasks.commands.machine_settings import read_machine_settings
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.commands.run_engine import engine_problems
from azureml_tasks.config.problems import Override
from azureml_tasks.errors import AzuremlTasksError, Problem, SettingsError, machine_error
from azureml_tasks.library.progress import CallbackReporter, Progress
from azureml_tasks.plain_text import shell_join

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

EngineName: TypeAlias = Literal["docker", "acr", "auto"]
"""docker: the local engine; acr: Azure Container Registry; auto: docker if it answers, else acr."""


class Arguments(NamedTuple):
    """What the functions have in common; each is as the flag of the tasks with its name.

    Args:
        project: folder of the project, relative to the current folder.
        image: one of the table's images; None for all.
        base: image to extend, instead of the table's.
        registry: login server, instead of the table's.
        tags: of the image, instead of the table's.
        engine: that builds, or has built.
        secrets: ID of a secret that the table wants → where it is: a file, `env:VARIABLE` or `default`.
        allow_source_builds: let packages without a wheel be built while secrets are mounted.
        root: folder above the project that its files must be in.
        progress: takes each event.
    """

    project: Path | str
    image: str | None = None
    base: str | None = None
    registry: str | None = None
    tags: Sequence[str] | None = None
    engine: str = "docker"
    secrets: Mapping[str, str] | None = None
    allow_source_builds: bool = False
    root: Path | str | None = None
    progress: Callable[[Progress], None] | None = None


@contextmanager
def running(arguments: Arguments) -> Iterator[tuple[RunContext, CallbackReporter]]:
    """Yield the run of *arguments* and its reporter; name tasks in an error as commands to paste.

    Of our variables those count that decide what no file of a project may decide, such as
    INVOKE_AZUREML_IMAGE_ALLOWED_REGISTRIES. The variables of options do not.

    Raises:
        SettingsError: an argument or such a variable is wrong.
        MachineError: for an `OSError` of the block.
    """
    reporter = _reporter(arguments)
    with own_errors(reporter):
        yield _run(arguments, _given(arguments), reporter), reporter


@contextmanager
def naming_commands(arguments: Arguments) -> Iterator[None]:
    """Turn each error of the block, which needs no more of *arguments*, into one with commands to paste."""
    with own_errors(_reporter(arguments)):
        if problems := _folder_problems(arguments):
            raise SettingsError(problems)
        yield


@contextmanager
def own_errors(reporter: CallbackReporter) -> Iterator[None]:
    """Turn each error of the block into an `AzuremlTasksError` with commands to paste.

    Raises:
        MachineError: for an `OSError`.
    """
    try:
        yield
    except AzuremlTasksError as error:
        error.spell(reporter.spell)
        raise
    except BrokenPipeError:
        raise  # The caller's callback may print.
    except OSError as error:
        raise machine_error(error) from error


def _reporter(arguments: Arguments) -> CallbackReporter:
    flags = _flags(arguments, _given(arguments))
    return CallbackReporter(callback=arguments.progress or _ignored, flags=flags, warnings=set(), logs=[])


def _given(arguments: Arguments) -> dict[str, list[str]]:
    """Return the words of each flag that takes the place of a key of the table, or names an image of it."""
    values = {"image": arguments.image, "base": arguments.base, "registry": arguments.registry}
    given = {name: [value] for name, value in values.items() if value is not None}
    return given | ({"tag": list(arguments.tags)} if arguments.tags is not None else {})


def _folder_problems(arguments: Arguments) -> list[Problem]:
    folder = Path(arguments.project).resolve()
    fix = "Name the folder of the project's pyproject.toml."
    return [] if folder.is_dir() else [Problem("--project", 0, f"{folder} is not a folder", fix)]


def _run(arguments: Arguments, given: Mapping[str, Sequence[str]], reporter: CallbackReporter) -> RunContext:
    problems = [*_folder_problems(arguments), *engine_problems(arguments.engine, "--engine")]
    words = {**given, "root": [os.fspath(arguments.root)] if arguments.root is not None else []}
    problems += [
        Problem(f"--{name}", 0, "is empty", "Give it a value, or leave it out.")
        for name, values in words.items()
        if not all(values)
    ]
    if isinstance(arguments.tags, str):
        what = f'must be an array of strings, got "{arguments.tags}"'
        problems.append(Problem("--tag", 0, what, f'tags=["{arguments.tags}"]'))
    settings = read_machine_settings(
        os.environ,
        problems,
        secrets=[f"{name}={source}" for name, source in (arguments.secrets or {}).items()],
        source_builds=arguments.allow_source_builds,
        root=os.fspath(arguments.root) if arguments.root is not None else "",
        root_from=Path.cwd(),
    )
    if problems:
        raise SettingsError(problems)
    overrides = {"base": arguments.base, "registry": arguments.registry}
    values = {name: Override(value, f"--{name}") for name, value in overrides.items() if value}
    if arguments.tags:
        values["tags"] = Override(list(arguments.tags), "--tag")
    return RunContext(
        folder=Path(arguments.project).resolve(),
        reporter=reporter,
        engine=arguments.engine,
        overrides=values,
        chosen=Override(arguments.image, "--image") if arguments.image else None,
        **settings._asdict(),
    )


def _flags(arguments: Arguments, given: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the flags with which a command that is pasted in the current folder means the same."""
    folder = os.path.relpath(Path(arguments.project))  # An empty path is the current folder, as for `Path`.
    words = {"project": ["--project", folder]} if folder != os.curdir else {}
    words |= {name: [f"--{name}={value}" for value in values] for name, values in given.items()}
    words |= {"engine": ["--engine", arguments.engine]} if arguments.engine != "docker" else {}
    words |= {"root": ["--root", os.fspath(arguments.root)]} if arguments.root is not None else {}
    secrets = [f"--secret={name}={source}" for name, source in (arguments.secrets or {}).items()]
    words |= {"secret": secrets} if secrets else {}
    words |= {"allow-source-builds": ["--allow-source-builds"]} if arguments.allow_source_builds else {}
    return {name: shell_join(each) for name, each in words.items()}


def _ignored(_: Progress) -> None:
    """Take an event of which nobody wants to know."""
