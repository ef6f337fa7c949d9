"""The page "Moving here": the commands of each section print and write what it shows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.consumers import azureml_image
from tests.moving_here import PAGE, rewritten, sections

if TYPE_CHECKING:
    from pathlib import Path

SECTIONS = {
    part.partition("\n")[0].removeprefix("## "): part
    for part in sections(PAGE.read_text(encoding="utf-8"))[1:]
    if "\n```console\n" in part
}


@pytest.mark.parametrize("title", SECTIONS)
def test_a_section_shows_what_happens(title: str, tmp_path: Path) -> None:
    """What the commands print and write is what is shown, and nothing but the engine is then in a build's way.

    After a change of a message, run `python3 tasks.py docs`.
    """
    folder = tmp_path / "iris"
    text = rewritten(SECTIONS[title], folder)
    checked = azureml_image(folder, "check", "--json", env={"GIT_CEILING_DIRECTORIES": str(tmp_path)})
    problems = json.loads(checked.out)["errors"]

    assert SECTIONS[title] == text
    assert [(3, None)] == [(checked.code, each["file"]) for each in problems]


def test_each_kind_of_source_has_its_section() -> None:
    """What `--from` reads is shown, and what happens without it."""
    assert [
        "A deployment YAML",
        "An environment YAML",
        "A Dockerfile",
        "A conda file, requirements or a lock file",
        "Nothing named",
    ] == [*SECTIONS][:5]
