"""Serve an image in the foreground, and put changed code into its container."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, cast

from azureml_tasks import signals
from azureml_tasks.commands import mounting, pipeline
from azureml_tasks.commands.image_runs import planned_runs
from azureml_tasks.commands.last_image import recorded_image
from azureml_tasks.commands.prepare import prepare_built_image
from azureml_tasks.commands.run_records import write_log
from azureml_tasks.commands.serve_session import End, Session
from azureml_tasks.commands.watched_files import refuse_missing_packages
from azureml_tasks.errors import EngineError, Problem, SettingsError, stating
from azureml_tasks.state.runs import left_behind

if TYPE_CHECKING:
    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.commands.prepare import Prepared
    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.commands.serve_session import ServeRequest
    from azureml_tasks.engines.docker.engine import DockerEngine
    from azureml_tasks.engines.docker.served_container import ServedContainer

_LAST_WORDS = 10.0
"""Seconds that the engine may take to say what the container has printed."""


def serve(run: RunContext, request: ServeRequest) -> None:
    """Serve the image that was built last until Ctrl-C, which is its usual end.

    It takes no lock: a build may go on meanwhile, and what it makes is another image.

    Args:
        run: the run; of one image.
        request: how to serve.

    Raises:
        SettingsError: the table is wrong, or it has several images and the run names none.
        BuildError: nothing is built, or the image is gone; or the build that was asked for has failed.
        EngineError: no engine answers here, or a package is missing.
        MachineError: a port is taken.
    """
    with stating("Nothing was started."):
        if run.engine == "acr":
            raise _not_in_acr()
        refuse_missing_packages(debugs=bool(request.ports.debugger))
        if request.build:
            planned_runs(run, uses=("base",), flags=["serve"])  # Before all images are built.
    if request.build:
        pipeline.build(run, no_cache=False, pull=False)
    while _serve(run, request) is End.OTHER_CONTAINER:
        pass


def _serve(run: RunContext, request: ServeRequest) -> End:
    """Serve with one container, until the end or until another one is needed."""
    from azureml_tasks.engines.docker.served_container import FollowedLog, refuse_taken_ports, serving

    with stating("Nothing was started."), pipeline.going_on_by(request.again):
        (each,) = planned_runs(run, uses=("base",), flags=["serve"])
        prepared, image = _to_serve(each, request)
        engine = cast("DockerEngine", prepared.engine)
        refuse_taken_ports(engine.client, request.ports)
    log, is_started = FollowedLog(request.line), False
    try:
        with (
            stating("Nothing serves."),
            serving(engine, prepared.plan, image, request.ports, log) as container,
        ):
            if container is None:
                return End.OVER
            session = Session.begin(run, each, request, prepared, image, container)
            session.start()
            is_started = True
            try:
                end = session.go_on()
            finally:
                keep_log(each, container)
    except KeyboardInterrupt:
        if not is_started:
            raise
        signals.acknowledge()
        end = End.OVER
    if log.failure:
        raise log.failure
    if end is End.OVER and not left_behind:
        run.reporter.say("stopped; the container is removed")
    return end


def keep_log(run: RunContext, container: ServedContainer) -> None:
    """Keep what the container has printed for `image.logs`, as far as the engine still says it."""
    text = None
    with suppress(Exception):  # The first error counts, and may be why there is no log.
        text = container.container.log(_LAST_WORDS).text
    if text is not None:
        write_log(run, text)


def _to_serve(run: RunContext, request: ServeRequest) -> tuple[Prepared, BuiltImage]:
    """Return what to serve.

    Raises:
        SettingsError: the table's smoke test has no server, or one without an entry script.
        EngineError: the image was built in a registry.
        BuildError: nothing is built, or the image is gone.
    """
    prepared = prepare_built_image(run)
    smoke_test = prepared.plan.smoke_test
    if smoke_test.mini_batch:
        what = "is for a server, and the table's smoke test calls the script of a batch deployment"
        raise SettingsError([Problem("serve", 0, what, "invoke image.smoke-test")])
    if request.ports.debugger and not smoke_test.is_azure_server:
        what = "is for an entry script of Azure ML's server, and the image has another server"
        raise SettingsError([Problem("--debug", 0, what, "Let the server's own command start debugpy.")])
    has_build = not run.reporter.dry or run.records.has_build()
    built_by = run.records.read_build().engine if has_build and not prepared.plan.mounted else "docker"
    if "acr" in {prepared.engine.name, built_by}:
        raise _not_in_acr()
    image = recorded_image(run, prepared)
    return (mounting.with_code(run, prepared, image) if prepared.plan.mounted else prepared), image


def _not_in_acr() -> EngineError:
    what = "image.serve needs an image on a local engine, and not one in Azure Container Registry."
    return EngineError(what, next_step="invoke image.serve --engine docker --build")
