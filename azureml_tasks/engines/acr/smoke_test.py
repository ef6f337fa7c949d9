"""Smoke-test a candidate image: on the local engine, in the run that built it, or in a run of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from azureml_tasks.config.settings import Acr
from azureml_tasks.engines.acr.cloud_smoke_test import OPEN_SHELL, report_from_events, smoke_test_files
from azureml_tasks.engines.acr.run_failure import error_of_run
from azureml_tasks.engines.acr.task_file import TaskFile
from azureml_tasks.errors import RemoteBuildError
from azureml_tasks.smoke.event_lines import EventCollector, event_marker

if TYPE_CHECKING:
    from collections.abc import Callable

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.engines.acr.task_runs import TaskRuns
    from azureml_tasks.engines.acr.tasks_api import Run, RunRequest
    from azureml_tasks.engines.docker.engine import DockerEngine
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.smoke.report import Report
    from azureml_tasks.state.records import Records


def smoke_test_locally(
    plan: Plan,
    image: BuiltImage,
    name: str,
    local: DockerEngine,
    login: Callable[[], tuple[str, str]],
    keep_log: Callable[[str], None],
) -> Report | None:
    """Pull *name*, `login-server/repository@sha256:…`, smoke-test it on the local engine and remove it.

    Returns:
        The report; None under --dry.
    """
    with local.pulled(name, login) as local_id:
        # Under --dry there is no local ID, and the announced commands show the name.
        report = local.smoke_test(plan, image._replace(id=local_id or name), keep_log)
    return replace(report, image_id=image.id, look_inside=OPEN_SHELL) if report else None


def report_of_build_run(plan: Plan, image: BuiltImage, records: Records) -> Report | None:
    """Return the report of the run that built *image*; None if it did not run the current smoke test."""
    events = records.read_probe_events(image, plan.smoke_test.sha256)
    return report_from_events(plan, image, events) if events else None


def smoke_test_in_cloud(
    plan: Plan, image: BuiltImage, name: str, task_runs: TaskRuns, records: Records
) -> Report:
    """Smoke-test *name*, `login-server/repository@sha256:…`, in a run that builds nothing.

    Raises:
        RemoteBuildError: the run did not finish, or its log does not contain the report.
    """

    def make_request(request: RunRequest) -> dict[str, Any]:
        return request.task(smoke_test_task(plan, name, image.context_sha256), {})

    collector = EventCollector(marker=event_marker(plan.smoke_test))
    with task_runs.cancelled_on_interrupt():
        run = task_runs.start(smoke_test_files(plan.smoke_test), make_request)
        run, log = task_runs.follow(run, collector)
    events = collector.closed_events()
    if not events:
        is_unjudged = run.status == "Succeeded" or collector.was_cut
        raise _no_report(run) if is_unjudged else error_of_run(run, log)
    report = report_from_events(plan, image._replace(run=run.id), events)
    if report.passed:
        records.write_probe_events(image, plan.smoke_test.sha256, events)
    return report


def smoke_test_task(plan: Plan, name: str, context_sha256: str) -> TaskFile:
    """Return the task that smoke-tests *name* and builds nothing."""
    return TaskFile(
        plan=plan,
        image=name,
        context_sha256=context_sha256,
        pieces=(),
        smoke_test=True,
        timeout=(plan.acr or Acr()).timeout,
    )


def _no_report(run: Run) -> RemoteBuildError:
    what = (
        f"Run {run.id} {run.status.lower()}, but its log does not contain the whole report of the smoke test, "
        "so that nothing is judged."
    )
    return RemoteBuildError(what, next_step="Run the same command again.")
