"""The requirements that a project's own pyproject.toml lists: groups, extras and dependencies.

A requirement that names the project itself is replaced by what it stands for, so that nothing here
ever installs the project. Groups are those of PEP 735, extras and dependencies those of PEP 621.
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

from azureml_tasks.plain_text import hide_login

__all__ = ["DeclaredError", "declared"]

_LISTED = "List what the image needs under pip in [tool.azureml-image], or in a dependency group."


class DeclaredError(ValueError):
    """Something asked for cannot be taken from pyproject.toml.

    Args:
        kind: "group", "extra" or "project", as it was asked for.
        name: of the group or extra asked for, "" for the project.
        reason: what is wrong with it.
        fix: what to do about it.
    """

    def __init__(self, *, kind: str, name: str, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.name = name
        self.reason = reason
        self.fix = fix


def declared(
    pyproject: Mapping[str, Any], *, groups: Sequence[str], extras: Sequence[str], project: bool
) -> list[str]:
    """List the requirements of groups, extras and, if asked for, the project's dependencies.

    Args:
        pyproject: the whole document.
        groups: names of dependency groups.
        extras: names of optional dependencies; they do not bring the project's dependencies along.
        project: whether the project's dependencies are wanted.

    Returns:
        PEP 508 strings in the order asked for (groups, extras, project), each once.

    Raises:
        DeclaredError: an unknown name, a field that only a build of the project knows, or no requirement.
    """
    own = _Project(pyproject)
    asked = [
        *(("group", name) for name in groups),
        *(("extra", name) for name in extras),
        *([("project", "")] if project else []),
    ]
    found: dict[str, None] = {}
    for kind, name in asked:
        found |= dict.fromkeys(_taken(own, kind, name))
    return list(found)


def _taken(own: _Project, kind: str, name: str) -> list[str]:
    try:
        return list(own.group(name) if kind == "group" else own.part(name))
    except _Refusal as refusal:
        raise DeclaredError(kind=kind, name=name, reason=refusal.reason, fix=refusal.fix) from refusal


class _Refusal(ValueError):
    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fix = fix


class _Project:
    """The tables [project] and [dependency-groups]; a part is an extra, or the dependencies as ""."""

    def __init__(self, pyproject: Mapping[str, Any]) -> None:
        table = pyproject.get("project")
        self.groups = pyproject.get("dependency-groups", {})
        self.table: Mapping[str, Any] = table if isinstance(table, Mapping) else {}
        self.name = canonicalize_name(str(self.table.get("name", "")))

    def group(self, name: str) -> Iterator[str]:
        spelled = _find(name, self.groups, "dependency group", "[dependency-groups]")
        if not isinstance(self.groups[spelled], list):
            raise _Refusal(
                f"[dependency-groups] {spelled} must be an array", f'Write: {spelled} = ["numpy>=1.26"]'
            )
        try:
            requirements = dependency_groups.resolve(self.groups, name)
        except (LookupError, TypeError, ValueError) as error:
            lists = [group for group in self.groups.values() if isinstance(group, list)]
            for text in (item for group in lists for item in group if isinstance(item, str)):
                _requirement(text)
            reason = f"[dependency-groups] cannot be read: {_said(error)}"
            raise _Refusal(
                reason, "Mend it: https://packaging.python.org/specifications/dependency-groups/"
            ) from error
        return self.expand(requirements, _Way())

    def part(self, name: str) -> Iterator[str]:
        return self.expand(self.listed(name), _Way(parts=frozenset({canonicalize_name(name)})))

    def listed(self, part: str) -> Sequence[str]:
        """Read what [project] lists for a part, as it is written."""
        key = "optional-dependencies" if part else "dependencies"
        dynamic = self.table.get("dynamic")
        if isinstance(dynamic, list) and key in dynamic:
            reason = f'[project] has "{key}" among its dynamic fields, so that only a build of it knows them'
            raise _Refusal(reason, _LISTED)
        if not self.table:
            raise _Refusal("pyproject.toml has no [project] table", _LISTED)
        listed = self.table.get(key, {} if part else [])
        if part:
            listed = listed[_find(part, listed, "extra", "[project.optional-dependencies]")]
        if not (isinstance(listed, list) and all(isinstance(item, str) for item in listed)):
            place = f"[project] {key}" + (f".{part}" if part else "")
            raise _Refusal(f"{place} must be an array of strings", 'Write: ["numpy>=1.26", "pandas"]')
        return listed

    def expand(self, requirements: Sequence[str], way: _Way) -> Iterator[str]:
        """Replace what names the project itself, however deep."""
        for text in requirements:
            requirement = _requirement(text)
            conditions = way.conditions
            if requirement.marker and str(requirement.marker) not in conditions:
                conditions = (*conditions, str(requirement.marker))
            if canonicalize_name(requirement.name) != self.name:
                yield _under(requirement, conditions)
                continue
            for part in ["", *sorted(requirement.extras)]:
                if inner := way.into(canonicalize_name(part), conditions):
                    yield from self.expand(self.listed(part), inner)


@dataclass(frozen=True, kw_only=True)
class _Way:
    """The parts that led to a requirement, the markers on the way, and all ways taken before."""

    parts: frozenset[str] = frozenset()
    conditions: tuple[str, ...] = ()
    taken: set[tuple[str, frozenset[str]]] = field(default_factory=set)

    def into(self, part: str, conditions: tuple[str, ...]) -> _Way | None:
        """Go on into a part; None where that would go in a circle or repeat another way."""
        step = (part, frozenset(conditions))
        if part in self.parts or step in self.taken:
            return None
        self.taken.add(step)
        return _Way(parts=self.parts | {part}, conditions=conditions, taken=self.taken)


def _requirement(text: str) -> Requirement:
    try:
        return Requirement(text)
    except InvalidRequirement as error:
        reason = f'"{hide_login(text)}" is no requirement: {_said(error)}'
        raise _Refusal(reason, 'Write a name, with versions if you like: "numpy>=1.26"') from error


def _under(requirement: Requirement, conditions: Sequence[str]) -> str:
    if conditions:
        joined = " and ".join(f"({text})" if " or " in text else text for text in conditions)
        requirement.marker = Marker(joined if len(conditions) > 1 else conditions[0])
    return str(requirement)


def _find(name: str, table: Any, kind: str, place: str) -> str:
    """Find a name as its table spells it."""
    if not isinstance(table, Mapping):
        raise _Refusal(f"{place} must be a table", f'Write under {place}: {name} = ["numpy>=1.26"]')
    known: dict[str, str] = {canonicalize_name(key): key for key in table}
    if spelled := known.get(canonicalize_name(name)):
        return spelled
    near = get_close_matches(canonicalize_name(name), known, n=1)
    names = ", ".join(f'"{key}"' for key in table)
    fix = f'Did you mean "{known[near[0]]}"?' if near else f"It has: {names}" if names else _LISTED
    raise _Refusal(f'there is no {kind} "{name}" in {place}', fix)


def _said(error: Exception) -> str:
    """Keep the first line of an error's words; packaging draws a picture in the others."""
    return hide_login(str(error.args[0] if error.args else error).splitlines()[0])
