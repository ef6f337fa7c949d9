"""COPY and ADD of a Dockerfile in terms of the keys `code`, `model` and `model-name`.

What the instructions do: https://docs.docker.com/reference/dockerfile/#copy and #add.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.migration.dockerfile.code import decide_code
from azureml_tasks.migration.dockerfile.copied_files import entries, is_below, is_tree
from azureml_tasks.migration.dockerfile.model import decide_model
from azureml_tasks.migration.dockerfile.stage import Copied
from azureml_tasks.migration.dockerfile.words import UnknownValueError, json_words
from azureml_tasks.migration.reading import Outcome
from azureml_tasks.planning.plan import APP_ROOT, MODEL_DIR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.migration.dockerfile.stage import Stage
    from azureml_tasks.project.dockerfile_text import Instruction

_FOLDERS = frozenset({"/", "/tmp", "/var", "/opt", "/home", "/root", APP_ROOT, MODEL_DIR})  # noqa: S108 -- of an image
"""Folders that a base has, or that a key makes: a single file is copied into them."""
_ARCHIVE = re.compile(r"\.(?:tar|tgz|tbz2?|txz|tar\.(?:gz|bz2|xz|zst))", re.IGNORECASE)
_REQUIREMENTS = re.compile(r"\.(?:txt|in|ya?ml|toml|lock)\Z")
_GLOB = re.compile(r"[*?\[]")
_MOST_COPIES = 2_000


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
    if instruction.flag_values("--checksum"):
        return "--checksum is for a download, which a run can do; Docker refuses it for a file"
    flags = (flag.partition("=")[0] for flag in instruction.flags)
    flag = next((flag for flag in flags if flag in ("--exclude", "--parents")), "")
    return f"{flag} chooses what is copied, which no key does" if flag else ""


def _places(stage: Stage, sources: Sequence[str], target: str) -> list[str]:
    """Return where an instruction copies its sources to, also those that cannot be read."""
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
    stage.not_here.append(posixpath.join(place, posixpath.basename(source)) if is_folder else place)


def _matching(stage: Stage, pattern: str) -> list[str]:
    """Return the paths of the build context that match a pattern in the last part of *pattern*, sorted."""
    folder, name = posixpath.split(pattern)
    if _GLOB.search(folder):
        return []
    located = stage.locate(folder or ".")
    names = entries(stage, located.name) if located.kind == "folder" else None
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
        if not is_tree(each)
        or (_holds_requirements(stage, each) and not any(is_below(each.target, folder) for folder in own))
    }
    kept = [each for each in stage.copied if each not in stage.installed | stage.removed]
    for each in stage.installed:
        stage.note(each.line, Outcome.NOT_NEEDED, "only installed from")
    for each in stage.removed - stage.installed:
        stage.note(each.line, Outcome.NOT_NEEDED, "a later command removes it")
    root = code_root
    if any(each.target == stage.app_root and is_tree(each) for each in kept):
        root = stage.app_root
    models = [each for each in kept if is_below(each.target, model) or is_below(each.target, MODEL_DIR)]
    codes = [each for each in kept if each not in models and is_below(each.target, root)]
    for each in kept:
        if each not in models and each not in codes:
            stage.keep(each.line, f"copies to {each.target}, and no key copies there")
    has_code = decide_code(stage, codes, root)
    has_model = decide_model(stage, models, model)
    _note_model_in_code(stage)
    return Places(root, model, has_code=has_code, has_model=has_model)


def _note_model_in_code(stage: Stage) -> None:
    """Say that the code is copied without the folder of the model, if that is in it."""
    values = {value.place: value for value in stage.values if value.place in (("code",), ("model",))}
    code, model = values.get(("code",)), values.get(("model",))
    if code and model and isinstance(code.value, str):
        is_inside = code.value == "." or is_below(model.value, code.value)
        if is_inside and not model.value.startswith("../"):
            stage.note(code.line, Outcome.CHANGED, f"without {model.value}, which model copies")


def _holds_requirements(stage: Stage, each: Copied) -> bool:
    """Return whether a folder has nothing but files that packages are installed from."""
    names = entries(stage, each.source.name)
    return bool(names) and all(_REQUIREMENTS.search(name) for name in names or ())


def plain_model(stage: Stage) -> str:
    """Return the folder that AZUREML_MODEL_DIR names."""
    value = stage.env.get("AZUREML_MODEL_DIR", "")
    return stage.absolute(value) if value and "$" not in value else MODEL_DIR
