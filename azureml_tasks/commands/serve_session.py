"""A container that serves, followed until the end: changes of the project, the server's health, a build."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple, cast

from azureml_tasks.commands import mounting, pipeline
from azureml_tasks.commands.base_checks import refuse_by_base
from azureml_tasks.commands.image_runs import planned_runs
from azureml_tasks.commands.run_plan import context_of, planned_image
from azureml_tasks.commands.run_records import only_warning
from azureml_tasks.commands.served_code import ServedCode, code_in_image, gone_folders
from azureml_tasks.commands.watched_files import folders_to_watch, watched
from azureml_tasks.errors import AzuremlTasksError, BuildError, stating
from azureml_tasks.incremental.code_changes import build_reasons, skipped_commands
from azureml_tasks.smoke.launch_configuration import launch_configuration, path_mappings
from azureml_tasks.smoke.request_command import curl_command, needs_file
from azureml_tasks.smoke.tracebacks import brief_exception

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.commands.prepare import Prepared
    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.engines.docker.engine import DockerEngine
    from azureml_tasks.engines.docker.served_container import Ports, ServedContainer
    from azureml_tasks.notice import Notice
    from azureml_tasks.planning.plan import Plan

DEFAULT_PORT = 5001
_INSIDE_EVERY = 2.0
"""Seconds between two questions inside the container."""


class ServeRequest(NamedTuple):
    """How to serve.

    Args:
        ports: on the loopback of the engine's machine.
        build: whether to build the image first.
        line: takes each line that the container prints.
        offers: whether a person can ask for a build.
        wants_build: returns whether one has asked since the last question.
    """

    ports: Ports
    build: bool
    line: Callable[[str], None]
    offers: bool = False
    wants_build: Callable[[], bool] = lambda: False

    @property
    def again(self) -> str:
        """The command that builds and then serves at the same ports."""
        port = f" --port {self.ports.server}" if self.ports.server != DEFAULT_PORT else ""
        debug = f" --debug {self.ports.debugger}" if self.ports.debugger else ""
        return f"invoke image.serve --build{port}{debug}"


class End(Enum):
    """Why a container has served long enough."""

    OVER = 0
    OTHER_CONTAINER = 1


@dataclass
class _Wait:
    """A wait for a server that was started.

    Args:
        started_at: seconds.
        inside_after: seconds after which the container itself is asked, if its port is not on this machine.
        is_late: whether it was said that this takes long.
    """

    started_at: float
    inside_after: float = 0.0
    is_late: bool = False


@dataclass(kw_only=True)
class Session:
    """A container that serves, and the project that it is compared with.

    Args:
        run: of the command, with which the project is read again.
        each: the run of the image.
        request: how to serve.
        engine: has the image.
        image: that is served.
        container: the container.
        plan: of the project, as it was read last.
        context: likewise.
        built_of: members of the context that the image was built of, and their contents.
        code: what the container has.
        address: of the server, `http://127.0.0.1:PORT`.
        mounted_inputs: what a container with mounted code depends on beside the code; "" for an image.
        needs: why a build is needed, as it was said last.
        unread: why the project could not be read after the last change; "" if it could.
        command: the curl that was printed last.
        wait: for the server that was started last; None once it is ready or has ended.
        warned: warnings that were printed.
    """

    run: RunContext
    each: RunContext
    request: ServeRequest
    engine: DockerEngine
    image: BuiltImage
    container: ServedContainer
    plan: Plan
    context: BuildContext
    built_of: Mapping[str, str]
    code: ServedCode
    address: str
    mounted_inputs: str = ""
    needs: tuple[str, ...] = ()
    unread: str = ""
    command: str = ""
    wait: _Wait | None = None
    warned: set[Notice] = field(default_factory=set)

    @classmethod
    def begin(
        cls,
        run: RunContext,
        each: RunContext,
        request: ServeRequest,
        prepared: Prepared,
        image: BuiltImage,
        container: ServedContainer,
    ) -> Session:
        """Return the session of a container that is created and not started yet."""
        plan, context = prepared.plan, prepared.context
        is_same = plan.mounted or image.context_sha256 == context.sha256
        built_of = context.contents if is_same else each.records.read_files(image)
        return cls(
            run=run,
            each=each,
            request=request,
            engine=cast("DockerEngine", prepared.engine),
            image=image,
            container=container,
            plan=plan,
            context=context,
            built_of=built_of,
            code=code_in_image(plan, context, built_of, container.variables),
            address=f"http://127.0.0.1:{request.ports.server}",
            mounted_inputs=mounting.inputs_sha256(plan, context) if plan.mounted else "",
            warned=set(plan.warnings),
        )

    def start(self) -> None:
        """Start the container with the code as it is now."""
        self.each.records.forget_log()
        self._say_needs()
        if text := self.code.changes(self.context).text:
            self._say(f"{text} since the build")
        self._put_code()
        self._say(f"serving {self.image.names[0]} at {self._place()}; Ctrl-C ends it")
        if self.request.ports.debugger:
            self._show_debugger()
        self.wait = _Wait(time.monotonic())
        if self.container.state().running:  # Files were removed from it, which its server may have read.
            self.container.restart()
        else:
            self.container.start()

    def go_on(self) -> End:
        """Follow changes until the end, or until another container is needed."""
        folders = folders_to_watch(self.run.folder.resolve(), self.plan)
        ignored = [self.each.records.home.resolve(), self.run.folder.resolve() / ".git"]
        for number, has_changed in enumerate(watched(folders, ignored)):
            if self.container.log.failure:
                return End.OVER
            # The first look is for what has changed before anybody watched.
            if (has_changed or number == 0) and self._follow_change():
                return End.OTHER_CONTAINER
            if self.wait:
                self._look(self.wait)
            elif self.container.log.is_over() and not self._has_ended():
                self.container.follow_again()
            is_asked = self.request.wants_build()  # Also without a need: it is not for a later one.
            if self.needs and is_asked and self._build():
                return End.OTHER_CONTAINER
        return End.OVER

    def _follow_change(self) -> bool:
        """Read the project again, and put changed code into the container; return whether another one is needed."""
        waiting = _Wait(time.monotonic())
        try:
            with stating(""):  # A file that goes while its folder is read is an OSError.
                planned, context = self._read()
            asks_for_another = _container_inputs(planned) != _container_inputs(self.plan)
            if asks_for_another:
                self._try_container(planned)
        except AzuremlTasksError as error:
            self._say_unread(error)
            return False
        if self.unread:
            self._say("what was wrong is corrected")
        self.unread = ""
        if asks_for_another:
            self._say("the table's smoke-test asks for another container")
            return True
        self.plan, self.context = planned, context
        self._say_needs()
        if self.command:  # It is printed once the server is ready.
            self._show_command()
        text = self.code.changes(context).text
        if not text or planned.own_dockerfile:
            return False
        self._say(f"{text}: starting the server again")
        for command in skipped_commands(planned):
            self._say(f"not run again: {command}")
        # Also if its settings go now: gunicorn has the code that it loaded.
        sets_up_gunicorn = self.code.sets_up_gunicorn
        try:
            self._put_code()
        except BuildError as error:  # A file is changed at this moment, which is the next change.
            self._say(str(error.what))
            return False
        self._start_again(workers_alone=not (sets_up_gunicorn or self.code.sets_up_gunicorn))
        self.wait = waiting
        return False

    def _say_unread(self, error: AzuremlTasksError) -> None:
        """Say why the project could not be read, if that has not been said."""
        # The table names the folder, or code was looked for there.
        gone = [f"the folder {os.path.relpath(folder)} is gone" for folder in gone_folders(self.plan)]
        error.name_files_from_here(self.run.folder)
        if isinstance(error, BuildError):  # A file is changed at this moment, which is the next change.
            error.next_step = ""
        error.state = "The server goes on with the code before this change."
        unread = "\n".join([*gone, str(error)])
        if unread != self.unread:  # Another file has changed, such as one that holds this output.
            self._say(unread)
        self.unread = unread

    def _start_again(self, *, workers_alone: bool) -> None:
        """Start the server with the code that was put in; the whole container if its workers alone are not enough."""
        # A debugger's own program would go on.
        if self.request.ports.debugger or not workers_alone or not self.container.reload():
            self.container.restart()

    def _try_container(self, planned: Plan) -> None:
        """Create and remove a container as *planned*, while the one before it serves.

        Raises:
            EngineError: the engine refuses it, such as less memory than a container needs.
            SettingsError: the image has no entry script, and the table wants one to answer.
        """
        from azureml_tasks.engines.docker.served_container import FollowedLog, serving

        log = FollowedLog(self.request.line)
        with serving(self.engine, planned, self.image, self.request.ports, log):
            pass

    def _put_code(self) -> None:
        """Put the code as it is now into the container; after an error the next change puts what is in doubt again."""
        before, self.code = self.code, self.code.half_put(self.context)
        self.code = before.put_into(self.container, self.plan, self.context)

    def _read(self) -> tuple[Plan, BuildContext]:
        (each,) = planned_runs(self.run, uses=("base",), flags=["serve"])
        hashes = each.file_hashes()
        planned = planned_image(each, hashes)
        refuse_by_base(self.engine, planned)
        context = context_of(planned, hashes)
        with only_warning(each, "what later commands use to save time was not written"):
            hashes.save()
        for warning in planned.warnings:
            if warning not in self.warned:
                self.run.reporter.warn(warning)
        self.warned.update(planned.warnings)
        return planned, context

    def _say_needs(self) -> None:
        """Say why a build is needed, if that has not been said."""
        if self.plan.mounted:
            is_same = mounting.inputs_sha256(self.plan, self.context) == self.mounted_inputs
            needs: tuple[str, ...] = () if is_same else ("packages or variables of the mounted code differ",)
        else:
            base_id = self.engine.base_id(self.plan)
            needs = build_reasons(self.plan, self.context, base_id, self.image, self.built_of)
        if needs and needs != self.needs:
            offer = "Type b and Enter to build." if self.request.offers else self.request.again
            self._say(
                "\n".join(["this needs a build:", *(f"  {reason}" for reason in needs), f"    {offer}"])
            )
        elif self.needs and not needs:
            self._say("no build is needed any more")
        self.needs = needs

    def _build(self) -> bool:
        """Build while the container serves; return whether that has succeeded."""
        try:
            pipeline.build(self.run, no_cache=False, pull=False)
        except AzuremlTasksError as error:
            error.name_files_from_here(self.run.folder)
            error.state = "The server goes on with the image before."
            self._say(str(error))
            return False
        return True

    def _look(self, wait: _Wait) -> None:
        """Say that the server is ready, or that it has ended."""
        took = time.monotonic() - wait.started_at
        status, is_inside = self.container.status(), False
        if status is None:  # The server has ended, or its port is on another machine.
            if self._has_ended():
                self.wait = None
                return
            is_inside = took > wait.inside_after and self.container.answers_inside()
            wait.inside_after = took + _INSIDE_EVERY
            status = self.container.status() if is_inside else None  # It may have become ready meanwhile.
            is_inside = is_inside and status != HTTPStatus.OK
        if status == HTTPStatus.OK or is_inside:
            where = ", on the engine's machine: its port is not on this one" if is_inside else ""
            self._say(f"ready after {took:.2f} s{where}")
            self.wait = None
            if not self.command:
                self._show_command()
        elif (
            not wait.is_late and not self.request.ports.debugger and took > self.plan.smoke_test.start_timeout
        ):
            self._say(f"not ready after {took:.0f} s, which is longer than the smoke test waits")
            wait.is_late = True

    def _has_ended(self) -> bool:
        """Return whether the container has ended, and say so."""
        state = self.container.state()
        if state.running:
            return False
        why = "no memory is left" if state.out_of_memory else f"exit code {state.exit_code}"
        self.container.log.end()
        what = "build" if self.plan.own_dockerfile else "change"
        cause = [] if state.out_of_memory else self._last_exception()
        self._say("\n".join([f"the server has ended: {why}; the next {what} starts it again", *cause]))
        return True

    def _last_exception(self) -> list[str]:
        """Return the line about the last exception since the server was started; none if there was none."""
        paths = {remote: os.path.relpath(local) for local, remote in self.code.scripts(self.plan).items()}
        exception = brief_exception("\n".join(self.container.log.printed), paths)
        return [f"    {exception}"] if exception else []

    def _show_command(self) -> None:
        smoke_test, file = self.plan.smoke_test, ""
        if smoke_test.requests:
            request = smoke_test.requests[0]
            file = self._file_of(request.name, request.body)
        command = curl_command(smoke_test, self.address, file)
        if command != self.command:
            self._say(f"    {command}")
        self.command = command

    def _file_of(self, name: str, body: bytes) -> str:
        """Return the path of the file that holds *body*; "" if it stands in the command."""
        path = self.run.folder / name
        with suppress(OSError):
            if path.is_file() and path.read_bytes() == body:
                return os.path.relpath(path)
        return os.path.relpath(self.each.records.write_request(body)) if needs_file(body) else ""

    def _show_debugger(self) -> None:
        port = self.request.ports.debugger
        mappings = path_mappings(self.code.scripts(self.plan), self.run.folder.resolve())
        text = launch_configuration(self.plan.repository, port, mappings)
        self._say(
            f"waiting for a debugger at 127.0.0.1:{port}, after each start; for launch.json of VS Code:\n{text}"
        )

    def _place(self) -> str:
        client = self.engine.client
        return self.address if client.is_local else f"{self.address} of the engine's machine, {client.host}"

    def _say(self, text: str) -> None:
        self.run.reporter.say(text)


def _container_inputs(plan: Plan) -> tuple[object, ...]:
    """Return what a container is created with, and the path of its health check."""
    smoke_test = plan.smoke_test
    return (
        smoke_test.model,
        smoke_test.model_name,
        dict(smoke_test.env),
        smoke_test.memory,
        smoke_test.gpus,
        smoke_test.port,
        smoke_test.health,
        smoke_test.default_script,
        bool(smoke_test.mini_batch),
    )
