"""The names that a script joins to AZUREML_MODEL_DIR. The script is parsed and never run.

What cannot be followed, such as a name from a file, is left out: nothing is said of it.
"""

from __future__ import annotations

import ast
import posixpath
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.project.entry_script import parse_script

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_VARIABLE = "AZUREML_MODEL_DIR"
_PATH_CLASSES = frozenset({"Path", "PosixPath", "PurePath", "PurePosixPath"})
_SAME_PATH = frozenset({"abspath", "expanduser", "fspath", "normpath", "realpath", "str"})
"""Functions that return the path that they are given, in another form."""
_SAME_PATH_METHODS = frozenset({"absolute", "as_posix", "expanduser", "resolve"})
_PATTERN = frozenset("*?[{")
"""Characters of a pattern for `glob`, or of a template for `format`."""


class JoinedName(NamedTuple):
    """A path below AZUREML_MODEL_DIR, with "/", and the line of the script that names it first."""

    line: int
    path: str


def joined_names(source: bytes) -> list[JoinedName]:
    """Return what a script joins to AZUREML_MODEL_DIR, each path once, in the script's order.

    Args:
        source: of the script; one that cannot be parsed has no names.
    """
    tree = parse_script(source) if _VARIABLE.encode() in source else None
    if not tree:
        return []
    scan = _Scan()
    try:
        scan.visit(tree)
    except RecursionError:
        return []
    return sorted(JoinedName(line, path) for path, line in scan.lines.items())


class _Scan(ast.NodeVisitor):
    """One pass over a script, in its order.

    Attributes:
        lines: path below AZUREML_MODEL_DIR → first line.
        paths: name of a variable that holds such a path → the path; "" is the folder itself.
        texts: name of a variable that holds a text → the text.
        branches: how many statements around the current one may be skipped when the script runs.
    """

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}
        self.paths: dict[str, str] = {}
        self.texts: dict[str, str] = {}
        self.branches = 0

    def visit(self, node: ast.AST) -> None:
        """Note the path that an expression is; of any other node, look at its parts."""
        path = self._path(node) if isinstance(node, ast.expr) else None
        if path is None:
            super().visit(node)
        elif path:
            self._note(node, path)

    def visit_Assign(self, node: ast.Assign) -> None:
        """Note what its targets hold now."""
        self.visit(node.value)
        for target in node.targets:
            self._bind(target, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """Note what its target holds now."""
        if node.value:
            self.visit(node.value)
            self._bind(node.target, node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        """Note what its target holds now, as of `path = path / name`."""
        joined = ast.copy_location(ast.BinOp(node.target, node.op, node.value), node)
        self.visit(joined)
        self._bind(node.target, joined)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Look at a function with its own names; those that it declares global, and attributes, stay."""
        before = self.paths, self.texts, self.branches
        arguments = {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}
        self.paths = {name: path for name, path in self.paths.items() if name not in arguments}
        self.texts = {name: text for name, text in self.texts.items() if name not in arguments}
        self.branches = 0
        self.generic_visit(node)
        kept = {name for each in ast.walk(node) if isinstance(each, ast.Global) for name in each.names}
        inner = self.paths, self.texts
        self.paths, self.texts, self.branches = before
        self.paths |= {name: path for name, path in inner[0].items() if name in kept or "." in name}
        self.texts |= {name: text for name, text in inner[1].items() if name in kept or "." in name}

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 -- a name of ast

    def _branch(self, node: ast.AST) -> None:
        self.branches += 1
        self.generic_visit(node)
        self.branches -= 1

    visit_If = visit_While = visit_For = visit_Try = visit_Match = _branch  # noqa: N815 -- names of ast

    def _bind(self, target: ast.expr, value: ast.expr) -> None:
        """Note what a variable holds now.

        In a branch, a path stays: the other value is the fallback where AZUREML_MODEL_DIR is not set.
        """
        name = _dotted(target)
        if not name:
            return
        path, text = self._path(value), self._text(value)
        if path is not None:
            self.paths[name] = path
        elif not self.branches:
            self.paths.pop(name, None)
        if text is not None:
            self.texts[name] = text
        else:
            self.texts.pop(name, None)

    def _note(self, node: ast.AST, path: str) -> None:
        line = getattr(node, "lineno", 1)
        self.lines[path] = min(line, self.lines.get(path, line))

    def _text(self, node: ast.expr) -> str | None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        return self.texts.get(_dotted(node))

    def _path(self, node: ast.expr) -> str | None:
        """Return the path below AZUREML_MODEL_DIR that an expression is; "" for the folder itself, None for others."""
        ways: dict[type[ast.expr], Callable[[Any], str | None]] = {
            ast.BinOp: self._operation,
            ast.BoolOp: self._either,
            ast.Call: self._call,
            ast.IfExp: self._conditional,
            ast.JoinedStr: self._formatted,
            ast.NamedExpr: self._assigned,
            ast.Subscript: self._member,
        }
        way = ways.get(type(node))
        return way(node) if way else self.paths.get(_dotted(node))

    def _either(self, node: ast.BoolOp) -> str | None:
        return self._path(node.values[0]) if isinstance(node.op, ast.Or) else None

    def _conditional(self, node: ast.IfExp) -> str | None:
        body = self._path(node.body)
        return self._path(node.orelse) if body is None else body

    def _assigned(self, node: ast.NamedExpr) -> str | None:
        self._bind(node.target, node.value)
        return self._path(node.value)

    def _member(self, node: ast.Subscript) -> str | None:
        is_variable = _last(node.value) == "environ" and self._text(node.slice) == _VARIABLE
        return "" if is_variable else None

    def _call(self, node: ast.Call) -> str | None:
        name, first = _last(node.func), node.args[0] if node.args else None
        if first and self._text(first) == _VARIABLE:
            is_variable = name == "getenv" or _dotted(node.func).endswith("environ.get")
            return "" if is_variable else None
        if isinstance(node.func, ast.Attribute) and (path := self._path(node.func.value)) is not None:
            if name == "joinpath":
                return self._joined(node, path, node.args)
            return path if name in _SAME_PATH_METHODS else None
        path = self._path(first) if first else None
        if path is None:
            return None
        if name == "join" or name in _PATH_CLASSES:
            return self._joined(node, path, node.args[1:])
        return path if name in _SAME_PATH else None

    def _operation(self, node: ast.BinOp) -> str | None:
        path = self._path(node.left)
        if path is None:
            return None
        if isinstance(node.op, ast.Div):
            return self._joined(node, path, [node.right])
        text = self._text(node.right)
        is_below = isinstance(node.op, ast.Add) and text is not None and text.startswith("/")
        return self._below(path, str(text)[1:]) if is_below else None

    def _formatted(self, node: ast.JoinedStr) -> str | None:
        """Return the path of an f-string that begins with one, such as `f"{folder}/model.pkl"`."""
        first, *rest = node.values or [node]
        path = self._path(first.value) if isinstance(first, ast.FormattedValue) else None
        texts = [each.value for each in rest if isinstance(each, ast.Constant)]
        if path is None or len(texts) != len(rest):
            return None
        text = "".join(map(str, texts))
        if not text:
            return path
        return self._below(path, text[1:]) if text.startswith("/") else None

    def _joined(self, node: ast.AST, path: str, parts: Sequence[ast.expr]) -> str | None:
        """Return *path* with all *parts*; if one is not known, note the path before it."""
        for part in parts:
            text = self._text(part)
            below = None if text is None else self._below(path, text)
            if below is None:
                if text is None and path:
                    self._note(node, path)
                return None
            path = below
        return path

    @staticmethod
    def _below(path: str, text: str) -> str | None:
        """Return *path* with *text* joined; None if it leaves the folder, or is a pattern."""
        joined = posixpath.normpath(posixpath.join(path, text))
        if text.startswith("/") or joined.startswith("..") or not _PATTERN.isdisjoint(text):
            return None
        return "" if joined == "." else joined


def _dotted(node: ast.expr) -> str:
    """Return a name such as `os.path.join`; "" for other expressions."""
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return node.id if isinstance(node, ast.Name) else ""


def _last(node: ast.expr) -> str:
    """Return the last part of a name, such as `join`; also of one that an expression precedes."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
