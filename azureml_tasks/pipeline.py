"""The line from a project's folder to a pushed digest, one function per command; start reading here."""

from __future__ import annotations

import shlex
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from azureml_tasks import context, junit, report, smoke
from azureml_tasks.dockerfile import render
from azureml_tasks.errors import BuildError, Problem, ProofError, SettingsError, stating
from azureml_tasks.job import Job, Ready, open_engine, prepare, ready
from azureml_tasks.planning import Plan, plan
from azureml_tasks.project import load
from azureml_tasks.records import FOLDER
from azureml_tasks.step_outputs import tell

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.engines.base import Image

__all__ = ["build", "clean", "prove", "push", "release", "write_context", "write_dockerfile"]


def write_dockerfile(job: Job, output: Path | None) -> None:
    """Write the text of the Dockerfile, and nothing else, to *output* or stdout."""
    text = render(plan(load(job.folder, job.overrides)))
    if not output:
        sys.stdout.write(text)
    elif job.terminal.effect(
        [], before=f"invoke image.dockerfile{job.terminal.flags} > {shlex.quote(str(output))}"
    ):
        output.write_text(text, encoding="utf-8", newline="\n")


def write_context(job: Job, output: Path | None) -> None:
    """Write the build context with its Dockerfile, the archive that every engine gets, to *output* or stdout.

    Raises:
        SettingsError: stdout is a terminal, which an archive would garble.
    """
    if not output and sys.stdout.isatty():
        fix = "invoke image.context --output context.tar\nor: invoke image.context | docker build -"
        raise SettingsError([Problem("stdout", 0, "is a terminal, and the build context is an archive", fix)])
    _, found = prepare(job)
    command = f"invoke image.context{job.terminal.flags} > {shlex.quote(str(output))}"
    if output and not job.terminal.effect([], before=command):
        return
    with output.open("wb") if output else nullcontext(sys.stdout.buffer) as stream:
        for block in job.terminal.progress(context.archive(found), found.size, "packing the build context"):
            stream.write(block)


def build(job: Job, *, no_cache: bool, pull: bool) -> None:
    """Build the image and record it."""
    with stating("Nothing was built."):
        _build(job, ready(job), no_cache=no_cache, pull=pull)


def prove(job: Job, *, junit_file: Path | None) -> None:
    """Smoke-test the image that was built last, and record its pass.

    Raises:
        ProofError: it did not pass; the report is in the error.
    """
    with stating("Nothing was pushed."):
        made = ready(job, built=True)
        _prove(job, made, _built(job, made), junit_file=junit_file)


def push(job: Job, *, untested: bool) -> None:
    """Push the image that passed, under each of its tags, and record its digest."""
    with stating("Nothing was pushed."):
        made = ready(job, built=True, registry=True)
        image = _built(job, made)
        smoke_found = None if job.terminal.dry else _passed(job, made.plan, image, untested=untested)
    _push(job, made, image, smoke_found)


def release(job: Job, *, no_cache: bool, pull: bool, junit_file: Path | None, untested: bool) -> None:
    """Build, prove and push, stopping at the first that fails; what push needs is asked for first."""
    with stating("Nothing was built."):
        made = ready(job, registry=True)
        image = _build(job, made, no_cache=no_cache, pull=pull)
    with stating(f"The image was built, and is here as {image.names[0]}. It was not pushed."):
        try:
            _prove(job, made, image, junit_file=junit_file)
        except ProofError as error:
            if not untested:
                raise
            job.terminal.say(str(error))
        smoke_found = None if job.terminal.dry else _passed(job, made.plan, image, untested=untested)
    _push(job, made, image, smoke_found)


def _build(job: Job, made: Ready, *, no_cache: bool, pull: bool) -> Image:
    found = made.context
    job.terminal.say(f"build context: {found.count} files, {found.size / 1e6:,.1f} MB, sha256 {found.sha256}")
    image = made.engine.build(made.plan, found, no_cache=no_cache, pull=pull)
    if not job.terminal.dry:
        job.records.write_build(image)
        job.terminal.say(f"built {image.id}")
        job.terminal.result("\n".join(image.names))
    return image


def _built(job: Job, made: Ready) -> Image:
    """The image that build recorded, with a word where the files are no longer those it was made from."""
    if job.terminal.dry and not job.records.has_build():
        return made.engine.planned(made.plan, made.context)
    image = job.records.read_build()
    if not made.engine.has(image):
        what = f"The image that was built here, {image.names[0]} ({image.id[:19]}), is gone from the engine."
        raise BuildError(what, next_step="invoke image.build")
    if made.context.sha256 != image.context_sha256:
        job.terminal.warn(f"files have changed since {image.names[0]} was built; what was built counts")
    return image


def _prove(job: Job, made: Ready, image: Image, *, junit_file: Path | None) -> None:
    if not job.terminal.dry:
        job.records.forget_pass()
    found = smoke.prove(made.plan, image, made.engine, job.terminal)
    if found is None:
        return
    if junit_file:
        junit_file.write_text(junit.xml(found), encoding="utf-8")
    if not found.passed:
        raise ProofError(report.text(found))
    job.records.write_pass(image, made.plan.proof.sha256, report.summary(found))
    job.terminal.result(report.text(found))


def _passed(job: Job, made: Plan, image: Image, *, untested: bool) -> dict[str, Any] | None:
    """What the image's pass was; refuses where there is none for this image and this proof."""
    found = job.records.read_pass()
    if not found or found["id"] != image.id:
        why = "has not passed its smoke test"
    elif found["proof_sha256"] != made.proof.sha256:
        why = "passed another smoke test than the table and its files now ask for"
    else:
        passed: dict[str, Any] = found["smoke"]
        return passed
    if untested:
        job.terminal.warn(f"{image.names[0]} {why}; it is pushed all the same, as --untested asks")
        return None
    fix = "invoke image.smoke-test\nor push it all the same: invoke image.push --untested"
    raise ProofError(f"{image.names[0]} ({image.id[:19]}) {why}.", next_step=fix)


def _push(job: Job, made: Ready, image: Image, smoke_found: dict[str, Any] | None) -> None:
    """Send the image under each tag that build gave it, to the registry that is asked for now."""
    repository = f"{made.plan.registry}/{made.plan.repository}"
    tags = [name.rpartition(":")[2] for name in image.names]
    digest = ""
    for count, tag in enumerate(tags):
        done = f"Pushed: {', '.join(tags[:count])}." if count else "Nothing was pushed."
        with stating(f"{done} The image is here as {image.names[0]}. Continue with: invoke image.push"):
            digest = made.engine.push(image, f"{repository}:{tag}")
    if job.terminal.dry:
        return
    reference = f"{repository}@{digest}"
    job.records.write_result({
        "image": reference,
        "id": image.id,
        "tags": tags,
        "digest": digest,
        "context_sha256": image.context_sha256,
        "smoke": smoke_found,
    })  # fmt: skip
    tell({"image": reference, "digest": digest, "tags": ",".join(tags)}, job.terminal)
    job.terminal.result(reference)


def clean(job: Job) -> None:
    """Remove the image that was recorded, by its names, and the records; nothing else."""
    with stating("Nothing was removed."):
        if not job.records.folder.is_dir():
            job.terminal.say(f"nothing to remove: there is no {FOLDER} here")
            return
        if job.records.has_build():
            for name in open_engine(job).remove(job.records.read_all_names()):
                job.terminal.result(f"removed {name}")
    if job.terminal.effect(["rm", "-r", str(job.records.folder)]):
        job.records.remove()
        job.terminal.result(f"removed {FOLDER}")
