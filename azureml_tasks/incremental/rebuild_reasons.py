"""Why a build is not at its end at once: which steps are built anew, and because of what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.planning.dockerfile import STAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["rebuild_reasons", "rebuilt_stages"]

_SHOWN = 3
_BELOW = {
    "version": "azureml-tasks is another version",
    "platform": "the platform is another one",
    "base": "the base is another image under its name",
}
"""What everything stands on, and what a difference in it means."""


def rebuilt_stages(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The stages that are built anew: each from the first on that differs.

    Args:
        before: `fingerprint_parts` of the image that was built.
        now: that of what would be built.
    """
    if any(before.get(name) != now[name] for name in _BELOW):
        return list(STAGES)
    first = next((at for at, name in enumerate(STAGES) if before.get(name) != now[name]), len(STAGES))
    return list(STAGES[first:])


def rebuild_reasons(
    before: Mapping[str, str],
    now: Mapping[str, str],
    files_before: Mapping[str, str],
    files_now: Mapping[str, str],
) -> list[str]:
    """What differs, one line each, in the order in which it is built.

    Args:
        before: `fingerprint_parts` of the image that was built.
        now: that of what would be built.
        files_before: member of the build context → what it was; empty where nobody knows.
        files_now: the same as it is.
    """
    below = [words for name, words in _BELOW.items() if before.get(name) != now[name]]
    changed = [name for name in STAGES if before.get(name) != now[name]]
    return below + [f"{name}: {_why(f'{name}/', files_before, files_now)}" for name in changed]


def _why(folder: str, before: Mapping[str, str], now: Mapping[str, str]) -> str:
    names = sorted({*before, *now}) if before else []
    differ = [name for name in names if name.startswith(folder) and before.get(name) != now.get(name)]
    said = [f"{name} {_how(name, before, now)}" for name in differ[:_SHOWN]]
    more = len(differ) - _SHOWN
    said += [f"{more} more differ{'s' if more == 1 else ''}"] if more > 0 else []
    return ", ".join(said) or "its words in the Dockerfile have changed"


def _how(name: str, before: Mapping[str, str], now: Mapping[str, str]) -> str:
    return "has changed" if name in before and name in now else "is new" if name in now else "is gone"
