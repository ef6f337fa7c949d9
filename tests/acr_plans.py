"""A plan that is handed off, for the tests of what is made of it."""

from __future__ import annotations

from typing import Any

from azureml_tasks.acr.route import Piece
from azureml_tasks.context import Context
from azureml_tasks.planning import BuildSecret, Plan, Proof
from azureml_tasks.reference import Reference

__all__ = ["SECRETS", "piece", "plan"]

SECRETS = (
    BuildSecret(id="pip-conf", variable="PIP_CONFIG_FILE", env="PIP_CONF"),
    BuildSecret(id="netrc", variable="NETRC", file="/home/me/.netrc"),
)


def piece(made: Plan, image: str, *, dockerfile: str = "Dockerfile") -> Piece:
    """The build of the whole image of *made*, which installs packages where it has secrets for that."""
    context = Context(files=(), dockerfile='FROM base:1\nARG CONTEXT_SHA256=""\n', sha256="2" * 64)
    return Piece(dockerfile=dockerfile, context=context, image=image, installs=bool(made.secrets))


def plan(*, repository: str = "team/scoring", **more: Any) -> Plan:
    """The plan of `contoso.azurecr.io/team/scoring:1.0`; *more* are fields of it."""
    given = {
        "platform": "linux/amd64",
        "user": "dockeruser",
        "registry": "contoso.azurecr.io",
        "has_code": True,
        "proof": Proof(sha256="5f" * 32),
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
