"""The entry script, looked at without running it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["defined_names", "missing_functions"]


def missing_functions(source: bytes, name: str) -> list[str]:
    """Which of `init` and `run` the top level of *source* does not define.

    Both must be there: azureml-inference-server-http 1.5.1, user_script.py. A definition, an import
    and an assignment count; after `from x import *` nothing is known to be missing.

    Raises:
        SyntaxError: *source* is no Python, with the line; *name* is its file's.
    """
    try:
        tree = ast.parse(source, filename=name)
    except ValueError as error:  # A NUL byte, to Python 3.11 and before.
        raise SyntaxError(str(error), (name, 1, 1, "")) from error
    names = set(defined_names(tree.body))
    return [] if "*" in names else [function for function in ("init", "run") if function not in names]


def defined_names(body: list[ast.stmt]) -> Iterator[str]:
    """The names that *body* binds, also inside `if`, `try`, `with` and loops; "*" for a star import."""
    for statement in body:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                yield from (alias.asname or alias.name for alias in names)
            case ast.Assign(targets=targets):
                yield from (
                    node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)
                )
            case ast.AnnAssign(target=ast.Name(id=name), value=value) if value:
                yield name
            case _:
                for inner in ("body", "orelse", "finalbody", "handlers"):
                    for block in getattr(statement, inner, []):
                        yield from defined_names(
                            block.body if isinstance(block, ast.ExceptHandler) else [block]
                        )
