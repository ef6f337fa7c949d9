"""From a project's folder to a pushed digest: build, smoke test, push, and the three in one. Start reading here.

A run is about each image of the table, in order, or about the one that it names. All are built before any is tested,
and all are tested before any is pushed. `image_build`, `image_smoke_test` and `image_push` have what is done for one.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.commands.image_build import build_image, up_to_date
from azureml_tasks.commands.image_push import push_image, refuse_other_name, warn_of_other_tags
from azureml_tasks.commands.image_runs import for_all, of_image, planned_runs
from azureml_tasks.commands.image_smoke_test import pass_summary, refuse_failed, smoke_test_image, summary_of
from azureml_tasks.commands.last_image import last_image, where_built
from azureml_tasks.commands.prepare import Prepared, prepare_build, prepare_built_image
from azureml_tasks.commands.results import ReleaseResult
from azureml_tasks.errors import AzuremlTasksError, stating
from azureml_tasks.state.locks import project_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.commands.image_build import Built
    from azureml_tasks.commands.results import BuildResult, PushResult, SmokeTestResult, StepResult
    from azureml_tasks.commands.run_context import RunContext


_RELEASE = "invoke image.release"


class _ReadyToPush(NamedTuple):
    """An image that may be pushed.

    Args:
        prepared: plan, build context and engine.
        image: that was built last.
        summary: of its pass; None under --dry, or if it may be pushed without one.
    """

    prepared: Prepared
    image: BuiltImage
    summary: Mapping[str, Any] | None


def build(
    run: RunContext,
    *,
    no_cache: bool,
    pull: bool,
    on_step: Callable[[BuildResult], None] = lambda _: None,
) -> list[BuildResult]:
    """Build each image and record it.

    Args:
        run: the run.
        no_cache: build every step again.
        pull: pull a newer base first.
        on_step: takes the result of each image as it is built.

    Raises:
        SettingsError: the table or a file that it names is wrong.
        EngineError: the engine does not answer, or cannot do what the table asks for.
        BuildError: a step failed.
        RegistryError: a registry refuses the base.
        RemoteBuildError: a remote build did not finish.
    """
    with stating("Nothing was built."):
        runs = planned_runs(run, uses=("base", "tags"))
        prepared = for_all(runs, prepare_build)
    results: list[BuildResult] = []
    with ExitStack() as lock:
        for index, (each, ready) in enumerate(zip(runs, prepared, strict=True)):
            with of_image(runs, index, "built"):
                # Without the lock, whose library takes a while to import.
                built = up_to_date(each, ready, no_cache=no_cache, pull=pull)
                if not built:
                    if all(earlier.status in {"up-to-date", "mounted"} for earlier in results):
                        lock.enter_context(project_lock(run.folder, run.reporter))
                    built = build_image(each, ready, no_cache=no_cache, pull=pull)
            results.append(built.result)
            on_step(built.result)
    return results


def smoke_test(
    run: RunContext, *, on_step: Callable[[SmokeTestResult], None] = lambda _: None
) -> list[SmokeTestResult]:
    """Run each image that was built last, test it, and record a pass; see `refuse_failed`.

    Args:
        run: the run.
        on_step: takes the result of each image as its test ends.

    Raises:
        SettingsError: the table or a file that it names is wrong.
        BuildError: nothing is built, or the image is gone.
        EngineError: the engine does not answer, or cannot run the image.
    """
    with project_lock(run.folder, run.reporter):
        with stating("Nothing was tested."):
            runs = planned_runs(run, uses=("base",))
            ready = for_all(runs, _built)
        results: list[SmokeTestResult] = []
        for index, (each, (prepared, image)) in enumerate(zip(runs, ready, strict=True)):
            with of_image(runs, index, "tested"):
                result = smoke_test_image(each, prepared, image)
            results.append(result)
            on_step(result)
        return results


def _built(run: RunContext) -> tuple[Prepared, BuiltImage]:
    prepared = prepare_built_image(run)
    return prepared, last_image(run, prepared)


def push(
    run: RunContext, *, untested: bool, on_step: Callable[[PushResult], None] = lambda _: None
) -> list[PushResult]:
    """Push each image that passed its smoke test, with the tags of its build or of `--tag`, and record its digest.

    No image is pushed before it is known that all may be.

    Args:
        run: the run.
        untested: push even if the image has not passed.
        on_step: takes the result of each image before anything else happens to it.

    Raises:
        SettingsError: the table is wrong or names no registry.
        BuildError: nothing is built, or the image is gone.
        SmokeTestError: the image has not passed the smoke test that the table asks for.
        RegistryError: the registry refuses.
    """
    with project_lock(run.folder, run.reporter):
        with stating("Nothing was pushed."):
            runs = planned_runs(run, uses=("base", "tags") if _names_tags(run) else ("base",))
            ready = for_all(runs, lambda each: _ready_to_push(each, untested=untested))
        return [pushed for pushed in _push_all(runs, ready, on_step) if pushed]


def _ready_to_push(run: RunContext, *, untested: bool) -> _ReadyToPush:
    prepared = prepare_built_image(run, to_push=True)
    image = last_image(run, prepared)
    if prepared.plan.mounted:
        return _ReadyToPush(prepared, image, None)
    refuse_other_name(prepared.plan, image)
    if _names_tags(run):
        image = image._replace(names=prepared.plan.names)
    else:
        warn_of_other_tags(run, prepared.plan, image)
    summary = None
    if not run.reporter.dry:
        summary = pass_summary(run, prepared.plan, image, untested=untested)
    return _ReadyToPush(prepared, image, summary)


def _names_tags(run: RunContext) -> bool:
    """Return whether the command itself names the tags; those of a variable are for the next build."""
    return "tags" in run.overrides and run.overrides["tags"].source == "--tag"


def release(
    run: RunContext,
    *,
    no_cache: bool,
    pull: bool,
    untested: bool,
    on_step: Callable[[StepResult], None] = lambda _: None,
) -> list[ReleaseResult]:
    """Build, smoke-test and push; stop at the first step that fails. What the push needs is checked first.

    Args:
        run: the run.
        no_cache: build every step again.
        pull: pull a newer base first.
        untested: push even if the smoke test fails.
        on_step: takes the result of each step of each image as it ends.

    Raises:
        AzuremlTasksError: as `build`, `smoke_test` and `push` do.
    """
    with project_lock(run.folder, run.reporter):
        with stating("Nothing was built."), going_on_by(_RELEASE):
            runs = planned_runs(run, uses=("base", "tags"))
            prepared = for_all(runs, lambda each: prepare_build(each, to_push=True))
            for ready in prepared:
                ready.engine.check_push(ready.plan)
        built: list[Built] = []
        for index, (each, ready) in enumerate(zip(runs, prepared, strict=True)):
            with of_image(runs, index, "built"), going_on_by(_RELEASE):
                image = up_to_date(each, ready, no_cache=no_cache, pull=pull)
                image = image or build_image(
                    each, ready, no_cache=no_cache, pull=pull, smoke_test_inside=not untested
                )
            built.append(image)
            on_step(image.result)
        tested = _test_all(runs, prepared, built, untested=untested, on_step=on_step)
        ready_to_push = [
            _ReadyToPush(ready, image, summary_of(each, test))
            for each, ready, (image, _), test in zip(runs, prepared, built, tested, strict=True)
        ]
        pushed = _push_all(runs, ready_to_push, on_step)
        return [
            ReleaseResult(build=each.result, smoke_test=test, push=push)
            for each, test, push in zip(built, tested, pushed, strict=True)
        ]


def _test_all(
    runs: Sequence[RunContext],
    prepared: Sequence[Prepared],
    built: Sequence[Built],
    *,
    untested: bool,
    on_step: Callable[[StepResult], None],
) -> list[SmokeTestResult]:
    """Test all images that were built; refuse those that failed after the last one, unless *untested* is set."""
    state = f"The image was built{where_built(built[0].image)}. It was not pushed."
    if len(built) > 1:
        state = "All images were built. Nothing was pushed."
    results: list[SmokeTestResult] = []
    for index, (each, ready, (image, _)) in enumerate(zip(runs, prepared, built, strict=True)):
        with of_image(runs, index, "tested", state=state), going_on_by(_RELEASE):
            tested = smoke_test_image(each, ready, image, keep_candidate=untested)
        results.append(tested)
        with stating(state):
            on_step(tested)
    if not untested:
        with stating(state):
            refuse_failed(*results)
    return results


def _push_all(
    runs: Sequence[RunContext], ready: Sequence[_ReadyToPush], on_step: Callable[[PushResult], None]
) -> list[PushResult | None]:
    """Push each image; None in the place of one that is not built, because its code is mounted."""
    results: list[PushResult | None] = []
    for index, (each, (prepared, image, summary)) in enumerate(zip(runs, ready, strict=True)):
        if prepared.plan.mounted:
            next_step = "invoke image.environment --deployment prints a deployment of the base"
            each.reporter.say(f"nothing to push: Azure ML mounts the code; {next_step}")
            results.append(None)
            continue
        with of_image(runs, index, "pushed"):
            results.append(push_image(each, prepared, image, summary, on_step))
    return results


@contextmanager
def going_on_by(command: str) -> Iterator[None]:
    """Name *command*, which does the rest as well, as the next step of an error that names `image.build`."""
    try:
        yield
    except AzuremlTasksError as error:
        error.next_step = error.next_step.replace("invoke image.build", command)
        raise
