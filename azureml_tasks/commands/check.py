"""What would happen, without touching anything: nothing is pulled, signed in to or started."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from azureml_tasks.commands.run_context import RunContext, open_engine, prepare
from azureml_tasks.context.build_context import BuildContext, contents, largest
from azureml_tasks.errors import AzuremlTasksError, SettingsError
from azureml_tasks.incremental.fingerprint import fingerprint_parts
from azureml_tasks.project import build_secrets

if TYPE_CHECKING:
    from azureml_tasks.engines.protocol import Engine
    from azureml_tasks.planning.plan import Plan

__all__ = ["as_json", "as_text"]


def as_json(job: RunContext) -> str:
    """The report as a JSON object; of wrong settings it holds the problems, and the error goes on."""
    try:
        return json.dumps(_report(job), indent=2, ensure_ascii=False)
    except SettingsError as error:
        problems = [
            {"file": p.file, "line": p.line or None, "what": p.what, "fix": p.fix} for p in error.problems
        ]
        job.reporter.result(json.dumps({"problems": problems}, indent=2, ensure_ascii=False))
        raise


def as_text(job: RunContext) -> str:
    """The report for people."""
    report = _report(job)
    rows = [
        ("base", f"{report['base']}, {report['platform']}"),
        *(("image" if index == 0 else "", name) for index, name in enumerate(report["names"])),
        *(("steps" if index == 0 else "", step) for index, step in enumerate(report["steps"])),
        *(
            ("secrets" if index == 0 else "", _secret_row(secret))
            for index, secret in enumerate(report["secrets"])
        ),
        ("context", _context_row(report["context"])),
        *(
            ("largest" if index == 0 else "", f"{_size(f['bytes']):>9}  {f['name']}")
            for index, f in enumerate(report["context"]["largest"])
        ),
        ("test", report["smoke_test"]),
        ("engine", report["engine"]),
        *([("rebuilt", ", ".join(report["rebuilt"]))] if report["rebuilt"] else []),
        *(("because" if index == 0 else "", why) for index, why in enumerate(report["because"])),
        ("then", report["then"]),
    ]
    return "\n".join(f"{label:<8} {text}".rstrip() for label, text in rows)


def _report(job: RunContext) -> dict[str, Any]:
    plan, context = prepare(job)
    engine, said = _engine(job, plan)
    anew, because = _rebuilt(job, plan, context, engine)
    return {
        "base": str(plan.base),
        "platform": plan.platform,
        "names": list(plan.names),
        "steps": _steps(plan),
        "secrets": [
            {
                "id": secret.id,
                "from": build_secrets.place(secret),
                "problem": build_secrets.complaint(secret) or None,
            }
            for secret in plan.secrets
        ],
        "context": {
            "files": context.file_count,
            "bytes": context.size,
            "sha256": context.sha256,
            "largest": [{"name": file.name, "bytes": file.size} for file in largest(context.files)],
        },
        "smoke_test": _smoke_test(plan),
        "engine": said,
        "rebuilt": anew,
        "because": because,
        "then": job.reporter.spoken(_then(job, plan, context, engine, because)),
        "warnings": list(plan.warnings),
    }


def _engine(job: RunContext, plan: Plan) -> tuple[Engine | None, str]:
    try:
        engine = open_engine(job, plan, keep=False)
    except AzuremlTasksError as error:
        return None, error.what
    missing = sorted(plan.required_features - engine.features)
    return engine, engine.describe() + "".join(f"; cannot {need}" for need in missing)


def _steps(plan: Plan) -> list[str]:
    steps = [f"apt: {', '.join(plan.apt)}"] if plan.apt else []
    steps += [f"pip: {', '.join(plan.python.names)}"] if plan.python else []
    steps += ["model into /var/azureml-app/azureml-models"] if plan.has_model else []
    entry = plan.env.get("AZUREML_ENTRY_SCRIPT")
    steps += (
        [f"code into /var/azureml-app{f', entry script {entry}' if entry else ''}"] if plan.has_code else []
    )
    steps += [f"run after {run.after}, as {run.user}: {run.command.splitlines()[0]}" for run in plan.runs]
    return steps or ["none: the image is the base with labels"]


def _smoke_test(plan: Plan) -> str:
    count = len(plan.smoke_test.requests)
    if not count:
        return "start-up, health and /swagger.json; no request is set"
    requests = f"{count} request{'s' if count > 1 else ''}, each {plan.smoke_test.repeat} times"
    return f"start-up, health, /swagger.json and {requests}"


def _then(
    job: RunContext, plan: Plan, context: BuildContext, engine: Engine | None, because: list[str]
) -> str:
    if not job.records.has_build():
        return "nothing is built yet: invoke image.build"
    image = job.records.read_build()
    if image.context_sha256 != context.sha256:
        return f"files have changed since {image.names[0]} was built: invoke image.build"
    if because:
        return f"{image.names[0]} is not what would be built now: invoke image.build"
    if engine and engine.name != "acr" and not engine.exists(image):
        return f"{image.names[0]} was built and is gone from the engine: invoke image.build"
    passed = job.records.read_pass()
    if not passed or (passed["id"], passed["smoke_test_sha256"]) != (image.id, plan.smoke_test.sha256):
        return f"{image.names[0]} is built of these files: invoke image.smoke-test"
    return f"{image.names[0]} is built of these files and passed a smoke test: invoke image.push"


def _rebuilt(
    job: RunContext, plan: Plan, context: BuildContext, engine: Engine | None
) -> tuple[list[str], list[str]]:
    """The stages that a build would make anew, and why; nothing where none was built, or nothing is known of it."""
    image = job.records.read_build() if job.records.has_build() else None
    if not image or not image.fingerprint_parts:
        return [], []
    base = engine.base_id(plan) if engine and engine.name == image.engine else ""
    now = fingerprint_parts(plan, context, base or image.fingerprint_parts["base"])
    if now == image.fingerprint_parts:
        return [], []
    from azureml_tasks.incremental.rebuild_reasons import rebuild_reasons, rebuilt_stages

    before = job.records.read_files()
    return rebuilt_stages(image.fingerprint_parts, now), rebuild_reasons(
        image.fingerprint_parts, now, before, contents(context)
    )


def _secret_row(secret: dict[str, Any]) -> str:
    return f"{secret['id']}: {secret['from']} {secret['problem'] or 'holds it'}"


def _context_row(context: dict[str, Any]) -> str:
    count = context["files"]
    return f"{count:,} file{'s' if count != 1 else ''}, {_size(context['bytes'])}, sha256 {context['sha256']}"


def _size(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
