"""Whether an environment or a Dockerfile names a file, as far as a look at its text tells: to know what is left."""

from __future__ import annotations

import posixpath
import re
import shlex
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azureml_tasks.migration.reading import Source

_COPY = re.compile(
    r"^[ \t]*(?:COPY|ADD)[ \t]+(?P<words>(?:[^\n\\]|\\\r?\n|\\.)*)", re.IGNORECASE | re.MULTILINE
)
_CONTEXT = re.compile(r"^[ \t]*path[ \t]*:[ \t]*['\"]?([^\s'\"#]+)", re.MULTILINE)
"""The folder that an environment builds: https://learn.microsoft.com/azure/machine-learning/reference-yaml-environment."""
_PLACEHOLDER = re.compile(r"^[ \t]*(?:code|scoring_script)[ \t]*:[ \t]*['\"]?(?:<|\{\{|\$)", re.MULTILINE)
_MOST_COPIED = 1_000
_MOST_KEPT = 100
"""Dockerfiles of which is kept what they copy."""
_LONGEST = 10_000
"""Characters of a COPY that is looked at."""


def names_file(source: Source, name: str) -> bool:
    """Return whether a text has the last part of *name* as a word, or copies a folder around it."""
    word = rf"(?<![\w.-]){re.escape(posixpath.basename(name))}(?![\w-]|\.\w)"
    return re.search(word, source.text) is not None or copies(source, name)


def lacks_script(deployment: Source) -> bool:
    """Return whether a deployment has a placeholder in place of its script or its code."""
    return _PLACEHOLDER.search(deployment.text) is not None


def builds(environment: Source, dockerfile: str) -> bool:
    """Return whether an environment names a Dockerfile, or the folder that it is in."""
    home, folder = posixpath.dirname(environment.name), posixpath.dirname(dockerfile)
    paths = (posixpath.normpath(posixpath.join(home, path)) for path in _CONTEXT.findall(environment.text))
    return names_file(environment, dockerfile) or any(path == (folder or ".") for path in paths)


def copies(dockerfile: Source, name: str) -> bool:
    """Return whether an instruction of a Dockerfile copies *name*, a folder around it, or something in it.

    Paths of a Dockerfile are relative to its build context, which is its own folder or the project's.
    """
    parts = name.split("/")
    around = {"/".join(parts[:count]) for count in range(1, len(parts) + 1)}
    tops = _tops(dockerfile.text, posixpath.dirname(dockerfile.name))
    return not tops.isdisjoint({".", *around}) or any(top.startswith(f"{name}/") for top in tops)


@lru_cache(maxsize=_MOST_KEPT)
def _tops(text: str, home: str) -> frozenset[str]:
    """Return what a Dockerfile copies, relative to the project's folder, for each folder that may be its context."""
    paths = [path.lstrip("/") for path in islice(_copied(text), _MOST_COPIED)]
    return frozenset(posixpath.normpath(posixpath.join(each, path)) for path in paths for each in ("", home))


def _copied(text: str) -> Iterator[str]:
    """Yield what is copied from the build context, without patterns and files of other stages."""
    for match in _COPY.finditer(text):
        words = _words(match["words"][:_LONGEST].replace("\\\n", " ").replace("\\\r\n", " "))
        options = [word for word in words if word.startswith("--")]
        paths = [word.rstrip("*") or "." for word in words if not word.startswith("--")]
        if not any(option.startswith("--from") for option in options):
            yield from paths[:-1]


def _words(text: str) -> list[str]:
    if text.lstrip().startswith("["):
        text = re.sub(r"[\[\],]", " ", text)
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
