"""The README and the pages of `azureml_tasks/docs/`, as texts, code blocks and links."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from tests.cases import lay_out

__all__ = [
    "DOCS",
    "PAGES",
    "README",
    "ROOT",
    "Command",
    "anchors",
    "blocks",
    "commands",
    "links",
    "quick_start",
]

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "azureml_tasks" / "docs"
PAGES = (
    README,
    ROOT / ".github" / "CONTRIBUTING.md",
    ROOT / "example_project" / "README.md",
    ROOT / "example_project" / "two_images" / "README.md",
    *sorted(DOCS.glob("*.md")),
)


class Command(NamedTuple):
    """A command in a console block, and the output that is shown below it."""

    line: str
    output: str


def quick_start(folder: Path) -> Path:
    """Write the three files of the README's quick start into *folder*."""
    score, tasks = blocks(README, "python")
    table = blocks(README, "toml")[0]
    return lay_out({"code/score.py": score, "tasks.py": tasks, "pyproject.toml": table}, folder)


def blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of *page* in *language*."""
    fenced = re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [text for name, text in fenced if name == language]


def commands(page: Path) -> list[Command]:
    """Return the commands of the console blocks of *page*, without their comments."""
    listed = []
    for block in blocks(page, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, output = part.partition("\n")
            listed.append(Command(line=re.sub(r"\s{2,}#.*", "", line), output=output))
    return listed


def links(page: Path) -> list[str]:
    """Return the targets of the Markdown links of *page*, also those that are broken over two lines."""
    return re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of *page*, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
