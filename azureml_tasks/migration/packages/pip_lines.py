"""Lines for pip as items of the key `pip`: what remains of a file that the table cannot name as a whole."""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.config.toml_messages import as_written
from azureml_tasks.config.validators import PIP
from azureml_tasks.migration.line_ranges import Fate
from azureml_tasks.migration.reading import Outcome, Value
from azureml_tasks.project.paths import kind_of, leaves, relative
from azureml_tasks.requirements.files import read_tree
from azureml_tasks.requirements.lines import lines_of, shown
from azureml_tasks.text_file import decode, read_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from azureml_tasks.migration.reading import Source
    from azureml_tasks.migration.surroundings import Surroundings
    from azureml_tasks.requirements.lines import Line

_HARMLESS = frozenset({"trusted_host", "use_feature", "prefer_binary", "editable"})
"""Options that do not decide where the packages of other lines are from."""
_LARGEST = 1_000_000
"""Bytes of all files together that another one includes."""


class PipLines(NamedTuple):
    """Lines that became items of `pip`, and what became of each.

    Args:
        values: of the key.
        fates: number of a line → what became of it; those that continue a line have its fate.
    """

    values: tuple[Value, ...]
    fates: Mapping[int, Fate]


class LookedAt(NamedTuple):
    """Lines for pip, looked at together with the files that they include.

    Args:
        problems: what keeps a build from following them: number of a line → why, with the next step.
        decides: whether a line of an included file says where packages are, or which hashes they have.
    """

    problems: Mapping[int, str]
    decides: bool


def look_at(source: Source, text: str, surroundings: Surroundings) -> LookedAt:
    """Look at lines for pip as `image.check` does.

    Args:
        source: the file that has the lines.
        text: they, each with its number.
        surroundings: of the project, in whose root included files and wheels must be.
    """
    root = surroundings.root
    path = os.path.relpath(surroundings.folder / source.name, root).replace(os.sep, "/")
    folder = os.path.relpath(surroundings.folder, root).replace(os.sep, "/")
    included = _Included(surroundings)
    tree, mistakes = read_tree(path, lambda name: included.text(root / name), text=text, folder=folder)
    lines = list(lines_of(text))
    including = next(
        (line.number for line in lines if line.options.keys() & {"requirement", "constraint"}), 1
    )
    whys: dict[int, list[str]] = {}
    for problem in mistakes:
        is_own = problem.file == path
        where = "" if is_own else f"{relative(problem.file, folder)}:{problem.line} "
        number = (problem.line if is_own else including) or 1
        whys.setdefault(number, []).append(_sentence(where + problem.what, problem.fix))
    for wheel in tree.wheels:
        if kind_of(root / wheel) != "file" or leaves(root, root / wheel):
            name = posixpath.basename(wheel)
            number = next((line.number for line in lines if name in line.text), including)
            whys.setdefault(number, []).append(f"the wheel {relative(wheel, folder)} is not here")
    problems = {number: "; ".join(each) for number, each in whys.items()}
    return LookedAt(problems, bool(tree.finding) or tree.hashed)


def as_pip_items(source: Source, text: str, looked: LookedAt) -> PipLines:
    """Return the lines that can be items of `pip` or of `requirements`, each with its fate.

    Where an option decides which packages are installed from where, none can: without it, pip might install others.

    Args:
        source: the file that has the lines.
        text: they, each with its number.
        looked: what `look_at` returned for them.
    """
    lines = list(lines_of(text))
    harmless = _HARMLESS if looked.decides else _HARMLESS | {"requirement"}
    deciding = next((line for line in lines if line.options.keys() - harmless), None)
    values: list[Value] = []
    fates: dict[int, Fate] = {}
    ends = [*(line.number for line in lines[1:]), len(text.splitlines()) + 1]
    for line, end in zip(lines, ends[: len(lines)], strict=True):
        fate = _fate(source, line, deciding, looked.problems)
        if fate.outcome is Outcome.KEY:
            key, items = _item(source, line)
            values.append(Value(place=(key,), value=items, file=source.name, line=line.number))
        fates |= dict.fromkeys(range(line.number, end), fate)
    return PipLines(tuple(values), fates)


def _fate(source: Source, line: Line, deciding: Line | None, problems: Mapping[int, str]) -> Fate:
    if why := problems.get(line.number):
        return Fate(Outcome.LEFT_OVER, why)
    if deciding:
        of_line = f"line {deciding.number}"
        why = f"{source.name} cannot be named as a whole, and without {of_line} pip may take other packages"
        return Fate(Outcome.LEFT_OVER, why)
    if not line.requirement and "requirement" not in line.options:
        return Fate(Outcome.LEFT_OVER, "the key pip takes no options")
    if line.requirement and (error := PIP.error(line.requirement)):
        return Fate(Outcome.LEFT_OVER, f'"{shown(line.requirement)}" {error}')
    key, items = _item(source, line)
    return Fate(Outcome.KEY, f"{key} = {as_written(items)}")


def _item(source: Source, line: Line) -> tuple[str, list[str]]:
    """Return the key for a line, and its items: a requirement, or files that are included."""
    if line.requirement:
        return "pip", [line.requirement]
    folder = posixpath.dirname(source.name)
    paths = (posixpath.join(folder, path) for path in line.options.get("requirement", ()))
    return "requirements", [posixpath.normpath(path) for path in paths]


class _Included:
    """Reads the files that another one includes, all of them together within a bound."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.root, self.left = surroundings.root, _LARGEST

    def text(self, file: Path) -> str | None:
        """Return the text of an included file; None if there is none in the root.

        Raises:
            UnreadableFile: it is no text, or there is too much of them.
        """
        if kind_of(file) != "file" or leaves(self.root, file):
            return None
        try:
            content = read_bytes(file, self.left)
        except FileNotFoundError:
            return None
        self.left -= len(content)
        return decode(content, coding_lines=True)


def _sentence(what: str, fix: str) -> str:
    first = fix.partition("\n")[0]
    return f"{what}. {first}" if first else what
