"""Why a run did not succeed.

The step that failed decides, as the agent names it: the output of a build can say anything, such as "access denied".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from azureml_tasks.engines.acr.azure_errors import Explanation
from azureml_tasks.engines.acr.run_follower import resume_command
from azureml_tasks.engines.step_error import failed_step
from azureml_tasks.errors import AzuremlTasksError, BuildError, RemoteBuildError
from azureml_tasks.plain_text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.engines.acr.run_log import RunLog, StepLog
    from azureml_tasks.engines.acr.tasks_api import Run

_DOCKERFILE_REJECTED = re.compile(
    r"unable to (understand line|parse assignment)|unexpected dockerfile format|error opening dockerfile|"
    r"dockerfile (syntax requires|parse error)",
    re.IGNORECASE,
)
"""Messages of the agent's scan of the Dockerfile (Azure/acr-builder, scan/dependencies.go), and of the builder."""
_AGAIN = "Run the same command again."
_BUILD = re.compile(r"build(-\w+)?")
"""The IDs of the steps that build; a quick build names its one so too (Azure/acr-builder, cmd/acb/commands/build)."""
_SHOWN = 20  # lines

# By a line of the log, from Azure/acr-builder, and Azure/acr issues 627, 662 and 762.
_BY_LINE = {
    r"client with IP .* is not allowed access": Explanation(
        "the agents of ACR Tasks are outside the registry's network",
        'Use a dedicated agent pool inside it: agent-pool = "…"\n'
        "or let tasks in: set networkRuleBypassAllowedForTasks and allow trusted services on the registry",
    ),
    r"at least one credential is required": Explanation(
        "the registry grants permissions by repository, and the run pushes as you",
        'Ask for the role "Container Registry Repository Writer" on the registry',
    ),
    r"failed to download source|failed to unpack": Explanation(
        "the agent could not unpack the build context", _AGAIN, RemoteBuildError
    ),
    r"(?<!permission )\b(unauthorized|denied)\b|insufficient_scope": Explanation(
        "the run may not push",
        'Ask for the role AcrPush on the registry, or "Container Registry Repository Writer"',
    ),
    r"no space left on device": Explanation(
        "the agent's disk is full",
        'Use a dedicated agent pool with a larger disk: agent-pool = "…"',
        RemoteBuildError,
    ),
}


def error_of_log(run: str, lines: Sequence[str]) -> AzuremlTasksError | None:
    """Return the error that the last known message in *lines* explains; None if there is none."""
    for line in reversed(lines):
        for pattern, known in _BY_LINE.items():
            if re.search(pattern, line, re.IGNORECASE):
                return known.error(
                    f"Run {run} failed: {known.why}.", next_step=known.fix, said=f"its log says: {line}"
                )
    return None


def error_of_run(run: Run, log: RunLog) -> AzuremlTasksError:
    """Return the error of a run that did not succeed."""
    said = f"ACR said: {clean(run.error)}" if run.error else ""
    if run.status == "Canceled":
        return RemoteBuildError(f"Run {run.id} was cancelled by someone else.", next_step=_AGAIN, said=said)
    if run.status == "Timeout":
        fix = "Increase timeout in [tool.azureml-image.acr], for example: timeout = 7200"
        return RemoteBuildError(f"Run {run.id} exceeded its timeout.", next_step=fix, said=said)
    if run.status == "Error":
        return RemoteBuildError(
            f"Run {run.id} ended with an internal error of ACR.", next_step=_AGAIN, said=said
        )
    step = log.failed
    if step and _BUILD.fullmatch(log.failed_step):
        return _error_of_build(run.id, step)
    lines = list(step.tail if step else log.tail)
    if not step and lines and not log.complete:
        what = f"Run {run.id} failed, and its log was cut, so that nothing says why."
        return RemoteBuildError(what, next_step=f"To read it again: {resume_command(run.id)}", said=said)
    # A container of the smoke test prints what the project prints; only pushes and the agent name these causes.
    if (not step or log.failed_step.startswith("push")) and (known := error_of_log(run.id, lines)):
        return known
    text = "\n".join(lines[-_SHOWN:]) or said or "its log is empty"
    return RemoteBuildError(f"Run {run.id} failed.", said=text, said_is_log=True)


def _error_of_build(run: str, step: StepLog) -> AzuremlTasksError:
    """Return the error of a build that failed, in its own words."""
    if step.build.instruction:
        return failed_step(step.build, f" in run {run}")
    lines = list(step.tail)
    if any(map(_DOCKERFILE_REJECTED.search, lines)):
        what = f"ACR rejects the Dockerfile (run {run})."
        return BuildError(what, said="\n".join(lines[-_SHOWN:]), said_is_log=True)
    known = error_of_log(run, lines)  # Nothing of the project has run yet.
    return known or BuildError(
        f"The build failed in run {run}.", said="\n".join(lines[-_SHOWN:]), said_is_log=True
    )
