"""The code that the server imports: its folder, its entry script, and files that must not be beside it."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.errors import Problem
from azureml_tasks.project.paths import kind_of
from azureml_tasks.text_file import UnreadableFile, read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azureml_tasks.config.problems import Place
    from azureml_tasks.project.paths import ProjectReader

_SERVER_CONFIGURATION = ("config.json", "logging.json")
"""Read by azureml-inference-server-http 1.5.1 (server/config.py) beside the entry script and in the working folder."""

_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
_LARGEST = 1_000_000
"""Bytes of an entry script; Python's parser takes a hundred times as much memory."""
_STUBS = {"init": "def init() -> None: ...", "run": "def run(data: str) -> object: ..."}


@dataclass(frozen=True, kw_only=True)
class Code:
    """The code of an image.

    Args:
        folder: relative to the project; "" if the image has no code.
        entry_script: relative to that folder; "" if there is none.
        warnings: for the user.
    """

    folder: str = ""
    entry_script: str = ""
    warnings: tuple[str, ...] = ()


def read_code(reader: ProjectReader) -> Code:
    """Find the code and its entry script, and report what is wrong with them."""
    problems, folder = reader.problems, _folder(reader)
    place: Place = ("entry-script",)
    if not folder:
        if problems.is_written(place) and not problems.is_bad(("code",)):
            what = "tool.azureml-image.entry-script is set, but there is no code folder"
            problems.add(place, what, 'Write: code = "code"')
        return Code()
    if not problems.is_written(place) and not (reader.root / folder / "score.py").is_file():
        warning = f"{folder} has no score.py, and no entry-script is set: the server will look for main.py"
        return Code(folder=folder, warnings=(warning,))
    name = Path(reader.settings.entry_script or "score.py").as_posix()
    script = "" if problems.is_bad(place) else _entry_script(reader, folder, name)
    _refuse_server_configuration(reader, folder, script)
    return Code(folder=folder, entry_script=script)


def _folder(reader: ProjectReader) -> str:
    if reader.problems.is_bad(("code",)):
        return ""
    given = reader.settings.code or ("code" if (reader.root / "code").is_dir() else "")
    return reader.check_path(("code",), given, "folder") if given else ""


def _entry_script(reader: ProjectReader, folder: str, name: str) -> str:
    path = (Path(folder) / name).as_posix()
    kind = kind_of(reader.root / path)
    if kind != "file":
        why = f"is a {kind}" if kind else "does not exist"
        what = f'tool.azureml-image.entry-script is "{reader.settings.entry_script}", but {path} {why}'
        reader.problems.add(("entry-script",), what, "It is relative to the code folder.")
        return ""
    reader.refuse_excluded(path, "the entry script")
    try:
        source = read_bytes(reader.root / path, _LARGEST)
    except UnreadableFile as error:
        reader.problems.add_in_file(path, 0, error.why, error.fix)
    else:
        reader.problems.extend(_problems_in(path, source))
    return name


def _problems_in(path: str, source: bytes) -> list[Problem]:
    try:
        missing = missing_functions(source, path)
    except SyntaxError as error:
        what = f"syntax error: {error.msg}"
        return [Problem(path, error.lineno or 1, what, "Correct it: the server imports this file.")]
    if not missing:
        return []
    names = " and ".join(f"{name}()" for name in missing)
    fix = "Add:\n" + "\n".join(_STUBS[name] for name in missing)
    return [Problem(path, 1, f"the entry script does not define {names}", fix)]


def _refuse_server_configuration(reader: ProjectReader, folder: str, script: str) -> None:
    place = ("entry-script",) if reader.settings.entry_script else ("code",)
    for beside in dict.fromkeys((Path(folder, script).parent if script else Path(folder), Path(folder))):
        for name in _SERVER_CONFIGURATION:
            path = (beside / name).as_posix()
            rule, _ = reader.matcher.decision(path)
            if rule or not (reader.root / path).is_file():
                continue
            what = f"{path} would be read by the inference server as its own configuration"
            fix = f'Rename it, move it into a subfolder, or leave it out: exclude = ["{path}"]'
            reader.problems.add(place, what, f'{fix}\nIf it is for the server: exclude = ["!{path}"]')


def missing_functions(source: bytes, name: str) -> list[str]:
    """Return which of `init` and `run`, which the server needs, the top level of *source* does not define.

    See azureml-inference-server-http 1.5.1, user_script.py. Definitions, imports and assignments count; after
    `from x import *` nothing is reported as missing.

    Args:
        source: of the entry script.
        name: of its file, for errors.

    Raises:
        SyntaxError: *source* cannot be parsed, with the line.
    """
    try:
        with warnings.catch_warnings():  # The parser would print one for "\d" with the line of the file.
            warnings.simplefilter("ignore")
            tree = ast.parse(source, filename=name)
    except ValueError as error:  # Python 3.11 and before raise it for a NUL byte.
        raise SyntaxError(str(error), (name, 1, 1, "")) from error
    except (MemoryError, RecursionError) as error:
        raise SyntaxError("it is nested too deep for Python's parser", (name, 1, 1, "")) from error
    names = set(defined_names(tree.body))
    return [] if "*" in names else [function for function in ("init", "run") if function not in names]


def defined_names(body: list[ast.stmt]) -> Iterator[str]:
    """Yield the names that *body* binds, also inside `if`, `try`, `with` and loops; "*" for a star import.

    A loop: each `elif` is nested in the one before it.
    """
    waiting: list[ast.AST] = [*reversed(body)]
    while waiting:
        match waiting.pop():
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
            case statement:
                blocks = (getattr(statement, inner, []) for inner in _BLOCKS)
                waiting += [inner for block in blocks for inner in block if isinstance(block, list)]
