"""Record what a run has done: what it built, and what failed; what else cannot be recorded only warns."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from azureml_tasks.commands.last_image import where_built
from azureml_tasks.errors import AzuremlTasksError, machine_error, stating
from azureml_tasks.notice import Notice
from azureml_tasks.state.failed_step import write_failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.state.failed_step import FailedStep


def record_build(run: RunContext, plan: Plan, image: BuiltImage) -> None:
    """Record what was built, unless this is a dry run.

    A build of the project's own Dockerfile runs each time. If it gives the recorded image again, its pass still counts.

    Raises:
        MachineError: the record cannot be written.
    """
    if run.reporter.dry:
        return
    image = image._replace(version=plan.version)
    with stating(f"The image was built{where_built(image)}, ID {image.id}, and this was not recorded."):
        if plan.own_dockerfile and _is_recorded(run, image):
            run.records.rename_build(image)
        else:
            run.records.write_build(image)
    run.reporter.say(f"built {image.id}")


def _is_recorded(run: RunContext, image: BuiltImage) -> bool:
    """Return whether the image that was built last is the same one, on the same engine."""
    if not run.records.has_build():
        return False
    before = run.records.read_build()
    return (before.engine, before.id) == (image.engine, image.id)


def record_failure(run: RunContext, failed: FailedStep) -> None:
    """Record the step of a build that failed, for `image.shell`."""
    with only_warning(run, "the step that failed was not recorded for image.shell"):
        write_failure(run.records, failed)


def write_log(run: RunContext, text: str) -> None:
    """Record what a container has printed, for `image.logs`."""
    with only_warning(run, "what the container printed was not kept for image.logs"):
        run.records.write_log(text)


@contextmanager
def only_warning(run: RunContext, what: str) -> Iterator[None]:
    """Warn if the block fails: what has taken effect before it counts."""
    try:
        yield
    except AzuremlTasksError as error:
        run.reporter.warn(Notice("not-recorded", f"{what}: {error.what}"))
    except OSError as error:
        run.reporter.warn(Notice("not-recorded", f"{what}: {machine_error(error).what}"))
