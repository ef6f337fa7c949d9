"""A first request for a script: what the script itself shows, or a JSON that a person has to replace.

The script is parsed and never run. With a schema, the server passes the values of a JSON mapping to `run` by name:
azureml-inference-server-http 1.5.1, server/input_parsers.py. What a sample looks like in the request is for the types
of inference-schema 1.8 to say: parameter_types/numpy_parameter_type.py, pandas_parameter_type.py and
standard_py_parameter_type.py.
"""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.project.entry_script import parse_script
from azureml_tasks.project.script_calls import takes_mini_batch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LARGEST = 100_000
"""Characters of a request."""
_REPLACE = "is an example: replace it by a request that the script answers"
_MOST_KEYS = 20
_MOST_SAMPLES = 1_000


class SampleRequest(NamedTuple):
    """A first request.

    Args:
        text: JSON.
        why: where it is from, or that it must be replaced, to follow the name of its file.
        is_example: whether nothing of the script shows that it answers this.
    """

    text: str
    why: str
    is_example: bool


class _NoSampleError(Exception):
    """A value that cannot be known without running the script."""


def answers_requests(script: str) -> bool:
    """Return whether a script answers requests with JSON, as far as is seen: no batches, and no whole requests."""
    tree = parse_script(script.encode("utf-8", "surrogatepass"))
    run = _run(tree) if tree else None
    return not (tree and run) or _answers(tree, run)


def sample_request(script: str) -> SampleRequest | None:
    """Return a first request for a script; None if it answers none, or none as JSON.

    Args:
        script: its text.
    """
    tree = parse_script(script.encode("utf-8", "surrogatepass"))
    if tree is None:
        return _example(())
    run = _run(tree)
    if run is None:
        return _example(())
    if not _answers(tree, run):
        return None
    try:
        shown = _shown(tree, run)
    except (_NoSampleError, RecursionError):
        shown = None
    if shown:
        return SampleRequest(shown, "has the samples of the script's own schema", is_example=False)
    parameters = [_text(_argument(call, 0, "param_name")) for call in _schemas(run)]
    return _example([name for name in parameters if name] or _keys(run))


def _answers(tree: ast.Module, run: ast.FunctionDef) -> bool:
    return not takes_mini_batch(tree) and "rawhttp" not in map(_name, run.decorator_list)


def _example(keys: Sequence[str]) -> SampleRequest:
    body = {key: [[0]] for key in [*keys][:_MOST_KEYS]} or {"data": [[0]]}
    return SampleRequest(_json(body), _REPLACE, is_example=True)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _run(tree: ast.Module) -> ast.FunctionDef | None:
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "run"]
    return functions[-1] if functions else None


def _shown(tree: ast.Module, run: ast.FunctionDef) -> str | None:
    """Return the request of the samples of the schema's parameters; None if there is no schema.

    Raises:
        _NoSampleError: a sample is no literal.
    """
    samples = _Samples(tree)
    request = {}
    for call in reversed(_schemas(run)):
        name, kind = _text(_argument(call, 0, "param_name")), _argument(call, 1, "param_type")
        if not name or kind is None:
            raise _NoSampleError
        request[name] = samples.sample(kind)
    try:
        text = _json(request) if request else None
    except (TypeError, ValueError, RecursionError) as error:  # bytes, a set, a number that JSON has not
        raise _NoSampleError from error
    if text and len(text) > _LARGEST:
        raise _NoSampleError
    return text


def _schemas(run: ast.FunctionDef) -> list[ast.Call]:
    return [
        node for node in run.decorator_list if isinstance(node, ast.Call) and _name(node) == "input_schema"
    ]


def _name(node: ast.expr) -> str:
    """Return the last part of the name that is used or called."""
    called = node.func if isinstance(node, ast.Call) else node
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


def _argument(call: ast.Call, place: int, name: str) -> ast.expr | None:
    if len(call.args) > place:
        return call.args[place]
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def _text(node: ast.expr | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


class _Samples:
    """Reads samples as the request has them; names stand for what the module binds to them once."""

    def __init__(self, tree: ast.Module) -> None:
        self.bound: dict[str, ast.expr | None] = {}
        for node in tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            for target in targets:
                if isinstance(target, ast.Name) and isinstance(node, ast.Assign):
                    self.bound[target.id] = None if target.id in self.bound else node.value
        self.count = 0

    def sample(self, node: ast.expr) -> Any:
        """Return the sample of a parameter type.

        Raises:
            _NoSampleError: it is no literal.
        """
        node = self.resolved(node)
        self.count += 1  # Samples may name each other, each of them twice.
        if not isinstance(node, ast.Call) or self.count > _MOST_SAMPLES:
            raise _NoSampleError
        given = _argument(node, 0, "sample_input")
        if given is None:
            raise _NoSampleError
        if _name(node) == "PandasParameterType":
            return self.table(node, self.resolved(given))
        if _name(node) == "NumpyParameterType":
            return self.array(self.resolved(given))
        if _name(node) == "StandardPythonParameterType":
            return self.plain(self.resolved(given))
        raise _NoSampleError

    def resolved(self, node: ast.expr) -> ast.expr:
        """Return what a name stands for; any other node itself."""
        for _ in range(10):
            if not isinstance(node, ast.Name):
                return node
            bound = self.bound.get(node.id)
            if bound is None:
                break
            node = bound
        raise _NoSampleError

    def array(self, node: ast.expr) -> Any:
        """Return what `np.array(…)` holds."""
        if not isinstance(node, ast.Call) or _name(node) not in ("array", "asarray") or not node.args:
            raise _NoSampleError
        return _literal(self.resolved(node.args[0]))

    def table(self, kind: ast.Call, node: ast.expr) -> Any:
        """Return the rows of `pd.DataFrame({name: [value, …]})` or of one of rows, each as a mapping."""
        orient = _argument(kind, 4, "orient")
        if orient is not None and _text(orient) != "records":
            raise _NoSampleError
        if not isinstance(node, ast.Call) or _name(node) != "DataFrame":
            raise _NoSampleError
        data = _argument(node, 0, "data")
        if data is None:
            raise _NoSampleError
        value, names = _columns(self.resolved(data)), _argument(node, 2, "columns")
        if isinstance(value, dict) and names is None:
            columns = [each if isinstance(each, list) else [each] for each in value.values()]
            return [dict(zip(value, row, strict=False)) for row in zip(*columns, strict=False)]
        if not isinstance(value, list):
            raise _NoSampleError
        if names is None:
            if all(isinstance(row, dict) for row in value):
                return value
            raise _NoSampleError
        listed = _literal(self.resolved(names))
        return [dict(zip(map(str, listed), row, strict=True)) for row in value]

    def plain(self, node: ast.expr) -> Any:
        """Return a value of Python, in which other parameter types may be.

        Raises:
            _NoSampleError: it is no literal, or nested very deep.
        """
        if isinstance(node, ast.Dict):
            keys = [_text(key) for key in node.keys]
            if all(keys):
                return {key: self.plain(value) for key, value in zip(keys, node.values, strict=True)}
        if isinstance(node, ast.List | ast.Tuple):
            return [self.plain(each) for each in node.elts]
        if isinstance(node, ast.Call | ast.Name):
            return self.sample(node)
        return _literal(node)


def _columns(node: ast.expr) -> Any:
    """Return a literal in which a column may be `pd.Series([…])` or `np.array([…])`."""
    if not isinstance(node, ast.Dict):
        return _literal(node)
    columns = {}
    for key, value in zip(node.keys, node.values, strict=True):
        is_call = isinstance(value, ast.Call) and _name(value) in ("Series", "array") and bool(value.args)
        inner = value.args[0] if isinstance(value, ast.Call) and is_call else value
        if not _text(key):
            raise _NoSampleError
        columns[_text(key)] = _literal(inner)
    return columns


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise _NoSampleError from error


def _keys(run: ast.FunctionDef) -> list[str]:
    """Return the keys that `run` takes from the JSON that it is given, in the script's order, each once."""
    parameters = {each.arg for each in (*run.args.posonlyargs, *run.args.args)}
    texts = set(parameters)
    keys: dict[str, None] = {}
    for node in _nodes(run):
        if isinstance(node, ast.Assign) and _is_loaded(node.value, texts):
            texts |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.Subscript) and _is_loaded(node.value, texts):
            keys |= dict.fromkeys([key] if (key := _text(node.slice)) else [])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            is_of_request = _is_loaded(node.func.value, texts) and bool(node.args)
            keys |= dict.fromkeys([key] if is_of_request and (key := _text(node.args[0])) else [])
    return [*keys]


def _is_loaded(node: ast.expr, texts: set[str]) -> bool:
    """Return whether a value is the request, or the JSON of it."""
    if isinstance(node, ast.Name):
        return node.id in texts
    is_load = isinstance(node, ast.Call) and _name(node) == "loads" and bool(node.args)
    return isinstance(node, ast.Call) and is_load and _is_loaded(node.args[0], texts)


def _nodes(run: ast.FunctionDef) -> Iterator[ast.AST]:
    """Yield what is in a function, in the order of the script; a loop, as trees can be deep."""
    return iter(
        sorted(ast.walk(run), key=lambda node: (getattr(node, "lineno", 0), getattr(node, "col_offset", 0)))
    )
