"""The Azure ML environment of the image that was pushed last, or a deployment of it, as YAML."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.azureml import environment_yaml
from azureml_tasks.azureml.environment_yaml import Pushed
from azureml_tasks.commands.image_runs import for_all, planned_runs
from azureml_tasks.commands.run_plan import plan_image
from azureml_tasks.config import azure_validators
from azureml_tasks.errors import BuildError, Problem, SettingsError, stating
from azureml_tasks.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.config.validators import Rule
    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.planning.plan import Plan

_MISSING = {
    "--endpoint": "az ml online-endpoint list --output table\nthen add: --endpoint NAME",
    "--instance-type": "Add the VM size that you want to pay for, such as: --instance-type Standard_DS3_v2",
}


@dataclass(frozen=True, kw_only=True)
class EnvironmentRequest:
    """What the flags ask for; "" for a flag that was not given.

    Args:
        name: of the environment.
        deployment: whether a deployment is wanted instead.
        endpoint: of the deployment.
        instance_type: VM size of the deployment.
        folder: of the file that will hold the text; None for the current one.
    """

    name: str = ""
    deployment: bool = False
    endpoint: str = ""
    instance_type: str = ""
    folder: Path | None = None


def environment_texts(
    run: RunContext, request: EnvironmentRequest, *, flags: Sequence[str] = ()
) -> dict[str, str]:
    """Return the YAML of each image that was pushed last, by the image's name; "" if the table itself is the image.

    Args:
        run: the run.
        request: what the flags ask for.
        flags: that are for one image.

    Raises:
        SettingsError: a flag is missing, has no meaning or breaks a rule of Azure ML, or the table is wrong.
        BuildError: nothing was pushed.
    """
    with stating("Nothing was written."):
        if problems := _problems(request):
            raise SettingsError(problems)
        runs = planned_runs(run, flags=(*flags, *(["--name"] if request.name else [])))
        texts = for_all(runs, lambda each: _environment_text(each, request))
        return {each.image: text for each, text in zip(runs, texts, strict=True)}


def _environment_text(run: RunContext, request: EnvironmentRequest) -> str:
    plan, context = plan_image(run)
    if request.deployment and plan.smoke_test.mini_batch:
        what = (
            "prints an online deployment, and smoke-test.mini-batch is for the script of a batch deployment"
        )
        fix = "Leave it out, and name the environment in your own batch deployment."
        raise SettingsError([Problem("--deployment", 0, what, fix)])
    if plan.mounted:
        return _mounted_text(run, plan, context, request)
    pushed = _pushed(run, context.sha256)
    _warn_of_another_test(run, plan, pushed)
    if not request.deployment:
        return environment_yaml.environment_text(pushed, plan.smoke_test, name=request.name)
    return environment_yaml.deployment_text(
        pushed, plan, endpoint=request.endpoint, instance_type=request.instance_type, name=request.name
    )


def _warn_of_another_test(run: RunContext, plan: Plan, pushed: Pushed) -> None:
    """Warn if the table asks for another smoke test than was passed: the YAML takes port and paths from it."""
    passed, record = run.records.read_pass(), run.records.read_result()
    is_of_pushed = passed and record and passed.id == record.id and record.smoke
    if passed and is_of_pushed and passed.smoke_test_sha256 != plan.smoke_test.sha256:
        what = (
            f"{pushed.names[0]} passed another smoke test than the table and its files ask for now, "
            "and the YAML is of those: invoke image.smoke-test"
        )
        run.reporter.warn(Notice("other-smoke-test", what))


def _mounted_text(run: RunContext, plan: Plan, context: BuildContext, request: EnvironmentRequest) -> str:
    """Return the YAML of a deployment of the base; warn if it has not passed its smoke test as it is now."""
    from azureml_tasks.azureml.mounted_yaml import mounted_deployment_text
    from azureml_tasks.commands.mounting import mount_sha256, refuse_old_packages

    if not request.deployment or not plan.mounted:
        what = "prints an environment of the project's own image, and Azure ML mounts the code into the base"
        fix = "Add: --deployment --endpoint NAME --instance-type SIZE"
        raise SettingsError([Problem("invoke image.environment", 0, what, fix)])
    refuse_old_packages(plan, context)
    sha256, record = mount_sha256(plan, context), run.records.read_pass()
    passed = record if record and record.smoke_test_sha256 == sha256 else None
    if not passed:
        what = "this has not passed its smoke test as it is now: invoke image.smoke-test"
        run.reporter.warn(Notice("untested", what))
    return mounted_deployment_text(
        plan,
        sha256=sha256,
        code=os.path.relpath(Path(plan.mounted.root, plan.mounted.code), request.folder or Path.cwd()),
        endpoint=request.endpoint,
        instance_type=request.instance_type,
        started=passed.smoke.get("started") if passed else None,
    )


def _problems(request: EnvironmentRequest) -> list[Problem]:
    problems = _breach("--name", request.name, azure_validators.ENVIRONMENT)
    rules = {
        "--endpoint": (request.endpoint, azure_validators.ENDPOINT),
        "--instance-type": (request.instance_type, azure_validators.INSTANCE_TYPE),
    }
    for flag, (value, rule) in rules.items():
        if request.deployment and not value:
            problems.append(Problem(flag, 0, "is missing, and --deployment needs it", _MISSING[flag]))
        elif request.deployment:
            problems += _breach(flag, value, rule)
        elif value:
            problems.append(
                Problem(flag, 0, "is only for a deployment", "Add --deployment, or leave it out.")
            )
    return problems


def _breach(flag: str, value: str, rule: Rule) -> list[Problem]:
    error = rule.error(value) if value else ""
    return [Problem(flag, 0, f'is "{value}", which {error}', rule.fix)] if error else []


def _pushed(run: RunContext, context_sha256: str) -> Pushed:
    """Return what was pushed last; warn if it did not pass a smoke test, or if files have changed since."""
    record = run.records.read_result()
    if record is None and run.records.has_build():
        what = f"The image {run.image} that was built last" if run.image else "The image that was built last"
        raise BuildError(f"{what} is not pushed yet.", next_step="invoke image.push")
    if record is None:
        what = f"The image {run.image} is not built" if run.image else "Nothing is built"
        flag = f" --image {run.image}" if run.image else ""
        raise BuildError(f"{what} and pushed yet.", next_step=f"invoke image.release{flag}")
    smoke = record.smoke
    started = smoke.get("started") if smoke else None
    pushed = Pushed(image=record.image, tags=tuple(record.tags), started=started)
    if not smoke:
        what = f"{pushed.names[0]} was pushed without having passed its smoke test"
        run.reporter.warn(Notice("untested", what))
    if record.context_sha256 != context_sha256:
        what = f"files have changed since {pushed.names[0]} was built; the YAML is of what was pushed"
        run.reporter.warn(Notice("files-changed", what))
    return pushed
