"""The smoke test of one image: run it, record a pass, and ask for that pass before a push."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from azureml_tasks.commands import mounting
from azureml_tasks.commands.last_image import engine_flag, tag_flags
from azureml_tasks.commands.results import FailedSmokeTest, SmokeTestResult
from azureml_tasks.commands.run_records import only_warning, write_log
from azureml_tasks.errors import SmokeTestError
from azureml_tasks.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.commands.prepare import Prepared
    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.planning.plan import Plan


def smoke_test_image(
    run: RunContext, prepared: Prepared, image: BuiltImage, *, keep_candidate: bool = False
) -> SmokeTestResult:
    """Run the image, test it, and record a pass; see `refuse_failed`."""
    from azureml_tasks.smoke.report import report_record

    start = time.monotonic()
    if not run.reporter.dry:
        run.records.forget_pass()
        run.records.forget_log()
    if prepared.plan.mounted:
        prepared = mounting.with_code(run, prepared, image)
    with run.reporter.step(f"smoke-test {image.names[0]}") as step:
        report = prepared.engine.smoke_test(prepared.plan, image, partial(write_log, run))
        step.failed = bool(report and not report.passed)
    if report:
        report = replace(report, look_inside=run.reporter.spell(report.look_inside))
        with only_warning(run, "what the container printed was not kept for image.logs"):
            run.records.write_log(report.log)
            report = replace(report, log_file=run.records.log_name)
    if report and report.passed:
        with only_warning(run, "the pass was not recorded, so a push will not know of it"):
            run.records.write_pass(image, prepared.plan.smoke_test.sha256, report_record(report))
    elif report and not keep_candidate:
        prepared.engine.discard_candidate(image)
    return SmokeTestResult(
        status="planned" if not report else "passed" if report.passed else "failed",
        id=image.id,
        names=image.names,
        report=report,
        seconds=round(time.monotonic() - start, 3),
        delivery="mount" if prepared.plan.mounted else "image",
        image_name=run.image,
    )


def refuse_failed(*results: SmokeTestResult) -> None:
    """Refuse images that failed their smoke tests.

    Raises:
        FailedSmokeTest: with the report of each.
    """
    from azureml_tasks.smoke.report import failure_text, report_text

    if failed := [result.report for result in results if result.report and not result.report.passed]:
        brief = "\n\n".join(map(failure_text, failed))
        raise FailedSmokeTest("\n\n".join(map(report_text, failed)), results, brief=brief)


def pass_summary(
    run: RunContext, plan: Plan, image: BuiltImage, *, untested: bool
) -> Mapping[str, Any] | None:
    """Return the summary of the image's pass; None if there is none and *untested* allows that."""
    record = run.records.read_pass()
    if not record or record.id != image.id:
        why = "has not passed its smoke test"
    elif record.smoke_test_sha256 != plan.smoke_test.sha256:
        why = "passed another smoke test than the table and its files ask for now"
    else:
        summary: Mapping[str, Any] = record.smoke
        return summary
    name = image.names[0]
    if untested:
        run.reporter.warn(Notice("untested", f"{name} {why}; it is pushed anyway, as --untested says"))
        return None
    flag = engine_flag(image)
    push = f"invoke image.push{flag}{tag_flags(run, image)} --untested"
    next_step = f"invoke image.smoke-test{flag}\nor push it anyway: {push}"
    raise SmokeTestError(f"{name} ({image.id[:19]}) {why}.", next_step=next_step)


def summary_of(run: RunContext, tested: SmokeTestResult) -> Mapping[str, Any] | None:
    """Return the summary of a pass; None under --dry, or if an image that failed is pushed anyway."""
    from azureml_tasks.smoke.report import report_record

    if not tested.report:
        return None
    if tested.report.passed:
        return report_record(tested.report)
    what = f"{tested.names[0]} has not passed its smoke test; it is pushed anyway, as --untested says"
    run.reporter.warn(Notice("untested", what))
    return None
