"""The push of one image: refuse another name than it was built for, push it, and record its digest."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from azureml_tasks.commands.last_image import engine_flag, tag_flags
from azureml_tasks.commands.publishing import Publication
from azureml_tasks.commands.results import PushResult
from azureml_tasks.commands.run_records import only_warning
from azureml_tasks.errors import BuildError
from azureml_tasks.image_reference import parse
from azureml_tasks.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.commands.prepare import Prepared
    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.planning.plan import Plan


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
    flag = engine_flag(image)
    raise BuildError(what, next_step=f"invoke image.build{flag}\nthen: invoke image.smoke-test{flag}")


def warn_of_other_tags(run: RunContext, plan: Plan, image: BuiltImage) -> None:
    """Warn if the build gave *image* other tags than a build would give it now; a push takes those of the build.

    Otherwise the tag of a new commit would name an image that was built from an older one.
    """
    tags, now = image.tags, ", ".join(plan.tags)
    if set(tags) != set(plan.tags):
        what = f"{image.names[0]} has the tags of its build, {', '.join(tags)}, and a build would give it {now} now"
        flag, named = engine_flag(image), "".join(f" --tag={tag}" for tag in tags)
        fix = f"invoke image.build{flag}\nor, if these tags are meant: invoke image.push{flag}{named}"
        run.reporter.warn(Notice("other-tags", what, fix=fix))


def push_image(
    run: RunContext,
    prepared: Prepared,
    image: BuiltImage,
    summary: Mapping[str, Any] | None,
    on_step: Callable[[PushResult], None],
) -> PushResult:
    """Push the image under the name and with the tags that the build gave it."""
    start = time.monotonic()
    untested = " --untested" if not summary and not run.reporter.dry else ""
    again = f"invoke image.push{engine_flag(image)}{tag_flags(run, image)}{untested}"
    repository = f"{prepared.plan.registry}/{_repository(image)}"
    tags = image.tags
    publication = Publication(
        engine=prepared.engine,
        image=image,
        repository=repository,
        reporter=run.reporter,
        then=f"The image is {_where_kept(image)}. Continue with: {again}",
    )
    with run.reporter.step(f"push {repository}:{tags[0]}"):
        digest = publication.publish(tags)
    result = PushResult(
        status="pushed" if digest else "planned",
        image=f"{repository}@{digest}" if digest else "",
        digest=digest,
        tags=tags,
        repository=repository,
        id=image.id,
        seconds=round(time.monotonic() - start, 3),
        image_name=run.image,
    )
    # The image is pushed: what else fails must not hide its digest.
    try:
        on_step(result)
    finally:
        if not run.reporter.dry:
            with only_warning(run, f"the push of {result.image} was not recorded for the environment"):
                record = _record_of(result, image, summary)
                run.records.write_result(record)
                run.records.write_pushed(record, image, time.time())
        with only_warning(run, "the candidate image may still be recorded"):
            prepared.engine.discard_candidate(image)
    return result


def _record_of(result: PushResult, image: BuiltImage, summary: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "image": result.image,
        "id": image.id,
        "tags": list(result.tags),
        "digest": result.digest,
        "context_sha256": image.context_sha256,
        **({"cached_layers": list(image.cached_layers)} if image.cached_layers else {}),
        "smoke": summary,
    }


def _repository(image: BuiltImage) -> str:
    """Return the repository that the build gave the image, without registry."""
    reference = parse(image.names[0])
    return reference.repository if reference else image.names[0].rpartition(":")[0]


def _where_kept(image: BuiltImage) -> str:
    """Return where an image is that could not be pushed, to follow "The image is"."""
    return (
        f"still in the registry as {image.candidate}"
        if image.candidate
        else f"on the engine as {image.names[0]}"
    )
