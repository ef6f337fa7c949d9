"""Plans of remote builds."""

from __future__ import annotations

from typing import Any

from azureml_tasks.context.build_context import BuildContext
from azureml_tasks.engines.acr.candidates import RUN_ID
from azureml_tasks.engines.acr.task_file import BuildPiece, TaskFile
from azureml_tasks.image_reference import Reference
from azureml_tasks.planning.plan import Plan
from azureml_tasks.project.model import BuildSecret, SmokeTestPlan

__all__ = ["CANDIDATE", "CONTEXT_SHA256", "SECRETS", "piece", "plan", "task_text"]

CANDIDATE = f"contoso.azurecr.io/team/scoring/candidate:{RUN_ID}"
CONTEXT_SHA256 = "2" * 64
SECRETS = (
    BuildSecret(id="pip-conf", variable="PIP_CONFIG_FILE", env="PIP_CONF"),
    BuildSecret(id="netrc", variable="NETRC", file="/home/me/.netrc"),
)


def piece(plan: Plan, image: str, *, dockerfile: str = "Dockerfile") -> BuildPiece:
    """Return the build of the whole image of *plan*, which installs packages if the plan has build secrets."""
    context = BuildContext(files=(), dockerfile='FROM base:1\nARG CONTEXT_SHA256=""\n', sha256=CONTEXT_SHA256)
    return BuildPiece(dockerfile=dockerfile, context=context, image=image, installs=bool(plan.secrets))


def plan(*, repository: str = "team/scoring", **more: Any) -> Plan:
    """Return a plan of `contoso.azurecr.io/team/scoring:1.0`; *more* are its fields."""
    fields = {
        "platform": "linux/amd64",
        "user": "dockeruser",
        "registry": "contoso.azurecr.io",
        "has_code": True,
        "smoke_test": SmokeTestPlan(sha256="5f" * 32),
        **more,
    }
    return Plan(
        base=Reference(host="", repository="base", tag="1", digest=""),
        repository=repository,
        tags=("1.0",),
        apt=(),
        python=None,
        runs=(),
        has_model=False,
        env={},
        labels={},
        files=(),
        **fields,
    )


def task_text(
    plan: Plan, *, builds: bool = True, smoke_test: bool = True, image: str = CANDIDATE, timeout: int = 3600
) -> str:
    """Return the text of the task file of *plan*."""
    pieces = (piece(plan, image),) if builds else ()
    file = TaskFile(
        plan=plan,
        image=image,
        context_sha256=CONTEXT_SHA256,
        pieces=pieces,
        smoke_test=smoke_test,
        timeout=timeout,
    )
    return str(file)
