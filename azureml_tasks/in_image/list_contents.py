"""Print the files and the Python packages of an image, one JSON object on one line.

It runs under the image's own Python, as the text of `python -I -c`. So it is one file, uses the standard library of
Python 3.7 alone, and writes nothing:

    {"files": [["/opt/model.bin", 4096, 1700000000], ...], "count": 31000, "bytes": 912345678,
     "packages": [["numpy", "2.1.0", "BSD-3-Clause", 45000000], ...]}

A file has its path, its size in bytes, and when it was changed, in seconds since 1970. Only the largest are listed; all
of them are counted. A package has its name, its version, its licence ("" if it states none) and the size of its files.
`packages` is null for a Python that cannot list them.
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST_FILES = 50000
_LONGEST = 200  # characters of a licence
_CLASSIFIER = "License :: "
_OF_ENGINE = frozenset({
    "/.dockerenv", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/run/.containerenv"
})  # fmt: skip
"""Files that an engine puts into each container, and no image has."""


def walk(top: str) -> Iterator[tuple[str, int, int]]:
    """Yield path, size and time of each regular file below *top*, on the same file system; of hard links the first."""
    seen: set[tuple[int, int]] = set()
    waiting = [top]
    device = os.lstat(top).st_dev
    while waiting:
        folder = waiting.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISDIR(status.st_mode):
                if status.st_dev == device:
                    waiting.append(entry.path)
            elif _is_of_image(entry.path, status) and (status.st_dev, status.st_ino) not in seen:
                if status.st_nlink > 1:
                    seen.add((status.st_dev, status.st_ino))
                yield entry.path, status.st_size, max(0, int(status.st_mtime))


def _is_of_image(path: str, status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and path not in _OF_ENGINE


def packages(sizes: Mapping[str, int]) -> list[list[Any]] | None:
    """Return name, version, licence and size of each installed package; None if this Python cannot list them.

    Args:
        sizes: path → bytes of each file.
    """
    try:
        metadata = import_module("importlib.metadata")
    except ImportError:  # Python 3.7
        return None
    folders = [*os.environ.get("PYTHONPATH", "").split(os.pathsep), *sys.path]
    by_name: dict[str, list[Any]] = {}
    for each in metadata.distributions(path=[folder for folder in folders if folder]):
        about = each.metadata  # Each access reads the file again.
        name = about.get("Name")
        key = re.sub("[-_.]+", "-", name).lower() if name else ""
        if key and key not in by_name:
            by_name[key] = [name, about.get("Version") or "", licence(about), _size(each, sizes)]
    return [by_name[key] for key in sorted(by_name)]


def licence(about: Any) -> str:
    """Return what a package states as its licence: an SPDX expression, else classifiers, else a line of text.

    https://packaging.python.org/en/latest/specifications/core-metadata/#license-expression
    """
    expression = about.get("License-Expression")
    if expression:
        return str(expression)[:_LONGEST]
    classifiers = [each for each in about.get_all("Classifier") or () if each.startswith(_CLASSIFIER)]
    names = [each.split(" :: ")[-1] for each in classifiers]
    if names:
        return ", ".join(names)[:_LONGEST]
    lines = str(about.get("License") or "").strip().splitlines()
    return lines[0].strip()[:_LONGEST] if lines else ""


def _size(package: Any, sizes: Mapping[str, int]) -> int:
    folder = str(package.locate_file(""))
    names = [str(file) for file in package.files or ()]
    # An absolute name stays as it is; pathlib takes ten times as long for thousands of files.
    paths = (os.path.normpath(os.path.join(folder, name)) for name in names)  # noqa: PTH118 - it is too slow
    return sum(sizes.get(path, 0) for path in paths)


def main() -> None:
    """Print the contents."""
    files = list(walk("/"))
    sizes = {path: size for path, size, _ in files}
    largest = sorted(files, key=lambda file: (-file[1], file[0]))[:MOST_FILES]
    contents = {
        "files": largest,
        "count": len(files),
        "bytes": sum(sizes.values()),
        "packages": packages(sizes),
    }
    sys.stdout.write("\n" + json.dumps(contents) + "\n")


if __name__ == "__main__":
    main()
