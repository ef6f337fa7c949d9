"""The code that the server imports: its folders, its entry script, and files that must not be beside it."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.config.problems import spell
from azureml_tasks.config.toml_messages import exclude_line
from azureml_tasks.errors import FileProblem
from azureml_tasks.image_reference import expand_base
from azureml_tasks.notice import Notice
from azureml_tasks.project.answering_code import what_needs_code
from azureml_tasks.project.base_images import ENTRY_SCRIPT, brings_script
from azureml_tasks.project.code_folders import CodeFolders
from azureml_tasks.project.entry_script import (
    LARGEST_SCRIPT,
    WrongScriptError,
    missing_functions,
    read_script,
)
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
_NAME_SCRIPT = 'Write: entry-script = "FILE", a file of the code that defines init() and run()'
_STUBS = {"init": "def init() -> None: ...", "run": "def run(data: str) -> object: ..."}


@dataclass(frozen=True, kw_only=True)
class Code:
    """The code of an image.

    Args:
        folders: whose content is copied; empty if the image has no code.
        entry_script: relative to the app's root; "" if there is none.
        python_path: folders that Python searches for modules, relative to the app's root.
        unread: what this machine's Python finds wrong with the script, which a newer one may read; None for nothing.
        missing: what is wrong if the base brings no script of its own, which only the base tells; None for nothing.
        warnings: for the user.
    """

    folders: CodeFolders = CodeFolders()
    entry_script: str = ""
    python_path: tuple[str, ...] = ()
    unread: FileProblem | None = None
    missing: FileProblem | None = None
    warnings: tuple[Notice, ...] = ()


def read_code(reader: ProjectReader) -> Code:
    """Find the code and its entry script, and report what is wrong with them."""
    problems, folders = reader.problems, _folders(reader)
    place: Place = ("entry-script",)
    if not folders:
        for key in ("entry-script", "python-path"):
            if problems.is_written((key,)) and not reader.settings.code and not problems.is_bad(("code",)):
                what = f"{spell((key,))} is set, but there is no code folder"
                problems.add((key,), what, 'Write: code = "code"')
        return Code()
    python_path = _python_path(reader, folders)
    if problems.is_written(place) or _is_file(reader, folders.source_of("score.py")):
        name = Path(reader.settings.entry_script or "score.py").as_posix()
        code = _with_script(reader, folders, name)
    else:
        code = _without_score(reader, folders)
    return replace(code, python_path=python_path)


def _with_script(reader: ProjectReader, folders: CodeFolders, name: str) -> Code:
    problems = reader.problems
    script = "" if problems.is_bad(("entry-script",)) else _entry_script(reader, folders, name)
    unread, warnings = _read_script(reader, folders.source_of(script)) if script else (None, ())
    _refuse_server_configuration(reader, folders, script)
    return Code(folders=folders, entry_script=script, unread=unread, warnings=warnings)


def _without_score(reader: ProjectReader, folders: CodeFolders) -> Code:
    """Return code without score.py if the table names no script: main.py serves, or the table must name another."""
    settings = reader.settings
    base = expand_base(settings.base)
    has_own = False if settings.server else brings_script(base) if base else None
    if has_own or ENTRY_SCRIPT in {**settings.env, **settings.smoke_test.env}:
        return Code(folders=folders)
    if _may_serve(reader, folders.source_of(_FALLBACK)):
        return _with_script(reader, folders, _FALLBACK)
    _refuse_server_configuration(reader, folders, "")
    tops = folders.by_name.values()
    scripts = [path for top in tops for path in entry_scripts(reader.root, reader.matcher, top)]
    has = "have" if len(tops) > 1 else "has"
    what = f"{' and '.join(map(reader.name, tops))} {has} no score.py, and no entry-script is set"
    if not scripts and not what_needs_code(settings):
        return Code(
            folders=folders,
            warnings=(Notice("no-entry-script", f"{what}: the server will look for {_FALLBACK}"),),
        )
    advice = how_to_name([*map(reader.name, scripts)], [*map(folders.place_of, scripts)]) or _NAME_SCRIPT
    if has_own is None:
        return Code(folders=folders, missing=reader.problems.problem_at(("code",), what, advice))
    reader.problems.add(("code",), what, advice)
    return Code(folders=folders)


def _may_serve(reader: ProjectReader, path: str) -> bool:
    """Return whether a script at *path* may define both functions, in any way, or as only a newer Python reads it."""
    file = reader.root / path
    if kind_of(file) != "file" or leaves(reader.root, file):
        return False
    try:
        return not missing_functions(read_bytes(file, LARGEST_SCRIPT), path)
    except SyntaxError:
        return True
    except (UnreadableFile, WrongScriptError):
        return False


def _folders(reader: ProjectReader) -> CodeFolders:
    """Return the folders of the code; two or more keep the last parts of their paths."""
    problems, given = reader.problems, reader.settings.code
    if problems.is_bad(("code",)):
        return CodeFolders()
    if len(given) <= 1:
        value = given[0] if given else "code" if (reader.root / reader.path("code")).is_dir() else ""
        path = reader.check_path(("code",), value, "folder") if value else ""
        return CodeFolders(by_name={"": path} if path else {})
    by_name: dict[str, str] = {}
    for index, value in problems.valid_items("code", given):
        place: Place = ("code", index)
        path = reader.check_path(place, value, "folder")
        name = posixpath.basename(path) if Path(value).name not in {"", ".."} else ""
        if path and not name:
            what = f'{spell(place)} is "{value}", which gives its folder in the image no name'
            problems.add(place, what, "Name folders in it, or this folder alone.")
        elif name in by_name:
            what = f"{spell(place)} and {reader.name(by_name[name])} would both be {name} in the image"
            problems.add(place, what, "Rename one of them, or name a folder that both are in.")
        elif name:
            by_name[name] = path
    return CodeFolders(by_name=by_name)


def _python_path(reader: ProjectReader, folders: CodeFolders) -> tuple[str, ...]:
    """Return the folders of `python-path`, and report those that will not be in the image."""
    problems, python_path = reader.problems, []
    for index, value in problems.valid_items("python-path", reader.settings.python_path):
        place: Place = ("python-path", index)
        place = place if problems.is_written(place) else ("python-path",)
        path = folders.source_of(value)
        if ":" in value:
            problems.add(
                place, f'{spell(place)} is "{value}", which has a colon', "List each folder by itself."
            )
        elif path and kind_of(reader.root / path) == "folder" and not leaves(reader.root, reader.root / path):
            if reader.matcher.may_descend(path) or not reader.refuse_excluded(
                path, "a folder of python-path"
            ):
                python_path.append(Path(value).as_posix())
        elif Path(value).as_posix() == "." and not path:
            python_path.append(".")
        else:
            there = (
                f"and {reader.name(path)} is not a folder"
                if path
                else "which is in none of the folders of code"
            )
            problems.add(place, f'{spell(place)} is "{value}", {there}', _inside(folders, "folder"))
    return tuple(python_path)


def _inside(folders: CodeFolders, kind: str) -> str:
    """Return what the path of a file or folder of the code is relative to."""
    if "" in folders.by_name:
        return "It is relative to the code folder."
    names = ", ".join(f"{name}/" for name in folders.by_name)
    return f"Name a {kind} that begins with one of: {names}"


def _is_file(reader: ProjectReader, path: str) -> bool:
    return bool(path) and kind_of(reader.root / path) == "file"


def _entry_script(reader: ProjectReader, folders: CodeFolders, name: str) -> str:
    path = folders.source_of(name)
    kind = kind_of(reader.root / path) if path else ""
    if kind != "file":
        why = f"is a {kind}" if kind else "does not exist"
        what = f"but {reader.name(path)} {why}" if path else "which is in none of the folders of code"
        what = f'{spell(("entry-script",))} is "{reader.settings.entry_script}", {what}'
        near = reader.neighbour(path, "file") if path and not kind else ""
        fix = f'Did you mean "{folders.place_of(near)}"?' if near else _inside(folders, "file")
        reader.problems.add(("entry-script",), what, fix)
        return ""
    reader.refuse_excluded(path, "the entry script")
    return "" if leaves(reader.root, reader.root / path) else name  # The walk reports the link.


def _read_script(reader: ProjectReader, path: str) -> tuple[FileProblem | None, tuple[Notice, ...]]:
    """Report an entry script that cannot serve; return what this Python cannot read of it, and warnings."""
    name = reader.name(path)
    try:
        source = read_bytes(reader.root / path, LARGEST_SCRIPT)
        missing = missing_functions(source, name)
    except UnreadableFile as error:
        reader.problems.add_in_file(name, 0, error.why, error.fix)
        return None, ()
    except WrongScriptError as error:
        reader.problems.extend([_syntax_problem(name, error.error)])
        return None, ()
    except SyntaxError as error:
        return _syntax_problem(name, error), ()
    if missing:
        names = " and ".join(f"{name}()" for name in missing)
        fix = "Add:\n" + "\n".join(_STUBS[name] for name in missing)
        reader.problems.add_in_file(name, 1, f"the entry script does not define {names}", fix)
    tree, _ = read_script(source, path)
    is_batch = bool(reader.settings.smoke_test.mini_batch)
    for line, what, fix in wrong_calls(tree, is_batch=is_batch):
        reader.problems.add_in_file(name, line, what, fix)
    if is_batch or not takes_mini_batch(tree):
        return None, ()
    smoke_test = reader.settings.smoke_test
    if smoke_test.request or smoke_test.requests:
        place = ("smoke-test", "request" if smoke_test.request else "requests")
        what = f"{spell(place)} asks {name}, whose run() takes the files of a batch deployment"
        fix = 'Write mini-batch = ["data/a.csv"] instead; or rename the parameter of run() if it takes a request.'
        reader.problems.add(place, what, fix)
        return None, ()
    what = "run() seems to take the files of a batch deployment"
    what += ', which smoke-test.mini-batch = ["data/a.csv"] gives it; a request does not'
    return None, (Notice("batch-script", what, name),)


def _syntax_problem(path: str, error: SyntaxError) -> FileProblem:
    fix = "Correct it: the server imports this file."
    return FileProblem(path, error.lineno or 1, f"syntax error: {error.msg}", fix)


def _refuse_server_configuration(reader: ProjectReader, folders: CodeFolders, script: str) -> None:
    place = ("entry-script",) if reader.settings.entry_script else ("code",)
    top = folders.by_name.get("", "")
    beside = posixpath.dirname(folders.source_of(script)) or "." if script else top
    for folder in dict.fromkeys(path for path in (beside, top) if path):
        for name in _SERVER_CONFIGURATION:
            path = posixpath.normpath(f"{folder}/{name}")
            rule, _ = reader.matcher.decision(path)
            if rule or not (reader.root / path).is_file():
                continue
            shown = reader.name(path)
            what = f"{shown} would be read by the inference server as its own configuration"
            fix = f"Rename it, move it into a subfolder, or leave it out: {exclude_line(shown)}"
            reader.problems.add(place, what, f"{fix}\nIf it is for the server: {exclude_line(f'!{shown}')}")


def script_source(reader: ProjectReader, code: Code) -> bytes:
    """Return the text of the entry script; empty if there is none, or if it cannot be read, which is reported."""
    if not code.entry_script:
        return b""
    try:
        return read_bytes(reader.root / code.folders.source_of(code.entry_script), LARGEST_SCRIPT)
    except (UnreadableFile, FileNotFoundError):
        return b""
