"""What `image.doctor` finds: one fact about this machine or an account, what it means, and what to do."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from azureml_tasks.errors import AzuremlTasksError

_LONGEST = 200
"""Characters of what another program said that are shown: an error of a sign-in can fill a page."""


class Status(Enum):
    """How a finding is to be taken."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing; nothing is wrong."""
    WARNING = "warning"
    UNKNOWN = "unknown"
    """It could not be found out."""
    BLOCKS = "blocks"
    """Builds, tests or pushes do not work before it is put right."""


class Finding(NamedTuple):
    """One finding.

    Args:
        name: of what was looked at, such as "buildx".
        status: how it is to be taken.
        what: what is the case, in one line.
        why: why it matters, in one line; "" if nothing is wrong.
        fix: the command or the step that puts it right; lines are kept.
        repair: the same as one command, if it is harmless and changes this machine alone; empty otherwise.
    """

    name: str
    status: Status
    what: str
    why: str = ""
    fix: str = ""
    repair: tuple[str, ...] = ()


def of_error(name: str, error: AzuremlTasksError, status: Status, why: str) -> Finding:
    """Return the finding for an error that a command would end with."""
    said = " ".join(error.said.split())
    said = said if len(said) <= _LONGEST else f"{said[: _LONGEST - 1]}…"
    return Finding(name, status, f"{error.what} {said[:1].upper()}{said[1:]}".strip(), why, error.next_step)
