"""The code that the server will import: its folder, its entry script, and what must not lie beside it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azureml_tasks.config.problems import Place
    from azureml_tasks.project.paths import ProjectPaths

__all__ = ["Code", "defined_names", "look_at_code", "missing_functions"]

_SERVER_CONFIGURATION = ("config.json", "logging.json")
"""Read as its own by azureml-inference-server-http 1.5.1 (server/config.py) where they lie beside the entry script."""

_STUBS = {"init": "def init() -> None: ...", "run": "def run(data: str) -> object: ..."}


@dataclass(frozen=True, kw_only=True)
class Code:
    """The code of an image.

    Args:
        folder: relative to the project; "" where the image has no code.
        entry_script: relative to that folder; "" where there is none.
        warnings: what is worth saying of it.
    """

    folder: str = ""
    entry_script: str = ""
    warnings: tuple[str, ...] = ()


def look_at_code(survey: ProjectPaths) -> Code:
    """Find the code and its entry script; what is wrong is noted."""
    problems, folder = survey.problems, _folder(survey)
    place: Place = ("entry-script",)
    if not folder:
        if problems.is_written(place) and not problems.is_bad(("code",)):
            what = "tool.azureml-image.entry-script has no code folder to be in"
            problems.add(place, what, 'Write: code = "code"')
        return Code()
    if not problems.is_written(place) and not (survey.root / folder / "score.py").is_file():
        warning = f"{folder} has no score.py, and no entry-script is set: the server will look for main.py"
        return Code(folder=folder, warnings=(warning,))
    name = Path(survey.settings.entry_script or "score.py").as_posix()
    script = "" if problems.is_bad(place) else _entry_script(survey, folder, name)
    _refuse_server_configuration(survey, folder, script)
    return Code(folder=folder, entry_script=script)


def _folder(survey: ProjectPaths) -> str:
    if survey.problems.is_bad(("code",)):
        return ""
    given = survey.settings.code or ("code" if (survey.root / "code").is_dir() else "")
    return survey.existing(("code",), given, "folder") if given else ""


def _entry_script(survey: ProjectPaths, folder: str, name: str) -> str:
    path = (Path(folder) / name).as_posix()
    if not (survey.root / path).is_file():
        why = "is a folder" if (survey.root / path).is_dir() else "does not exist"
        what = f'tool.azureml-image.entry-script is "{survey.settings.entry_script}", but {path} {why}'
        survey.problems.add(("entry-script",), what, "It is relative to the code folder.")
        return ""
    survey.refuse_excluded(path, "the entry script")
    survey.problems.extend(_problems_of(path, (survey.root / path).read_bytes()))
    return name


def _problems_of(path: str, source: bytes) -> list[Problem]:
    try:
        missing = missing_functions(source, path)
    except SyntaxError as error:
        what = f"is no Python that can be read: {error.msg}"
        return [Problem(path, error.lineno or 1, what, "Mend it: the server imports this file.")]
    if not missing:
        return []
    names = " and ".join(f"{name}()" for name in missing)
    fix = "Add:\n" + "\n".join(_STUBS[name] for name in missing)
    return [Problem(path, 1, f"the entry script does not define {names}", fix)]


def _refuse_server_configuration(survey: ProjectPaths, folder: str, script: str) -> None:
    place = ("entry-script",) if survey.settings.entry_script else ("code",)
    for beside in dict.fromkeys((Path(folder, script).parent if script else Path(folder), Path(folder))):
        for name in _SERVER_CONFIGURATION:
            taken = (beside / name).as_posix()
            settled = survey.matcher.excluding(taken) or survey.matcher.reincluding(taken)
            if settled or not (survey.root / taken).is_file():
                continue
            what = f"{taken} lies where the inference server takes it for its own configuration"
            move = f'Rename it or move it into a subfolder, or leave it out: exclude = ["{taken}"]'
            survey.problems.add(place, what, f'{move}\nOr, where it is the server\'s: exclude = ["!{taken}"]')


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
