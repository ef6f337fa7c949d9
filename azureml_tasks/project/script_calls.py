"""Whether `init()` and `run()` can be called as they will be, as far as their definitions show. Nothing is run.

The server calls `init()`, and `run` with one argument and, if it has that parameter, `request_headers`:
azureml-inference-server-http 1.5.1, server/user_script.py. A batch deployment calls `run` with a list of paths:
https://learn.microsoft.com/azure/machine-learning/how-to-batch-scoring-script. Neither awaits what it gets.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    Function = ast.FunctionDef | ast.AsyncFunctionDef

_RAW = "rawhttp"
_SCHEMAS = frozenset({"input_schema", "output_schema"})
"""Decorators of azureml_inference_server_http and inference_schema, which leave a function what it is. With a schema
the server passes each parameter by name. Any other decorator may make anything of a function."""
_HEADERS = "request_headers"
_DRIVER = "driver_module"
"""A name for which the server calls another module's `run`."""


class WrongCall(NamedTuple):
    """A function that cannot be called: the line of its definition, what is wrong, and the fix."""

    line: int
    what: str
    fix: str


def wrong_calls(tree: ast.Module, *, is_batch: bool) -> list[WrongCall]:
    """Return what is wrong with the functions `init` and `run` that *tree* defines once, and nowhere else.

    Args:
        tree: of the entry script.
        is_batch: whether a batch deployment calls them, not the server.
    """
    init, run = _definition(tree, "init"), _definition(tree, "run")
    wrong = [*_init_problems(init)] if init and not init.decorator_list else []
    if run and _decorators(run) <= {_RAW, *_SCHEMAS} and not _binds(tree, _DRIVER):
        wrong += _run_problems(run, is_batch=is_batch)
    return wrong


def takes_mini_batch(tree: ast.Module) -> bool:
    """Return whether the first parameter of `run` is called as in the scripts of batch deployments."""
    run = _definition(tree, "run")
    names = [parameter.arg for parameter in (*run.args.posonlyargs, *run.args.args)] if run else []
    return bool(names) and names[0].lower().replace("_", "").startswith("minibatch")


def _definition(tree: ast.Module, name: str) -> Function | None:
    """Return the function *name* of the module; None if it is bound in another way, or more than once."""
    functions = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
    ]
    return functions[0] if len(functions) == 1 and _binds(tree, name) == 1 else None


def _binds(tree: ast.Module, name: str) -> int:
    """Return how many statements of the module, outside of functions and classes, bind *name*."""
    count = 0
    for node in _own_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            count += node.name == name
        elif isinstance(node, ast.Name):
            count += node.id == name and isinstance(node.ctx, ast.Store)
        elif isinstance(node, ast.alias):
            count += (node.asname or node.name.partition(".")[0]) == name
    names = [node.names for node in ast.walk(tree) if isinstance(node, ast.Global)]
    return count + sum(name in each for each in names)


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what is in *node*, without what is in the functions and classes in it; a loop, as trees can be deep."""
    waiting = list(ast.iter_child_nodes(node))
    while waiting:
        each = waiting.pop()
        yield each
        if not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting += ast.iter_child_nodes(each)


def _decorators(function: Function) -> set[str]:
    """Return the names of the decorators, each without the modules in front and without its arguments."""
    names = set()
    for decorator in function.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        names.add(called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", ""))
    return names


def _is_generator(function: Function) -> bool:
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in _own_nodes(function))


def _init_problems(init: Function) -> Iterator[WrongCall]:
    fix = "Write: def init():"
    if isinstance(init, ast.AsyncFunctionDef):
        yield WrongCall(init.lineno, "init() is defined by async def, and nothing awaits it", fix)
    elif _is_generator(init):
        yield WrongCall(
            init.lineno, "init() is a generator (it has a yield), so calling it runs nothing", fix
        )
    if needed := _needed(init):
        what = f"init() needs {_words(needed)}, and it is called without arguments"
        yield WrongCall(init.lineno, what, fix)


def _run_problems(run: Function, *, is_batch: bool) -> Iterator[WrongCall]:
    caller = "a batch deployment" if is_batch else "the server"
    fix = "Write: def run(mini_batch):" if is_batch else "Write: def run(data):"
    if isinstance(run, ast.AsyncFunctionDef):
        what = f"run() is defined by async def, and {caller} does not await it, so that every call fails"
        yield WrongCall(run.lineno, what, fix)
    elif _is_generator(run):
        what = f"run() is a generator (it has a yield), which {caller} cannot use as a result"
        yield WrongCall(run.lineno, what, "Return the whole result.")
    if why := _batch_arguments(run) if is_batch else _server_arguments(run):
        yield WrongCall(run.lineno, f"run() {why}", fix)


def _batch_arguments(run: Function) -> str:
    """Return why `run` cannot be called with one positional argument; "" if it can."""
    needed = _needed(run)
    if len(needed) > 1 or any(name in needed for name in _keywords(run)):
        return f"needs {_words(needed)}, and a batch deployment gives it one argument, the list of files"
    takes = run.args.posonlyargs or run.args.args or run.args.vararg
    return "" if takes else "takes no argument, and a batch deployment gives it the list of files"


def _server_arguments(run: Function) -> str:
    """Return why the server refuses `run` or cannot call it with the request's body; "" if it can."""
    if _decorators(run) & _SCHEMAS:
        return ""
    if run.args.posonlyargs or run.args.vararg or run.args.kwarg:
        return "has positional-only parameters, *args or **kwargs, which the server refuses"
    names = [each.arg for each in (*run.args.args, *run.args.kwonlyargs) if each.arg != _HEADERS]
    if not names:
        return "takes no argument for the request's body"
    needed = [name for name in _needed(run) if name not in {names[0], _HEADERS}]
    return (
        f"needs {_words([names[0], *needed])}, and the server gives it one, the request's body"
        if needed
        else ""
    )


def _needed(function: Function) -> list[str]:
    """Return the parameters without a default."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    without = positional[: len(positional) - len(arguments.defaults)]
    return [each.arg for each in without] + _keywords(function)


def _keywords(function: Function) -> list[str]:
    """Return the parameters without a default that can be given by name alone."""
    pairs = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    return [each.arg for each, default in pairs if default is None]


def _words(names: list[str]) -> str:
    return f"the argument{'s' if len(names) > 1 else ''} {', '.join(names)}"
