"""What a build would do, without changing anything: nothing is pulled, started, or signed in to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from azureml_tasks.commands.base_checks import compare_pythons, refuse_by_base, refuse_missing_features
from azureml_tasks.commands.image_runs import for_all, planned_runs
from azureml_tasks.commands.mounting import mount_sha256
from azureml_tasks.commands.run_engine import open_engine
from azureml_tasks.commands.run_plan import plan_image, warn_of_unread_script, without_script_warning
from azureml_tasks.commands.up_to_date import needed_rebuild
from azureml_tasks.errors import AzuremlTasksError, SettingsError
from azureml_tasks.notice import Notice
from azureml_tasks.planning.plan import APP_ROOT, MODEL_DIR
from azureml_tasks.project import build_secrets
from azureml_tasks.project.answering_code import undecided

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.engines.protocol import Engine
    from azureml_tasks.incremental.rebuild_reasons import Rebuild
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.project.mounted_delivery import MountedDelivery


class SecretStatus(NamedTuple):
    """A build secret as it was found.

    Args:
        id: its key in the table.
        source: where it comes from.
        problem: what is wrong with it; "" if nothing is.
    """

    id: str
    source: str
    problem: str


ImageStatus = Literal[
    "not-built",
    "other-engine",
    "files-changed",
    "out-of-date",
    "gone",
    "up-to-date",
    "tested",
    "pushed",
    "mounted",
    "blocked",
]


class ImageState(NamedTuple):
    """How far an image has come.

    Args:
        status: "tested" if it is up to date and passed its smoke test; "pushed" if it is also in the registry;
            "mounted" if Azure ML mounts the code, so that nothing is built; "blocked" if an error keeps a build from
            starting.
        why: the same in a sentence.
        command: that comes next; "" if the error has its own next step.
    """

    status: ImageStatus
    why: str = ""
    command: str = ""


_BLOCKED = ImageState("blocked")


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """What `check` returns.

    Args:
        plan: the image.
        context: its build context.
        steps: of the build, in order, for people.
        secrets: of the build.
        engine: which engine, or why there is none.
        rebuilt_stages: stages that a build would build again; empty if nothing is built yet.
        reasons: why, one line each.
        state: of the image that was built last.
        error: what keeps a build from starting; None if nothing does.
        engine_name: "docker" or "acr"; "" if none could be opened.
    """

    plan: Plan
    context: BuildContext
    steps: Sequence[str]
    secrets: Sequence[SecretStatus]
    engine: str
    rebuilt_stages: Sequence[str]
    reasons: Sequence[str]
    state: ImageState
    error: AzuremlTasksError | None
    engine_name: str = ""

    @property
    def next_step(self) -> str:
        """What to do next, in one line; "" if there is an error, which has its own."""
        return f"{self.state.why}: {self.state.command}" if self.state.command else ""


def check_images(run: RunContext) -> list[tuple[RunContext, CheckReport]]:
    """Return the report of `check` for each image of the table, or for the one that the run names.

    Raises:
        SettingsError: with everything that is wrong in the table and in the files it names, for all images.
    """
    runs = planned_runs(run, uses=("base", "tags"))
    return list(zip(runs, for_all(runs, check), strict=True))


def check(run: RunContext) -> CheckReport:
    """Report what a build of one image would do, and what keeps it from starting.

    Raises:
        SettingsError: with everything that is wrong in the table and in the files it names.
    """
    plan, context = plan_image(run, judges_script=True)
    engine, engine_text, error = _engine(run, plan)
    other_pythons, unknown = compare_pythons(engine, plan, run.overrides)
    missing = build_secrets.secret_problems(run.folder, plan.secrets, plan.files)
    if problems := [*missing, *other_pythons]:
        error = SettingsError([*problems, *error.problems] if isinstance(error, SettingsError) else problems)
    if isinstance(error, SettingsError) and plan.unread_script in error.problems:
        plan = without_script_warning(plan)
    else:
        warn_of_unread_script(run, plan)
    for warning in unknown:
        run.reporter.warn(warning)
    plan = plan._replace(warnings=(*plan.warnings, *unknown))
    plan = _with_undecided_script(run, plan, engine)
    plan = _with_missing_helper(run, plan, engine)
    image = run.records.read_build() if run.records.has_build() else None
    rebuild = None
    if image and not plan.own_dockerfile and (not engine or engine.name == image.engine):
        base_id = engine.base_id(plan) if engine else image.fingerprint_parts.get("base", "")
        rebuild = needed_rebuild(run, plan, context, base_id, image)
    return CheckReport(
        plan=plan,
        context=context,
        steps=_steps(plan, engine),
        secrets=[
            SecretStatus(secret.id, build_secrets.location(secret), build_secrets.problem_of(secret))
            for secret in plan.secrets
        ],
        engine=engine_text,
        rebuilt_stages=rebuild.stages if rebuild else (),
        reasons=rebuild.reasons if rebuild else (),
        state=_BLOCKED if error else _state(run, plan, context, engine, image, rebuild),
        engine_name=engine.name if engine else "",
        error=error,
    )


def _engine(run: RunContext, plan: Plan) -> tuple[Engine | None, str, AzuremlTasksError | None]:
    """Return the engine, how it is described, and what is wrong with it."""
    try:
        engine = open_engine(run, plan, save_notes=False)
    except SettingsError as error:
        return None, f"{run.engine}, not opened", error
    except AzuremlTasksError as error:
        return None, f"not reachable: {error.what}", error
    try:
        refuse_missing_features(engine, plan)
    except AzuremlTasksError as error:
        missing = "".join(
            f"; cannot {feature}" for feature in sorted(plan.required_features - engine.features)
        )
        return engine, engine.describe() + missing, error
    try:
        refuse_by_base(engine, plan)
        engine.check_base(plan)
    except AzuremlTasksError as error:
        return engine, engine.describe(), error
    return engine, engine.describe(), _missing_helper(plan, engine)


def _with_undecided_script(run: RunContext, plan: Plan, engine: Engine | None) -> Plan:
    """Warn of requests or a model without code if nobody can tell yet whether the base brings a script of its own."""
    if not plan.missing_code or (engine and engine.base_variables(plan) is not None):
        return plan
    warning = undecided(plan.missing_code)
    run.reporter.warn(warning)
    return plan._replace(warnings=(*plan.warnings, warning))


def _with_missing_helper(run: RunContext, plan: Plan, engine: Engine | None) -> Plan:
    """Warn of a credential helper that a push needs and that is not on PATH."""
    error = engine.missing_helper(plan.registry) if engine and plan.registry else None
    if not error:
        return plan
    warning = Notice("credential-helper", error.what, fix=error.next_step)
    run.reporter.warn(warning)
    return plan._replace(warnings=(*plan.warnings, warning))


def _missing_helper(plan: Plan, engine: Engine) -> AzuremlTasksError | None:
    """Return the error for a credential helper that the pull of the base needs."""
    if plan.own_dockerfile:  # Only its builder knows which of its images it still has to pull.
        return None
    for_pull = engine.missing_helper(plan.base.host or "docker.io")
    return for_pull if for_pull and not engine.base_id(plan) else None


def _steps(plan: Plan, engine: Engine | None) -> list[str]:
    if plan.mounted:
        return _mounts(plan, plan.mounted)
    if own := plan.own_dockerfile:
        return [f"{image.text} (line {image.line})" for image in own.facts.images] or ["FROM scratch"]
    steps = [f"apt: {', '.join(plan.apt)}"] if plan.apt else []
    steps += ["add the inference server to the base"] if plan.adds_server else []
    steps += [f"pip: {', '.join(plan.python.names)}"] if plan.python else []
    model_folder = f"{MODEL_DIR}/{plan.model_name}".rstrip("/")
    steps += [f"copy the model to {model_folder}"] if plan.has_model else []
    if plan.has_code:
        script = plan.env.get("AZUREML_ENTRY_SCRIPT", "").replace("$$", "$")
        place = _app_root(plan, engine)
        steps.append(f"copy the code to {place}{f', entry script {script}' if script else ''}")
    else:
        steps.append('copy no code: no file in the folder of the key code (default: "code")')
    for run in plan.runs:
        first, _, _ = run.command.partition("\n")
        steps.append(f"run after {run.after}, as {run.user}: {first}")
    return steps


def _app_root(plan: Plan, engine: Engine | None) -> str:
    """Return the folder of the code, which a base that is no documented one may name itself."""
    if plan.app_root.startswith("/"):
        return plan.app_root
    variables = engine.base_variables(plan) if engine else None
    if variables is None:
        return "the folder that the base's server reads"
    return variables.get("AML_APP_ROOT") or APP_ROOT


def _mounts(plan: Plan, mounted: MountedDelivery) -> list[str]:
    steps = [f"mount {mounted.code}, entry script {mounted.script}; no image is built"]
    if mounted.requirements:
        steps.append(f"install {mounted.requirements} at each start")
    if mounted.packages_folder and plan.python:
        steps.append(f"packages in {mounted.packages_folder}: {', '.join(plan.python.names)}")
    return steps


def _state(
    run: RunContext,
    plan: Plan,
    context: BuildContext,
    engine: Engine | None,
    image: BuiltImage | None,
    rebuild: Rebuild | None,
) -> ImageState:
    build = "invoke image.build"
    if plan.mounted:
        record = run.records.read_pass()
        if record and record.smoke_test_sha256 == mount_sha256(plan, context):
            return ImageState("mounted", "it passed its smoke test", "invoke image.environment --deployment")
        why = "nothing to build, since Azure ML mounts the code"
        return ImageState("mounted", why, "invoke image.smoke-test")
    if not image:
        return ImageState("not-built", "nothing is built yet", build)
    name = image.names[0]
    if engine and engine.name != image.engine:
        return ImageState("other-engine", f"{name} was built by the engine {image.engine}", build)
    if image.context_sha256 != context.sha256:
        return ImageState("files-changed", f"files have changed since {name} was built", build)
    if reason := rebuild.reasons[0] if rebuild and rebuild.reasons else _other_names(plan, image):
        return ImageState("out-of-date", f"{name} is out of date ({reason})", build)
    if engine and engine.name != "acr" and not engine.exists(image):
        return ImageState("gone", f"{name} is gone from the engine", build)
    is_current = "is built" if plan.own_dockerfile else "is up to date"
    record = run.records.read_pass()
    if not record or (record.id, record.smoke_test_sha256) != (image.id, plan.smoke_test.sha256):
        return ImageState("up-to-date", f"{name} {is_current}", "invoke image.smoke-test")
    if pushed := _pushed(run, plan, image):
        return ImageState("pushed", f"{name} is pushed ({pushed})", "invoke image.environment")
    why = f"{name} {is_current} and passed its smoke test"
    return ImageState("tested", why, "invoke image.push")


def _other_names(plan: Plan, image: BuiltImage) -> str:
    """Return which names a build would give *image* now, if they are others than it has; "" if not."""
    if set(image.tags) == set(plan.tags) and (not plan.registry or set(image.names) == set(plan.names)):
        return ""
    return f"a build would name it {' and '.join(plan.names)}"


def _pushed(run: RunContext, plan: Plan, image: BuiltImage) -> str:
    """Return the reference by digest under which *image* was pushed with all its tags; "" if it still has to be."""
    result = run.records.read_result()
    if not result or result.id != image.id:
        return ""
    reference = str(result.image)
    is_elsewhere = plan.registry and not reference.startswith(f"{plan.registry}/")
    unpushed = set(image.tags) - set(result.tags)
    return "" if is_elsewhere or unpushed else reference
