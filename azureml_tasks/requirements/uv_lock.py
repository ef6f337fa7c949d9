"""`uv.lock`: whether it fits pyproject.toml, and which indexes it names. What uv exports becomes the requirements.

Uv itself could check the first with `uv lock --check`, but runs Python of the project's `.venv` and may build packages
for it. Here nothing of the project runs, so the files are compared: https://docs.astral.sh/uv/concepts/projects/sync/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement
from packaging.version import InvalidVersion, Version

from azureml_tasks.config.requirement import parse_requirement
from azureml_tasks.errors import FileProblem
from azureml_tasks.requirements.files import RequirementsTree, generated_tree
from azureml_tasks.requirements.lines import inside, lines_of, normalize_name, shown
from azureml_tasks.requirements.lock_requirement import Selection, is_copied, is_pypi, lock_text
from azureml_tasks.requirements.pyproject import declared_requirements

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from azureml_tasks.errors import Problem

_OWN_SOURCES = ("virtual", "editable", "directory")
"""The kinds of source that a project has in its own lock file."""


def read_export(
    path: str,
    export: str,
    lock: Mapping[str, Any],
    selection: Selection,
    *,
    text: str,
    is_own: bool,
) -> tuple[RequirementsTree, list[Problem]]:
    """Translate what uv has exported of a lock file.

    Args:
        path: of the lock file in the project.
        export: requirements with hashes, as `uv export` writes them.
        lock: the lock file.
        selection: what the table takes from it.
        text: the lock file as it is.
        is_own: whether it locks the project of the table.

    Returns:
        What pip installs, and what is wrong with it.
    """
    problems: list[Problem] = []
    requirements: list[str] = []
    locked = _Locked(lock)
    for line in lines_of(export):
        place = next(iter(line.options.get("editable", ())), line.requirement.partition(" ;")[0])
        folder = inside(place) if place.startswith((".", "/")) else None
        if folder and is_copied(folder, selection):
            continue
        if folder or "hash" not in line.options:
            problems.append(FileProblem(path, 0, *_no_hash(place, folder)))
        elif not locked.has(line.requirement):
            what = f"is not the lock file that uv uses: {shown(line.requirement)} is not in it"
            problems.append(FileProblem(path, 0, what, "Name the uv.lock of the workspace, and set root."))
        else:
            requirements.append(" ".join(line.text.split()))
    python = lock.get("requires-python")
    tree, in_lines = generated_tree(
        path,
        lock_text(path, requirements, _indexes(lock, requirements) if selection.names_indexes else []),
        lock=text,
        requires_python=python if isinstance(python, str) else "",
        covers=[
            ("project-dependencies", ""),
            *(("extras", name) for name in selection.extras),
            *(("dependency-groups", name) for name in selection.groups),
        ]
        if is_own
        else (),
    )
    return tree, [*problems, *in_lines]


def _no_hash(place: str, folder: str | None) -> tuple[str, str]:
    """Return what is wrong with a package that no hash proves, and the next step.

    Args:
        place: its requirement or folder, as uv writes it.
        folder: relative to the root; None if it does not come from a folder there.
    """
    wheel = "make a wheel of it, list that in a requirements file beside the lock file, and lock without it."
    if folder:
        copy = f'Copy its code, which is then not installed: code = [..., "{folder}/src"]'
        return (
            f"{folder} is a package of the project, which pip of the image cannot read",
            f"{copy}\nor {wheel}",
        )
    what = f"{shown(place.split(maxsplit=1)[0])} has no hash: it comes from a repository or a folder"
    return what, wheel.capitalize()


def has_project(lock: Mapping[str, Any], name: str) -> bool:
    """Return whether a lock file has the project *name*, as that of a workspace has each of its projects."""
    return name in _Locked(lock).packages


def misfits(lock: Mapping[str, Any], pyproject: Mapping[str, Any], selection: Selection) -> list[str]:
    """Return how a lock file differs from what pyproject.toml declares.

    Args:
        lock: the lock file.
        pyproject: the document of the project that it is for.
        selection: what the table takes from it.
    """
    locked = _Locked(lock)
    if selection.project not in locked.packages:
        return [f"does not have the project itself, {selection.project or 'which has no name'}"]
    parts: list[dict[str, str]] = [
        {},
        *({"extra": name} for name in selection.extras),
        *({"group": name} for name in selection.groups),
    ]
    reasons: dict[str, None] = {}
    for part in parts:
        declared, _ = declared_requirements(pyproject, **part)
        reasons |= dict.fromkeys(why for text in declared for why in locked.misfit(text))
    listed = locked.listed(selection.project)
    names = _listed_names(pyproject)
    if listed is not None and names is not None:
        reasons |= {f"{name} is not in pyproject.toml any more": None for name in sorted(listed - names)}
    return [f"does not fit pyproject.toml: {why}" for why in reasons]


class _Locked:
    """The packages of a lock file by their normalized names; a name may have several versions."""

    def __init__(self, lock: Mapping[str, Any]) -> None:
        self.packages: dict[str, list[Mapping[str, Any]]] = {}
        for package in _tables(lock.get("package")):
            if isinstance(name := package.get("name"), str):
                self.packages.setdefault(normalize_name(name), []).append(package)
        manifest = lock.get("manifest")
        overrides = manifest.get("overrides") if isinstance(manifest, dict) else None
        self.overridden = {normalize_name(str(each.get("name"))) for each in _tables(overrides)}

    def has(self, text: str) -> bool:
        """Return whether the requirement *text*, with one version, is one of the packages."""
        try:
            requirement = parse_requirement(text)
        except InvalidRequirement:
            return True  # It is reported where all lines are read.
        versions = [each.get("version") for each in self.packages.get(normalize_name(requirement.name), ())]
        return any(not version or str(requirement.specifier) in ("", f"=={version}") for version in versions)

    def misfit(self, text: str) -> Iterator[str]:
        """Yield why no locked version is what the requirement *text* asks for."""
        requirement = parse_requirement(text)
        name = normalize_name(requirement.name)
        if name not in self.packages:
            yield f"{name} is not locked"
        elif name not in self.overridden and not requirement.url:
            versions = [version for each in self.packages[name] if (version := each.get("version"))]
            fitting = [v for v in versions if _fits(requirement.specifier, v)]
            if versions and not fitting:
                yield f"it asks for {name}{requirement.specifier}, and {', '.join(map(str, versions))} is locked"

    def listed(self, project: str) -> set[str] | None:
        """Return the names of its dependencies and extras when the project was locked; None if that is unknown."""
        for package in self.packages.get(project, ()):
            source, metadata = package.get("source"), package.get("metadata")
            if isinstance(source, dict) and isinstance(metadata, dict) and {*source} & {*_OWN_SOURCES}:
                names = [each.get("name") for each in _tables(metadata.get("requires-dist"))]
                return {normalize_name(name) for name in names if isinstance(name, str)} - {project}
        return None


def _fits(specifier: Any, version: Any) -> bool:
    try:
        return bool(specifier.contains(Version(str(version)), prereleases=True))
    except InvalidVersion:
        return False


def _listed_names(pyproject: Mapping[str, Any]) -> set[str] | None:
    """Return the names in the dependencies and extras of a project; None if only a build of it knows them."""
    project = pyproject.get("project")
    dynamic = project.get("dynamic") if isinstance(project, dict) else None
    if not isinstance(project, dict) or {"dependencies", "optional-dependencies"} & {
        *map(str, dynamic or ())
    }:
        return None
    extras = project.get("optional-dependencies")
    lists = [project.get("dependencies"), *(extras.values() if isinstance(extras, dict) else [])]
    names: set[str] = set()
    for text in (item for each in lists if isinstance(each, list) for item in each if isinstance(item, str)):
        try:
            names.add(normalize_name(parse_requirement(text).name))
        except InvalidRequirement:
            return None  # It is reported where it is declared.
    return names


def _indexes(lock: Mapping[str, Any], requirements: Sequence[str]) -> list[str]:
    """Return the indexes other than PyPI that have packages among *requirements*."""
    names = {normalize_name(line.partition("==")[0]) for line in requirements}
    indexes: dict[str, None] = {}
    for package in _tables(lock.get("package")):
        source = package.get("source")
        registry = source.get("registry") if isinstance(source, dict) else None
        if (
            isinstance(registry, str)
            and not is_pypi(registry)
            and normalize_name(str(package.get("name"))) in names
        ):
            indexes[registry] = None
    return list(indexes)


def _tables(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
