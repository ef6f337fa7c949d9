"""What of a Dockerfile's copies is the code, in terms of the key `code`, and how the copied code differs."""

from __future__ import annotations

import fnmatch
import json
import posixpath
from typing import TYPE_CHECKING

from azureml_tasks.context.secret_files import is_secret_path
from azureml_tasks.migration.dockerfile.copied_files import (
    entries,
    entries_below,
    is_below,
    is_file,
    is_tree,
    more_than,
)
from azureml_tasks.migration.reading import Outcome
from azureml_tasks.project.ignore_files import DEFAULTS
from azureml_tasks.requirements.kinds import is_lock_file
from azureml_tasks.text_file import UnreadableFile, read_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.migration.dockerfile.stage import Copied, Stage

_NAMES = tuple(pattern.removeprefix("**/") for pattern in DEFAULTS)
_NOT_AT_THE_TOP = ("pyproject.toml", "tasks.py")
"""Files that are not copied from the project's folder, beside its lock files: see the key `code`."""
_MOST_SHOWN = 3
_LARGEST = 1_000_000
"""Bytes of an ignore file."""


def decide_code(stage: Stage, codes: Sequence[Copied], root: str) -> bool:
    """Say what became of the code; return whether the table copies some."""
    trees = [each for each in codes if is_tree(each) and each.target == root]
    if trees:
        folders: tuple[str, ...] = (trees[0].source.name,)
    else:
        named = [each for each in codes if is_tree(each) and _keeps_name(each, root)]
        files = [each for each in codes if not is_tree(each) and _keeps_name(each, root)]
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
    names = entries(stage, single)
    if not trees:
        copied = {posixpath.basename(each.source.name) for each in parts}
        if names is None or set(names) - copied - set(_NOT_AT_THE_TOP):
            differences.append(more_than(single))
        return differences
    if names is None:
        differences.append("the folder has too many entries to look at")
    if stage.context != "." and is_file(stage, posixpath.join(stage.context, ".dockerignore")):
        differences.append("without the rules of the Dockerfile's own .dockerignore: write exclude")
    if is_file(stage, f"{stage.source.name}.dockerignore"):
        differences.append(f"without the rules of {stage.source.name}.dockerignore: write exclude")
    if any(is_file(stage, posixpath.join(folder, ".amlignore")) for folder in (single, ".")) and not is_file(
        stage, ".dockerignore"
    ):
        differences.append("without what .amlignore leaves out")
    if left_out := _left_out(stage, single):
        more = ", …" if len(left_out) > _MOST_SHOWN else ""
        differences.append(f"without {', '.join(left_out[:_MOST_SHOWN])}{more}")
    return differences


def _left_out(stage: Stage, folder: str) -> list[str]:
    """Return what a folder has that `code` does not copy, and that the project's `.dockerignore` does not name."""
    left_out: list[str] = []
    for path in entries_below(stage, folder):
        name = posixpath.basename(path)
        is_default = any(fnmatch.fnmatchcase(name, pattern) for pattern in _NAMES) or is_secret_path(path)
        is_in_project = posixpath.normpath(posixpath.join(folder, path)) == name
        is_of_tools = path in _NOT_AT_THE_TOP or (is_in_project and is_lock_file(name))
        if (is_default or is_of_tools) and not any(is_below(path, each) for each in left_out):
            left_out.append(path)
    ignored = _ignored(stage) if left_out else ()
    return sorted(path for path in left_out if not {path, posixpath.basename(path)} & set(ignored))


def _ignored(stage: Stage) -> set[str]:
    """Return the names that the project's `.dockerignore` names itself, without patterns."""
    try:
        text = read_text(stage.surroundings.folder / ".dockerignore", largest=_LARGEST)
    except (FileNotFoundError, UnreadableFile):
        return set()
    return {line.strip().removeprefix("**/").strip("/") for line in text.splitlines()}
