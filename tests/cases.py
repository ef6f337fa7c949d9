"""Test cases: a small project in one text file, with the expected result."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import azureml_tasks

if TYPE_CHECKING:
    from azureml_tasks.planning.plan import Plan

__all__ = ["BAD", "GENERATED", "GOOD", "IMAGES", "OUTCOMES", "lay_out", "planned", "sections"]

_CASES = Path(__file__).parent / "cases"
BAD = sorted((_CASES / "bad").glob("*.txt"))
"""Projects with mistakes, each with the whole error message."""
GOOD = sorted((_CASES / "good").glob("*.txt"))
"""Valid projects, each with its Dockerfile, build context, names and warnings."""
GENERATED = [case for case in GOOD if not case.stem.startswith("own-dockerfile")]
"""Those whose Dockerfile is generated."""
IMAGES = sorted((_CASES / "images").glob("*.txt"))
"""Valid projects of several images, each with the Dockerfile, the build context and the names of every image."""
OUTCOMES = ("Dockerfile", "context", "names", "warnings")
"""The sections of a valid case that are not files of the project."""
_HEADER = re.compile(r"^-- (.+) --\n", re.MULTILINE)


def sections(case: Path) -> dict[str, str]:
    """Return the sections of a case; a line `-- NAME --` starts each."""
    parts = _HEADER.split(case.read_text(encoding="utf-8"))
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def lay_out(files: dict[str, str], folder: Path) -> Path:
    """Write *files* below *folder*."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def planned(case: Path, folder: Path) -> Plan:
    """Return the plan of a case. A section `LINK -> TARGET` is a symbolic link, a text with `#!` an executable file."""
    files = {name: text for name, text in sections(case).items() if name not in OUTCOMES}
    lay_out({name: text for name, text in files.items() if " -> " not in name}, folder)
    for name, text in files.items():
        link, arrow, target = name.partition(" -> ")
        if arrow:
            (folder / link).symlink_to(target)
        elif text.startswith("#!"):
            (folder / name).chmod(0o755)
    return azureml_tasks.plan(azureml_tasks.load(folder))
