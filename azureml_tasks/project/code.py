"""The code that the server imports: its folder, its entry script, and files that must not be beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.errors import FileProblem
from azureml_tasks.image_reference import expand_base
from azureml_tasks.project.base_images import ENTRY_SCRIPT, brings_script
from azureml_tasks.project.entry_script import WrongScriptError, missing_functions, read_script
from azureml_tasks.project.paths import kind_of, leaves
from azureml_tasks.project.script_calls import takes_mini_batch, wrong_calls
from azureml_tasks.project.script_search import entry_scripts, how_to_name
from azureml_tasks.text_file import UnreadableFile, read_bytes

if TYPE_CHECKING:
    from azureml_tasks.config.problems import Place
    from azureml_tasks.project.paths import ProjectReader

_SERVER_CONFIGURATION = ("config.json", "logging.json")
"""Read by azureml-inference-server-http 1.5.1 (server/config.py) beside the entry script and in the working folder."""

_FALLBACK = "main.py"
"""What the server looks for if no variable names a script: the images' gunicorn/run."""
_LARGEST = 1_000_000
"""Bytes of an entry script; Python's parser takes a hundred times as much memory."""
_STUBS = {"init": "def init() -> None: ...", "run": "def run(data: str) -> object: ..."}


@dataclass(frozen=True, kw_only=True)
class Code:
    """The code of an image.

    Args:
        folder: relative to the project; "" if the image has no code.
        entry_script: relative to that folder; "" if there is none.
        unread: what this machine's Python finds wrong with the script, which a newer one may read; None for nothing.
        warnings: for the user.
    """

    folder: str = ""
    entry_script: str = ""
    unread: FileProblem | None = None
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
    if problems.is_written(place) or (reader.root / folder / "score.py").is_file():
        return _with_script(reader, folder, Path(reader.settings.entry_script or "score.py").as_posix())
    return _without_score(reader, folder)


def _with_script(reader: ProjectReader, folder: str, name: str) -> Code:
    problems = reader.problems
    script = "" if problems.is_bad(("entry-script",)) else _entry_script(reader, folder, name)
    path = (Path(folder) / script).as_posix()
    unread, warnings = _read_script(reader, path) if script else (None, ())
    _refuse_server_configuration(reader, folder, script)
    return Code(folder=folder, entry_script=script, unread=unread, warnings=warnings)


def _without_score(reader: ProjectReader, folder: str) -> Code:
    """Return code without score.py if the table names no script: main.py serves, or the table must name another."""
    settings = reader.settings
    base = expand_base(settings.base)
    has_own = brings_script(base) if base else None
    if has_own or ENTRY_SCRIPT in {**settings.env, **settings.smoke_test.env}:
        return Code(folder=folder)
    if _may_serve(reader, (Path(folder) / _FALLBACK).as_posix()):
        return _with_script(reader, folder, _FALLBACK)
    found = entry_scripts(reader.root, reader.matcher, folder)
    what, advice = f"{folder} has no score.py, and no entry-script is set", how_to_name(found, folder)
    if not found:
        return Code(folder=folder, warnings=(f"{what}: the server will look for {_FALLBACK}",))
    if has_own is None:
        return Code(folder=folder, warnings=(f"{what}. {advice}",))
    reader.problems.add(("code",), what, advice)
    return Code(folder=folder)


def _may_serve(reader: ProjectReader, path: str) -> bool:
    """Return whether a script at *path* may define both functions, in any way, or as only a newer Python reads it."""
    file = reader.root / path
    if kind_of(file) != "file" or leaves(reader.root, file):
        return False
    try:
        return not missing_functions(read_bytes(file, _LARGEST), path)
    except SyntaxError:
        return True
    except (UnreadableFile, WrongScriptError):
        return False


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
    return "" if leaves(reader.root, reader.root / path) else name  # The walk reports the link.


def _read_script(reader: ProjectReader, path: str) -> tuple[FileProblem | None, tuple[str, ...]]:
    """Report an entry script that cannot serve; return what this Python cannot read of it, and warnings."""
    try:
        source = read_bytes(reader.root / path, _LARGEST)
        missing = missing_functions(source, path)
    except UnreadableFile as error:
        reader.problems.add_in_file(path, 0, error.why, error.fix)
        return None, ()
    except WrongScriptError as error:
        reader.problems.extend([_syntax_problem(path, error.error)])
        return None, ()
    except SyntaxError as error:
        return _syntax_problem(path, error), ()
    if missing:
        names = " and ".join(f"{name}()" for name in missing)
        fix = "Add:\n" + "\n".join(_STUBS[name] for name in missing)
        reader.problems.add_in_file(path, 1, f"the entry script does not define {names}", fix)
    tree, _ = read_script(source, path)
    is_batch = bool(reader.settings.smoke_test.mini_batch)
    for line, what, fix in wrong_calls(tree, is_batch=is_batch):
        reader.problems.add_in_file(path, line, what, fix)
    if takes_mini_batch(tree) and not is_batch:
        what = f"{path}: run() seems to take the files of a batch deployment"
        return None, (f'{what}, which smoke-test.mini-batch = ["data/a.csv"] gives it; a request does not',)
    return None, ()


def _syntax_problem(path: str, error: SyntaxError) -> FileProblem:
    fix = "Correct it: the server imports this file."
    return FileProblem(path, error.lineno or 1, f"syntax error: {error.msg}", fix)


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


def script_source(reader: ProjectReader, code: Code) -> bytes:
    """Return the text of the entry script; empty if there is none, or if it cannot be read, which is reported."""
    if not code.entry_script:
        return b""
    try:
        return read_bytes(reader.root / code.folder / code.entry_script, _LARGEST)
    except (UnreadableFile, FileNotFoundError):
        return b""
