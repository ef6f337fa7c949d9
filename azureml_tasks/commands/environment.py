"""What was pushed last, told as Azure ML wants to be told: `invoke image.environment`."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from azureml_tasks.azureml import environment_yaml
from azureml_tasks.azureml.environment_yaml import Pushed
from azureml_tasks.commands.run_context import RunContext, prepare
from azureml_tasks.config import azure_validators
from azureml_tasks.errors import BuildError, Problem, SettingsError, stating

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.config.validators import Rule
    from azureml_tasks.planning.plan import Plan

__all__ = ["Asked", "write"]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the flags ask for; "" where one was not given.

    Args:
        name: of the environment.
        deployment: whether a deployment is wanted instead.
        endpoint: the deployment's.
        instance_type: the deployment's size of virtual machine.
    """

    name: str = ""
    deployment: bool = False
    endpoint: str = ""
    instance_type: str = ""


def write(job: RunContext, asked: Asked, output: Path | None) -> None:
    """Write the YAML of what was pushed last, and nothing else, to *output* or stdout.

    Raises:
        SettingsError: a flag is missing, means nothing or breaks a rule of Azure ML's, or the table is wrong.
        BuildError: nothing was pushed.
    """
    with stating("Nothing was written."):
        if problems := _problems(asked):
            raise SettingsError(problems)
        plan, gathered = prepare(job)
        text = _text(job, asked, plan, gathered.sha256)
    if not output:
        sys.stdout.write(text)
    elif job.reporter.effect([], before=_command(job, asked, output)):
        output.write_text(text, encoding="utf-8", newline="\n")


def _problems(asked: Asked) -> list[Problem]:
    found = _breach("--name", asked.name, azure_validators.ENVIRONMENT)
    missing = {
        "--endpoint": "az ml online-endpoint list --output table\nthen add: --endpoint NAME",
        "--instance-type": "Add the size that you want to pay for, such as: --instance-type Standard_DS3_v2",
    }
    rules = {
        "--endpoint": (asked.endpoint, azure_validators.ENDPOINT),
        "--instance-type": (asked.instance_type, azure_validators.INSTANCE_TYPE),
    }
    for flag, (value, rule) in rules.items():
        if asked.deployment and not value:
            found.append(Problem(flag, 0, "is missing, which --deployment needs", missing[flag]))
        elif asked.deployment:
            found += _breach(flag, value, rule)
        elif value:
            found.append(Problem(flag, 0, "is for a deployment alone", "Add --deployment, or leave it out."))
    return found


def _breach(flag: str, value: str, rule: Rule) -> list[Problem]:
    error = rule.error(value) if value else ""
    return [Problem(flag, 0, f'is "{value}", which {error}', rule.fix)] if error else []


def _text(job: RunContext, asked: Asked, plan: Plan, sha256: str) -> str:
    """The YAML, with a word about what it rests on."""
    found = job.records.read_result()
    if found is None and job.records.has_build():
        raise BuildError("What was built here has not been pushed yet.", next_step="invoke image.push")
    if found is None:
        raise BuildError("Nothing is built and pushed here yet.", next_step="invoke image.release")
    smoke = found["smoke"]
    pushed = Pushed(
        image=found["image"], tags=tuple(found["tags"]), started=smoke["started"] if smoke else None
    )
    if not smoke:
        job.reporter.warn(f"{pushed.names[0]} was pushed without having passed its smoke test")
    if found["context_sha256"] != sha256:
        job.reporter.warn(f"files have changed since {pushed.names[0]} was built; what was pushed counts")
    if not asked.deployment:
        return environment_yaml.environment_text(pushed, name=asked.name)
    return environment_yaml.deployment_text(
        pushed, plan, endpoint=asked.endpoint, instance_type=asked.instance_type, name=asked.name
    )


def _command(job: RunContext, asked: Asked, output: Path) -> str:
    words = ["--name", asked.name] if asked.name else []
    if asked.deployment:
        words += ["--deployment", "--endpoint", asked.endpoint, "--instance-type", asked.instance_type]
    again = "".join(f" {shlex.quote(word)}" for word in words)
    return f"invoke image.environment{job.reporter.flags}{again} > {shlex.quote(str(output))}"
