"""The page "Moving here": each of its sections is a folder, commands, and what they print and write."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.cases import lay_out
from tests.consumers import azureml_image
from tests.documentation import DOCS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["PAGE", "rewritten", "sections"]

PAGE = DOCS / "moving-here.md"
_STUBS = {
    ".py": "def init(): ...\n\n\ndef run(data): ...\n",
    ".json": '{"data": [[5.1, 3.5, 1.4, 0.2]]}\n',
    ".joblib": "weights\n",
    ".txt": "words\n",
}
"""What a file holds that a section only names."""
_BESIDE = re.compile(r"Beside it: .+?\.(?: |$)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"(?:`([^`\n]+)`:\n\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""A block, and the name of its file if it is one."""


def sections(text: str) -> list[str]:
    """Return the parts of *text*, each with its heading; the first is what comes before all headings."""
    return re.split(r"^(?=## )", text, flags=re.MULTILINE)


def rewritten(section: str, folder: Path) -> str:
    """Return *section* with what its commands print and write in *folder*, which becomes what the section describes.

    Blocks with a name before the commands are files that are there, and those after them files that are written.
    """
    names = re.findall(r"`([^`]+)`", " ".join(_BESIDE.findall(section)))
    before, *after = re.split(r"^(?=```console$)", section, maxsplit=1, flags=re.MULTILINE)
    files = {name: text for name, _, text in _BLOCK.findall(before) if name}
    lay_out({**{name: _STUBS[name[name.rfind(".") :]] for name in names}, **files}, folder)
    return before + "".join(_BLOCK.sub(lambda block: _block(block, folder), part) for part in after)


def _block(block: re.Match[str], folder: Path) -> str:
    name, language, text = block.groups()
    heading = f"`{name}`:\n\n" if name else ""
    if language == "console":
        text = "".join(_ran(text, folder))
    elif name:
        text = (folder / name).read_text(encoding="utf-8")
    return f"{heading}```{language}\n{text}```"


def _ran(console: str, folder: Path) -> Iterator[str]:
    for line in re.findall(r"^\$ (.+)$", console, re.MULTILINE):
        program, *words = line.split()
        assert program == "azureml-image"
        ended = azureml_image(folder, *words, env={"GIT_CEILING_DIRECTORIES": str(folder.parent)})
        yield f"$ {line}\n{ended.err}{ended.out}"
