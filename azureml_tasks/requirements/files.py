"""A requirements file with the files that it includes, read as pip reads them, without pip."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from azureml_tasks.config.requirement import (
    USE_SECRETS,
    address_problem,
    first_line,
    is_remote,
    parse_requirement,
    with_two_equals_signs,
)
from azureml_tasks.errors import FileProblem, Problem
from azureml_tasks.plain_text import shell_join
from azureml_tasks.requirements.counted import counted
from azureml_tasks.requirements.kinds import foreign_kind
from azureml_tasks.requirements.lines import (
    Line,
    inside,
    lines_of,
    misplaced,
    normalize_name,
    option_problems,
    plain_pin,
    shown,
)
from azureml_tasks.text_file import UnreadableFile

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from packaging.requirements import Requirement

_VARIABLE = re.compile(r"\$\{[A-Z0-9_]+\}")
_FINDING = {"index_url", "extra_index_url", "find_links", "trusted_host", "no_index", "pre", "prefer_binary"}
_ARCHIVES = (".whl", ".zip", ".tar", ".tgz", ".tbz", ".txz", ".tlz", ".gz", ".bz2", ".xz", ".lz", ".lzma")
_LOCAL_BUILD = re.compile(r"[A-Za-z0-9._-]+(\[[^\]]*\])?\s*@\s*file:///", re.IGNORECASE)
"""A line that `pip freeze` writes for a package of conda: where it was built, on another machine."""
_DEEPEST = 100
"""Files that include each other, one inside the other."""


@dataclass(frozen=True, kw_only=True)
class RequirementsTree:
    """A requirements file with the files that it includes.

    Args:
        files: their paths, the root first, each once.
        wheels: paths of the local wheels that they list.
        hashed: whether pip will check hashes.
        pinned: of a hashed tree every "name==version", with " ; marker" if it has one, sorted.
        all_pinned: whether each requirement has one exact version.
        lines: every logical line of the files, without comments, sorted, each once.
        finding: the lines that say where and how pip finds packages, in their order.
        index: the last `--index-url` of the files; "" for none.
        names: normalized names of the packages that they require, each once.
        generated: the requirements that a lock file was translated into; "" if pip reads the files themselves.
        requires_python: the versions of Python that a lock file is for; "" for any.
        python_line: of the lock file, where it says so; 0 for none.
        covers: what a lock file has already decided of the table: (key, normalized name of a group or extra, or "").
    """

    files: tuple[str, ...]
    wheels: tuple[str, ...]
    hashed: bool
    pinned: tuple[str, ...]
    all_pinned: bool = True
    lines: tuple[str, ...] = ()
    finding: tuple[str, ...] = ()
    index: str = ""
    names: tuple[str, ...] = ()
    generated: str = ""
    requires_python: str = ""
    python_line: int = 0
    covers: frozenset[tuple[str, str]] = frozenset()


def read_tree(
    root: str, read: Callable[[str], str | None], *, text: str | None = None, folder: str = ""
) -> tuple[RequirementsTree, list[Problem]]:
    """Read a requirements file and the files that it includes by -r and -c.

    Args:
        root: path with "/" between its parts, as all paths here relative to the folder that all files must be in.
        read: returns the text of such a path, or None if the file does not exist; it may raise UnreadableFile.
        text: what pip gets in place of the root's content; None if it gets that itself.
        folder: of pyproject.toml, which paths of wheels are relative to.

    Returns:
        The tree, and every problem that would make the build fail.
    """
    reading = _Reading(read=read, folder=folder)
    if text is not None:
        reading.text(root, text)
    elif not reading.file(root):
        reading.problems.append(FileProblem(root, 0, "does not exist", "Create it, or correct its name."))
    return _tree(reading), counted(reading.problems)


def generated_tree(
    name: str, text: str, *, lock: str, requires_python: str, covers: Collection[tuple[str, str]]
) -> tuple[RequirementsTree, list[Problem]]:
    """Read the requirements that a lock file was translated into.

    Args:
        name: project-relative path of the lock file, which every problem names.
        text: the requirements, which include no file.
        lock: the lock file itself.
        requires_python: the versions of Python that the lock file is for; "" for any.
        covers: what of the table the lock file has already decided, see `RequirementsTree`.
    """
    reading = _Reading(read=lambda _: None, folder="")
    reading.text(name, text)
    problems: list[Problem] = [FileProblem(name, 0, each.what, each.fix) for each in reading.problems]
    line = next((n for n, line in enumerate(lock.splitlines(), 1) if line.startswith("requires-python")), 0)
    tree = replace(
        _tree(reading),
        generated=text,
        requires_python=requires_python,
        python_line=line,
        covers=frozenset(covers),
    )
    return tree, problems


def _tree(reading: _Reading) -> RequirementsTree:
    return RequirementsTree(
        files=tuple(reading.files),
        wheels=tuple(reading.wheels),
        hashed=reading.hashed,
        pinned=tuple(sorted(reading.pinned)) if reading.hashed else (),
        all_pinned=reading.hashed or not reading.loose,
        lines=tuple(sorted(reading.lines)),
        finding=tuple(reading.finding),
        index=reading.index,
        names=tuple(reading.names),
    )


@dataclass(kw_only=True)
class _Reading:
    read: Callable[[str], str | None]
    folder: str
    files: dict[str, None] = field(default_factory=dict)
    wheels: dict[str, None] = field(default_factory=dict)
    hashed: bool = False
    pinned: set[str] = field(default_factory=set)
    loose: bool = False
    lines: set[str] = field(default_factory=set)
    finding: list[str] = field(default_factory=list)
    index: str = ""
    names: dict[str, None] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    depth: int = 0
    limits: bool = False
    """Whether the file that is read only limits versions."""

    def file(self, path: str) -> bool:
        """Read one file; return False if it does not exist."""
        if path in self.files:
            return True
        try:
            text = self.read(path)
        except UnreadableFile as error:
            self.files[path] = None
            self.problems.append(FileProblem(path, 0, error.why, error.fix))
            return True
        if text is None:
            return False
        if foreign := foreign_kind(path, text):
            self.files[path] = None
            self.problems.append(FileProblem(path, 0, *foreign))
        else:
            self.text(path, text)
        return True

    def text(self, path: str, text: str) -> None:
        """Read the lines of a file."""
        self.files[path] = None
        self.depth += 1
        local_builds: list[Line] = []
        for line in lines_of(text):
            if _LOCAL_BUILD.match(line.requirement):
                local_builds.append(line)
                continue
            self.lines.add(line.text)
            if line.options and not line.requirement and line.options.keys() <= _FINDING:
                self.finding.append(line.text)
            self.index = next(reversed(line.options.get("index_url", ())), self.index)
            self.problems += [
                FileProblem(path, line.number, what, fix) for what, fix in self.line(path, line)
            ]
        self.problems += _local_build_problems(path, local_builds)
        self.depth -= 1

    def near(self, included: str) -> str:
        """Return the file that *included* may mean: of the same name elsewhere, or nearly so; "" for none."""
        return next((path for path in _near_paths(included) if self.exists(path)), "")

    def exists(self, path: str) -> bool:
        """Return whether there is such a file, of any content."""
        try:
            return self.read(path) is not None
        except UnreadableFile:
            return True

    def line(self, path: str, line: Line) -> list[tuple[str, str]]:
        """Read one line; return its problems: (what, fix)."""
        if variable := _VARIABLE.search(line.text):
            what = f"{variable[0]} is an environment variable, which the build cannot read"
            return [(what, USE_SECRETS)]
        if line.error:
            fix = "Remove it. Options that a requirements file cannot have belong in pip's own configuration."
            return [(f'"{shown(line.text)}" cannot be parsed: {line.error}', fix)]
        self.hashed |= bool(line.options.keys() & {"hash", "require_hashes"})
        self.loose |= bool(line.newer)
        problems = misplaced(line)
        if line.stray:  # the values may be parts of a value with spaces
            return problems
        problems += option_problems(line)
        if line.requirement:
            return problems + self.requirement(line.requirement)
        for value in line.options.get("requirement", ()):
            problems += self.include(path, value, line.text)
        limits, self.limits = self.limits, True
        for value in line.options.get("constraint", ()):
            problems += self.include(path, value, line.text)
        self.limits = limits
        return problems

    def include(self, path: str, value: str, text: str) -> list[tuple[str, str]]:
        """Follow one -r or -c."""
        if "\\" in text:  # shlex has removed it from the value, as in pip
            fix = 'Separate folders with "/" and put a name with spaces in quotes.'
            return [(f'"{shown(text)}" contains a backslash', fix)]
        name = f'includes "{shown(value)}", which'
        if is_remote(value) or value.startswith("file:"):
            return [(f"{name} is not a file of the project", "Copy it into the project.")]
        if (included := inside(value, posixpath.dirname(path))) is None:
            return [(f"{name} is outside the project", "Copy it into the project.")]
        if self.depth >= _DEEPEST:
            return [(f"{name} is the {_DEEPEST}th file inside another", "List its lines here.")]
        if not self.file(included):
            fix = f"Create {shown(included)}, or correct the path: it is relative to {path}."
            if near := self.near(included):
                written = posixpath.relpath(near, posixpath.dirname(path) or ".")
                fix = f"There is {near}: write {written}, because the path is relative to {path}."
            return [(f"{name} does not exist", fix)]
        return []

    def requirement(self, text: str) -> list[tuple[str, str]]:
        """Read a requirement, a local wheel or an address; return its problems."""
        if pin := plain_pin(text):
            self.pinned.add(pin)
            self.require(pin.partition("==")[0])
            return []
        from packaging.requirements import InvalidRequirement

        place = re.sub(r"\[[^\[\]]*\]$", "", text.partition(";")[0].strip())
        if re.match(r"[\w+.-]+://|git\+|file:", text, re.IGNORECASE):
            self.loose = True
            problem = address_problem(f'"{shown(text)}"', text)
            return [problem] if problem else []
        if place.lower().endswith(_ARCHIVES) and "@" not in place:
            return self.local(place)
        try:
            requirement = parse_requirement(text)
        except InvalidRequirement as error:
            if (place.startswith(".") or "/" in place or "\\" in place) and "@" not in place:
                return self.local(place)
            meant = with_two_equals_signs(text)
            fix = f"Write: {meant}" if meant else 'Write a name, with versions if you like: "numpy>=1.26"'
            return [(f'"{shown(text)}" is not a requirement: {shown(first_line(error))}', fix)]
        self.pin(requirement)
        self.require(requirement.name)
        subject = f"the requirement {requirement.name}"
        problem = address_problem(subject, requirement.url) if requirement.url else None
        return [problem] if problem else []

    def local(self, place: str) -> list[tuple[str, str]]:
        """Read the path of a wheel, which is relative to the folder of pyproject.toml: that is pip's working folder."""
        if "\\" in place:
            posix = place.replace("\\", "/")
            return [(f'"{shown(place)}" contains a backslash', f'Separate folders with "/": {posix}')]
        if not place.lower().endswith(".whl"):
            fix = f"Build a wheel and list that: pip wheel --no-deps --wheel-dir wheels {shell_join([place])}"
            return [(f'"{place}" is a project folder or a source archive, not a wheel', fix)]
        if wheel := inside(place, self.folder):
            self.wheels[wheel] = None
            self.require(posixpath.basename(wheel).partition("-")[0])
            return []
        fix = f"Copy it into the project and write: ./wheels/{posixpath.basename(place)}"
        return [(f'the wheel "{place}" is outside the project', fix)]

    def require(self, name: str) -> None:
        """Record that the package *name* is required, unless this file only limits versions."""
        if not self.limits:
            self.names[normalize_name(name)] = None

    def pin(self, requirement: Requirement) -> None:
        """Record the exact version of a requirement, or that it has none."""
        if not (version := exact_version(requirement)):
            self.loose = True
            return
        marker = f" ; {requirement.marker}" if requirement.marker else ""
        self.pinned.add(f"{normalize_name(requirement.name)}=={version}{marker}")


def _near_paths(path: str) -> list[str]:
    """Return where a file may be that is not at *path*: in a folder around it, or in one for requirements."""
    folder, name = posixpath.split(path)
    stem, suffix = posixpath.splitext(name)
    names = [
        name,
        f"{name}.txt",
        f"{stem}.in" if suffix == ".txt" else f"{stem}.txt",
        f"requirements-{stem}{suffix}",
    ]
    parent = posixpath.dirname(folder)
    folders = [folder, parent, "", posixpath.join(folder, "requirements"), "requirements"]
    candidates = [posixpath.join(each, one) for one in names for each in folders]
    return [each for each in dict.fromkeys(candidates) if each != path]


def _local_build_problems(path: str, lines: list[Line]) -> list[Problem]:
    """Return one problem for all lines that name a file of the machine that wrote them."""
    if not lines:
        return []
    more = f" and {len(lines) - 1} more like it" if len(lines) > 1 else ""
    what = f'"{shown(lines[0].requirement)}"{more} name{"s" if len(lines) == 1 else ""} a file of another machine'
    fix = "pip freeze writes this in a conda environment. For a list without it:\n"
    fix += f"pip list --format=freeze > {shell_join([path])}"
    return [FileProblem(path, lines[0].number, what, fix)]


def is_pinned(text: str) -> bool:
    """Return whether the requirement *text* has one exact version."""
    if plain_pin(text):
        return True
    return exact_version(parse_requirement(text)) != ""


def exact_version(requirement: Requirement) -> str:
    """Return the one version that *requirement* accepts; "" if it may accept several."""
    exact = [spec.version for spec in requirement.specifier if spec.operator == "=="]
    return exact[0] if len(requirement.specifier) == 1 and exact and not exact[0].endswith(".*") else ""
