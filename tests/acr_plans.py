"""A plan that is handed off, for the tests of what is made of it."""

from __future__ import annotations

from typing import Any

from azureml_tasks.context.build_context import BuildContext
from azureml_tasks.engines.acr.build_pieces import Piece
from azureml_tasks.image_reference import Reference
from azureml_tasks.planning.plan import Plan
from azureml_tasks.project.model import BuildSecret, SmokeTestPlan

__all__ = ["SECRETS", "piece", "plan"]

SECRETS = (
    BuildSecret(id="pip-conf", variable="PIP_CONFIG_FILE", env="PIP_CONF"),
    BuildSecret(id="netrc", variable="NETRC", file="/home/me/.netrc"),
)


def piece(made: Plan, image: str, *, dockerfile: str = "Dockerfile") -> Piece:
    """The build of the whole image of *made*, which installs packages where it has secrets for that."""
    context = BuildContext(files=(), dockerfile='FROM base:1\nARG CONTEXT_SHA256=""\n', sha256="2" * 64)
    return Piece(dockerfile=dockerfile, context=context, image=image, installs=bool(made.secrets))


def plan(*, repository: str = "team/scoring", **more: Any) -> Plan:
    """The plan of `contoso.azurecr.io/team/scoring:1.0`; *more* are fields of it."""
    given = {
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
        **given,
    )
