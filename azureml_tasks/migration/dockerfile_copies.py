"""COPY and ADD of a Dockerfile in terms of the keys `code`, `model` and `model-name`.

What the instructions do: https://docs.docker.com/reference/dockerfile/#copy and #add.
"""

from __future__ import annotations

import fnmatch
import itertools
import json
import os
import posixpath
import re
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.config import validators
from azureml_tasks.migration.dockerfile_stage import Copied
from azureml_tasks.migration.dockerfile_words import UnknownValueError, json_words
from azureml_tasks.migration.reading import Outcome
from azureml_tasks.planning.plan import APP_ROOT, MODEL_DIR
from azureml_tasks.project.ignore_files import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.migration.dockerfile_stage import Stage
    from azureml_tasks.project.dockerfile_text import Instruction

_FOLDERS = frozenset({"/", "/tmp", "/var", "/opt", "/home", "/root", APP_ROOT, MODEL_DIR})  # noqa: S108 -- of an image
"""Folders that a base has, or that a key makes: a single file is copied into them."""
_ARCHIVE = re.compile(r"\.(?:tar|tgz|tbz2?|txz|tar\.(?:gz|bz2|xz|zst))", re.IGNORECASE)
_REQUIREMENTS = re.compile(r"\.(?:txt|in|ya?ml|toml|lock)\Z")
_GLOB = re.compile(r"[*?\[]")
_NOT_COPIED = (
    "pyproject.toml",
    "tasks.py",
    *(pattern.removeprefix("**/") for pattern in DEFAULTS),
    ".env",
)
_MOST_COPIES = 2_000
_MOST_ENTRIES = 10_000
"""Entries of a folder that are looked at."""


def read_copy(stage: Stage, instruction: Instruction) -> None:
    """Note what a COPY or ADD copies."""
    line = instruction.line
    words = json_words(instruction.arguments) or instruction.arguments.split()
    try:
        target = stage.text_of(words[-1]) if len(words) > 1 else ""
        sources = [stage.text_of(word) for word in words[:-1]]
    except UnknownValueError as error:
        stage.keep(line, error.why)
        return
    if not sources:
        stage.left_over(line, "it names no source, or no place")
    elif len(stage.copied) + len(sources) > _MOST_COPIES:
        stage.left_over(line, f"more than {_MOST_COPIES:,} copies are not looked at")
    elif why := _cannot(instruction):
        stage.keep(line, why)
        stage.absent += _places(stage, sources, target)
    else:
        _copy(stage, instruction, sources, target)


def _cannot(instruction: Instruction) -> str:
    """Return why no key copies what an instruction copies; "" if one may."""
    if instruction.heredocs:
        return "a here-document: write the text into a file of the project"
    if places := instruction.flag_values("--from"):
        return f"copies from another image or stage: {places[-1]}"
    flags = (flag.partition("=")[0] for flag in instruction.flags)
    flag = next((flag for flag in flags if flag in ("--exclude", "--parents")), "")
    return f"{flag} chooses what is copied, which no key does" if flag else ""


def _places(stage: Stage, sources: Sequence[str], target: str) -> list[str]:
    """Return where an instruction copies its sources to, whatever they are."""
    place = stage.absolute(target)
    is_folder = len(sources) > 1 or target.endswith("/") or place in _FOLDERS
    names = [posixpath.basename(source.rstrip("/")) for source in sources]
    return [posixpath.join(place, name) for name in names if name] if is_folder else [place]


def _copy(stage: Stage, instruction: Instruction, sources: Sequence[str], target: str) -> None:
    line, note = instruction.line, _note(instruction)
    place = stage.absolute(target)
    is_folder = len(sources) > 1 or target.endswith(("/", "/.")) or target == "." or place in _FOLDERS
    is_folder = is_folder or place == stage.folder
    for source in sources:
        if why := _cannot_source(instruction, source):
            stage.keep(line, why)
            stage.absent += _places(stage, sources, target)
        elif _GLOB.search(source):
            for path in _matching(stage, source) or [source]:
                _add(stage, line, path, place, is_folder=True, note=note)
        else:
            _add(stage, line, source, place, is_folder=is_folder, note=note)


def _cannot_source(instruction: Instruction, source: str) -> str:
    """Return why no key copies a source; "" if one may."""
    if source.startswith("$") or "{{" in source or "<" in source:
        return f"only the build tells what {source} is"
    if instruction.name == "ADD" and re.match(r"[a-z+]+://|git@", source):
        return "ADD downloads a file: a run can do that, with curl or with Python"
    if instruction.name == "ADD" and _ARCHIVE.search(source):
        return "ADD unpacks an archive: unpack it in the project, and copy the folder"
    return ""


def _add(stage: Stage, line: int, source: str, place: str, *, is_folder: bool, note: str) -> None:
    located = stage.locate(source)
    if located.kind in ("file", "folder"):
        name = posixpath.basename(located.name)
        target = posixpath.join(place, name) if located.kind == "file" and is_folder else place
        if len(stage.copied) < _MOST_COPIES:
            stage.copied.append(Copied(line, located, target, note))
            return
    where = "is outside the project and its root" if located.kind == "outside" else "does not exist here"
    stage.left_over(line, f"{source} {where}")
    stage.absent.append(posixpath.join(place, posixpath.basename(source)) if is_folder else place)


def _matching(stage: Stage, pattern: str) -> list[str]:
    """Return the paths of the build context that match a pattern in the last part of *pattern*, sorted."""
    folder, name = posixpath.split(pattern)
    if _GLOB.search(folder):
        return []
    located = stage.locate(folder or ".")
    names = _entries(stage, located.name) if located.kind == "folder" else None
    return [posixpath.join(folder, each) for each in sorted(fnmatch.filter(names or (), name))]


def _note(instruction: Instruction) -> str:
    """Return what an option gives the copy and no key does."""
    owner = "".join(instruction.flag_values("--chown")[-1:])
    mode = "".join(instruction.flag_values("--chmod")[-1:])
    notes = (
        [f"root owns the files, not {owner}: every user can read them"] if owner not in ("", *_ROOT) else []
    )
    return "; ".join([*notes, *([f"the files keep their modes, and do not get {mode}"] if mode else [])])


_ROOT = ("0", "0:0", "root", "root:root")


def _entries(stage: Stage, name: str) -> list[str] | None:
    """Return the names in a folder of the project; None if there are too many."""
    try:
        with os.scandir(stage.surroundings.folder / name) as scan:
            names = [entry.name for entry in itertools.islice(scan, _MOST_ENTRIES + 1)]
    except OSError:
        return None
    return names if len(names) <= _MOST_ENTRIES else None


class Places(NamedTuple):
    """Where the image has its code and its model.

    Args:
        code: the folder that the server starts in.
        model: the folder that AZUREML_MODEL_DIR names.
        has_code: whether the table copies code.
        has_model: whether the table copies a model.
    """

    code: str
    model: str
    has_code: bool = False
    has_model: bool = False


def decide_copies(stage: Stage, code_root: str) -> Places:
    """Say what became of everything that was copied.

    Args:
        stage: all of it.
        code_root: where the server looks for the code, by AML_APP_ROOT or by its command.
    """
    model = plain_model(stage)
    own = (code_root, stage.app_root, model, MODEL_DIR)
    stage.installed = {
        each
        for each in stage.installed
        if not _is_tree(each)
        or (_holds_requirements(stage, each) and not any(_is_below(each.target, folder) for folder in own))
    }
    kept = [each for each in stage.copied if each not in stage.installed | stage.removed]
    for each in stage.installed:
        stage.note(each.line, Outcome.NOT_NEEDED, "only installed from")
    for each in stage.removed - stage.installed:
        stage.note(each.line, Outcome.NOT_NEEDED, "a later command removes it")
    root = code_root
    if any(each.target == stage.app_root and _is_tree(each) for each in kept):
        root = stage.app_root
    models = [each for each in kept if _is_below(each.target, model) or _is_below(each.target, MODEL_DIR)]
    codes = [each for each in kept if each not in models and _is_below(each.target, root)]
    for each in kept:
        if each not in models and each not in codes:
            stage.keep(each.line, f"copies to {each.target}, and no key copies there")
    has_code = _decide_code(stage, codes, root)
    has_model = _decide_model(stage, models, model)
    return Places(root, model, has_code=has_code, has_model=has_model)


def _holds_requirements(stage: Stage, each: Copied) -> bool:
    """Return whether a folder has nothing but files that packages are installed from."""
    names = _entries(stage, each.source.name)
    return bool(names) and all(_REQUIREMENTS.search(name) for name in names or ())


def plain_model(stage: Stage) -> str:
    """Return the folder that AZUREML_MODEL_DIR names."""
    value = stage.env.get("AZUREML_MODEL_DIR", "")
    return stage.absolute(value) if value and "$" not in value else MODEL_DIR


def _is_tree(each: Copied) -> bool:
    return each.source.kind == "folder"


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _decide_code(stage: Stage, codes: Sequence[Copied], root: str) -> bool:
    """Say what became of the code; return whether the table copies some."""
    trees = [each for each in codes if _is_tree(each) and each.target == root]
    if trees:
        folders: tuple[str, ...] = (trees[0].source.name,)
    else:
        named = [each for each in codes if _is_tree(each) and _keeps_name(each, root)]
        files = [each for each in codes if not _is_tree(each) and _keeps_name(each, root)]
        if len(named) > 1 and not files:
            folders = tuple(dict.fromkeys(each.source.name for each in named))
        else:
            parents = [posixpath.dirname(each.source.name) or "." for each in (*files, *named)]
            folders = tuple(parents[:1])
    if not folders:
        for each in codes:
            stage.keep(each.line, f"copies to {each.target}, and no key copies there")
        return False
    single = folders[0] if len(folders) == 1 else ""
    covered = [each for each in codes if _covers(each, root, folders)]
    for each in codes:
        if each not in covered:
            stage.keep(
                each.line,
                f"{json.dumps(each.source.name)} goes to {each.target}, beside what code = {_shown(folders)} copies",
            )
    value = single or list(folders)
    stage.set(("code",), value, covered[0].line if covered else codes[0].line)
    differences = _differences(
        stage, single, [each for each in covered if each not in trees[:1]], trees, root
    )
    for each in covered:
        notes = [*differences, *([each.note] if each.note else [])]
        why = f"code = {_shown(folders)}"
        if notes:
            stage.note(each.line, Outcome.CHANGED, "; ".join([why, *notes]))
        else:
            stage.note(each.line, Outcome.KEY, why)
    return True


def _shown(folders: Sequence[str]) -> str:
    return json.dumps(folders[0] if len(folders) == 1 else list(folders), ensure_ascii=False)


def _keeps_name(each: Copied, root: str) -> bool:
    """Return whether something lies right below *root* under the name that it has in the project."""
    return posixpath.join(root, posixpath.basename(each.source.name)) == each.target


def _covers(each: Copied, root: str, folders: Sequence[str]) -> bool:
    """Return whether `code` copies *each* to the same place below the code's root."""
    below = posixpath.relpath(each.target, root)
    if len(folders) > 1:
        return each.source.name in folders and below == posixpath.basename(each.source.name)
    return posixpath.normpath(posixpath.join(folders[0], below)) == each.source.name


def _differences(
    stage: Stage, single: str, parts: Sequence[Copied], trees: Sequence[Copied], root: str
) -> list[str]:
    """Return what differs between the copied code and what `code` copies."""
    differences = [f"in {stage.app_root}, not in {root}"] if root != stage.app_root else []
    if not single:
        return differences
    names = _entries(stage, single)
    if not trees:
        copied = {posixpath.basename(each.source.name) for each in parts}
        if names is None or set(names) - copied - {"pyproject.toml", "tasks.py"}:
            differences.append(_more_than(single))
        return differences
    left_out = sorted(
        name for name in names or () if any(fnmatch.fnmatch(name, pattern) for pattern in _NOT_COPIED)
    )
    if names is None:
        differences.append("the folder has too many entries to look at")
    if stage.context != "." and _is_file(stage, posixpath.join(stage.context, ".dockerignore")):
        differences.append("without the rules of the Dockerfile's own .dockerignore: write exclude")
    if _is_file(stage, f"{stage.source.name}.dockerignore"):
        differences.append(f"without the rules of {stage.source.name}.dockerignore: write exclude")
    if any(
        _is_file(stage, posixpath.join(folder, ".amlignore")) for folder in (single, ".")
    ) and not _is_file(stage, ".dockerignore"):
        differences.append("without what .amlignore leaves out")
    if left_out:
        differences.append(f"without {', '.join(left_out[:3])}{', …' if len(left_out) > 3 else ''}")  # noqa: PLR2004 -- three show which
    return differences


def _is_file(stage: Stage, name: str) -> bool:
    return stage.surroundings.locate(name).kind == "file"


def _decide_model(stage: Stage, models: Sequence[Copied], model: str) -> bool:
    """Say what became of the model; return whether the table copies one."""
    if not models:
        return False
    first = models[0]
    root = model if _is_below(first.target, model) else MODEL_DIR
    name = posixpath.relpath(first.target if _is_tree(first) else posixpath.dirname(first.target), root)
    if "/" in name or (name != "." and validators.MODEL_NAME.error(name)):
        why = f"copies to {first.target}, and a model lies in {MODEL_DIR} or in one folder below it"
        stage.keep(first.line, why)
        return False
    if not _is_tree(first) and posixpath.basename(first.target) != posixpath.basename(first.source.name):
        stage.keep(first.line, f"the model is renamed to {first.target}, and no key renames it")
        return False
    path, together = _model_path(models)
    stage.set(("model",), path, first.line)
    why = f"model = {json.dumps(path, ensure_ascii=False)}"
    if name != ".":
        stage.set(("model-name",), name, first.line)
        why += f", model-name = {json.dumps(name)}"
    differences = _model_differences(stage, root)
    for each in models:
        if each not in together:
            stage.keep(each.line, f"{json.dumps(each.source.name)} goes to {each.target}, beside the model")
            continue
        notes = [*differences, *_whole_folder(stage, path, together), *([each.note] if each.note else [])]
        outcome = Outcome.CHANGED if notes else Outcome.KEY
        stage.note(each.line, outcome, "; ".join([why, *notes]))
    return True


def _model_path(models: Sequence[Copied]) -> tuple[str, list[Copied]]:
    """Return the value of `model`, and what it copies: a file, a folder, or the folder of several files."""
    first = models[0]
    if _is_tree(first):
        return first.source.name, [
            each
            for each in models
            if each.source.name
            == posixpath.normpath(
                posixpath.join(first.source.name, posixpath.relpath(each.target, first.target))
            )
        ]
    folder, place = posixpath.dirname(first.source.name), posixpath.dirname(first.target)
    together = [
        each
        for each in models
        if not _is_tree(each)
        and posixpath.split(each.source.name) == (folder, posixpath.basename(each.target))
        and posixpath.dirname(each.target) == place
    ]
    return (
        (folder or ".", together)
        if len({each.source.name for each in together}) > 1
        else (first.source.name, together)
    )


def _whole_folder(stage: Stage, path: str, files: Sequence[Copied]) -> list[str]:
    """Return the difference if the folder *path* has more than the copied files."""
    copied = {posixpath.basename(each.source.name) for each in files if not _is_tree(each)}
    if not copied or any(each.source.name == path for each in files):
        return []
    names = _entries(stage, path)
    return [] if names is not None and set(names) == copied else [_more_than(path)]


def _more_than(folder: str) -> str:
    return f"the whole folder {json.dumps(folder, ensure_ascii=False)} is copied, not these files alone"


def _model_differences(stage: Stage, root: str) -> list[str]:
    if root != MODEL_DIR:
        return [f"in {MODEL_DIR}, which AZUREML_MODEL_DIR then names, not in {root}"]
    if "AZUREML_MODEL_DIR" not in stage.env:
        return [f"the image also sets AZUREML_MODEL_DIR to {MODEL_DIR}"]
    return []
