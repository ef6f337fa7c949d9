"""How a run that has ended ended: its image, or the error that says why there is none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from azureml_tasks.engines.acr.azure_errors import log_refusal
from azureml_tasks.engines.acr.candidates import repository_of
from azureml_tasks.errors import AzuremlTasksError, BuildError, RemoteBuildError
from azureml_tasks.plain_text import clean

if TYPE_CHECKING:
    from azureml_tasks.engines.acr.run_follower import Followed
    from azureml_tasks.engines.acr.tasks_api import OutputImage, Run

__all__ = ["Times", "failure", "output_image"]

_MOMENT = re.compile(
    r"(?P<seconds>\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(\.(?P<digits>\d+))?(?P<zone>[Zz]|[+-]\d\d:\d\d)"
)
_NO_DOCKERFILE = re.compile(
    r"unable to (understand line|parse assignment)|unexpected dockerfile format|error opening dockerfile|"
    r"dockerfile (syntax requires|parse error)",
    re.IGNORECASE,
)
"""What the agent's own look at the Dockerfile says (Azure/acr-builder, scan/dependencies.go), and its builder's."""


@dataclass(frozen=True, kw_only=True)
class Times:
    """The seconds that a run waited and worked; None for what ACR has not told."""

    queued: float | None
    worked: float | None

    @classmethod
    def of(cls, run: Run) -> Times:
        """The times of *run*, by ACR's own clock."""
        return cls(queued=_between(run.created, run.started), worked=_between(run.started, run.finished))

    def __str__(self) -> str:
        words = {"in the queue": self.queued, "at work": self.worked}
        told = [f"{seconds:.0f} s {what}" for what, seconds in words.items() if seconds is not None]
        return ", ".join(told) or "ACR tells no times"


def _between(earlier: str, later: str) -> float | None:
    try:
        first, last = (datetime.fromisoformat(_readable(text)) for text in (earlier, later))
    except ValueError:
        return None
    return (last - first).total_seconds()


def _readable(text: str) -> str:
    """RFC 3339 as Python 3.10 reads it: no `Z`, and six digits of a second."""
    found = _MOMENT.fullmatch(text)
    if not found:
        return ""
    zone = "+00:00" if found["zone"] in {"Z", "z"} else found["zone"]
    return f"{found['seconds']}.{(found['digits'] or '')[:6]:0<6}{zone}"


def output_image(run: Run, repository: str) -> OutputImage:
    """The candidate that a run which succeeded has pushed.

    Raises:
        HandOffError: ACR names none, so that nothing is known to be there.
    """
    for image in run.images:
        if image.repository == repository_of(repository) and image.digest:
            return image
    what = f"Run {run.id} succeeded, and names no image that it has pushed to {repository_of(repository)}."
    raise RemoteBuildError(what, next_step="Run the same command again.", state="Nothing was built.")


def failure(run: Run, seen: Followed) -> AzuremlTasksError:
    """The error of a run that did not succeed: its failing step and last lines, or who ended it."""
    said = f"ACR said: {clean(run.error)}" if run.error else ""
    if run.status == "Canceled":
        fix = "Run the same command again."
        return RemoteBuildError(f"Run {run.id} was cancelled by somebody else.", next_step=fix, said=said)
    if run.status == "Timeout":
        fix = "Give it longer: timeout = 7200 in [tool.azureml-image.acr]"
        return RemoteBuildError(f"Run {run.id} took longer than it may.", next_step=fix, said=said)
    if run.status == "Error":
        return RemoteBuildError(
            f"Run {run.id} ended with an error of ACR.", next_step="Run it again.", said=said
        )
    tail = list(seen.tail)
    if seen.steps.name and not seen.built:
        what = f"A build step failed in run {run.id}: {seen.steps.name}"
        return BuildError(what, next_step="Its last lines say why:", said=seen.steps.said)
    if known := log_refusal(run.id, tail):
        return known
    lines = "\n".join(tail[-20:]) or said or "its log is empty"
    if not seen.built and any(_NO_DOCKERFILE.search(line) for line in tail):
        return BuildError(
            f"ACR does not take the Dockerfile (run {run.id}).",
            next_step="Its last lines say why:",
            said=lines,
        )
    return RemoteBuildError(f"Run {run.id} failed.", next_step="Its last lines say why:", said=lines)
