"""Decide whether the image that was built last is up to date, and say what a build would do again and why."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.plain_text import one_line
from azureml_tasks.planning.dockerfile import STAGES
from azureml_tasks.requirements.install_step import FOLDER, SCRIPTS
from azureml_tasks.timestamps import days_since

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.planning.plan import Plan

_MOST_FILES = 3
_SCRIPTS = frozenset(f"{FOLDER}/{name}" for name in SCRIPTS)
_BEFORE_STAGES = {
    "version": "azureml-tasks has another version",
    "platform": "the platform has changed",
    "base": "the base is another image under the same name",
}
"""The inputs that every stage depends on, and what to say if they differ."""
_WRITTEN = {
    "system": "apt or a command of run",
    "python": "how packages are installed or a command of run",
    "model": "the place of the model",
    "code": "env, the place of the code or a command of run",
    "labels": "a label or the user",
}
"""What changes a stage apart from the content of its files."""


class Rebuild(NamedTuple):
    """What a build would do again; both are empty if the image is up to date.

    Args:
        stages: of the image, from the first one that is rebuilt.
        reasons: one line each, in the order of the stages.
    """

    stages: tuple[str, ...]
    reasons: tuple[str, ...]


def rebuild_of(
    plan: Plan,
    image: BuiltImage,
    parts: Mapping[str, str],
    *,
    files_before: Mapping[str, str] = MappingProxyType({}),
    files_now: Mapping[str, str] = MappingProxyType({}),
) -> Rebuild:
    """Return what a build would do again: the one answer for `image.build` and `image.check`.

    Args:
        plan: what would be built.
        image: what was built last.
        parts: hashes of the inputs of what would be built, see `fingerprint.fingerprint_parts`.
        files_before: members of the build context by name, and their hashes, when the image was built; empty if not
            known.
        files_now: the same for what would be built.
    """
    before = image.fingerprint_parts
    if not before:
        return Rebuild(stages=STAGES, reasons=("it is not recorded what the image was built of",))
    if not parts["base"]:
        return Rebuild(stages=STAGES, reasons=(f"the engine does not have the base {plan.base}",))
    first, reasons = changed_inputs(before, parts, files_before, files_now)
    if packages_are_too_old(plan, image.installed_at):
        days = days_since(image.installed_at)
        first = 0
        reasons.append(f"its packages are not pinned and were installed {days:.0f} days ago")
    if _base_may_have_moved(plan, image):
        first = 0
        days = days_since(image.installed_at)
        reasons.append(f"its base is named by a tag, and was pulled {days:.0f} days ago")
    return Rebuild(stages=STAGES[first:], reasons=tuple(reasons))


def changed_inputs(
    before: Mapping[str, str],
    parts: Mapping[str, str],
    files_before: Mapping[str, str],
    files_now: Mapping[str, str],
) -> tuple[int, list[str]]:
    """Return the position of the first stage whose input differs, and a line for each input that does.

    Args:
        before: hashes of the inputs of what was built last.
        parts: those of what would be built.
        files_before: as for `rebuild_of`.
        files_now: likewise.
    """
    reasons = [text for name, text in _BEFORE_STAGES.items() if before.get(name) != parts[name]]
    first = 0 if reasons else len(STAGES)
    for position, name in enumerate(STAGES):
        if before.get(name) != parts[name]:
            first = min(first, position)
            reasons.append(f"{name}: {changed_files(f'{name}/', files_before, files_now)}")
    return first, reasons


def _base_may_have_moved(plan: Plan, image: BuiltImage) -> bool:
    """Return whether the base may be another image now: only an engine of one's own knows its ID."""
    is_known = image.engine == "docker" or bool(plan.base.digest)
    return not is_known and days_since(image.installed_at) > plan.cached_layers_max_age


def packages_are_too_old(plan: Plan, installed_at: float) -> bool:
    """Return whether packages that are not pinned were installed longer ago than `cached-layers-max-age` says.

    Args:
        plan: the image.
        installed_at: seconds since 1970.
    """
    return not plan.pinned and days_since(installed_at) > plan.cached_layers_max_age


def changed_files(folder: str, before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return which members of *folder* differ, for people, such as `code/score.py has changed`."""
    if not before:
        return f"a file, {_WRITTEN[folder.rstrip('/')]} has changed"
    names = sorted({*before, *now})
    changed = [name for name in names if name.startswith(folder) and before.get(name) != now.get(name)]
    # Our scripts, and folders, come and go with what a person has written, which says more.
    changed = [name for name in changed if not name.endswith("/") and name not in _SCRIPTS] or changed
    texts = [f"{one_line(name)} {_change(name, before, now)}" for name in changed[:_MOST_FILES]]
    more = len(changed) - _MOST_FILES
    texts += [f"{more} more file{'s differ' if more > 1 else ' differs'}"] if more > 0 else []
    return ", ".join(texts) or f"{_WRITTEN[folder.rstrip('/')]} has changed"


def _change(name: str, before: Mapping[str, str], now: Mapping[str, str]) -> str:
    return "has changed" if name in before and name in now else "is new" if name in now else "is gone"
