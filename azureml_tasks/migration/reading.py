"""What a file of another tool says, in terms of the table `[tool.azureml-image]`.

Each source is read by one function, `Source` → `Reading`: values for keys of the table, and for each of its lines what
became of it. Nothing is dropped without a word: a line that the table cannot say is left over, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.config.problems import Place


class Kind(str, Enum):
    """What a source is."""

    DEPLOYMENT = "deployment"
    """A deployment of Azure ML as YAML, online or batch."""
    ENVIRONMENT = "environment"
    """An environment of Azure ML as YAML."""
    DOCKERFILE = "dockerfile"
    CONDA = "conda"
    REQUIREMENTS = "requirements"
    """A requirements file or a lock file."""
    PYPROJECT = "pyproject"
    SCRIPT = "script"
    """A Python file that defines `init()` and `run()`."""
    MODEL = "model"
    """A file or a folder."""
    REQUEST = "request"
    """A JSON file to send as the first request."""


class Outcome(str, Enum):
    """What became of a line."""

    KEY = "key"
    """The table says the same."""
    DEPLOYMENT = "deployment"
    """It is of the deployment, not of the image, and stays there."""
    NOT_NEEDED = "not-needed"
    """The image has its effect without it."""
    CHANGED = "changed"
    """The table says something that is not quite the same; `why` names the difference."""
    LEFT_OVER = "left-over"
    """The table does not say it."""


_OPEN = (Outcome.CHANGED, Outcome.LEFT_OVER)


class Source(NamedTuple):
    """A file to read.

    Args:
        path: of the file or folder, resolved.
        name: its path relative to the project's folder with "/", which may begin with "../".
        kind: what it is.
        text: all of it, without a byte order mark; "" for a model.
    """

    path: Path
    name: str
    kind: Kind
    text: str = ""


def file_and_line(file: str, line: int) -> str:
    """Return FILE:LINE, or the file alone if *line* is 0."""
    return f"{file}:{line}" if line else file


class Value(NamedTuple):
    """A value for a key of the table, and the line that it is from.

    Args:
        place: path of the key, such as `("smoke-test", "request")`. Paths are relative to the project's folder.
        value: as TOML has it. For an array one or more of its items, for `env` and `labels` some of its entries.
        file: name of the source.
        line: 1-based; 0 for a model, which has no lines.
    """

    place: Place
    value: Any
    file: str
    line: int

    @property
    def where(self) -> str:
        """The source with the line, as messages name it."""
        return file_and_line(self.file, self.line)


class SourceLine(NamedTuple):
    """What became of one line of a source, or of an instruction or an entry of several lines.

    Args:
        line: its first line, 1-based; 0 for a model, which has no lines.
        end: its last line; the same for one line.
        text: the line, or what tells it: for a person.
        outcome: what became of it.
        why: what it became (`apt = ["libgomp1"]`), why it is not needed, what differs, or why it is left over.
    """

    line: int
    end: int
    text: str
    outcome: Outcome
    why: str


class Reference(NamedTuple):
    """Another source that this one names, which is read too.

    Args:
        kind: what it is.
        line: that names it.
        name: its path relative to the project's folder; "" for an environment that has only a registered name.
        registered: name of a registered environment; "" for a file.
    """

    kind: Kind
    line: int
    name: str = ""
    registered: str = ""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What one source says.

    Args:
        source: that was read.
        values: for the table, in order of their lines.
        lines: what became of each line, in order; together they cover every line that is neither blank nor a comment.
        references: further sources.
        flags: for `image.environment --deployment`: "endpoint" and "instance-type" → value.
        keeps_dockerfile: why the table with this source's keys would build another image, so that only
            `dockerfile = …` serves; empty if the keys do. For a Dockerfile.
        foreign_context: folder of the build context, relative to the project's folder; "" if that is the one. For a
            Dockerfile.
        request_timeout: seconds that a request may take; 0 if it does not say. For a deployment.
    """

    source: Source
    values: tuple[Value, ...] = ()
    lines: tuple[SourceLine, ...] = ()
    references: tuple[Reference, ...] = ()
    flags: tuple[tuple[str, str], ...] = ()
    keeps_dockerfile: tuple[str, ...] = ()
    foreign_context: str = ""
    request_timeout: float = 0

    @property
    def is_whole(self) -> bool:
        """Whether the table says all that the source says."""
        return not any(line.outcome in _OPEN for line in self.lines)
