"""An image that asks for some Python packages more than the one before it, and for nothing else below its code.

It can stand on the prefix of that one: pip finds what is there already, and installs what was added alone. That all
requirements name their versions is asked for, so that what is there is what would be installed again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.context.context_file import ContextFile
from azureml_tasks.incremental.cached_layers import CachedLayers, cached_layers_of
from azureml_tasks.requirements.install_step import FOLDER

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.planning.plan import Plan

__all__ = ["STAGE", "AddedRequirements", "added_requirements"]

STAGE = "python"
"""What is made anew."""
_THE_SAME = ("version", "platform", "base", "system", "model")
_WHERE_TO_LOOK = {"index_url", "extra_index_url", "trusted_host"}


class AddedRequirements(NamedTuple):
    """A prefix, and what makes another one of it.

    Args:
        on: the prefix that is there.
        added: file beside `in_image/install.py` with the lines to ask pip for; empty where they do not stand alone.
    """

    on: CachedLayers
    added: ContextFile

    def into(self, below: BuildContext) -> BuildContext:
        """The context of the prefix's Python step, with the file in it."""
        return below._replace(files=tuple(sorted((*below.files, self.added))))


def added_requirements(
    plan: Plan, parts: Mapping[str, str], before: BuiltImage | None
) -> AddedRequirements | None:
    """How the longest prefix of *before* becomes that of *plan* by some packages more; None where it does not.

    Args:
        plan: the image to be made.
        parts: hashes of its inputs, see `fingerprint.fingerprint_parts`.
        before: the image that was built last; None where there is none, or nothing of it is to be used.
    """
    if (
        not before
        or not plan.pinned
        or any(before.fingerprint_parts.get(name) != parts[name] for name in _THE_SAME)
    ):
        return None
    wanted, there = set(plan.python.lines if plan.python else ()), set(before.requirements)
    if not there < wanted or not all(map(_is_requirement, wanted - there)):
        return None
    text = "".join(f"{line}\n" for line in _alone(there, wanted - there)).encode()
    added = ContextFile(name=f"{FOLDER}/added.txt", data=text, size=len(text))
    return AddedRequirements(on=cached_layers_of(plan, before.fingerprint_parts)[-1], added=added)


def _alone(there: Collection[str], added: Collection[str]) -> list[str]:
    """The lines that ask for *added* alone, where they say all that those that are *there* say of how to find it.

    There are none where constraints, hashes or choices among what an index has may have a say.
    """
    from azureml_tasks.requirements.lines import lines_of

    said = {text: set(line.options) for text in there if text.startswith("-") for line in lines_of(text)}
    where = {text: names for text, names in said.items() if names != {"requirement"}}
    if any("--hash" in line for line in added) or any(names - _WHERE_TO_LOOK for names in where.values()):
        return []
    if sum("index_url" in names for names in where.values()) > 1:
        return []  # The last one of the file counts, and lines that are sorted do not tell which that is.
    return [*sorted(where), *sorted(added)]


def _is_requirement(line: str) -> bool:
    """Whether *line* asks for a package, and does not change how pip finds the others."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        Requirement(line.partition(" --hash")[0])
    except InvalidRequirement:
        return False
    return True
