"""Test cases as texts: a small project in one file, with what must come of it."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["CASES", "lay_out", "sections"]

CASES = Path(__file__).parent / "cases"
_HEADER = re.compile(r"^-- (.+) --\n", re.MULTILINE)


def sections(case: Path) -> dict[str, str]:
    """The parts of a case: a line `-- NAME --` starts each."""
    parts = _HEADER.split(case.read_text(encoding="utf-8"))
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def lay_out(files: dict[str, str], folder: Path) -> Path:
    """Write *files* below *folder*."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder
