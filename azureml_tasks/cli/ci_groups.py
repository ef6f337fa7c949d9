"""Groups of lines that GitHub Actions and Azure Pipelines fold."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.plain_text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping


class Groups(NamedTuple):
    """How a CI system writes a group.

    Args:
        beginning: of the line before it, which its title follows.
        end: the line after it.
        percent: how a percent sign is written in the title.
    """

    beginning: str
    end: str
    percent: str

    def title(self, text: str) -> str:
        """Return the line that begins the group *text*, which can hold no command of its own."""
        return self.beginning + one_line(text).replace("%", self.percent)


_GITHUB = Groups("::group::", "::endgroup::", "%25")
"""https://docs.github.com/actions/reference/workflow-commands-for-github-actions#grouping-log-lines"""
_AZURE = Groups("##[group]", "##[endgroup]", "%")  # A formatting command has no escapes.
"""https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands#formatting-commands"""


def groups_of(environment: Mapping[str, str] = os.environ) -> Groups | None:
    """Return the groups of the CI system of this process; None if it runs in none that has groups."""
    if environment.get("GITHUB_ACTIONS"):
        return _GITHUB
    return _AZURE if environment.get("TF_BUILD") else None
