"""The recipe of docs/runners.md that installs azureml-tasks from an index: uv's."""

from __future__ import annotations

from pathlib import Path

from tests.cases import lay_out
from tests.documentation import ROOT, blocks
from tests.runners import CHECKED, FILES, PAGE, lines_of, ran


def test_uv(tmp_path: Path) -> None:
    """The group has the program, and nothing else of the project is installed."""
    recipe = blocks(PAGE, "toml")[0]
    source = f'{{ path = "{ROOT}" }}'
    table = recipe.replace('{ git = "https://github.com/OWNER/azureml-tasks", rev = "COMMIT" }', source)
    folder = lay_out({**FILES, "pyproject.toml": table}, tmp_path / "demo")
    (line,) = lines_of("uv")

    printed = ran(line, folder)

    assert table != recipe
    assert CHECKED in printed
