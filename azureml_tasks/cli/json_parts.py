"""What commands return, in the shapes that `--json` prints."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from azureml_tasks.cli.json_check_shapes import (
    CheckedContext,
    CheckedDockerfile,
    CheckedEngine,
    CheckedImage,
    CheckedSecret,
    CheckedSmokeTest,
    DockerfileImage,
    NamedSize,
)
from azureml_tasks.cli.json_init_shapes import (
    DifferenceOutput,
    FileToWrite,
    PassedOverOutput,
    SourceLineOutput,
    SourceOutput,
    TasksAdvice,
)
from azureml_tasks.cli.json_output import failures_of
from azureml_tasks.cli.json_shapes import FindingOutput, ImageYaml
from azureml_tasks.context.build_context import largest
from azureml_tasks.migration.secret_texts import hide_logins, hide_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from azureml_tasks.cli.json_output import Collected
    from azureml_tasks.commands.check import CheckReport
    from azureml_tasks.commands.doctor import Diagnosis
    from azureml_tasks.commands.init import InitResult
    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.migration.reading import Reading
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.project.own_dockerfile import OwnDockerfile

    Spell = Callable[[str], str]


def add_reports(collected: Collected, reports: Sequence[tuple[RunContext, CheckReport]]) -> None:
    """Add the reports of `image.check`, and what keeps the build of each image from starting."""
    collected.parts["images"] = tuple(
        checked_image(report, run.reporter.spell, run.image) for run, report in reports
    )
    for run, report in reports:
        if report.error:
            collected.failures += failures_of(report.error, run.reporter.spell, run.folder, run.image)


def doctor_parts(diagnosis: Diagnosis, spell: Spell) -> dict[str, Any]:
    """Return the findings of `image.doctor`."""
    findings = tuple(
        FindingOutput(
            name=each.name,
            status=each.status,
            what=spell(each.what),
            why=spell(each.why),
            fix=spell(each.fix),
            repairable=bool(each.repair),
        )
        for each in diagnosis.findings
    )
    return {"findings": findings, "repaired": diagnosis.repaired}


def init_parts(result: InitResult, spell: Spell, *, dry: bool) -> dict[str, Any]:
    """Return the result of `image.init` but for the files that are written; *dry* tells whether none will be."""
    files = [(os.path.relpath(file.path), file) for file in result.files]
    differences = None
    if result.differences is not None:
        differences = tuple(DifferenceOutput(**each._asdict()) for each in result.differences)
    tasks = TasksAdvice(file=os.path.relpath(result.tasks.path), add=result.tasks.advice)
    return {
        "whole": result.is_whole,
        "not_written": tuple(
            FileToWrite(file=name, adds=file.before is not None, text=file.text)
            for name, file in (files if dry else ())
        ),
        "table": result.table,
        "differences": differences,
        "sources": tuple(_source(reading, spell) for reading in result.readings),
        "not_read": tuple(PassedOverOutput(**each._asdict()) for each in result.passed_over),
        "tasks": tasks if result.tasks.advice else None,
        "adds": result.adds,
        "notes": tuple(map(spell, result.notes)),
        "next": tuple(map(spell, result.next_steps)),
    }


def image_yaml(texts: Mapping[str, str]) -> tuple[ImageYaml, ...]:
    """Return the YAML of each image by its name."""
    return tuple(ImageYaml(name=name, yaml=text) for name, text in texts.items())


def checked_image(report: CheckReport, spell: Spell, image: str = "") -> CheckedImage:
    """Return the report of `image.check` for one image."""
    plan, context = report.plan, report.context
    return CheckedImage(
        name=image,
        status=report.state.status,
        base=str(plan.base),
        dockerfile=_dockerfile(plan.own_dockerfile) if plan.own_dockerfile else None,
        platform=plan.platform,
        names=plan.names,
        steps=tuple(report.steps),
        lighter=plan.lighter_way,
        secrets=tuple(
            CheckedSecret(id=each.id, source=each.source, problem=each.problem) for each in report.secrets
        ),
        context=CheckedContext(
            files=context.file_count,
            bytes=context.size,
            sha256=context.sha256,
            largest=tuple(NamedSize(name=file.name, bytes=file.size) for file in largest(context.files)),
        ),
        smoke_test=_smoke_test(plan),
        engine=CheckedEngine(name=report.engine_name, text=report.engine),
        rebuilt=tuple(report.rebuilt_stages),
        because=tuple(report.reasons),
        next=spell(report.state.command),
    )


def _dockerfile(own: OwnDockerfile) -> CheckedDockerfile:
    facts = own.facts
    return CheckedDockerfile(
        path=own.name,
        images=tuple(DockerfileImage(line=image.line, text=image.text) for image in facts.images),
        buildkit=tuple(facts.buildkit),
        syntax=facts.frontend,
    )


def _smoke_test(plan: Plan) -> CheckedSmokeTest:
    smoke_test = plan.smoke_test
    return CheckedSmokeTest(
        proves=smoke_test.proves,
        requests=len(smoke_test.requests),
        repeat=smoke_test.repeat,
        mini_batch=len(smoke_test.mini_batch),
        swagger=smoke_test.is_azure_server and not smoke_test.mini_batch,
    )


def _source(reading: Reading, spell: Spell) -> SourceOutput:
    return SourceOutput(
        file=reading.source.name,
        kind=reading.source.kind,
        whole=reading.is_whole,
        lines=tuple(
            SourceLineOutput(
                line=line.line,
                end=line.end,
                text=hide_secrets(line.text),
                outcome=line.outcome,
                why=hide_logins(spell(line.why)),
            )
            for line in reading.lines
        ),
    )
