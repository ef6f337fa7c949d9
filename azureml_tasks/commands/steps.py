"""The steps of one image: build, smoke test and push. `pipeline` puts them together for all images of a run."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from azureml_tasks.commands import mounting
from azureml_tasks.commands.publishing import Publication
from azureml_tasks.commands.results import BuildResult, PushResult, SmokeTestResult
from azureml_tasks.commands.up_to_date import reusable_image
from azureml_tasks.errors import AzuremlTasksError, BuildError, SmokeTestError, machine_error, stating
from azureml_tasks.image_reference import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.commands.run_context import Prepared, RunContext
    from azureml_tasks.planning.plan import Plan


def refuse_failed(*results: SmokeTestResult) -> None:
    """Refuse images that failed their smoke tests.

    Raises:
        SmokeTestError: with the report of each.
    """
    from azureml_tasks.smoke.report import report_text

    if failed := [result.report for result in results if result.report and not result.report.passed]:
        raise SmokeTestError("\n\n".join(map(report_text, failed)))


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


@contextmanager
def going_on_by_release() -> Iterator[None]:
    """Name `image.release` as the next step of an error that names `image.build`: it does the rest as well."""
    try:
        yield
    except AzuremlTasksError as error:
        error.next_step = error.next_step.replace("invoke image.build", "invoke image.release")
        raise


def up_to_date(run: RunContext, prepared: Prepared, *, no_cache: bool, pull: bool) -> BuildResult | None:
    """Return the result of a build that has nothing to build; None if there is something to build."""
    if prepared.plan.mounted:
        run.reporter.say('nothing to build: delivery = "mount", so Azure ML mounts the code into the base')
        return BuildResult(image=mounting.base_to_run(prepared), is_up_to_date=True, image_name=run.image)
    run.reporter.say(f"build context: {prepared.context.summary}")
    image = None if no_cache or pull else reusable_image(run, prepared)
    if not image:
        return None
    same = "files, Dockerfile, base, platform and version of azureml-tasks are those of"
    run.reporter.say(f"nothing to build: {same} {image.id}")
    if not run.reporter.dry:
        run.records.rename_build(image)
    return BuildResult(image=image, is_up_to_date=True, image_name=run.image)


def build_image(
    run: RunContext, prepared: Prepared, *, no_cache: bool, pull: bool, smoke_test_inside: bool = True
) -> BuildResult:
    """Build the image and record it; a remote build runs the smoke test as well, if no engine can do it later."""
    previous = run.records.read_build() if run.records.has_build() and not no_cache else None
    image = prepared.engine.build(
        prepared.plan,
        prepared.context,
        no_cache=no_cache,
        pull=pull,
        smoke_test=smoke_test_inside,
        previous=previous,
    )
    record_build(run, prepared.plan, image)
    if not run.reporter.dry:
        with _only_warning(run, "what later commands use to save time was not written"):
            if prepared.context.hashes:
                prepared.context.hashes.save()
            run.records.write_files(prepared.context)
    return BuildResult(image=image, image_name=run.image)


def last_image(run: RunContext, prepared: Prepared) -> BuiltImage:
    """Return the image that build recorded; warn if the files are no longer those that it was built from."""
    engine = prepared.engine
    if prepared.plan.mounted:
        return mounting.base_to_run(prepared)
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


def smoke_test_image(
    run: RunContext, prepared: Prepared, image: BuiltImage, *, keep_candidate: bool = False
) -> SmokeTestResult:
    """Run the image, test it, and record a pass; see `refuse_failed`."""
    from azureml_tasks.smoke.report import report_record

    if not run.reporter.dry:
        run.records.forget_pass()
    if prepared.plan.mounted:
        prepared = mounting.with_code(run, prepared, image)
    report = prepared.engine.smoke_test(prepared.plan, image)
    if report and report.passed:
        with _only_warning(run, "the pass was not recorded, so a push will not know of it"):
            run.records.write_pass(image, prepared.plan.smoke_test.sha256, report_record(report))
    elif report and not keep_candidate:
        prepared.engine.discard_candidate(image)
    return SmokeTestResult(image=image, report=report, image_name=run.image)


def pass_summary(run: RunContext, plan: Plan, image: BuiltImage, *, untested: bool) -> dict[str, Any] | None:
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


def summary_of(run: RunContext, tested: SmokeTestResult) -> dict[str, Any] | None:
    """Return the summary of a pass; None under --dry, or if an image that failed is pushed anyway."""
    from azureml_tasks.smoke.report import report_record

    if not tested.report:
        return None
    if tested.report.passed:
        return report_record(tested.report)
    run.reporter.warn(
        f"{tested.image.names[0]} has not passed its smoke test; it is pushed anyway, as --untested says"
    )
    return None


def refuse_other_name(plan: Plan, image: BuiltImage) -> None:
    """Refuse to push an image under another name, or for another version, than it was built for.

    Raises:
        BuildError: name or version have changed since.
    """
    built, now = _repository(image), plan.repository
    if built != now:
        what = (
            f"{image.names[0]} was built under the name {built}, and the project's image is called {now} now."
        )
    elif image.version and image.version != plan.version:
        version = f"version is {plan.version}" if plan.version else "version is not written in [project]"
        what = f"{image.names[0]} was built for version {image.version}, and the project's {version} now."
    else:
        return
    raise BuildError(
        what, next_step=f"invoke image.build{_engine_flag(image)}\nthen: invoke image.smoke-test"
    )


def push_image(
    run: RunContext,
    prepared: Prepared,
    image: BuiltImage,
    summary: dict[str, Any] | None,
    on_step: Callable[[PushResult], None],
) -> PushResult:
    """Push the image under the name and with the tags that the build gave it."""
    untested = " --untested" if not summary and not run.reporter.dry else ""
    again = f"invoke image.push{_engine_flag(image)}{untested}"
    repository = f"{prepared.plan.registry}/{_repository(image)}"
    tags = tuple(name.rpartition(":")[2] for name in image.names)
    publication = Publication(
        engine=prepared.engine,
        image=image,
        repository=repository,
        reporter=run.reporter,
        then=f"The image is {_where_kept(image)}. Continue with: {again}",
    )
    digest = publication.publish(tags)
    result = PushResult(image=image, repository=repository, tags=tags, digest=digest, image_name=run.image)
    # The image is pushed: what else fails must not hide its digest.
    try:
        on_step(result)
    finally:
        if not run.reporter.dry:
            with _only_warning(run, f"the push of {result.reference} was not recorded for the environment"):
                run.records.write_result(_record_of(result, summary))
        with _only_warning(run, "the candidate image may still be recorded"):
            prepared.engine.discard_candidate(image)
    return result


def _record_of(result: PushResult, summary: dict[str, Any] | None) -> dict[str, Any]:
    image = result.image
    return {
        "image": result.reference,
        "id": image.id,
        "tags": list(result.tags),
        "digest": result.digest,
        "context_sha256": image.context_sha256,
        **({"cached_layers": list(image.cached_layers)} if image.cached_layers else {}),
        "smoke": summary,
    }


@contextmanager
def _only_warning(run: RunContext, what: str) -> Iterator[None]:
    """Warn if the block fails: what has taken effect before it counts."""
    try:
        yield
    except AzuremlTasksError as error:
        run.reporter.warn(f"{what}: {error.what}")
    except OSError as error:
        run.reporter.warn(f"{what}: {machine_error(error).what}")


def _repository(image: BuiltImage) -> str:
    """Return the repository that the build gave the image, without registry."""
    reference = parse(image.names[0])
    return reference.repository if reference else image.names[0].rpartition(":")[0]


def _engine_flag(image: BuiltImage) -> str:
    """Return the flag that a command to paste needs to mean the engine that has *image*."""
    return f" --engine {image.engine}" if image.engine != "docker" else ""


def where_built(image: BuiltImage) -> str:
    """Return where a built image is, to follow "The image was built"."""
    return f" by run {image.run}" if image.run else f" as {image.names[0]}"


def _where_kept(image: BuiltImage) -> str:
    """Return where an image is that could not be pushed, to follow "The image is"."""
    return (
        f"still in the registry as {image.candidate}"
        if image.candidate
        else f"on the engine as {image.names[0]}"
    )
