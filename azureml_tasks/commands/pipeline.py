"""The line from a project's folder to a pushed digest, one function per command; start reading here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from azureml_tasks.commands.run_context import Prepared, RunContext, ready
from azureml_tasks.commands.up_to_date import as_before
from azureml_tasks.context.build_context import contents
from azureml_tasks.errors import BuildError, SmokeTestError, stating

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.planning.plan import Plan

__all__ = ["build", "push", "recorded", "release", "smoke_test"]

_MANY = 10_000
"""Files of which it is not noted what each was: that would take longer than it can save."""


def build(job: RunContext, *, no_cache: bool, pull: bool) -> None:
    """Build the image and record it."""
    with stating("Nothing was built."):
        _build(job, ready(job), no_cache=no_cache, pull=pull)


def smoke_test(job: RunContext, *, junit_file: Path | None) -> None:
    """Smoke-test the image that was built last, and record its pass.

    Raises:
        SmokeTestError: it did not pass; the report is in the error.
    """
    with stating("Nothing was pushed."):
        made = ready(job, built=True)
        _smoke_test(job, made, _built(job, made), junit_file=junit_file)


def push(job: RunContext, *, untested: bool) -> None:
    """Push the image that passed, under each of its tags, and record its digest."""
    with stating("Nothing was pushed."):
        made = ready(job, built=True, registry=True)
        image = _built(job, made)
        smoke_found = None if job.reporter.dry else _passed(job, made.plan, image, untested=untested)
    _push(job, made, image, smoke_found)


def release(job: RunContext, *, no_cache: bool, pull: bool, junit_file: Path | None, untested: bool) -> None:
    """Build, smoke-test and push, stopping at the first that fails; what push needs is asked for first."""
    with stating("Nothing was built."):
        made = ready(job, registry=True)
        image = _build(job, made, no_cache=no_cache, pull=pull, smoke_test=not untested)
    with stating(f"The image was built{_where(image)}. It was not pushed."):
        try:
            _smoke_test(job, made, image, junit_file=junit_file, keep=untested)
        except SmokeTestError as error:
            if not untested:
                raise
            job.reporter.say(str(error))
        smoke_found = None if job.reporter.dry else _passed(job, made.plan, image, untested=untested)
    _push(job, made, image, smoke_found)


def _where(image: BuiltImage) -> str:
    """Where an image is that was built and goes no further, to follow "The image was built"."""
    return f" by run {image.run}" if image.run else f", and is here as {image.names[0]}"


def _build(
    job: RunContext, made: Prepared, *, no_cache: bool, pull: bool, smoke_test: bool = True
) -> BuiltImage:
    found = made.context
    job.reporter.say(f"build context: {found.counted}, {found.size / 1e6:,.1f} MB, sha256 {found.sha256}")
    same = None if no_cache or pull else as_before(job, made)
    if same:
        _nothing_to_build(job, same)
        return same
    previous = job.records.read_build() if job.records.has_build() and not no_cache else None
    image = made.engine.build(
        made.plan, found, no_cache=no_cache, pull=pull, smoke_test=smoke_test, previous=previous
    )
    recorded(job, image)
    if not job.reporter.dry:
        if found.known:
            found.known.keep()
        if found.file_count < _MANY:
            job.records.write_files(contents(found))
    return image


def _nothing_to_build(job: RunContext, image: BuiltImage) -> None:
    """Say what was compared, and the image's names; what it passed and was pushed as still counts."""
    same = "files, Dockerfile, base, platform and version of azureml-tasks are those of"
    job.reporter.say(f"nothing to build: {same} {image.id}")
    if not job.reporter.dry:
        job.records.rename_build(image)
        job.reporter.result(image.candidate or "\n".join(image.names))


def recorded(job: RunContext, image: BuiltImage) -> None:
    """Record what was built, and say its names."""
    if not job.reporter.dry:
        job.records.write_build(image)
        job.reporter.say(f"built {image.id}")
        job.reporter.result(image.candidate or "\n".join(image.names))


def _built(job: RunContext, made: Prepared) -> BuiltImage:
    """The image that build recorded, with a word where the files are no longer those it was made from."""
    if job.reporter.dry and not job.records.has_build():
        return made.engine.planned_image(made.plan, made.context)
    image = job.records.read_build()
    if image.engine != made.engine.name:
        what = f"{image.names[0]} was built by the engine {image.engine}, not by {made.engine.name}."
        raise BuildError(what, next_step=f"Add: --engine {image.engine}")
    if not made.engine.exists(image):
        where = "the registry" if image.engine == "acr" else "the engine"
        what = f"The image that was built here, {image.names[0]} ({image.id[:19]}), is gone from {where}."
        raise BuildError(what, next_step=f"invoke image.build{_engine(image)}")
    if made.context.sha256 != image.context_sha256:
        job.reporter.warn(f"files have changed since {image.names[0]} was built; what was built counts")
    return image


def _smoke_test(
    job: RunContext, made: Prepared, image: BuiltImage, *, junit_file: Path | None, keep: bool = False
) -> None:
    if not job.reporter.dry:
        job.records.forget_pass()
    from azureml_tasks.smoke import report

    found = made.engine.smoke_test(made.plan, image)
    if found is None:
        return
    if junit_file:
        junit_file.write_text(report.xml(found), encoding="utf-8")
    if not found.passed:
        if not keep:
            made.engine.discard_candidate(image)
        raise SmokeTestError(report.text(found))
    job.records.write_pass(image, made.plan.smoke_test.sha256, report.summary(found))
    job.reporter.result(report.text(found))


def _passed(job: RunContext, made: Plan, image: BuiltImage, *, untested: bool) -> dict[str, Any] | None:
    """What the image's pass was; refuses where there is none for this image and this smoke test."""
    found = job.records.read_pass()
    if not found or found["id"] != image.id:
        why = "has not passed its smoke test"
    elif found["smoke_test_sha256"] != made.smoke_test.sha256:
        why = "passed another smoke test than the table and its files now ask for"
    else:
        passed: dict[str, Any] = found["smoke"]
        return passed
    if untested:
        job.reporter.warn(f"{image.names[0]} {why}; it is pushed all the same, as --untested asks")
        return None
    flag = _engine(image)
    fix = f"invoke image.smoke-test{flag}\nor push it all the same: invoke image.push{flag} --untested"
    raise SmokeTestError(f"{image.names[0]} ({image.id[:19]}) {why}.", next_step=fix)


def _engine(image: BuiltImage) -> str:
    """The flag that a command to paste needs, to mean where *image* is."""
    return f" --engine {image.engine}" if image.engine != "docker" else ""


def _kept(image: BuiltImage) -> str:
    """Where an image is that could not be pushed, to follow "The image is"."""
    return f"waiting as {image.candidate}" if image.candidate else f"here as {image.names[0]}"


def _push(job: RunContext, made: Prepared, image: BuiltImage, smoke_found: dict[str, Any] | None) -> None:
    """Send the image under each tag that build gave it, to the registry that is asked for now."""
    repository = f"{made.plan.registry}/{made.plan.repository}"
    tags = [name.rpartition(":")[2] for name in image.names]
    digest = ""
    for count, tag in enumerate(tags):
        done = f"Pushed: {', '.join(tags[:count])}." if count else "Nothing was pushed."
        again = f"invoke image.push{_engine(image)}"
        with stating(f"{done} The image is {_kept(image)}. Continue with: {again}"):
            digest = made.engine.push(image, f"{repository}:{tag}")
    made.engine.discard_candidate(image)
    if job.reporter.dry:
        return
    from azureml_tasks.commands.ci_outputs import tell

    reference = f"{repository}@{digest}"
    job.records.write_result({
        "image": reference,
        "id": image.id,
        "tags": tags,
        "digest": digest,
        "context_sha256": image.context_sha256,
        **({"cached_layers": list(image.cached_layers)} if image.cached_layers else {}),
        "smoke": smoke_found,
    })  # fmt: skip
    tell({"image": reference, "digest": digest, "tags": ",".join(tags)}, job.reporter)
    job.reporter.result(reference)
