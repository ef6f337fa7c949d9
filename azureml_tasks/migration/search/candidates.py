"""What of a folder's files may tell what an image is made of, sorted by kind. Files are read with bounds, never run."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from azureml_tasks.context.own_outputs import is_own_output
from azureml_tasks.migration.kinds import NoSource, kind_of_text
from azureml_tasks.migration.reading import Kind, Source
from azureml_tasks.migration.search_rules import code_rules
from azureml_tasks.project.entry_script import LARGEST_SCRIPT
from azureml_tasks.project.script_search import defines_both
from azureml_tasks.text_file import UnreadableFile, decode, read_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from azureml_tasks.migration.search.folder_files import FolderFiles

_MOST_READ = 3_000
"""Files that are read."""
_ASIDE = frozenset({"test", "tests", "testing", "doc", "docs"})
"""Folders whose files are no part of what is deployed."""
_YAML_WORDS = re.compile(
    r"^[ \t]*['\"]?(\$schema|endpoint_name|code_configuration|conda_file|dependencies|image|build)['\"]?[ \t]*:",
    re.MULTILINE,
)
"""Keys of which a YAML file of Azure ML or conda has one: others are not parsed."""
_FUNCTIONS = tuple(
    re.compile(rf"^(?:async[ \t]+)?def[ \t]+{name}\b", re.MULTILINE) for name in ("init", "run")
)
_REQUEST_NAME = re.compile(r"sample|request|payload|input|example|test[-_]?data", re.IGNORECASE)
_REQUIREMENTS_NAME = re.compile(r"(?:.*[-_.])?requirements(?:[-_.].*)?\.(?:txt|in)", re.IGNORECASE)
_LOCK_NAMES = ("uv.lock", "poetry.lock", "pdm.lock", "pipfile.lock")
_LARGEST_YAML = 100_000
"""Bytes of a YAML file, of which a search parses many; a file that is named may have more."""
_LARGEST_REQUEST = 1_000_000
_LARGEST_DOCKERFILE = 1_000_000
_LARGEST_OTHER = 10_000_000
_MOST_OF_A_KIND = 50
_MOST_BYTES_READ = 50_000_000
_MOST_BYTES_PARSED = {Kind.DEPLOYMENT: 1_000_000, Kind.SCRIPT: 4_000_000, Kind.REQUEST: 10_000_000}
"""Bytes of all YAML files, scripts and JSON files that are parsed; parsing takes a hundred times as long as reading."""


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Files that may tell what an image is made of.

    Args:
        sources: kind → sources in the order of the files.
        aside: name of a script that is in a folder for tests, a YAML file of Azure ML without an image, or a file that
            one of our commands has written → what it is.
        mlflow: folders of MLflow models.
        is_cut: whether there are more files than are read, or larger ones than are parsed.
    """

    sources: Mapping[Kind, tuple[Source, ...]]
    aside: Mapping[str, str] = field(default_factory=dict)
    mlflow: tuple[str, ...] = ()
    is_cut: bool = False

    def of(self, kind: Kind) -> tuple[Source, ...]:
        """Return the sources of a kind."""
        return self.sources.get(kind, ())


def candidates(folder: Path, files: FolderFiles) -> Candidates:
    """Return what *files* of *folder* are, without models, whose folders only the whole list tells."""
    sorting = _Sorting(folder, files)
    sorting.sort()
    return Candidates(
        sources={kind: tuple(sources) for kind, sources in sorting.sources.items()},
        aside=sorting.aside,
        mlflow=sorting.mlflow,
        is_cut=sorting.is_cut,
    )


def is_below(path: str, folder: str) -> bool:
    """Return whether *path* is *folder* or in it."""
    return path == folder or path.startswith(f"{folder}/")


class _Sorting:
    """What is sorted so far."""

    def __init__(self, folder: Path, files: FolderFiles) -> None:
        self.folder, self.files = folder, files
        self.sources: dict[Kind, list[Source]] = {}
        self.aside: dict[str, str] = {}
        self.count, self.left = 0, _MOST_BYTES_READ
        self.parsed: dict[Kind, int] = {}
        self.is_cut = False
        self.code_rules = code_rules(folder)
        models = [posixpath.dirname(name) for name in files.names if posixpath.basename(name) == "MLmodel"]
        self.mlflow = tuple(each for each in dict.fromkeys(models) if each)

    def sort(self) -> None:
        """Sort all files."""
        for name in self.files.names:
            is_of_model = any(is_below(name, each) for each in self.mlflow)
            if name not in self.files.kept_out and not is_of_model and (look := self.look_of(name)):
                look(name)

    def look_of(self, name: str) -> Callable[[str], None] | None:
        """Return how to look at a file, by its name; None for one that tells nothing."""
        base, ending = posixpath.basename(name), posixpath.splitext(name)[1].lower()
        if ending in (".yml", ".yaml"):
            return self.yaml
        if ending == ".py":
            return self.script if self.code_rules.decision(name)[1] else None
        if ending == ".json":
            return self.request if _REQUEST_NAME.search(name) else None
        if base.lower() in _LOCK_NAMES or _REQUIREMENTS_NAME.fullmatch(base) or _is_requirements(name):
            return self.other
        if base == "pyproject.toml":
            return self.other if name == base else None
        return self.other if kind_of_text(name, "") is Kind.DOCKERFILE else None

    def text(self, name: str, largest: int) -> str | None:
        """Return the text of a file; None if it cannot be read, is larger, or too much was read already."""
        self.count += 1
        if self.count > _MOST_READ or not self.left:
            self.is_cut = True
            return None
        try:
            content = read_bytes(self.folder / name, min(largest, self.left))
            self.left -= len(content)
            return decode(content, coding_lines=name.endswith((".txt", ".in", ".py")))
        except (FileNotFoundError, UnreadableFile):
            return None

    def may_parse(self, kind: Kind, text: str) -> bool:
        """Return whether one more text may be parsed."""
        self.parsed[kind] = self.parsed.get(kind, 0) + len(text)
        is_allowed = self.parsed[kind] <= _MOST_BYTES_PARSED[kind]
        self.is_cut = self.is_cut or not is_allowed
        return is_allowed

    def add(self, kind: Kind, name: str, text: str) -> None:
        if len(self.sources.get(kind, ())) == _MOST_OF_A_KIND:
            self.is_cut = True
            return
        if is_own_output(text.encode("utf-8", "surrogatepass")):
            self.aside[name] = "was written by azureml-tasks"
            return
        source = Source(path=self.folder / name, name=name, kind=kind, text=text)
        self.sources.setdefault(kind, []).append(source)

    def yaml(self, name: str) -> None:
        text = self.text(name, _LARGEST_YAML)
        if text is None or not _YAML_WORDS.search(text) or not self.may_parse(Kind.DEPLOYMENT, text):
            return
        kind = kind_of_text(name, text)
        if isinstance(kind, Kind) and not _is_aside(name):
            self.add(kind, name, text)
        elif isinstance(kind, NoSource) and re.search("endpoint|deployment", kind.what):
            self.aside[name] = kind.what

    def script(self, name: str) -> None:
        text = self.text(name, LARGEST_SCRIPT)
        if text is None or not all(pattern.search(text) for pattern in _FUNCTIONS):
            return
        if not self.may_parse(Kind.SCRIPT, text) or not defines_both(text.encode("utf-8", "surrogatepass")):
            return
        if _is_aside(name):
            self.aside[name] = "defines init() and run() among tests or docs"
        else:
            self.add(Kind.SCRIPT, name, text)

    def request(self, name: str) -> None:
        text = self.text(name, _LARGEST_REQUEST)
        if text is None or not self.may_parse(Kind.REQUEST, text):
            return
        if kind_of_text(name, text) is Kind.REQUEST:
            self.add(Kind.REQUEST, name, text)

    def other(self, name: str) -> None:
        is_list = posixpath.splitext(name)[1].lower() in (".txt", ".in", ".lock", ".toml")
        text = self.text(name, _LARGEST_OTHER if is_list else _LARGEST_DOCKERFILE)
        kind = kind_of_text(name, text) if text is not None else None
        if text is not None and isinstance(kind, Kind) and not _is_aside(name):
            self.add(kind, name, text)


def _is_requirements(name: str) -> bool:
    """Return whether a text file lies in a folder for requirements, as in requirements/serving.txt."""
    folder = posixpath.basename(posixpath.dirname(name))
    return folder.lower() in ("requirements", "reqs") and name.endswith((".txt", ".in"))


def _is_aside(name: str) -> bool:
    return not _ASIDE.isdisjoint(posixpath.dirname(name).lower().split("/"))
