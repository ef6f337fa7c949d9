"""A pyproject.toml: the dependencies of the project. The other lines are not about the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from azureml_tasks.config import toml_document
from azureml_tasks.config.problems import FILE
from azureml_tasks.config.toml_messages import as_written
from azureml_tasks.config.toml_positions import locate
from azureml_tasks.config.validators import PIP
from azureml_tasks.errors import SettingsError
from azureml_tasks.migration.line_ranges import Fate, source_lines, whole_text
from azureml_tasks.migration.reading import Outcome, Reading, Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from azureml_tasks.config.toml_positions import Path
    from azureml_tasks.migration.reading import Source
    from azureml_tasks.migration.surroundings import Surroundings

_DEPENDENCIES = ("project", "dependencies")
_OTHER = Fate(Outcome.NOT_NEEDED, "it is not about the image")
_TOOLS: dict[Path, str] = {
    ("tool", "poetry", "dependencies"): "poetry export --output requirements.txt",
    ("tool", "pdm", "dependencies"): "pdm export --prod --output requirements.txt",
    ("tool", "flit", "metadata", "requires"): "flit migrates to [project].dependencies",
}
"""Where tools keep the dependencies outside of the standard's table, and what makes a file of them that pip reads."""
_MOST_NAMED = 5
_LONGEST_WHY = 1_000  # characters
_ONLY_UV = (
    "constraint-dependencies",
    "extra-index-url",
    "find-links",
    "index",
    "index-url",
    "override-dependencies",
    "sources",
)
"""Keys of [tool.uv] that decide what is installed from where: https://docs.astral.sh/uv/reference/settings/."""
_ONLY_TOOLS: tuple[Path, ...] = (
    *(("tool", "uv", key) for key in _ONLY_UV),
    ("tool", "poetry", "source"),
    ("tool", "pdm", "source"),
)


def read_pyproject_source(source: Source, surroundings: Surroundings) -> Reading:  # noqa: ARG001 -- as every reader
    """Return the key that installs the dependencies of the project; those of another project one by one."""
    try:
        document = toml_document.parse(source.text, source.name)
    except SettingsError as error:
        fate = Fate(Outcome.LEFT_OVER, f"it {error.problems[0].what}")
        return Reading(source=source, lines=whole_text(source.text, fate, source.name))
    return _Reading(source, document).read()


class _Reading:
    """What is read of a pyproject.toml so far."""

    def __init__(self, source: Source, document: Mapping[str, Any]) -> None:
        self.source, self.document = source, document
        self.places = locate(source.text)
        self.values: list[Value] = []
        self.fates: dict[int, Fate] = {}

    def read(self) -> Reading:
        """Read the whole file."""
        self.dependencies()
        self.not_named(("project", "optional-dependencies"), "an extra", "extras")
        self.not_named(("dependency-groups",), "a group", "dependency-groups")
        for place, command in _TOOLS.items():
            if self.at(place) and not self.at(_DEPENDENCIES):
                why = f"pip does not read this: {command}, then name that file"
                self.say(place, Fate(Outcome.LEFT_OVER, why))
        for place in _ONLY_TOOLS:
            if self.at(place):
                why = f"pip does not read this: name the lock file of {place[1]}, or a requirements file made of it"
                self.say(place, Fate(Outcome.LEFT_OVER, why))
        lines = source_lines(self.source.text, _OTHER, self.fates)
        return Reading(
            source=self.source,
            values=tuple(self.values),
            lines=lines or whole_text("", _OTHER, self.source.name),
        )

    def dependencies(self) -> None:
        """Take [project].dependencies."""
        listed, project = self.at(_DEPENDENCIES), self.at(("project",))
        dynamic = project.get("dynamic") if isinstance(project, dict) else None
        if isinstance(dynamic, list) and "dependencies" in dynamic:
            why = "only a build of the project knows its dynamic dependencies: name the file that lists them"
            self.say(("project", "dynamic"), Fate(Outcome.LEFT_OVER, why))
        if not isinstance(listed, list) or not listed:
            return
        if self.source.name != FILE:
            self.one_by_one(listed)
            return
        from azureml_tasks.requirements.pyproject import declared_requirements

        _, problems = declared_requirements(self.document)
        if problems:
            self.one_by_one(listed)
            return
        line = self.places[_DEPENDENCIES]
        self.values.append(Value(("project-dependencies",), True, self.source.name, line))  # noqa: FBT003 -- a value
        self.say(_DEPENDENCIES, Fate(Outcome.KEY, "project-dependencies = true"))

    def one_by_one(self, listed: list[Any]) -> None:
        """Take each dependency that can be an item of `pip`."""
        self.say(_DEPENDENCIES, Fate(Outcome.NOT_NEEDED, "its items are named one by one"))
        for index, item in enumerate(listed):
            place: Path = (*_DEPENDENCIES, index)
            line = self.places[place]
            error = PIP.error(item) if isinstance(item, str) else "is not a text"
            if error:
                self.say_of_line(line, Fate(Outcome.LEFT_OVER, f"{as_written(item)} {error}"))
            else:
                self.values.append(Value(("pip",), [item], self.source.name, line))
                self.say_of_line(line, Fate(Outcome.KEY, f"pip = {as_written([item])}"))

    def not_named(self, place: Path, what: str, key: str) -> None:
        """Say of a table of arrays that none of them is installed without its name."""
        table = self.at(place)
        if isinstance(table, dict) and table:
            why = f"{what} is installed if it is named: {key} = {as_written([*table][:_MOST_NAMED])}"
            self.say(place, Fate(Outcome.NOT_NEEDED, why))

    def at(self, place: Path) -> Any:
        """Return what is at a place of the document; None if nothing is."""
        value: Any = self.document
        for part in place:
            value = value.get(part) if isinstance(value, dict) and isinstance(part, str) else None
        return value

    def say(self, place: Path, fate: Fate) -> None:
        """Note what became of the lines of a value."""
        for number in self.lines_of(place):
            self.fates[number] = fate

    def say_of_line(self, number: int, fate: Fate) -> None:
        """Note what became of an item; of several in one line, one that is left over counts."""
        other = self.fates.get(number)
        if other and other.outcome is not Outcome.NOT_NEEDED and other != fate:
            outcomes = {other.outcome, fate.outcome}
            outcome = Outcome.LEFT_OVER if Outcome.LEFT_OVER in outcomes else fate.outcome
            fate = Fate(outcome, f"{other.why}; {fate.why}"[:_LONGEST_WHY])
        self.fates[number] = fate

    def lines_of(self, place: Path) -> Iterator[int]:
        """Yield the lines from a value to what follows it."""
        first = self.places.get(place)
        if first is None:
            return
        after = (line for other, line in self.places.items() if other[: len(place)] != place and line > first)
        yield from range(first, min(after, default=len(self.source.text.splitlines()) + 1))
