"""A build that is handed off and left alone, and its end, whenever somebody comes back to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from azureml_tasks.commands.pipeline import recorded
from azureml_tasks.commands.run_context import ready
from azureml_tasks.errors import BuildError, Problem, SettingsError, stating

if TYPE_CHECKING:
    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.engines.acr.engine import AcrEngine
    from azureml_tasks.engines.protocol import Engine

__all__ = ["attach", "start"]


def start(job: RunContext, *, no_cache: bool) -> None:
    """Hand the build off and do not wait for its end; `attach` does.

    Raises:
        SettingsError: the engine is none that builds are handed off to.
    """
    with stating("Nothing was built."):
        _refuse_local("--no-wait", job.engine)
        made = ready(job)
        run = _handed_off("--no-wait", made.engine).start(made.plan, made.context, no_cache=no_cache)
    if run:
        job.reporter.say(f"invoke image.attach --run {run} --engine acr follows it to its end")
        job.reporter.result(run)


def attach(job: RunContext, run: str) -> None:
    """Finish the work of a build that was handed off, whoever started it.

    Args:
        job: the run of this command.
        run: its id; "" for the one that was started here last.

    Raises:
        BuildError: there is none.
    """
    with stating("Nothing was built."):
        _refuse_local("image.attach", job.engine)
        made = ready(job, building=False)
        engine = _handed_off("image.attach", made.engine)
        if not (run or job.records.read_run()):
            what = "No run of this project waits for its end."
            raise BuildError(what, next_step="Name one: invoke image.attach --run ID --engine acr")
        recorded(job, engine.attach(made.plan, made.context, run or job.records.read_run()))


def _handed_off(asked: str, engine: Engine) -> AcrEngine:
    _refuse_local(asked, engine.name)
    return cast("AcrEngine", engine)


def _refuse_local(asked: str, engine: str) -> None:
    """Said before an engine is looked for that would be of no use."""
    if engine == "docker":
        what = "is for builds that are handed off, and the engine is docker"
        raise SettingsError([Problem(asked, 0, what, "Add: --engine acr")])
