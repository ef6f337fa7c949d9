"""Smoke-test a candidate: on the engine of this machine, by the run that built it, or by a run of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from azureml_tasks.config.settings import Acr
from azureml_tasks.engines.acr import cloud_smoke_test
from azureml_tasks.engines.acr.run_failure import failure
from azureml_tasks.engines.acr.task_file import TaskFile
from azureml_tasks.errors import RemoteBuildError
from azureml_tasks.smoke.container import ContainerEnd
from azureml_tasks.smoke.events import make_report
from azureml_tasks.smoke.run import smoke_test

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.engines.acr.remote_build import RemoteBuild
    from azureml_tasks.engines.acr.tasks_api import Request
    from azureml_tasks.engines.docker.engine import DockerEngine
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.smoke.report import Report
    from azureml_tasks.state.records import Records

__all__ = [
    "report_from_events",
    "report_of_build_run",
    "smoke_test_in_cloud",
    "smoke_test_locally",
    "smoke_test_task",
]

_LOOK_INSIDE = "invoke image.build --engine docker (the candidate is removed where it does not pass)"


def smoke_test_locally(
    plan: Plan, image: BuiltImage, name: str, local: DockerEngine, login: Callable[[], tuple[str, str]]
) -> Report | None:
    """Pull *name*, `login-server/repository@sha256:…`, smoke-test it here, and remove it again."""
    with local.pulled(name, login) as pulled:
        # Under --dry nothing is pulled, and the commands speak of the image as it would be.
        found = smoke_test(plan, image._replace(id=pulled or name), local, local.reporter)
    return replace(found, image_id=image.id, look_inside=_LOOK_INSIDE) if found else None


def report_of_build_run(plan: Plan, image: BuiltImage, records: Records) -> Report | None:
    """The report of the run that built *image*, where that was of this very smoke test."""
    events = records.read_evidence(image, plan.smoke_test.sha256)
    return report_from_events(plan, image, events) if events else None


def smoke_test_in_cloud(
    plan: Plan, image: BuiltImage, name: str, hand_off: RemoteBuild, records: Records
) -> Report:
    """Smoke-test *name* by a run that builds nothing.

    Raises:
        RemoteBuildError: the run came to no end of its own, or its report did not come back.
    """

    def ask(request: Request) -> dict[str, Any]:
        return request.task(smoke_test_task(plan, name, image.context_sha256), {})

    collector = cloud_smoke_test.Collector(mark=cloud_smoke_test.marker(plan.smoke_test))
    with hand_off.stopping():
        run = hand_off.start(cloud_smoke_test.files(plan.smoke_test), ask)
        now, seen = hand_off.follow(run, collector)
    events = collector.events()
    if not events:
        raise failure(now, seen) if now.status != "Succeeded" else _no_report(run.id)
    found = report_from_events(plan, image._replace(run=run.id), events)
    if found.passed:
        records.write_evidence(image, plan.smoke_test.sha256, events)
    return found


def smoke_test_task(plan: Plan, name: str, context_sha256: str) -> TaskFile:
    """The task that smoke-tests *name* and builds nothing."""
    timeout = (plan.acr or Acr()).timeout
    return TaskFile(
        plan=plan, image=name, context_sha256=context_sha256, pieces=(), smoke_test=True, timeout=timeout
    )


def report_from_events(plan: Plan, image: BuiltImage, events: Sequence[dict[str, Any]]) -> Report:
    """Judge what came back from the cloud, as the same report."""
    seen = next((event for event in events if event["event"] == "container"), {})
    end = ContainerEnd(
        exit_code=None if seen.get("running", True) else int(seen["exit_code"]),
        out_of_memory=bool(seen.get("out_of_memory")),
        peak_memory=seen.get("peak_memory"),
        stop_seconds=seen.get("stop"),
        log=str(seen.get("log", "")),
    )
    asked = [event for event in events if event["event"] != "container"]
    place = f"in the cloud, by run {image.run}" if image.run else "in the cloud"
    return make_report(plan, image, asked, end, place=place, look_inside=_LOOK_INSIDE)


def _no_report(run: str) -> RemoteBuildError:
    return RemoteBuildError(
        f"Run {run} succeeded, and its report did not come back.", next_step="Run it again."
    )
