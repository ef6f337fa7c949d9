"""What the entry script defines. It is compiled, which finds every mistake of syntax, and never run."""

from __future__ import annotations

import ast
import dis
import warnings
from contextlib import contextmanager
from types import CodeType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LARGEST_SCRIPT = 1_000_000
"""Bytes of a script that is read; Python's parser takes a hundred times as much memory."""
_NEEDED = ("init", "run")
"""What azureml-inference-server-http 1.5.1 calls: see its user_script.py."""
_BINDING_ANYWHERE = frozenset({"STORE_ATTR", "STORE_GLOBAL"})
_BINDING_IN_MODULE = frozenset({"STORE_NAME", *_BINDING_ANYWHERE})
_LOADING = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})
_NAMESPACES = frozenset({"__import__", "exec", "globals", "locals", "setattr", "vars"})
"""Built-in functions that can bind a name which no statement shows."""
_MODULES = frozenset({"import_module", "modules"})
"""What leads from `sys` and `importlib` to the module itself."""


class WrongScriptError(Exception):
    """A script that this Python reads and refuses, as every other does: with `return` outside a function, say.

    Args:
        error: with the line.
    """

    def __init__(self, error: SyntaxError) -> None:
        super().__init__(str(error))
        self.error = error


def read_script(source: bytes, name: str) -> tuple[ast.Module, CodeType]:
    """Return the tree and the compiled code of *source*.

    Args:
        source: of the entry script.
        name: of its file, for errors.

    Raises:
        SyntaxError: this Python cannot read it, with the line; a newer one may.
        WrongScriptError: no Python can run it.
    """
    with _as_syntax_error(name):
        tree = ast.parse(source, filename=name)
        return tree, _compiled(tree, name)


def parse_script(source: bytes) -> ast.Module | None:
    """Return the tree of *source*; None if this Python cannot read it."""
    try:
        with _as_syntax_error(""):
            return ast.parse(source)
    except SyntaxError:
        return None


@contextmanager
def _as_syntax_error(name: str) -> Iterator[None]:
    """Raise SyntaxError for everything that Python's parser raises, and show none of its warnings."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "-W error" makes a mistake of a warning.
            yield
    except ValueError as error:  # Python 3.11 and before raise it for a NUL byte.
        raise SyntaxError(str(error), (name, 1, 1, "")) from error
    except (RecursionError, MemoryError) as error:
        raise SyntaxError("it is nested too deep for Python's parser", (name, 1, 1, "")) from error


def missing_functions(source: bytes, name: str) -> list[str]:
    """Return which of `init` and `run`, which the server needs, no statement of *source* can define.

    Every statement that binds the name counts. Nothing is missing where names may come from elsewhere: from a star
    import, from `globals()`, `setattr` and the like, or from a module's `__getattr__`.

    Args:
        source: of the entry script.
        name: of its file, for errors.

    Raises:
        SyntaxError: this Python cannot read it, with the line; a newer one may.
        WrongScriptError: no Python can run it.
    """
    tree, module = read_script(source, name)
    if any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree)):
        return []
    codes = list(_codes(module))
    at_top = _arguments([module], _BINDING_IN_MODULE)
    loaded, named = _arguments(codes, _LOADING), {name for code in codes for name in code.co_names}
    if loaded & _NAMESPACES or named & _MODULES or "__getattr__" in at_top:
        return []
    bound = at_top | _arguments(codes, _BINDING_ANYWHERE)
    return [function for function in _NEEDED if function not in bound]


def _compiled(tree: ast.Module, name: str) -> CodeType:
    try:
        code: CodeType = compile(tree, name, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise WrongScriptError(error) from error
    return code


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield *code* and that of the functions and classes in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _arguments(codes: Sequence[CodeType], operations: frozenset[str]) -> set[str]:
    """Return the names that *operations* of *codes* work with: https://docs.python.org/3/library/dis.html."""
    steps = (step for code in codes for step in dis.get_instructions(code))
    return {str(step.argval) for step in steps if step.opname in operations}
