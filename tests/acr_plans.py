"""A plan that is handed off, for the tests of what is made of it."""

from __future__ import annotations

from typing import Any

from azureml_tasks.planning import BuildSecret, Plan, Proof
from azureml_tasks.reference import Reference

__all__ = ["SECRETS", "plan"]

SECRETS = (
    BuildSecret(id="pip-conf", variable="PIP_CONFIG_FILE", env="PIP_CONF"),
    BuildSecret(id="netrc", variable="NETRC", file="/home/me/.netrc"),
)


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
