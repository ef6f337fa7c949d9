"""The requirements that a project's own pyproject.toml lists: groups, extras and dependencies.

A requirement that names the project itself is replaced by the requirements it stands for, so the project is never
installed. Groups follow PEP 735, extras and dependencies PEP 621.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import dependency_groups
from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from azureml_tasks.config.requirement import (
    address_problem,
    first_line,
    parse_requirement,
    with_two_equals_signs,
)
from azureml_tasks.plain_text import hide_login
from azureml_tasks.requirements.lines import shown

_USE_PIP_KEY = "List what the image needs under pip in [tool.azureml-image], or in a dependency group."
_DEEPEST = 100
_STANDARD = "https://packaging.python.org/specifications/dependency-groups/"


def declared_requirements(
    pyproject: Mapping[str, Any], *, group: str = "", extra: str = ""
) -> tuple[list[str], list[tuple[str, str]]]:
    """List the requirements of a dependency group, of an extra or, without both, of the project.

    Args:
        pyproject: the whole document.
        group: name of a dependency group.
        extra: name of an optional dependency; it does not bring the project's dependencies.

    Returns:
        PEP 508 strings, each once, and what is wrong with the others: (what, fix).
    """
    project = _Project(pyproject)
    requirements = list(dict.fromkeys(project.group(group) if group else project.part(extra)))
    return requirements, list(dict.fromkeys(project.problems))


class _Project:
    """The tables [project] and [dependency-groups]; a part is an extra, or the dependencies as ""."""

    def __init__(self, pyproject: Mapping[str, Any]) -> None:
        table = pyproject.get("project")
        self.groups = pyproject.get("dependency-groups", {})
        self.table: Mapping[str, Any] = table if isinstance(table, Mapping) else {}
        self.name = canonicalize_name(str(self.table.get("name", "")))
        self.problems: list[tuple[str, str]] = []

    def add(self, what: str, fix: str) -> None:
        self.problems.append((what, fix))

    def group(self, name: str) -> Iterator[str]:
        if not self.find(name, self.groups, "dependency group", "[dependency-groups]"):
            return
        valid: dict[str, Any] = dict(self.groups)
        for included in self.included(name):
            if not isinstance(self.groups[included], list):
                what = f"[dependency-groups] {included} must be an array"
                self.add(what, f'Write: {included} = ["numpy>=1.26"]')
                valid[included] = []
            else:  # dependency-groups stops at the first string that is not a requirement
                valid[included] = [
                    item
                    for item in self.groups[included]
                    if not isinstance(item, str) or self.requirement(item)
                ]
        try:
            requirements = dependency_groups.resolve(valid, name)
        except (LookupError, TypeError, ValueError, RecursionError) as error:
            what = f"[dependency-groups] cannot be read: {_first_line(error)}"
            self.add(what, f"Correct it: {_STANDARD}")
            return
        yield from self.expand(requirements, _Path())

    def included(self, name: str) -> list[str]:
        """Return the names, as written, of group *name* and of the groups that it includes, however deep."""
        written: dict[str, str] = {canonicalize_name(group): group for group in self.groups}
        names: list[str] = [canonicalize_name(name)]
        for group in names:
            items = self.groups.get(written.get(group, ""))
            for item in items if isinstance(items, list) else ():
                other = item.get("include-group") if isinstance(item, Mapping) else None
                if isinstance(other, str) and canonicalize_name(other) not in names:
                    names.append(canonicalize_name(other))
        return [written[group] for group in names if group in written]

    def part(self, name: str) -> Iterator[str]:
        return self.expand(self.listed(name), _Path(parts=frozenset({canonicalize_name(name)})))

    def listed(self, part: str) -> list[str]:
        """Return what [project] lists for a part, as written."""
        key = "optional-dependencies" if part else "dependencies"
        dynamic = self.table.get("dynamic")
        if isinstance(dynamic, list) and key in dynamic:
            self.add(
                f'[project] lists "{key}" as dynamic, so only a build of the project knows it', _USE_PIP_KEY
            )
            return []
        if not self.table:
            self.add("pyproject.toml has no [project] table", _USE_PIP_KEY)
            return []
        place, items = f"[project] {key}", self.table.get(key, {} if part else [])
        if part:
            name = self.find(part, items, "extra", "[project.optional-dependencies]")
            if not name:
                return []
            place, items = f"{place}.{part}", items[name]
        strings = [item for item in items if isinstance(item, str)] if isinstance(items, list) else []
        if not isinstance(items, list) or len(strings) < len(items):
            self.add(f"{place} must be an array of strings", 'Write: ["numpy>=1.26", "pandas"]')
        return strings

    def expand(self, requirements: Sequence[str], path: _Path) -> Iterator[str]:
        """Replace each requirement that names the project itself, however deep."""
        for text in requirements:
            if not (requirement := self.requirement(text)):
                continue
            conditions = path.conditions
            if requirement.marker and str(requirement.marker) not in conditions:
                conditions = (*conditions, str(requirement.marker))
            if canonicalize_name(requirement.name) != self.name:
                yield _with_conditions(requirement, conditions)
                continue
            for part in ["", *sorted(requirement.extras)]:
                if inner := path.into(canonicalize_name(part), conditions):
                    if len(inner.parts) > _DEEPEST:
                        self.add(f"extras of [project] include each other {_DEEPEST} deep", _USE_PIP_KEY)
                    else:
                        yield from self.expand(self.listed(part), inner)

    def requirement(self, text: str) -> Requirement | None:
        try:
            requirement = parse_requirement(text)
        except InvalidRequirement as error:
            what = f'"{shown(text)}" is not a requirement: {_first_line(error)}'
            meant = with_two_equals_signs(text)
            fix = f'Write: "{meant}"' if meant else 'Write a name, with versions if you like: "numpy>=1.26"'
            self.add(what, fix)
            return None
        if requirement.url and (
            problem := address_problem(f"the requirement {requirement.name}", requirement.url)
        ):
            self.add(*problem)
            return None
        return requirement

    def find(self, name: str, table: Any, kind: str, place: str) -> str:
        """Return *name* as *table* spells it; "" if it is not there."""
        if not isinstance(table, Mapping):
            self.add(f"{place} must be a table", f'Write under {place}: {name} = ["numpy>=1.26"]')
            return ""
        known: dict[str, str] = {canonicalize_name(key): key for key in table}
        if written := known.get(canonicalize_name(name)):
            return written
        similar = get_close_matches(canonicalize_name(name), known, n=1)
        names = ", ".join(f'"{key}"' for key in table)
        fix = (
            f'Did you mean "{known[similar[0]]}"?'
            if similar
            else f"It has: {names}"
            if names
            else _USE_PIP_KEY
        )
        self.add(f'there is no {kind} "{name}" in {place}', fix)
        return ""


@dataclass(frozen=True, kw_only=True)
class _Path:
    """The parts that lead to a requirement, the markers on the way, and every path followed before."""

    parts: frozenset[str] = frozenset()
    conditions: tuple[str, ...] = ()
    followed: set[tuple[str, frozenset[str]]] = field(default_factory=set)

    def into(self, part: str, conditions: tuple[str, ...]) -> _Path | None:
        """Follow a part; return None if that is a cycle or repeats another path."""
        step = (part, frozenset(conditions))
        if part in self.parts or step in self.followed:
            return None
        self.followed.add(step)
        return _Path(parts=self.parts | {part}, conditions=conditions, followed=self.followed)


def _with_conditions(requirement: Requirement, conditions: Sequence[str]) -> str:
    if conditions:
        joined = " and ".join(f"({text})" if " or " in text else text for text in conditions)
        requirement.marker = Marker(joined if len(conditions) > 1 else conditions[0])
    return str(requirement)


def _first_line(error: Exception) -> str:
    return hide_login(first_line(error))
