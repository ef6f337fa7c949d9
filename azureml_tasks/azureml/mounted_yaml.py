"""The YAML of a deployment without an image of the project: the base, with code, model and packages mounted.

https://learn.microsoft.com/azure/machine-learning/reference-yaml-deployment-managed-online
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.azureml.environment_yaml import SCHEMA, deployment_name, generated, serving_settings

if TYPE_CHECKING:
    from azureml_tasks.azureml.environment_yaml import Value
    from azureml_tasks.planning.plan import Plan


def mounted_deployment_text(
    plan: Plan, *, sha256: str, code: str, endpoint: str, instance_type: str, started: float | None
) -> str:
    """Return the YAML of a managed online deployment of the base.

    Args:
        plan: with what is mounted.
        sha256: over all that is mounted, in hexadecimal, for the deployment's name.
        code: folder of the code, relative to the file that will hold the text.
        endpoint: the name of the endpoint.
        instance_type: the size of the virtual machine.
        started: seconds until it was ready in its smoke test; None without one.
    """
    mounted = plan.mounted
    assert mounted  # noqa: S101 -- nobody else asks for this text
    comments: dict[str, str] = {}
    model: dict[str, Value] = {}
    if plan.smoke_test.model:
        model = {"model": f"azureml:{plan.repository}@latest"}
        comments["model"] = "Azure ML mounts this model. Write the name of yours."
    else:
        comments["code_configuration"] = (
            f'If the code loads a model, add a line with its name:\nmodel: "azureml:{plan.repository}@latest"'
        )
    variables: dict[str, Value] = {**mounted.variables, **plan.env}
    values: dict[str, Value] = {
        "$schema": SCHEMA.format("managedOnlineDeployment"),
        "name": deployment_name(plan.repository, sha256),
        "endpoint_name": endpoint,
        **model,
        "code_configuration": {"code": code, "scoring_script": mounted.script},
        "environment": {"image": str(plan.base)},
        **({"environment_variables": variables} if variables else {}),
        "instance_type": instance_type,
        "instance_count": 1,
        **serving_settings(plan, started, comments),
    }
    return generated(values, comments)
