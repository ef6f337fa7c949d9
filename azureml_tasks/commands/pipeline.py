"""From a project's folder to a pushed digest: build, smoke test, push, and the three in one. Start reading here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from azureml_tasks.commands.results import BuildResult, PushResult, ReleaseResult, SmokeTestResult
from azureml_tasks.commands.run_context import Prepared, RunContext, prepare_build, prepare_built_image
from azureml_tasks.commands.up_to_date import reusable_image
from azureml_tasks.errors import BuildError, SmokeTestError, stating
from azureml_tasks.state.locks import project_lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.commands.results import StepResult
    from azureml_tasks.planning.plan import Plan


def build(run: RunContext, *, no_cache: bool, pull: bool) -> BuildResult:
    """Build the image and record it.

    Args:
        run: the run.
        no_cache: build every step again.
        pull: pull a newer base first.

    Raises:
        SettingsError: the table or a file that it names is wrong.
        EngineError: the engine does not answer, or cannot do what the table asks for.
        BuildError: a step failed.
        RegistryError: a registry refuses the base.
        RemoteBuildError: a remote build did not finish.
    """
    with stating("Nothing was built."):
        prepared = prepare_build(run)
        if result := _up_to_date(run, prepared, no_cache=no_cache, pull=pull):
            return result  # Without the lock, whose library takes a while to import.
        with project_lock(run.folder, run.reporter):
            return _build(run, prepared, no_cache=no_cache, pull=pull)


def smoke_test(run: RunContext) -> SmokeTestResult:
    """Run the image that was built last, test it, and record a pass; see `refuse_failed`.

    Raises:
        SettingsError: the table or a file that it names is wrong.
        BuildError: nothing is built, or the image is gone.
        EngineError: the engine does not answer, or cannot run the image.
    """
    with project_lock(run.folder, run.reporter), stating("Nothing was pushed."):
        prepared = prepare_built_image(run)
        return _smoke_test(run, prepared, _last_image(run, prepared))


def push(run: RunContext, *, untested: bool) -> PushResult:
    """Push the image that passed its smoke test, with each of its tags, and record its digest.

    Args:
        run: the run.
        untested: push even if the image has not passed.

    Raises:
        SettingsError: the table is wrong or names no registry.
        BuildError: nothing is built, or the image is gone.
        SmokeTestError: the image has not passed the smoke test that the table asks for.
        RegistryError: the registry refuses.
    """
    with project_lock(run.folder, run.reporter):
        with stating("Nothing was pushed."):
            prepared = prepare_built_image(run, to_push=True)
            image = _last_image(run, prepared)
            summary = (
                None if run.reporter.dry else _pass_summary(run, prepared.plan, image, untested=untested)
            )
        return _push(run, prepared, image, summary)


def release(
    run: RunContext,
    *,
    no_cache: bool,
    pull: bool,
    untested: bool,
    on_step: Callable[[StepResult], None] = lambda _: None,
) -> ReleaseResult:
    """Build, smoke-test and push; stop at the first step that fails. What the push needs is checked first.

    Args:
        run: the run.
        no_cache: build every step again.
        pull: pull a newer base first.
        untested: push even if the smoke test fails.
        on_step: takes the result of each step as it ends.

    Raises:
        AzuremlTasksError: as `build`, `smoke_test` and `push` do.
    """
    with project_lock(run.folder, run.reporter):
        with stating("Nothing was built."):
            prepared = prepare_build(run, to_push=True)
            built = _up_to_date(run, prepared, no_cache=no_cache, pull=pull)
            built = built or _build(
                run, prepared, no_cache=no_cache, pull=pull, smoke_test_inside=not untested
            )
        on_step(built)
        with stating(f"The image was built{_where_built(built.image)}. It was not pushed."):
            tested = _smoke_test(run, prepared, built.image, keep_candidate=untested)
            on_step(tested)
            if not untested:
                refuse_failed(tested)
            summary = None
            if not run.reporter.dry:
                summary = _pass_summary(run, prepared.plan, built.image, untested=untested)
        pushed = _push(run, prepared, built.image, summary)
        on_step(pushed)
        return ReleaseResult(build=built, smoke_test=tested, push=pushed)


def refuse_failed(result: SmokeTestResult) -> None:
    """Refuse an image that failed its smoke test.

    Raises:
        SmokeTestError: with the report.
    """
    from azureml_tasks.smoke.report import report_text

    if result.report and not result.report.passed:
        raise SmokeTestError(report_text(result.report))


def record_build(run: RunContext, image: BuiltImage) -> None:
    """Record what was built, unless this is a dry run."""
    if not run.reporter.dry:
        run.records.write_build(image)
        run.reporter.say(f"built {image.id}")


def _up_to_date(run: RunContext, prepared: Prepared, *, no_cache: bool, pull: bool) -> BuildResult | None:
    """Return the result of a build that has nothing to build; None if there is something to build."""
    context = prepared.context
    size = f"{context.size / 1e6:,.1f} MB"
    run.reporter.say(f"build context: {context.counted}, {size}, sha256 {context.sha256}")
    image = None if no_cache or pull else reusable_image(run, prepared)
    if not image:
        return None
    same = "files, Dockerfile, base, platform and version of azureml-tasks are those of"
    run.reporter.say(f"nothing to build: {same} {image.id}")
    if not run.reporter.dry:
        run.records.rename_build(image)
    return BuildResult(image=image, is_up_to_date=True)


def _build(
    run: RunContext, prepared: Prepared, *, no_cache: bool, pull: bool, smoke_test_inside: bool = True
) -> BuildResult:
    previous = run.records.read_build() if run.records.has_build() and not no_cache else None
    image = prepared.engine.build(
        prepared.plan,
        prepared.context,
        no_cache=no_cache,
        pull=pull,
        smoke_test=smoke_test_inside,
        previous=previous,
    )
    record_build(run, image)
    if not run.reporter.dry:
        if prepared.context.hashes:
            prepared.context.hashes.save()
        run.records.write_files(prepared.context)
    return BuildResult(image=image)


def _last_image(run: RunContext, prepared: Prepared) -> BuiltImage:
    """Return the image that build recorded; warn if the files are no longer those that it was built from."""
    engine = prepared.engine
    if run.reporter.dry and not run.records.has_build():
        return engine.planned_image(prepared.plan, prepared.context)
    image = run.records.read_build()
    name = image.names[0]
    if image.engine != engine.name:
        what = f"{name} was built by the engine {image.engine}, not by {engine.name}."
        raise BuildError(what, next_step=f"Add: --engine {image.engine}")
    if not engine.exists(image):
        where = "the registry" if image.engine == "acr" else "the engine"
        what = f"The image that was built last, {name} ({image.id[:19]}), is gone from {where}."
        raise BuildError(what, next_step=f"invoke image.build{_engine_flag(image)}")
    if prepared.context.sha256 != image.context_sha256:
        run.reporter.warn(f"files have changed since {name} was built; this command uses what was built")
    return image


def _smoke_test(
    run: RunContext, prepared: Prepared, image: BuiltImage, *, keep_candidate: bool = False
) -> SmokeTestResult:
    from azureml_tasks.smoke.report import report_record

    if not run.reporter.dry:
        run.records.forget_pass()
    report = prepared.engine.smoke_test(prepared.plan, image)
    if report and report.passed:
        run.records.write_pass(image, prepared.plan.smoke_test.sha256, report_record(report))
    elif report and not keep_candidate:
        prepared.engine.discard_candidate(image)
    return SmokeTestResult(image=image, report=report)


def _pass_summary(run: RunContext, plan: Plan, image: BuiltImage, *, untested: bool) -> dict[str, Any] | None:
    """Return the summary of the image's pass; None if there is none and *untested* allows that."""
    record = run.records.read_pass()
    if not record or record["id"] != image.id:
        why = "has not passed its smoke test"
    elif record["smoke_test_sha256"] != plan.smoke_test.sha256:
        why = "passed another smoke test than the table and its files ask for now"
    else:
        summary: dict[str, Any] = record["smoke"]
        return summary
    name = image.names[0]
    if untested:
        run.reporter.warn(f"{name} {why}; it is pushed anyway, as --untested says")
        return None
    flag = _engine_flag(image)
    next_step = f"invoke image.smoke-test{flag}\nor push it anyway: invoke image.push{flag} --untested"
    raise SmokeTestError(f"{name} ({image.id[:19]}) {why}.", next_step=next_step)


def _push(
    run: RunContext, prepared: Prepared, image: BuiltImage, summary: dict[str, Any] | None
) -> PushResult:
    """Push the image with each tag that the build gave it."""
    repository = f"{prepared.plan.registry}/{prepared.plan.repository}"
    tags = tuple(name.rpartition(":")[2] for name in image.names)
    digest = ""
    for count, tag in enumerate(tags):
        pushed = f"Pushed: {', '.join(tags[:count])}." if count else "Nothing was pushed."
        again = f"invoke image.push{_engine_flag(image)}"
        with stating(f"{pushed} The image is {_where_kept(image)}. Continue with: {again}"):
            digest = prepared.engine.push(image, f"{repository}:{tag}")
    prepared.engine.discard_candidate(image)
    result = PushResult(image=image, repository=repository, tags=tags, digest=digest)
    if not run.reporter.dry:
        run.records.write_result({
            "image": result.reference,
            "id": image.id,
            "tags": list(tags),
            "digest": digest,
            "context_sha256": image.context_sha256,
            **({"cached_layers": list(image.cached_layers)} if image.cached_layers else {}),
            "smoke": summary,
        })  # fmt: skip
    return result


def _engine_flag(image: BuiltImage) -> str:
    """Return the flag that a command to paste needs to mean the engine that has *image*."""
    return f" --engine {image.engine}" if image.engine != "docker" else ""


def _where_built(image: BuiltImage) -> str:
    """Return where a built image is, to follow "The image was built"."""
    return f" by run {image.run}" if image.run else f" as {image.names[0]}"


def _where_kept(image: BuiltImage) -> str:
    """Return where an image is that could not be pushed, to follow "The image is"."""
    return (
        f"still in the registry as {image.candidate}"
        if image.candidate
        else f"on the engine as {image.names[0]}"
    )
