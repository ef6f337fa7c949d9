"""What may import what, and what `invoke --list` costs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import azureml_tasks

PACKAGE = Path(azureml_tasks.__file__).parent
ROOT = PACKAGE.parent
IN_IMAGE = {path.stem: path for path in sorted(PACKAGE.joinpath("in_image").glob("[!_]*.py"))}


def test_imports_keep_their_contracts() -> None:
    """Every contract of `[tool.importlinter]` holds."""
    lint = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"

    ended = subprocess.run(
        [sys.executable, "-c", lint], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (0, "") == (ended.returncode, ended.stdout if ended.returncode else "")


def test_no_test_module_imports_from_another() -> None:
    """What several of them use is in conftest.py, or in a module beside them whose name does not begin with `test_`."""
    imported = re.compile(r"^\s*(?:from|import) tests\.(?:\w+\.)*test_\w+", re.MULTILINE)

    modules = {path: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")}

    assert Path(__file__) in modules
    assert {} == {path: lines for path, text in modules.items() if (lines := imported.findall(text))}


def test_listing_tasks_loads_nothing_heavy() -> None:
    """Importing the tasks loads Invoke, what declares the tasks, and nothing else that Invoke has not loaded itself."""
    count = (
        "import sys; import __future__, invoke.main; before = set(sys.modules); import azureml_tasks.image;"
        "print(*sorted(set(sys.modules) - before))"
    )

    ended = subprocess.run([sys.executable, "-c", count], capture_output=True, text=True, check=True)

    modules = [
        "azureml_tasks",
        *(
            f"azureml_tasks.{name}"
            for name in (
                "cli",
                "cli.collection",
                "cli.command_words",
                "cli.exit_handling",
                "cli.flags",
                "cli.tasks",
                "errors",
                "image",
                "signals",
            )
        ),
    ]
    assert modules == ended.stdout.split()


@pytest.mark.parametrize("script", IN_IMAGE)
def test_a_script_of_the_image_runs_under_old_pythons(script: str) -> None:
    """It has the syntax of Python 3.7, and imports the standard library and the scripts beside it alone."""
    tree = ast.parse(IN_IMAGE[script].read_text("utf-8"), feature_version=(3, 7))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    others = imported - {"azureml_tasks.in_image"} - IN_IMAGE.keys()
    assert set() == {name.partition(".")[0] for name in others} - sys.stdlib_module_names
