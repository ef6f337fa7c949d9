"""Environments that a deployment names as Azure ML knows them: `azureml:NAME:VERSION`, or one of a registry.

A registered environment may be defined by a YAML file beside the deployment. Those of the registry `azureml`, and those
that begin with `AzureML-`, are curated by Microsoft: images of its container registry.
"""

from __future__ import annotations

import os
import posixpath
import re
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.config.yaml_document import parse
from azureml_tasks.image_reference import MCR
from azureml_tasks.migration.placeholders import marked
from azureml_tasks.text_file import UnreadableFile, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azureml_tasks.migration.surroundings import Surroundings

_SHORT = re.compile(r"azureml:(?P<name>[A-Za-z0-9][\w.-]*)(?::(?P<version>[\w.-]+)|@(?P<label>[\w.-]+))?")
"""https://learn.microsoft.com/azure/machine-learning/reference-yaml-core-syntax, "Referencing an Azure ML asset"."""
_LONG = re.compile(
    r"azureml:/(?:/registries/(?P<registry>[\w.-]+)|.*)/environments/(?P<name>[A-Za-z0-9][\w.-]*)"
    r"(?:/(?:versions/(?P<version>[\w.-]+)|labels/(?P<label>[\w.-]+)))?"
)
_CURATED = "azureml"
"""The registry of Microsoft: Azure/azureml-assets. An environment NAME is the image `azureml/curated/NAME`, and its
version the tag (https://learn.microsoft.com/azure/machine-learning/resource-curated-environments)."""
_OLD_PREFIX = re.compile(r"AzureML-", re.IGNORECASE)
"""Begins the names of curated environments in a workspace; no other may begin so, and the image has none of it."""
_MOST_ENTRIES = 2_000
"""Files and folders that are looked at."""
_MOST_READ = 100
_DEEPEST = 4
"""Folders inside each other."""
_LARGEST = 100_000
"""Bytes of a YAML file that may define an environment."""
_NAME_LINE = re.compile(r"^name[ \t]*:[ \t]*[\"']?(?P<name>[^\s\"'#]+)", re.MULTILINE)


class Registered(NamedTuple):
    """A registered environment.

    Args:
        name: of it.
        version: "" for a label, or for none.
        label: such as "latest"; "" for a version.
        registry: that has it; "" for the workspace.
    """

    name: str
    version: str = ""
    label: str = ""
    registry: str = ""

    def __str__(self) -> str:
        return f"{self.name}:{self.version}" if self.version else f"{self.name}@{self.label}"

    @property
    def image(self) -> str:
        """The image of a curated environment; "" for another one."""
        is_curated = self.registry == _CURATED or (not self.registry and _OLD_PREFIX.match(self.name))
        if not is_curated or not (self.version or self.label == "latest"):
            return ""
        return f"{MCR}curated/{_OLD_PREFIX.sub('', self.name).lower()}:{self.version or 'latest'}"


def registered(text: str) -> Registered | None:
    """Return the environment that *text* names; None if it names none."""
    match = _SHORT.fullmatch(text) or _LONG.fullmatch(text)
    if not match:
        return None
    parts = match.groupdict(default="")
    return Registered(parts["name"], parts["version"], parts["label"], parts.get("registry", ""))


def definitions(wanted: Registered, surroundings: Surroundings, beside: str) -> list[str]:
    """Return the YAML files that define the environment *wanted*, those of its version first.

    Args:
        wanted: the environment.
        surroundings: where the files may be.
        beside: name of the source that names it. The search begins in its folder, and goes on in the project's.
    """
    start = posixpath.dirname(beside) or "."
    folders = dict.fromkeys([start, ".", posixpath.join(start, "..")])
    paths = (path for folder in folders for path in _yaml_files(surroundings, folder))
    names = dict.fromkeys(surroundings.locate(path).name for path in paths)
    versions: list[tuple[bool, str]] = []
    for read, name in enumerate(names):
        if read == _MOST_READ:
            break
        version = _version_of(wanted.name, surroundings, name)
        if version is not None:
            versions.append((version == wanted.version, name))
    exact = [name for is_exact, name in versions if is_exact]
    return exact or [name for _, name in versions]


def _yaml_files(surroundings: Surroundings, folder: str) -> Iterator[str]:
    """Yield the YAML files below *folder*, the nearest first."""
    waiting, seen = [posixpath.normpath(folder)], 0
    while waiting:
        name = waiting.pop(0)
        if surroundings.locate(name).kind != "folder":
            continue
        try:
            with os.scandir(surroundings.folder / name) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            seen += 1
            if seen > _MOST_ENTRIES:
                return
            path = posixpath.normpath(posixpath.join(name, entry.name))
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                depth = posixpath.relpath(path, folder).count("/") + 1
                waiting += [path] if depth < _DEEPEST else []
            elif entry.name.endswith((".yml", ".yaml")) and surroundings.locate(path).kind == "file":
                yield path


def _version_of(wanted: str, surroundings: Surroundings, name: str) -> str | None:
    """Return the version of the environment *wanted* if the file *name* defines it, "" for none; else None."""
    try:
        text = read_text(surroundings.folder / name, largest=_LARGEST)
    except (FileNotFoundError, UnreadableFile):
        return None
    if wanted not in {match["name"] for match in _NAME_LINE.finditer(text)}:
        return None
    document, _ = parse(marked(text), name)
    value = document.value if document else None
    if not isinstance(value, dict) or "endpoint_name" in value or str(value.get("name")) != wanted:
        return None
    if not {"image", "build"} & value.keys():
        return None
    return str(value.get("version", ""))
