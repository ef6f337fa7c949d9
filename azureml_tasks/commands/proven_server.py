"""Run an image that has passed its smoke test, for as long as somebody asks its server."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.commands import mounting
from azureml_tasks.commands.image_runs import of_image, planned_runs
from azureml_tasks.commands.image_smoke_test import refuse_failed, smoke_test_image
from azureml_tasks.commands.last_image import last_image
from azureml_tasks.commands.prepare import prepare_built_image
from azureml_tasks.config.problems import FILE
from azureml_tasks.errors import FileProblem, SettingsError, stating
from azureml_tasks.state.locks import project_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.commands.prepare import Prepared
    from azureml_tasks.commands.results import SmokeTestResult
    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.smoke.container_protocol import AnsweringServer


class Served(NamedTuple):
    """An image that serves.

    Args:
        image: that runs.
        scoring_path: of its server, such as "/score".
        server: that answers.
    """

    image: BuiltImage
    scoring_path: str
    server: AnsweringServer


@contextmanager
def serving(
    run: RunContext, *, on_step: Callable[[SmokeTestResult], None] = lambda _: None
) -> Iterator[Served]:
    """Run the image that was built last in a fresh container for the block, once its health check answers.

    If it has not passed the smoke test that the table asks for now, it is tested first, in a container of its own. The
    project is locked only until the container answers.

    Args:
        run: the run; of one image.
        on_step: takes the result of a smoke test that was run.

    Raises:
        SettingsError: the table is wrong, has several images and the run names none, or is of a batch deployment.
        BuildError: nothing is built, or the image is gone.
        SmokeTestError: the image has failed its smoke test, or did not start.
        EngineError: the engine does not answer, cannot run the image, or is on another machine.
    """
    with ExitStack() as container:
        with project_lock(run.folder, run.reporter), stating("Nothing serves."):
            (each,) = runs = planned_runs(run, uses=("base",), flags=["serving"])
            with of_image(runs, 0, "served", state="Nothing serves."):
                prepared, image = _proven(each, on_step)
                server = container.enter_context(prepared.engine.answering(prepared.plan, image))
        yield Served(image=image, scoring_path=prepared.plan.smoke_test.scoring_path, server=server)


def _proven(run: RunContext, on_step: Callable[[SmokeTestResult], None]) -> tuple[Prepared, BuiltImage]:
    """Return the image that was built last with what its container gets, after its smoke test."""
    prepared = prepare_built_image(run)
    image = last_image(run, prepared)
    if prepared.plan.smoke_test.mini_batch:
        what = "the image is for a batch deployment, which has no server"
        raise SettingsError([FileProblem(FILE, 0, what, "invoke image.smoke-test")])
    served = mounting.with_code(run, prepared, image) if prepared.plan.mounted else prepared
    if not _has_passed(run, served, image):
        tested = smoke_test_image(run, prepared, image)
        on_step(tested)
        refuse_failed(tested)
    return served, image


def _has_passed(run: RunContext, prepared: Prepared, image: BuiltImage) -> bool:
    """Return whether the image has passed the smoke test that the table and its files ask for now."""
    record = run.records.read_pass()
    return bool(
        record and record.id == image.id and record.smoke_test_sha256 == prepared.plan.smoke_test.sha256
    )
