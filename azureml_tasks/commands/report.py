"""The page about an image: collect what is known of it, and render it. Nothing is built, pulled or signed in to."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.commands.check import check
from azureml_tasks.commands.image_runs import for_all, planned_runs
from azureml_tasks.commands.mounting import mount_sha256
from azureml_tasks.commands.report_table import table_lines
from azureml_tasks.commands.run_engine import open_local_engine, remove_leftovers
from azureml_tasks.config.validators import memory_bytes
from azureml_tasks.errors import BuildError, EngineError, SettingsError
from azureml_tasks.image_reference import parse
from azureml_tasks.migration.secret_texts import hide_secrets
from azureml_tasks.project.load import table_text
from azureml_tasks.report.contents import Contents, parse_contents
from azureml_tasks.report.facts import ImageFacts, LastPush
from azureml_tasks.report.layers import EngineImage, Layers, split_layers
from azureml_tasks.report.page import render

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.commands.check import CheckReport
    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.engines.docker.engine import DockerEngine
    from azureml_tasks.errors import AzuremlTasksError

_GONE = "the engine does not have that image any more"
_NO_ENGINE = "no local engine answers"


class _ReportedImage(NamedTuple):
    """The image that the page is about, as far as it is known without an engine.

    Args:
        id: of the engine, or the digest in a registry.
        reference: by which the local engine may have it.
        names: of the image.
        base: reference or ID by which the local engine may have its base; "" if it is the base.
        user: that runs it.
        files: of its build context.
        smoke: the record of the smoke test that it passed.
    """

    id: str
    reference: str
    names: tuple[str, ...]
    base: str
    user: str
    files: Mapping[str, str]
    smoke: Mapping[str, Any] | None


def report_page(run: RunContext) -> str:
    """Return the page about each image of the table, or about the one that the run names.

    Raises:
        SettingsError: the table or a file that it names is wrong.
        BuildError: an image is not built, or the engine does not have it any more.
        EngineError: the engine does not answer.
    """
    runs = planned_runs(run, uses=("base",))
    return render(for_all(runs, _facts), now=time.time())


def _facts(run: RunContext) -> ImageFacts:
    """Return what is known of one image."""
    report = check(run)
    plan = report.plan
    reported, engine = _built(run, report) if not plan.mounted else _mounted(run, report)
    image, problem = _engine_image(run, reported, engine)
    layers, base_id = _layers(reported, image, engine)
    contents, contents_problem = _contents(engine, reported.reference, problem)
    return ImageFacts(
        repository=plan.repository,
        references=reported.names,
        id=reported.id,
        base=str(plan.base) if plan.base.repository else "",
        platform=plan.platform,
        user=reported.user,
        built_at=image.created_at if image else 0,
        size=image.size if image else 0,
        next_step=run.reporter.spell(report.next_step),
        warnings=_warnings(run, report, reported),
        layers=layers,
        layers_problem=problem,
        contents=contents,
        contents_problem=contents_problem,
        base_contents=_contents(engine, base_id, "")[0] if base_id and not contents_problem else None,
        smoke=reported.smoke,
        memory_limit=memory_bytes(plan.smoke_test.memory) if plan.smoke_test.memory else 0,
        files=reported.files,
        last_push=_last_push(run, reported, engine),
        table=table_lines(table_text(run.folder.resolve()), run.image),
    )


def _built(run: RunContext, report: CheckReport) -> tuple[_ReportedImage, DockerEngine | None]:
    """Return the image that was built last, and the engine; None if a registry has the image and no engine answers."""
    image = run.records.read_build()
    record = run.records.read_pass()
    base = str(report.plan.base) if report.plan.base.repository else ""
    engine = None
    with suppress(*((EngineError,) if image.engine == "acr" else ())):
        engine = _opened(run)
    reported = _ReportedImage(
        id=image.id,
        reference=image.id if image.engine == "docker" else _by_digest(image),
        names=image.names,
        base=(image.fingerprint_parts.get("base", "") if image.engine == "docker" else "") or base,
        user=image.user,
        files=run.records.read_files(image),
        smoke=record.smoke if record and record.id == image.id else None,
    )
    return reported, engine


def _mounted(run: RunContext, report: CheckReport) -> tuple[_ReportedImage, DockerEngine]:
    """Return the base into which Azure ML mounts the code, and the engine."""
    plan = report.plan
    engine = _opened(run)
    base_id = engine.base_id(plan)
    if not base_id:
        raise BuildError(
            f"The base {plan.base} is not on the engine yet.", next_step="invoke image.smoke-test"
        )
    record = run.records.read_pass()
    passed = record and record.smoke_test_sha256 == mount_sha256(plan, report.context)
    reported = _ReportedImage(
        id=base_id,
        reference=base_id,
        names=(str(plan.base),),
        base="",
        user=plan.user,
        files={},
        smoke=record.smoke if record and passed else None,
    )
    return reported, engine


def _opened(run: RunContext) -> DockerEngine:
    """Open the local engine; a report that was killed may have left the container that lists files.

    Raises:
        EngineError: it does not answer.
    """
    engine = open_local_engine(run, save_notes=False)
    remove_leftovers(run, engine)
    return engine


def _by_digest(image: BuiltImage) -> str:
    """Return `login-server/repository@sha256:…` of an image that a remote build made."""
    reference = parse(image.names[0])
    return f"{reference.host}/{reference.repository}@{image.id}" if reference else image.candidate


def _engine_image(
    run: RunContext, reported: _ReportedImage, engine: DockerEngine | None
) -> tuple[EngineImage | None, str]:
    """Return what the engine knows of the image, or why nothing is known.

    Raises:
        BuildError: the image was built on this engine, which does not have it any more.
    """
    image = engine.read_image(reported.reference) if engine else None
    if image:
        return image, ""
    if reported.reference != reported.id:
        pull = f"docker pull {reported.reference}"
        return (
            None,
            f"only the registry has this image; to see them, {pull}, then {run.reporter.spell('invoke image.report')}",
        )
    what = (
        f"The image that was built last, {reported.names[0]} ({reported.id[:19]}), is gone from the engine."
    )
    raise BuildError(what, next_step="invoke image.build")


def _layers(
    reported: _ReportedImage, image: EngineImage | None, engine: DockerEngine | None
) -> tuple[Layers, str]:
    """Return the layers, and the base by which the engine has it; "" if it is not known which one that is."""
    if not image or not engine:
        return Layers((), ()), ""
    base = engine.read_image(reported.base) if reported.base else None
    layers = split_layers(image.layers, base.layers if base else ())
    hidden = Layers(
        *(
            tuple(each._replace(instruction=hide_secrets(each.instruction)) for each in part)
            for part in layers
        )
    )
    return hidden, reported.base if layers.base else ""


def _contents(engine: DockerEngine | None, reference: str, problem: str) -> tuple[Contents | None, str]:
    """Return the files and packages of an image, or why they are not known."""
    if problem or not engine:
        return None, problem
    listing = engine.list_contents(reference)
    if listing.problem or engine.reporter.dry:
        return None, listing.problem
    try:
        return parse_contents(listing.text), ""
    except ValueError as error:
        return None, f"the list that the image printed cannot be read: {error}"


def _last_push(run: RunContext, reported: _ReportedImage, engine: DockerEngine | None) -> LastPush | None:
    record = run.records.read_pushed()
    if not record:
        return None
    is_same = record.id == reported.id
    image = contents = None
    problem = ""
    if not is_same:
        reference = next(
            (each for each in (record.id, record.image) if engine and engine.read_image(each)), ""
        )
        image = engine.read_image(reference) if engine and reference else None
        problem = "" if image else _GONE if engine else _NO_ENGINE
        contents, problem = _contents(engine, reference, problem)
    layers = image.layers if image else ()
    return LastPush(
        reference=record.image,
        tags=tuple(record.tags),
        at=record.pushed_at,
        is_same=is_same,
        layers=tuple(each._replace(instruction=hide_secrets(each.instruction)) for each in layers),
        contents=contents,
        files=record.files,
        problem=problem,
    )


def _warnings(run: RunContext, report: CheckReport, reported: _ReportedImage) -> tuple[str, ...]:
    """Return what keeps a build from starting, the warnings of check, and those of the smoke test."""
    smoke = reported.smoke.get("warnings", []) if reported.smoke else []
    errors = _problems(report.error) if report.error else []
    texts = [*errors, *map(str, report.plan.warnings), *smoke]
    return tuple(dict.fromkeys(" ".join(run.reporter.spell(text).split()) for text in texts))


def _problems(error: AzuremlTasksError) -> list[str]:
    if isinstance(error, SettingsError):
        return [f"{each.file}{f':{each.line}' if each.line else ''}: {each.what}" for each in error.problems]
    return [error.what]
