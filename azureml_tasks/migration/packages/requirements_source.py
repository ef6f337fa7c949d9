"""A requirements file or a lock file. The table names it, unless `image.check` would refuse one of its lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.config.toml_messages import as_written
from azureml_tasks.migration.line_ranges import Fate, source_lines, whole_text
from azureml_tasks.migration.packages.pip_lines import as_pip_items, look_at
from azureml_tasks.migration.reading import Outcome, Reading, Value
from azureml_tasks.requirements.kinds import PYLOCK, foreign_kind, lock_kind

if TYPE_CHECKING:
    from azureml_tasks.migration.reading import Source
    from azureml_tasks.migration.surroundings import Surroundings

_LARGEST = 1_000_000
"""Characters of a file whose lines are read one by one."""
_MOST_LINES = 50_000
_ONLY_HERE = "needs packaging"
"""The beginning of a problem that this machine has with a lock file, not the file itself."""


def read_requirements_source(source: Source, surroundings: Surroundings) -> Reading:
    """Return the key that installs what a file lists; of a file with a wrong line, its other lines."""
    if why := _why_not_at_all(source):
        return Reading(
            source=source, lines=whole_text(source.text, Fate(Outcome.LEFT_OVER, why), source.name)
        )
    named = Value(place=("requirements",), value=[source.name], file=source.name, line=1)
    fate = Fate(Outcome.KEY, f'requirements = ["{source.name}"]')
    if lock_kind(source.name):
        return Reading(source=source, values=(named,), lines=whole_text(source.text, fate, "the lock file"))
    looked = look_at(source, source.text, surroundings)
    if not looked.problems:
        lines = source_lines(source.text, fate, {}) or whole_text("", fate, "an empty file")
        return Reading(source=source, values=(named,), lines=lines)
    items = as_pip_items(source, source.text, looked)
    unread = Fate(Outcome.LEFT_OVER, "it cannot be read")
    return Reading(source=source, values=items.values, lines=source_lines(source.text, unread, items.fates))


def _why_not_at_all(source: Source) -> str:
    """Return why nothing of a file can be used; "" if something may be."""
    if lock_kind(source.name) == PYLOCK:
        from azureml_tasks.requirements.lock_requirement import Selection
        from azureml_tasks.requirements.pylock import read_pylock

        _, problems = read_pylock(source.name, source.text, Selection())
        of_file = [each for each in problems if not each.what.startswith(_ONLY_HERE)]
        return f"it {of_file[0].what}. {_first_line(of_file[0].fix)}" if of_file else ""
    if not lock_kind(source.name) and (len(source.text) > _LARGEST or source.text.count("\n") > _MOST_LINES):
        by_hand = f"name it in the table, requirements = {as_written([source.name])}"
        return f"it is larger than {_LARGEST / 1e6:.0f} MB or {_MOST_LINES:,} lines: {by_hand}"
    foreign = None if lock_kind(source.name) else foreign_kind(source.name, source.text)
    if not foreign:
        return ""
    what, fix = foreign
    return f"it {what}: {', '.join(fix.splitlines())}"


def _first_line(text: str) -> str:
    return text.partition("\n")[0]
