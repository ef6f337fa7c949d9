"""What `image.init` reads: the files that a person names, or those that a search of the folder leads to."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from azureml_tasks.errors import SettingsError
from azureml_tasks.migration import image_origin
from azureml_tasks.migration.draft import Fixed
from azureml_tasks.migration.questions import Question, command_line
from azureml_tasks.migration.reading import Kind
from azureml_tasks.migration.search.folder import search
from azureml_tasks.migration.sources import UnreadableSource, open_source, read_sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.migration.reading import Reading, Source
    from azureml_tasks.migration.search.folder import PassedOver
    from azureml_tasks.migration.surroundings import Surroundings

_BASE_FLAG = "--base"

Ask: TypeAlias = Callable[[Question], int | None]
"""Asks a question and returns the index of the choice; None if nobody can be asked."""


class ReadSources(NamedTuple):
    """What was read.

    Args:
        readings: of each source, in the order in which they were read.
        base: that the run or an answer gives, at most one.
        passed_over: what a search of the folder saw and did not take.
    """

    readings: tuple[Reading, ...]
    base: tuple[Fixed, ...]
    passed_over: tuple[PassedOver, ...]


def read_chosen(run: RunContext, files: Sequence[str], surroundings: Surroundings, ask: Ask) -> ReadSources:
    """Choose the sources, and read them.

    Args:
        run: the run.
        files: that a person names, relative to the current folder; empty to search the project's folder.
        surroundings: of the project.
        ask: asks what is ambiguous.

    Raises:
        SettingsError: a file cannot be read, or something is ambiguous and nobody can be asked.
    """
    given = run.overrides.get("base")
    is_written = given is not None and given.source == _BASE_FLAG  # Any other source is there in each run.
    base = [Fixed(("base",), given.value, given.source)] if given and is_written else []
    passed_over: tuple[PassedOver, ...] = ()
    if files:
        sources = opened([_name(file, surroundings.folder) for file in files], surroundings)
    else:
        sources, answered, passed_over = _searched(surroundings, ask)
        base = base or answered
    readings, base = _with_image_origin(sources, base, passed_over, surroundings, ask)
    return ReadSources(readings, tuple(base), passed_over)


def opened(names: Sequence[str], surroundings: Surroundings) -> list[Source]:
    """Return the sources of *names*.

    Raises:
        SettingsError: with all that cannot be read.
    """
    sources, problems = [], []
    for name in names:
        try:
            sources.append(open_source(name, surroundings))
        except UnreadableSource as error:
            problems.append(error.problem)
    if problems:
        raise SettingsError(problems)
    return sources


def _searched(
    surroundings: Surroundings, ask: Ask
) -> tuple[list[Source], list[Fixed], tuple[PassedOver, ...]]:
    """Search the project's folder, and ask what is ambiguous in it."""
    result = search(surroundings)
    clear = [source.name for source in result.sources]
    flags_of = answers(result.questions, clear, surroundings.folder, ask)
    named = [flags[1] for flags in flags_of if flags[:1] == ("--from",)]
    base = [Fixed(("base",), flags[1], "--base") for flags in flags_of if flags[:1] == ("--base",)]
    return [*result.sources, *opened(named, surroundings)], base, result.passed_over


def answers(
    questions: Sequence[Question], clear: Sequence[str], folder: Path, ask: Ask
) -> list[tuple[str, ...]]:
    """Return the flags of the choice that answers each of *questions*.

    Args:
        questions: to ask.
        clear: sources that are read in any case.
        folder: of the project.
        ask: asks one of them.

    Raises:
        SettingsError: nobody can be asked; with all questions, their choices, and a command that answers them.
    """
    flags: list[tuple[str, ...]] = []
    for question in questions:
        index = ask(question)
        if index is None:
            break
        flags.append(question.choices[index].flags)
    if len(flags) == len(questions):
        return flags
    shown = [_as_typed(question, folder) for question in questions]
    example = command_line(("invoke", "image.init"), [typed(name, folder) for name in clear], shown)
    *first, last = sorted(question.problem() for question in shown)  # as the error orders them
    last = last._replace(fix=f"{last.fix}\nor answer all at once, such as: {example}")
    raise SettingsError([*first, last])


def _as_typed(question: Question, folder: Path) -> Question:
    """Return *question* with the files of its flags relative to the current folder."""
    choices = (
        choice._replace(flags=("--from", typed(choice.flags[1], folder)))
        if choice.flags[:1] == ("--from",)
        else choice
        for choice in question.choices
    )
    return question._replace(choices=tuple(choices))


def typed(name: str, folder: Path) -> str:
    """Return the file *name* of the project in *folder* as a person here types it."""
    return Path(os.path.relpath(folder / name)).as_posix()


def _name(file: str, folder: Path) -> str:
    """Return the name of a file that a person gives: relative to the project's folder, with "/"."""
    path = Path.cwd() / file
    is_folder = path.name in {"", ".."}
    home = os.path.realpath(path) if is_folder else Path(os.path.realpath(path.parent), path.name)
    return Path(os.path.relpath(home, folder)).as_posix()


def _with_image_origin(
    sources: Sequence[Source],
    base: list[Fixed],
    passed_over: Sequence[PassedOver],
    surroundings: Surroundings,
    ask: Ask,
) -> tuple[tuple[Reading, ...], list[Fixed]]:
    """Read *sources*, with the Dockerfile that makes their image if it is one that no source names.

    Raises:
        SettingsError: nobody can be asked which one it is.
    """
    readings = read_sources(sources, surroundings)
    unnamed = [each.name for each in passed_over if each.kind is Kind.DOCKERFILE]
    question = None if base else image_origin.question(readings, unnamed)
    if question:
        clear = [source.name for source in sources]
        ((flag, value),) = answers([question], clear, surroundings.folder, ask)
        if flag == "--base":
            base = [Fixed(("base",), value, "your answer")]
        else:
            readings = read_sources([*sources, *opened([value], surroundings)], surroundings)
    return image_origin.of_dockerfile(readings), base
