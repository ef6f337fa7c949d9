"""What a requirements file and the files that it includes ask for, read as pip reads them, without pip."""

from __future__ import annotations

import posixpath
import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from azureml_tasks.errors import Problem
from azureml_tasks.plain_text import hide_login
from azureml_tasks.requirements.lines import (
    REMOTE,
    WITHOUT_LOGIN,
    Line,
    inside,
    lines_of,
    login_problems,
    misplaced,
    option_problems,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RequirementsTree", "exact_version", "is_pinned", "read_tree"]

_VARIABLE = re.compile(r"\$\{[A-Z0-9_]+\}")
_ARCHIVES = (".whl", ".zip", ".tar", ".tgz", ".tbz", ".txz", ".tlz", ".gz", ".bz2", ".xz", ".lz", ".lzma")
_NO_ADDRESS = "Write the wheel's path from the project's folder alone: ./wheels/NAME.whl"


@dataclass(frozen=True, kw_only=True)
class RequirementsTree:
    """A requirements file with all that it includes.

    Args:
        files: project-relative paths, the root first, each once.
        wheels: project-relative paths of the local wheels named.
        hashed: whether pip will check hashes.
        pinned: of a hashed tree every "name==version", with " ; marker" where there is one, sorted.
        all_pinned: whether each requirement is for one version alone.
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
        read: gives the text of such a path, None where there is no file.

    Returns:
        What was found, and everything that a build could not use.
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
        """Read one file; False where there is none."""
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
        """Take in one line, and tell what is wrong with it and what to do."""
        if variable := _VARIABLE.search(line.text):
            what = f"{variable[0]} stands for an environment variable, which a build does not see"
            return [(what, WITHOUT_LOGIN)]
        if line.error:
            fix = "Remove it; options that a requirements file cannot have go into pip's own configuration."
            return [(f'"{hide_login(line.text)}" is not understood: {line.error}', fix)]
        self.hashed |= bool(line.options.keys() & {"hash", "require_hashes"})
        wrong = misplaced(line)
        if line.stray:  # the values may be pieces of something with spaces
            return wrong
        wrong += option_problems(line)
        if line.requirement:
            return wrong + self.requirement(line.requirement)
        for value in (*line.options.get("requirement", ()), *line.options.get("constraint", ())):
            wrong += self.include(path, value, line.text)
        return wrong

    def include(self, path: str, value: str, text: str) -> list[tuple[str, str]]:
        """Follow one -r or -c."""
        shown = hide_login(value)
        if "\\" in text:  # shlex has taken it out of the value already, as it does in pip
            fix = 'Separate folders with "/", put a name with spaces in quotes.'
            return [(f'"{hide_login(text)}" holds a backslash', fix)]
        if REMOTE.match(value) or value.startswith("file:"):
            return [(f'includes "{shown}", which is no file of the project', "Copy it into the project.")]
        if (included := inside(value, posixpath.dirname(path))) is None:
            return [(f'includes "{shown}", which is outside the project', "Copy it into the project.")]
        if not self.file(included):
            fix = f"Create {hide_login(included)}, or correct the path: it is relative to {path}."
            return [(f'includes "{shown}", which does not exist', fix)]
        return []

    def requirement(self, text: str) -> list[tuple[str, str]]:
        """Take in a requirement, a local wheel or an address."""
        place = re.sub(r"\[[^\]]*\]$", "", text.partition(";")[0].strip())
        if REMOTE.match(text):
            self.loose = True
            return login_problems("the requirement", text)
        if text.lower().startswith("file:"):
            return [(f'"{hide_login(text)}" names a local file by its address', _NO_ADDRESS)]
        if place.lower().endswith(_ARCHIVES) and "@" not in place:
            return self.local(place)
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            if (place.startswith(".") or "/" in place or "\\" in place) and "@" not in place:
                return self.local(place)
            said = hide_login(str(error).splitlines()[0])
            fix = 'Write a name, with versions if you like: "numpy>=1.26"'
            return [(f'"{hide_login(text)}" is not a requirement: {said}', fix)]
        if requirement.url and not REMOTE.match(requirement.url):
            return [(f'"{hide_login(text)}" names a local file by its address', _NO_ADDRESS)]
        self.pin(requirement)
        return login_problems(f"the requirement {requirement.name}", requirement.url or "")

    def local(self, place: str) -> list[tuple[str, str]]:
        """Take in a wheel, which pip looks for from its working folder, the project's."""
        if "\\" in place:
            posix = place.replace("\\", "/")
            return [(f'"{place}" holds a backslash', f'Separate folders with "/": {posix}')]
        if not place.lower().endswith(".whl"):
            fix = f"Build a wheel and name that: pip wheel --no-deps --wheel-dir wheels {shlex.quote(place)}"
            return [(f'"{place}" is a project folder or a source archive, not a wheel', fix)]
        if wheel := inside(place):
            self.wheels[wheel] = None
            return []
        fix = f"Copy it into the project and write: ./wheels/{posixpath.basename(place)}"
        return [(f'the wheel "{place}" is outside the project', fix)]

    def pin(self, requirement: Requirement) -> None:
        """Keep the exact version of a requirement that has one."""
        if not (version := exact_version(requirement)):
            self.loose = True
            return
        marker = f" ; {requirement.marker}" if requirement.marker else ""
        self.pinned.add(f"{canonicalize_name(requirement.name)}=={version}{marker}")


def is_pinned(text: str) -> bool:
    """Whether the requirement *text* is for one version alone."""
    return exact_version(Requirement(text)) != ""


def exact_version(requirement: Requirement) -> str:
    """The one version that *requirement* is for; "" where there may be several."""
    exact = [spec.version for spec in requirement.specifier if spec.operator == "=="]
    return exact[0] if len(requirement.specifier) == 1 and exact and not exact[0].endswith(".*") else ""
