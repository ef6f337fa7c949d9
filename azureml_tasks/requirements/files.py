"""A requirements file with the files that it includes, read as pip reads them, without pip."""

from __future__ import annotations

import posixpath
import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from azureml_tasks.errors import Problem
from azureml_tasks.plain_text import hide_login
from azureml_tasks.requirements.lines import (
    REMOTE,
    USE_NETRC,
    Line,
    inside,
    lines_of,
    login_problems,
    misplaced,
    normalize_name,
    option_problems,
    plain_pin,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from packaging.requirements import Requirement

_VARIABLE = re.compile(r"\$\{[A-Z0-9_]+\}")
_ARCHIVES = (".whl", ".zip", ".tar", ".tgz", ".tbz", ".txz", ".tlz", ".gz", ".bz2", ".xz", ".lz", ".lzma")
_USE_PATH = "Write the wheel's path, relative to the project's folder: ./wheels/NAME.whl"


@dataclass(frozen=True, kw_only=True)
class RequirementsTree:
    """A requirements file with the files that it includes.

    Args:
        files: project-relative paths, the root first, each once.
        wheels: project-relative paths of the local wheels that they list.
        hashed: whether pip will check hashes.
        pinned: of a hashed tree every "name==version", with " ; marker" if it has one, sorted.
        all_pinned: whether each requirement has one exact version.
        lines: every logical line of the files, without comments, sorted, each once.
    """

    files: tuple[str, ...]
    wheels: tuple[str, ...]
    hashed: bool
    pinned: tuple[str, ...]
    all_pinned: bool = True
    lines: tuple[str, ...] = ()


def read_tree(root: str, read: Callable[[str], str | None]) -> tuple[RequirementsTree, list[Problem]]:
    """Read a requirements file and the files that it includes by -r and -c.

    Args:
        root: project-relative path with "/" between its parts.
        read: returns the text of such a path, or None if the file does not exist.

    Returns:
        The tree, and every problem that would make the build fail.
    """
    reading = _Reading(read=read)
    if root.lower().endswith((".yml", ".yaml")):
        fix = "List its pip packages in a requirements file; conda packages need a base image that has them."
        reading.files[root] = None
        reading.problems.append(Problem(root, 0, "is a conda environment file, which pip does not read", fix))
    elif not reading.file(root):
        reading.problems.append(Problem(root, 0, "does not exist", "Create it, or correct its name."))
    return RequirementsTree(
        files=tuple(reading.files),
        wheels=tuple(reading.wheels),
        hashed=reading.hashed,
        pinned=tuple(sorted(reading.pinned)) if reading.hashed else (),
        all_pinned=reading.hashed or not reading.loose,
        lines=tuple(sorted(reading.lines)),
    ), reading.problems


@dataclass(kw_only=True)
class _Reading:
    read: Callable[[str], str | None]
    files: dict[str, None] = field(default_factory=dict)
    wheels: dict[str, None] = field(default_factory=dict)
    hashed: bool = False
    pinned: set[str] = field(default_factory=set)
    loose: bool = False
    lines: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def file(self, path: str) -> bool:
        """Read one file; return False if it does not exist."""
        if path in self.files:
            return True
        if (text := self.read(path)) is None:
            return False
        self.files[path] = None
        for line in lines_of(text):
            self.lines.add(line.text)
            self.problems += [Problem(path, line.number, what, fix) for what, fix in self.line(path, line)]
        return True

    def line(self, path: str, line: Line) -> list[tuple[str, str]]:
        """Read one line; return its problems: (what, fix)."""
        if variable := _VARIABLE.search(line.text):
            what = f"{variable[0]} is an environment variable, which the build cannot read"
            return [(what, USE_NETRC)]
        if line.error:
            fix = "Remove it. Options that a requirements file cannot have belong in pip's own configuration."
            return [(f'"{hide_login(line.text)}" cannot be parsed: {line.error}', fix)]
        self.hashed |= bool(line.options.keys() & {"hash", "require_hashes"})
        problems = misplaced(line)
        if line.stray:  # the values may be parts of a value with spaces
            return problems
        problems += option_problems(line)
        if line.requirement:
            return problems + self.requirement(line.requirement)
        for value in (*line.options.get("requirement", ()), *line.options.get("constraint", ())):
            problems += self.include(path, value, line.text)
        return problems

    def include(self, path: str, value: str, text: str) -> list[tuple[str, str]]:
        """Follow one -r or -c."""
        shown = hide_login(value)
        if "\\" in text:  # shlex has removed it from the value, as in pip
            fix = 'Separate folders with "/" and put a name with spaces in quotes.'
            return [(f'"{hide_login(text)}" contains a backslash', fix)]
        if REMOTE.match(value) or value.startswith("file:"):
            return [(f'includes "{shown}", which is not a file of the project', "Copy it into the project.")]
        if (included := inside(value, posixpath.dirname(path))) is None:
            return [(f'includes "{shown}", which is outside the project', "Copy it into the project.")]
        if not self.file(included):
            fix = f"Create {hide_login(included)}, or correct the path: it is relative to {path}."
            return [(f'includes "{shown}", which does not exist', fix)]
        return []

    def requirement(self, text: str) -> list[tuple[str, str]]:
        """Read a requirement, a local wheel or an address; return its problems."""
        if pin := plain_pin(text):
            self.pinned.add(pin)
            return []
        from packaging.requirements import InvalidRequirement, Requirement

        place = re.sub(r"\[[^\]]*\]$", "", text.partition(";")[0].strip())
        if REMOTE.match(text):
            self.loose = True
            return login_problems("the requirement", text)
        if text.lower().startswith("file:"):
            return [(f'"{hide_login(text)}" is the address of a local file', _USE_PATH)]
        if place.lower().endswith(_ARCHIVES) and "@" not in place:
            return self.local(place)
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            if (place.startswith(".") or "/" in place or "\\" in place) and "@" not in place:
                return self.local(place)
            reason = hide_login(str(error).splitlines()[0])
            fix = 'Write a name, with versions if you like: "numpy>=1.26"'
            return [(f'"{hide_login(text)}" is not a requirement: {reason}', fix)]
        if requirement.url and not REMOTE.match(requirement.url):
            return [(f'"{hide_login(text)}" is the address of a local file', _USE_PATH)]
        self.pin(requirement)
        return login_problems(f"the requirement {requirement.name}", requirement.url or "")

    def local(self, place: str) -> list[tuple[str, str]]:
        """Read the path of a wheel, which is relative to the project: that is pip's working folder."""
        if "\\" in place:
            posix = place.replace("\\", "/")
            return [(f'"{place}" contains a backslash', f'Separate folders with "/": {posix}')]
        if not place.lower().endswith(".whl"):
            fix = f"Build a wheel and list that: pip wheel --no-deps --wheel-dir wheels {shlex.quote(place)}"
            return [(f'"{place}" is a project folder or a source archive, not a wheel', fix)]
        if wheel := inside(place):
            self.wheels[wheel] = None
            return []
        fix = f"Copy it into the project and write: ./wheels/{posixpath.basename(place)}"
        return [(f'the wheel "{place}" is outside the project', fix)]

    def pin(self, requirement: Requirement) -> None:
        """Record the exact version of a requirement, or that it has none."""
        if not (version := exact_version(requirement)):
            self.loose = True
            return
        marker = f" ; {requirement.marker}" if requirement.marker else ""
        self.pinned.add(f"{normalize_name(requirement.name)}=={version}{marker}")


def is_pinned(text: str) -> bool:
    """Return whether the requirement *text* has one exact version."""
    if plain_pin(text):
        return True
    from packaging.requirements import Requirement

    return exact_version(Requirement(text)) != ""


def exact_version(requirement: Requirement) -> str:
    """Return the one version that *requirement* accepts; "" if it may accept several."""
    exact = [spec.version for spec in requirement.specifier if spec.operator == "=="]
    return exact[0] if len(requirement.specifier) == 1 and exact and not exact[0].endswith(".*") else ""
