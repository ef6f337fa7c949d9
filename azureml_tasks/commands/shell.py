"""Look into what was built: a shell or a command in the image, and what its last container printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from azureml_tasks.commands import mounting
from azureml_tasks.commands.image_runs import image_runs, planned_runs
from azureml_tasks.commands.last_image import last_image
from azureml_tasks.commands.prepare import prepare_built_image, prepare_engine
from azureml_tasks.commands.run_context import refuse_foreign_records
from azureml_tasks.errors import BuildError, SettingsError, stating
from azureml_tasks.state.failed_step import before_step_file, read_failure

if TYPE_CHECKING:
    from azureml_tasks.commands.prepare import Prepared
    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.engines.acr.engine import AcrEngine
    from azureml_tasks.engines.docker.engine import DockerEngine
    from azureml_tasks.engines.docker.shell import Inside
    from azureml_tasks.state.failed_step import FailedStep


def shell(run: RunContext, command: tuple[str, ...], *, as_root: bool) -> int:
    """Run a command in the image that was built last, or before the step that failed; return its exit code.

    It takes no lock: a build may go on meanwhile, and what it makes is another image.

    Args:
        run: the run; of one image.
        command: program and arguments, each as it was typed; empty for a shell.
        as_root: whether root runs it, instead of the runtime user.

    Raises:
        SettingsError: the table is wrong, or it has several images and the run names none.
        BuildError: nothing is built, the image is gone, or the last build failed in a registry.
        EngineError: no engine answers here, or there is no docker client.
    """
    from azureml_tasks.engines.docker.shell import Inside, check_client, run_inside

    inside = Inside(command=command, as_root=as_root)
    with stating("Nothing was run."):
        (each,) = planned_runs(run, uses=("base",), flags=["shell"])
        refuse_foreign_records(each)
        failed = read_failure(each.records)
        prepared = prepare_engine(each) if failed else prepare_built_image(each)
        if failed and failed.engine == prepared.engine.name and not prepared.plan.mounted:
            return _before_step(each, prepared, failed, inside)
        image = last_image(each, prepared)
        check_client(each.reporter)
        if prepared.plan.mounted:
            prepared = mounting.with_code(each, prepared, image)
    smoke_test = prepared.plan.smoke_test
    if prepared.engine.name == "acr":
        return cast("AcrEngine", prepared.engine).run_inside(image, smoke_test, inside)
    return run_inside(cast("DockerEngine", prepared.engine), image, smoke_test, inside)


def _before_step(run: RunContext, prepared: Prepared, failed: FailedStep, inside: Inside) -> int:
    """Run a command in what the Dockerfile makes up to the step at which the last build failed."""
    from azureml_tasks.engines.docker.shell_before_step import run_before_step
    from azureml_tasks.project.build_secrets import secret_problems

    if failed.engine == "acr":
        what = f"The last build failed in the registry, and nothing of it is on this machine. {failed.step}"
        fix = "invoke image.build --engine docker\nthen: invoke image.shell"
        raise BuildError(what, next_step=fix)
    plan = prepared.plan
    secrets = tuple(secret for secret in plan.secrets if f"id={secret.id}," in failed.dockerfile)
    if problems := secret_problems(run.folder, secrets, plan.files):
        raise SettingsError(problems)
    run.reporter.say(f"the last build failed at: {failed.step}")
    run.reporter.say("this is the image before that step, until a build succeeds")
    engine, file = cast("DockerEngine", prepared.engine), before_step_file(run.records)
    return run_before_step(engine, plan._replace(secrets=secrets), prepared.context, failed, file, inside)


def last_log(run: RunContext) -> str:
    """Return what the last container of smoke test or serve printed; of a long log its beginning and its end.

    Raises:
        SettingsError: the table has several images, and the run names none.
        BuildError: neither has run here since the records were removed.
    """
    (each,) = image_runs(run, flags=["logs"])
    refuse_foreign_records(each)
    log = each.records.read_log()
    if log is None:
        of_image = f" of the image {each.image}" if each.image else ""
        what = f"No container{of_image} has run to its end here yet, so there is no log."
        raise BuildError(what, next_step="invoke image.smoke-test")
    return log
