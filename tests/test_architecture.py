"""What may know what, how large it may grow, and what `invoke --list` costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import azureml_tasks

PACKAGE = Path(azureml_tasks.__file__).parent
ROOT = PACKAGE.parent
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "__init__.py"
}

LONGER = {
    # It runs inside the image, as one file that imports nothing of ours.
    "azureml_tasks.inside.install": 360,
    "azureml_tasks.inside.probe": 320,
    # A task after the other; Invoke reads each one's flags from its own signature.
    "azureml_tasks.image": 320,
    # One table of settings, each row with its docstring; it does not come apart.
    "azureml_tasks.settings": 270,
}
LARGER = {
    # A table of what registries say and what to do about it.
    "azureml_tasks.engines.refusals.registry_error": 50,
}


def test_imports_keep_their_contracts() -> None:
    """Every contract of `[tool.importlinter]` holds."""
    lint = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"

    done = subprocess.run([sys.executable, "-c", lint], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stdout if done.returncode else "")


def test_listing_tasks_loads_nothing_heavy() -> None:
    """Importing the tasks loads Invoke, the errors' module and nothing else that Invoke has not loaded itself."""
    count = (
        "import sys; import __future__, invoke.main; before = set(sys.modules); import azureml_tasks.image;"
        "print(*sorted(set(sys.modules) - before))"
    )

    done = subprocess.run([sys.executable, "-c", count], capture_output=True, text=True, check=True)

    ours = [
        "azureml_tasks",
        *(f"azureml_tasks.{name}" for name in ("endings", "errors", "image", "optional_argument")),
    ]
    assert ours == done.stdout.split()


def test_each_module_fits_on_a_page() -> None:
    """A module has at most 200 lines, unless its reason to be longer stands above."""
    lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}

    assert {} == {name: count for name, count in lines.items() if count > LONGER.get(name, 200)}


def test_each_function_is_seen_at_a_glance() -> None:
    """A function's body has at most 30 lines, its docstring aside, unless its reason stands above."""
    sizes = {
        f"{name}.{node.name}": _size(node)
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert {} == {name: size for name, size in sizes.items() if size > LARGER.get(name, 30)}


def test_each_module_says_what_is_public() -> None:
    """Each module has `__all__`, in order and without a name that is not there."""
    listed = {name: import_module(name).__all__ for name in MODULES}

    assert listed == {
        name: [public for public in names if hasattr(import_module(name), public)]
        for name, names in listed.items()
    }


def _size(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0
