"""What `image.init --json` prints."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 -- `typed_json` reads the types of fields
from dataclasses import dataclass
from typing import Any

from azureml_tasks.cli.json_common_shapes import Output
from azureml_tasks.migration.reading import Kind, Outcome  # noqa: TC001 -- `typed_json` reads the types of fields


@dataclass(frozen=True, kw_only=True)
class FileToWrite:
    """A file that `image.init` would write.

    Args:
        file: path relative to the current folder.
        adds: whether the text is added to its end.
        text: to write.
    """

    file: str
    adds: bool
    text: str


@dataclass(frozen=True, kw_only=True)
class SourceLineOutput:
    """What became of one line of a source.

    Args:
        line: its first line, 1-based; 0 for a model, which has no lines.
        end: its last line; the same for one line.
        text: the line; "***" in place of a secret.
        outcome: what became of it.
        why: what it became, why it is not needed, what differs, or why it is left over.
    """

    line: int
    end: int
    text: str
    outcome: Outcome
    why: str


@dataclass(frozen=True, kw_only=True)
class SourceOutput:
    """A file that `image.init` has read.

    Args:
        file: path relative to the project.
        kind: what it is.
        whole: whether the table says all that it says.
        lines: every line that is neither blank nor a comment.
    """

    file: str
    kind: Kind
    whole: bool
    lines: tuple[SourceLineOutput, ...]


@dataclass(frozen=True, kw_only=True)
class PassedOverOutput:
    """A file that was seen and not read.

    Args:
        name: of the file.
        why: the reason.
        kind: what it is; null if that is not known.
    """

    name: str
    why: str
    kind: Kind | None


@dataclass(frozen=True, kw_only=True)
class DifferenceOutput:
    """One key of a table that exists, compared with what the sources say.

    Args:
        key: its path, with dots.
        table: its value in the table; null if it has none.
        sources: what the sources say; null if they say nothing.
    """

    key: str
    table: Any
    sources: Any


@dataclass(frozen=True, kw_only=True)
class TasksAdvice:
    """What to add to a file so that Invoke has the tasks.

    Args:
        file: path relative to the current folder.
        add: lines of Python.
    """

    file: str
    add: str


@dataclass(frozen=True, kw_only=True)
class InitOutput(Output):
    """What `image.init` prints.

    Args:
        whole: whether the table says all that the sources say, and no source says less.
        written: paths of the files that were written, relative to the current folder.
        not_written: what would be written, under `--dry`.
        table: that the sources make.
        differences: from the table that exists; null if there was none.
        sources: that were read, in order.
        not_read: what a search of the folder saw and did not take.
        tasks: what to add to a `tasks.py` that exists; null if nothing.
        adds: what the image has that no source says, in clauses.
        notes: on what to do next, in sentences.
        next: commands, in order.
    """

    whole: bool = False
    written: tuple[str, ...] = ()
    not_written: tuple[FileToWrite, ...] = ()
    table: Mapping[str, Any] | None = None
    differences: tuple[DifferenceOutput, ...] | None = None
    sources: tuple[SourceOutput, ...] = ()
    not_read: tuple[PassedOverOutput, ...] = ()
    tasks: TasksAdvice | None = None
    adds: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    next: tuple[str, ...] = ()
