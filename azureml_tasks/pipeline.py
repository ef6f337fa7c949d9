"""The line from a project's folder to a pushed digest, one function per command; start reading here."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from azureml_tasks import context, junit, report, smoke
from azureml_tasks.context import Context
from azureml_tasks.dockerfile import render
from azureml_tasks.errors import BuildError, EngineError, Problem, ProofError, SettingsError, stating
from azureml_tasks.planning import Plan, plan
from azureml_tasks.project import load
from azureml_tasks.reader import FILE, Override
from azureml_tasks.records import FOLDER, Records
from azureml_tasks.step_outputs import tell

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from azureml_tasks.engines.base import Engine, Image
    from azureml_tasks.terminal import Terminal

__all__ = [
    "Job",
    "Ready",
    "build",
    "clean",
    "dockerfile",
    "open_engine",
    "prepare",
    "prove",
    "push",
    "release",
    "write_context",
]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run of a command: the project's folder, what stands above its table, and where words go."""

    folder: Path
    overrides: Mapping[str, Override]
    engine: str
    terminal: Terminal

    @property
    def records(self) -> Records:
        """What earlier commands left here."""
        return Records(folder=self.folder / FOLDER)


@dataclass(frozen=True, kw_only=True)
class Ready:
    """What every effect needs, made once for a command: the plan, its build context, and the engine."""

    plan: Plan
    context: Context
    engine: Engine


def prepare(job: Job) -> tuple[Plan, Context]:
    """Read the project, decide, and read its files once for their hash; warnings are said here."""
    project = load(job.folder, job.overrides)
    made = plan(project)
    for warning in made.warnings:
        job.terminal.warn(warning)
    return made, Context(files=made.files, dockerfile=render(made), sha256=context.digest(made.files))


def open_engine(job: Job) -> Engine:
    """The engine that was asked for; no other ever takes its place.

    Raises:
        EngineError: it does not answer, or there is none of that name.
    """
    if job.engine != "docker":
        raise EngineError(f'There is no engine "{job.engine}".', next_step="Known is docker.")
    from azureml_tasks.engines.docker import open_docker

    return open_docker(job.records.folder, job.terminal)


def _ready(job: Job) -> Ready:
    made, gathered = prepare(job)
    engine = open_engine(job)
    job.terminal.say(engine.describe())
    if missing := made.needs - engine.can:
        raise EngineError(
            f"The engine {engine.name} cannot do what the table asks for: {', '.join(sorted(missing))}."
        )
    return Ready(plan=made, context=gathered, engine=engine)


def dockerfile(job: Job) -> str:
    """The text of the Dockerfile."""
    return render(plan(load(job.folder, job.overrides)))


def write_context(job: Job, output: Path | None) -> None:
    """Write the build context with its Dockerfile, the archive that every engine gets, to *output* or stdout.

    Raises:
        SettingsError: stdout is a terminal, which an archive would garble.
    """
    if not output and sys.stdout.isatty():
        fix = "invoke image.context --output context.tar\nor: invoke image.context | docker build -"
        raise SettingsError([Problem("stdout", 0, "is a terminal, and the build context is an archive", fix)])
    _, found = prepare(job)
    if output and not job.terminal.effect(["tee", str(output)], before="invoke image.context | "):
        return
    with output.open("wb") if output else nullcontext(sys.stdout.buffer) as stream:
        for block in job.terminal.progress(context.archive(found), found.size, "packing the build context"):
            stream.write(block)


def build(job: Job, *, no_cache: bool, pull: bool) -> None:
    """Build the image and record it."""
    with stating("Nothing was built."):
        _build(job, _ready(job), no_cache=no_cache, pull=pull)


def prove(job: Job, *, junit_file: Path | None) -> None:
    """Smoke-test the image that was built last, and record its pass.

    Raises:
        ProofError: it did not pass; the report is in the error.
    """
    with stating("Nothing was pushed."):
        ready = _ready(job)
        _prove(job, ready, _built(job, ready), junit_file=junit_file)


def push(job: Job, *, untested: bool) -> None:
    """Push the image that passed, under each of its tags, and record its digest."""
    with stating("Nothing was pushed."):
        ready = _ready(job)
        _refuse_no_registry(ready.plan)
        image = _built(job, ready)
        smoke_found = None if job.terminal.dry else _passed(job, ready.plan, image, untested=untested)
    _push(job, ready, image, smoke_found)


def release(job: Job, *, no_cache: bool, pull: bool, junit_file: Path | None, untested: bool) -> None:
    """Build, prove and push, stopping at the first that fails; what push needs is asked for first."""
    with stating("Nothing was built."):
        ready = _ready(job)
        _refuse_no_registry(ready.plan)
        image = _build(job, ready, no_cache=no_cache, pull=pull)
    with stating(f"The image was built, and is here as {image.names[0]}. It was not pushed."):
        try:
            _prove(job, ready, image, junit_file=junit_file)
        except ProofError as error:
            if not untested:
                raise
            job.terminal.say(str(error))
        smoke_found = None if job.terminal.dry else _passed(job, ready.plan, image, untested=untested)
    _push(job, ready, image, smoke_found)


def _build(job: Job, ready: Ready, *, no_cache: bool, pull: bool) -> Image:
    found = ready.context
    job.terminal.say(f"build context: {found.count} files, {found.size / 1e6:,.1f} MB, sha256 {found.sha256}")
    image = ready.engine.build(ready.plan, found, no_cache=no_cache, pull=pull)
    if not job.terminal.dry:
        job.records.write_build(image)
        job.terminal.say(f"built {image.id}")
        job.terminal.result("\n".join(image.names))
    return image


def _built(job: Job, ready: Ready) -> Image:
    """The image that build recorded, with a word where the files are no longer those it was made from."""
    if job.terminal.dry and not job.records.has_build():
        return ready.engine.planned(ready.plan, ready.context)
    image = job.records.read_build()
    if not ready.engine.has(image):
        what = f"The image that was built here, {image.names[0]} ({image.id[:19]}), is gone from the engine."
        raise BuildError(what, next_step="invoke image.build")
    if ready.context.sha256 != image.context_sha256:
        job.terminal.warn(f"files have changed since {image.names[0]} was built; what was built counts")
    return image


def _prove(job: Job, ready: Ready, image: Image, *, junit_file: Path | None) -> None:
    if not job.terminal.dry:
        job.records.forget_pass()
    found = smoke.prove(ready.plan, image, ready.engine, job.terminal)
    if found is None:
        return
    if junit_file:
        junit_file.write_text(junit.xml(found), encoding="utf-8")
    if not found.passed:
        raise ProofError(report.text(found))
    job.records.write_pass(image, ready.plan.proof.sha256, report.summary(found))
    job.terminal.result(report.text(found))


def _refuse_no_registry(made: Plan) -> None:
    if not made.registry:
        fix = 'Write: registry = "contoso.azurecr.io"\nor: invoke image.push --registry contoso.azurecr.io'
        raise SettingsError([Problem(FILE, 0, "[tool.azureml-image] names no registry to push to", fix)])


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


def _push(job: Job, ready: Ready, image: Image, smoke_found: dict[str, Any] | None) -> None:
    """Send the image under each tag that build gave it, to the registry that is asked for now."""
    repository = f"{ready.plan.registry}/{ready.plan.repository}"
    tags = [name.rpartition(":")[2] for name in image.names]
    digest = ""
    for count, tag in enumerate(tags):
        done = f"Pushed: {', '.join(tags[:count])}." if count else "Nothing was pushed."
        with stating(f"{done} The image is here as {image.names[0]}. Continue with: invoke image.push"):
            digest = ready.engine.push(image, f"{repository}:{tag}")
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
