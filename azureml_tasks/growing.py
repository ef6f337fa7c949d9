"""An image that asks for some Python packages more than the one before it, and for nothing else below its code.

It can stand on the prefix of that one: pip finds what is there already, and installs what was added alone. That all
requirements name their versions is asked for, so that what is there is what would be installed again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.prefixes import prefixes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.engines.images import Image
    from azureml_tasks.planning import Plan
    from azureml_tasks.prefixes import Prefix

__all__ = ["STAGE", "grown_from"]

STAGE = "python"
"""What is made anew."""
_THE_SAME = ("version", "platform", "base", "system", "model")


def grown_from(plan: Plan, parts: Mapping[str, str], before: Image | None) -> Prefix | None:
    """The prefix of *before* that needs some packages more to be the longest one of *plan*; None where none does.

    Args:
        plan: the image to be made.
        parts: its making, see `making.making`.
        before: the image that was built last; None where there is none, or nothing of it is to be used.
    """
    if not before or not plan.pinned or any(before.made_of.get(name) != parts[name] for name in _THE_SAME):
        return None
    wanted, there = set(plan.python.lines if plan.python else ()), set(before.requirements)
    if not there < wanted or not all(map(_is_requirement, wanted - there)):
        return None
    return prefixes(plan, before.made_of)[-1]


def _is_requirement(line: str) -> bool:
    """Whether *line* asks for a package, and does not change how pip finds the others."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        Requirement(line.partition(" --hash")[0])
    except InvalidRequirement:
        return False
    return True
