"""Detect an image that needs some Python packages more than the one before it, and is otherwise the same up to them.

It can be built on the cached layers of that image: pip keeps what is installed and installs only what was added. All
requirements must name their versions, so that the installed packages are those that a fresh build would install.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.context.build_context import read_contents
from azureml_tasks.context.context_file import ContextFile
from azureml_tasks.incremental.cached_layers import CachedLayers, cached_layers_of
from azureml_tasks.requirements.install_step import FOLDER

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.planning.plan import Plan

STAGE = "python"
"""The stage that is built on the existing layers."""
_UNCHANGED = ("version", "platform", "base", "system", "model")
_INDEX_OPTIONS = {"index_url", "extra_index_url", "trusted_host"}


class AddedRequirements(NamedTuple):
    """Packages to add to cached layers.

    Args:
        base: the cached layers of the image that was built before.
        file: lies beside `in_image/install.py` and holds the lines for pip; empty if pip must get all requirements.
    """

    base: CachedLayers
    file: ContextFile

    def added_to(self, context: BuildContext) -> BuildContext:
        """Return the build context of the Python stage with the file in it."""
        contents = {**context.contents, **read_contents([self.file])}
        return context._replace(files=tuple(sorted((*context.files, self.file))), contents=contents)


def added_requirements(
    plan: Plan, parts: Mapping[str, str], previous: BuiltImage | None
) -> AddedRequirements | None:
    """Return what to add to the cached layers of *previous*; None if they differ in anything but added packages.

    Args:
        plan: the image to build.
        parts: hashes of its inputs, see `fingerprint.fingerprint_parts`.
        previous: the image that was built last; None if there is none or it is not to be used.
    """
    if not previous or not plan.pinned:
        return None
    if any(previous.fingerprint_parts.get(name) != parts[name] for name in _UNCHANGED):
        return None
    required, installed = set(plan.python.lines if plan.python else ()), set(previous.requirements)
    added = required - installed
    if not installed < required or not all(map(_is_requirement, added)):
        return None
    # With several indexes a line does not say from which one its package comes, so pip gets all of them in their runs.
    alone = plan.python and not plan.python.mixes_indexes
    lines = _pip_lines(installed, added) if alone else []
    text = "".join(f"{line}\n" for line in lines).encode()
    file = ContextFile(name=f"{FOLDER}/added.txt", data=text, size=len(text))
    return AddedRequirements(base=cached_layers_of(plan, previous.fingerprint_parts)[-1], file=file)


def _pip_lines(installed: Collection[str], added: Collection[str]) -> list[str]:
    """Return the lines that make pip install *added* alone, from the indexes that *installed* names.

    Return none if constraints, hashes or options that choose among an index's files may matter.
    """
    from azureml_tasks.requirements.lines import lines_of

    options = {
        text: set(line.options) for text in installed if text.startswith("-") for line in lines_of(text)
    }
    indexes = {text: names for text, names in options.items() if names != {"requirement"}}
    if any("--hash" in line for line in added) or any(names - _INDEX_OPTIONS for names in indexes.values()):
        return []
    if sum("index_url" in names for names in indexes.values()) > 1:
        return []  # pip takes the last one of a file, and these lines are sorted.
    return [*sorted(indexes), *sorted(added)]


def _is_requirement(line: str) -> bool:
    """Return whether *line* names a package and does not change how pip finds others."""
    from packaging.requirements import InvalidRequirement

    from azureml_tasks.config.requirement import parse_requirement

    try:
        parse_requirement(line.partition(" --hash")[0].partition(" # ")[0])
    except InvalidRequirement:
        return False
    return True
