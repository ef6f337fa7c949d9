"""`pylock.toml`, the lock file of the standard: https://packaging.python.org/en/latest/specifications/pylock-toml/.

Its packages become requirements with all their hashes and markers, and pip of the image decides which of them it needs
for its Python. Only the conditions on extras and dependency groups, which pip does not know, are decided here.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any

from azureml_tasks.config import toml_document
from azureml_tasks.config.toml_positions import locate
from azureml_tasks.errors import FileProblem, SettingsError
from azureml_tasks.requirements.files import RequirementsTree, generated_tree
from azureml_tasks.requirements.lines import inside, normalize_name, shown
from azureml_tasks.requirements.lock_platform import may_apply, runs_on
from azureml_tasks.requirements.lock_requirement import (
    Selection,
    hash_options,
    is_copied,
    is_file_of_pypi,
    is_pypi,
    lock_text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.pylock import Package, PackageSdist, PackageWheel, Pylock

    from azureml_tasks.errors import Problem

_NEEDS = "needs packaging 26 or later, which reads this format"
_INSTALL = (
    "pip install 'packaging>=26'\n"
    "or, beside a package that needs an older one: uv export --format requirements.txt --output-file requirements.txt"
)
_CONDITION = re.compile(r'"(?P<name>[^"]*)" (?P<operator>in|not in) (?P<variable>extras|dependency_groups)\b')
_ALWAYS, _NEVER = 'python_version >= "0"', 'python_version < "0"'
_WHEEL = (
    "Make a wheel of it, copy it into the project, list it in a requirements file beside the lock file, and lock "
    "without it:\npip wheel --no-deps --wheel-dir wheels "
)
_PART = re.compile(r"(?P<name>[\w-]+)|\[(?P<index>\d+)\]")


def read_pylock(path: str, text: str, selection: Selection) -> tuple[RequirementsTree | None, list[Problem]]:
    """Translate a lock file.

    Args:
        path: of the file in the project.
        text: all of it.
        selection: what the table takes from it.

    Returns:
        What pip installs, None if the file cannot be read, and what is wrong with it.
    """
    try:
        from packaging.pylock import Pylock, PylockValidationError
    except ImportError:
        return None, [FileProblem(path, 0, _NEEDS, _INSTALL)]
    try:
        pylock = Pylock.from_dict(toml_document.parse(text, path))
    except SettingsError as error:
        return None, list(error.problems)
    except PylockValidationError as error:
        place = _place(error.context or "")
        lines = locate(text)
        line = next((lines[place[:end]] for end in range(len(place), 0, -1) if place[:end] in lines), 0)
        what = f"is not a valid lock file: {shown(str(error))}"
        return None, [FileProblem(path, line, what, "Make it again with the tool that wrote it.")]
    reading = _Reading(path=path, text=text, pylock=pylock, selection=selection)
    reading.read()
    tree, in_lines = generated_tree(
        path,
        lock_text(path, reading.requirements, reading.indexes),
        lock=text,
        requires_python=str(pylock.requires_python or ""),
        covers=[
            *(("extras", name) for name in pylock.extras or ()),
            *(("dependency-groups", normalize_name(name)) for name in pylock.dependency_groups or ()),
        ],
    )
    return tree, [*reading.problems, *in_lines]


def without_parts(marker: str, extras: Sequence[str], groups: Sequence[str]) -> str:
    """Return a marker whose conditions on extras and dependency groups are decided.

    Args:
        marker: as packaging writes it.
        extras: normalized names of the extras that are installed.
        groups: normalized names of the dependency groups that are installed.

    Returns:
        The marker for pip; "" if it always applies, `_NEVER` if it never does.
    """

    def decided(condition: re.Match[str]) -> str:
        wanted = extras if condition["variable"] == "extras" else groups
        is_in = normalize_name(condition["name"]) in wanted
        return _ALWAYS if is_in == (condition["operator"] == "in") else _NEVER

    simple = _CONDITION.sub(decided, marker)
    return "" if simple == _ALWAYS else simple


def _files(package: Package) -> list[PackageWheel | PackageSdist]:
    return [*(package.wheels or ()), *([package.sdist] if package.sdist else [])]


def _addresses(package: Package) -> list[str]:
    """Return the parts of a package that go into a line for pip as they are; a blank would begin an option."""
    archive = package.archive
    own = [archive.url, archive.subdirectory] if archive else []
    return [each for each in (package.index, *own, *(file.url for file in _files(package))) if each]


class _Reading:
    """One pass over the packages of a lock file."""

    def __init__(self, *, path: str, text: str, pylock: Pylock, selection: Selection) -> None:
        self.path, self.text, self.pylock, self.selection = path, text, pylock, selection
        # Default groups stand for what the project itself needs, so they are always installed.
        self.groups = {*selection.groups, *map(normalize_name, pylock.default_groups or ())}
        self.requirements: list[str] = []
        self.indexes: list[str] = []
        self.problems: list[Problem] = []
        self.lines: dict[tuple[str | int, ...], int] = {}

    def read(self) -> None:
        for number, package in enumerate(self.pylock.packages):
            marker = without_parts(str(package.marker or ""), self.selection.extras, sorted(self.groups))
            if marker != _NEVER and not self.is_project(package):
                self.package(number, package, marker)

    def add(self, number: int, what: str, fix: str) -> None:
        self.lines = self.lines or locate(self.text)
        line = self.lines.get(("packages", number), 0)
        self.problems.append(FileProblem(self.path, line, what, fix))

    def is_project(self, package: Package) -> bool:
        """Return whether *package* is the project itself, or another one whose code is copied and not installed."""
        if not package.directory:
            return False
        folder = inside(package.directory.path, posixpath.dirname(self.path))
        copied = folder is not None and (folder == "." or is_copied(folder, self.selection))
        return package.name == self.selection.project or copied

    def package(self, number: int, package: Package, marker: str) -> None:
        """Add the requirement for one package, or the problem that it has."""
        name = package.name
        if address := next((each for each in _addresses(package) if re.search(r"\s", each)), ""):
            what = f"{name} has an address with a blank in it, {shown(address)}"
            self.add(number, what, "Make the lock file again with the tool that wrote it.")
        elif package.vcs:
            address = f"{package.vcs.type}+{package.vcs.url or package.vcs.path}@{package.vcs.commit_id}"
            what = f"{name} comes from a repository, of which pip checks no hash"
            self.add(number, what, f"{_WHEEL}{shown(address)}")
        elif package.directory:
            what = f"{name} comes from the folder {shown(package.directory.path)}, which pip of the image cannot read"
            self.add(number, what, f"{_WHEEL}{shown(package.directory.path)}")
        elif package.archive:
            archive = package.archive
            if not archive.url:
                what = (
                    f"{name} comes from the file {shown(archive.path or '')}, which a lock file cannot bring"
                )
                self.add(number, what, f"{_WHEEL}{shown(archive.path or '')}")
            else:
                part = f"#subdirectory={archive.subdirectory}" if archive.subdirectory else ""
                self.require(number, package, f"{name} @ {archive.url}{part}", marker, [archive])
        else:
            self.from_index(number, package, marker)

    def from_index(self, number: int, package: Package, marker: str) -> None:
        """Add the requirement for a package of an index."""
        name, files = package.name, _files(package)
        urls = [each.url for each in files if each.url]
        if not package.version:
            self.add(
                number, f"{name} has no version", "Make the lock file again with the tool that wrote it."
            )
            return
        if not urls and not package.index:
            paths = [each.path for each in files if each.path]
            what = f"{name} comes from the file {shown(paths[0])}, which a lock file cannot bring"
            self.add(number, what, f"{_WHEEL}{shown(paths[0])}")
            return
        if self.has_no_file(package, marker):
            what = f"{name} {package.version} has no file for {self.selection.platform}"
            self.add(
                number,
                what,
                "Make the lock file on Linux, or with a tool that locks for every platform: uv lock",
            )
            return
        requirement = f"{name}=={package.version}"
        if package.index and not is_pypi(package.index):
            self.indexes += [package.index] if self.selection.names_indexes else []
        elif not package.index and not all(map(is_file_of_pypi, urls)):
            if len(urls) > 1:
                what = f"{name} has several files that are not on PyPI, and no index that has them"
                self.add(number, what, 'Write its index: index = "https://HOST/simple"')
                return
            requirement = f"{name} @ {urls[0]}"
        self.require(number, package, requirement, marker, files)

    def require(
        self, number: int, package: Package, requirement: str, marker: str, files: Sequence[Any]
    ) -> None:
        hashes = hash_options(file.hashes for file in files)
        if not hashes:
            what = f"{package.name} has no hash that pip takes: sha256, sha384 or sha512"
            self.add(number, what, "Make the lock file again with the tool that wrote it.")
            return
        condition = f" ; {marker}" if marker else ""
        self.requirements.append(" ".join([f"{requirement}{condition}", *hashes]))

    def has_no_file(self, package: Package, marker: str) -> bool:
        """Return whether the image needs *package* and no file of it can be installed there."""
        if package.sdist or not package.wheels:
            return False
        names = [wheel.filename for wheel in package.wheels]
        platform = self.selection.platform
        return not any(runs_on(name, platform) for name in names) and may_apply(marker, platform)


def _place(context: str) -> tuple[str | int, ...]:
    """Return the path of a key from packaging's text for it: `packages[3].wheels[0]`."""
    parts = _PART.finditer(context)
    return tuple(int(part["index"]) if part["index"] else part["name"] for part in parts)
