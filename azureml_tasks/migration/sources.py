"""Read the files that a person names, and those that they name in turn. They are untrusted: read safely, never run."""

from __future__ import annotations

import posixpath
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.errors import FileProblem
from azureml_tasks.migration.code.model_source import no_model_because, read_model
from azureml_tasks.migration.code.request_source import read_request
from azureml_tasks.migration.code.script_source import read_script
from azureml_tasks.migration.deployment.deployment_yaml import read_deployment
from azureml_tasks.migration.deployment.environment_yaml import read_environment
from azureml_tasks.migration.dockerfile.source import read_dockerfile
from azureml_tasks.migration.kinds import NoSource, kind_of_name, kind_of_text
from azureml_tasks.migration.packages.conda_source import read_conda_source
from azureml_tasks.migration.packages.pyproject_source import read_pyproject_source
from azureml_tasks.migration.packages.requirements_source import read_requirements_source
from azureml_tasks.migration.reading import Kind, Outcome, Reading, Source, SourceLine
from azureml_tasks.text_file import UnreadableFile, read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import TypeAlias

    from azureml_tasks.errors import Problem
    from azureml_tasks.migration.reading import Reference
    from azureml_tasks.migration.surroundings import Located, Surroundings

    Reader: TypeAlias = Callable[[Source, Surroundings], Reading]

_MOST_SOURCES = 50
"""Files that are read: a file may name any number of others."""
_WITH_CODING_LINES = frozenset({Kind.REQUIREMENTS, Kind.SCRIPT})
"""Kinds whose files may name their encoding in a comment, as pip and Python read it."""


class UnreadableSource(Exception):
    """A source that cannot be read.

    Args:
        problem: the reason, and what to do about it.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class _Reached(NamedTuple):
    """A source, and the reference that leads to it; None if a person named it."""

    source: Source
    by: tuple[int, Reference] | None = None


def open_source(name: str, surroundings: Surroundings, kind: Kind | None = None) -> Source:
    """Return the source *name* with its text.

    Args:
        name: path relative to the project's folder.
        surroundings: of the project.
        kind: what it is; None if its name and its content have to tell.

    Raises:
        UnreadableSource: it does not exist, leaves the root, cannot be read, or is of no kind that tells something.
    """
    located = surroundings.locate(name)
    if located.kind not in {"file", "folder"}:
        raise UnreadableSource(_not_located(located.name, located.kind, surroundings))
    path = (surroundings.folder / located.name).resolve()
    kind = kind or _kind_of_place(located)
    if kind is Kind.MODEL:
        model = Source(path=path, name=located.name, kind=kind)
        if other := no_model_because(model, surroundings):
            raise UnreadableSource(FileProblem(located.name, 0, other.what, other.fix))
        return model
    if located.kind == "folder":
        raise UnreadableSource(FileProblem(located.name, 0, "is a folder, not a file", "Name a file in it."))
    try:
        text = read_text(path, coding_lines=kind in _WITH_CODING_LINES or _has_coding_lines(located.name))
    except FileNotFoundError:
        raise UnreadableSource(_not_located(located.name, "", surroundings)) from None
    except UnreadableFile as error:
        raise UnreadableSource(FileProblem(located.name, 0, error.why, error.fix)) from error
    return Source(path=path, name=located.name, kind=kind or _read_kind(located.name, text), text=text)


def read_sources(sources: Sequence[Source], surroundings: Surroundings) -> tuple[Reading, ...]:
    """Read *sources*, and the sources that they name: each once, in the order in which they are reached.

    A source that is named and cannot be read is left over in the line that names it.
    """
    readings: list[Reading] = []
    places: dict[tuple[str, Kind], int] = {}
    waiting = deque(_Reached(source) for source in sources)
    while waiting:
        source, by = waiting.popleft()
        key = (str(source.path), source.kind)
        if key in places:
            continue
        if len(readings) == _MOST_SOURCES and by:
            why = f"{source.name} is not read: {_MOST_SOURCES} files are read, and no more"
            readings[by[0]] = left_over(readings[by[0]], by[1].line, why)
            continue
        places[key] = len(readings)
        reading = _READERS[source.kind](source, surroundings)
        readings.append(reading)
        at = places[key]
        for reference in reading.references:
            try:
                waiting.append(_Reached(_referenced(reference, surroundings), (at, reference)))
            except UnreadableSource as error:
                why = f"{error.problem.file} {error.problem.what}"
                readings[at] = left_over(readings[at], reference.line, why)
    return tuple(readings)


def left_over(reading: Reading, line: int, why: str, outcome: Outcome = Outcome.LEFT_OVER) -> Reading:
    """Return *reading* with the entry of *line* as left over, or with another *outcome*, for the reason *why*."""
    return replace(reading, lines=tuple(_changed(reading.lines, line, why, outcome)))


def _changed(lines: Iterable[SourceLine], line: int, why: str, outcome: Outcome) -> Iterable[SourceLine]:
    """Yield *lines* with another outcome of the entry that holds *line*; of several the one that begins last."""
    lines = tuple(lines)
    holding = [at for at, each in enumerate(lines) if each.line <= line <= each.end]
    nearest = max(holding, key=lambda at: (lines[at].line, -lines[at].end), default=None)
    for at, each in enumerate(lines):
        if at != nearest:
            yield each
            continue
        is_open = each.outcome is Outcome.LEFT_OVER
        whys = (each.why, why) if is_open and why not in each.why else (each.why if is_open else why,)
        yield each._replace(outcome=Outcome.LEFT_OVER if is_open else outcome, why="; ".join(whys))
    if nearest is None:
        yield SourceLine(line=line, end=line, text="", outcome=outcome, why=why)


def _referenced(reference: Reference, surroundings: Surroundings) -> Source:
    """Return the source that a reference names."""
    if reference.name:
        return open_source(reference.name, surroundings, reference.kind)
    what = "is registered in a workspace, and no file here defines it"
    raise UnreadableSource(FileProblem(f"the environment {reference.registered}", 0, what))


def _not_located(name: str, kind: str, surroundings: Surroundings) -> FileProblem:
    if kind == "outside":
        fix = "Copy it into the project, or name a folder above both: --root FOLDER"
        return FileProblem(name, 0, f"is outside {surroundings.root}", fix)
    if kind:
        return FileProblem(name, 0, f"is a {kind}")
    return FileProblem(name, 0, "does not exist", f"ls {posixpath.dirname(name) or '.'}")


def _read_kind(name: str, text: str) -> Kind:
    """Return what the content of a file tells.

    Raises:
        UnreadableSource: it is nothing that is read.
    """
    kind = kind_of_text(name, text)
    if isinstance(kind, NoSource):
        raise UnreadableSource(FileProblem(name, 0, kind.what, kind.fix))
    return kind


def _kind_of_place(located: Located) -> Kind | None:
    """Return what a folder or the name of a file tells; None if the content has to tell.

    Raises:
        UnreadableSource: the name tells that it is nothing that is read.
    """
    if located.kind == "folder":
        return Kind.MODEL
    kind = kind_of_name(located.name)
    if isinstance(kind, NoSource):
        raise UnreadableSource(FileProblem(located.name, 0, kind.what, kind.fix))
    return kind


def _has_coding_lines(name: str) -> bool:
    return name.endswith((".py", ".txt", ".in"))


_READERS: Mapping[Kind, Reader] = {
    Kind.DEPLOYMENT: read_deployment,
    Kind.ENVIRONMENT: read_environment,
    Kind.DOCKERFILE: read_dockerfile,
    Kind.CONDA: read_conda_source,
    Kind.REQUIREMENTS: read_requirements_source,
    Kind.PYPROJECT: read_pyproject_source,
    Kind.SCRIPT: read_script,
    Kind.MODEL: read_model,
    Kind.REQUEST: read_request,
}
"""What reads a source of each kind."""
