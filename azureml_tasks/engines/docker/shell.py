"""A shell, or a command, in an image, with the stdin, stdout and stderr of this process."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.engines.docker.api_errors import reading_answers, translate_errors
from azureml_tasks.engines.docker.client_environment import client_environment
from azureml_tasks.engines.docker.container import DockerContainer, refused_start
from azureml_tasks.engines.docker.container_arguments import (
    announce_mounted,
    container_arguments,
    container_options,
)
from azureml_tasks.engines.docker.leftovers import container_name, tracked_run
from azureml_tasks.engines.finish_call import finish_call
from azureml_tasks.errors import EngineError
from azureml_tasks.plain_text import one_line
from azureml_tasks.planning.plan import APP_ROOT
from azureml_tasks.process import MissingProgram, find_program, hand_over, is_terminal
from azureml_tasks.state.runs import Thing

if TYPE_CHECKING:
    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.context.context_file import ContextFile
    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.engines.docker.engine import DockerEngine
    from azureml_tasks.project.model import SmokeTestPlan
    from azureml_tasks.reporter import Reporter
    from azureml_tasks.smoke.container_protocol import State
    from azureml_tasks.state.runs import Run

_SHELL = ("/bin/sh", "-c", "if command -v bash > /dev/null; then exec bash; fi; exec sh")
_ROOT = "0"
_NOT_STARTED = {
    126: "in the image is not an executable file, or its user may not run it",
    127: "was not found in the image, or it is a script whose interpreter was not",
}
"""What a container's exit code says of a program that was not started, as in a shell."""
_BY_SIGNAL = 128
"""A shell shows a program that a signal ended as this number plus the signal's."""


class Inside(NamedTuple):
    """What runs in the image.

    Args:
        command: program and arguments; empty for a shell.
        as_root: whether root runs it, instead of the image's user.
        files: that are put into the container first, by their paths in it without the first "/".
        copies: folders that have *files*, with their places in the container, for the commands that are announced.
    """

    command: tuple[str, ...] = ()
    as_root: bool = False
    files: tuple[ContextFile, ...] = ()
    copies: tuple[tuple[str, str], ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The program and its arguments."""
        return self.command or _SHELL


def run_inside(engine: DockerEngine, image: BuiltImage, smoke_test: SmokeTestPlan, inside: Inside) -> int:
    """Run a command in *image*, and return its exit code; 0 under --dry.

    The container has what that of the smoke test has, but for its port: variables, the model, limits, mounted code. The
    command is the whole of its process: the image's own entry point does not run.

    Docker's client passes on what is typed, the size of the terminal and the end of the input.

    Raises:
        EngineError: there is no docker client, or the engine cannot create the container.
    """
    check_client(engine.reporter)
    with translate_errors(engine.client.host):
        with tracked_run(engine.client, engine.folder, engine.reporter) as run:
            name = container_name(run)
            code = run_in(engine, run, name, image, smoke_test, inside)
        if engine.reporter.echo:
            engine.reporter.effect(_remove_command(engine.client, name))
    return code


def run_in(
    engine: DockerEngine,
    run: Run,
    name: str,
    image: BuiltImage,
    smoke_test: SmokeTestPlan,
    inside: Inside,
) -> int:
    """Run a command in the container *name*, which *run* notes and removes as it ends; arguments as of `run_inside`."""
    client = engine.client
    smoke_test = smoke_test._replace(default_script=False, mini_batch=())
    start = _start_command(client, name)
    engine.reporter.effect(_create_command(client, image, smoke_test, inside, run, name))
    announce_mounted(client, smoke_test, run, name, engine.reporter)
    for source, target in inside.copies:
        engine.reporter.effect(client.docker_command("cp", source, f"{name}:{target}"))
    if not engine.reporter.effect(start):
        engine.reporter.effect(_remove_command(client, name))
        return 0
    container = _created(client, image, smoke_test, inside, run, name)
    code, state = _handed_over(client, start, container)
    if not state.started and code in _NOT_STARTED:
        engine.reporter.say(f"{one_line(inside.words[0])} {_NOT_STARTED[code]}")
    return code


def check_client(reporter: Reporter) -> None:
    """Check that there is a docker client, which a dry run does not need.

    Raises:
        EngineError: there is none on PATH.
    """
    if not (reporter.dry or find_program("docker")):
        raise _no_client()


def _start_command(client: EngineClient, name: str) -> list[str]:
    # The usual keys with which the client leaves a container begin with Ctrl-P, which a shell needs.
    return client.docker_command("start", "--attach", "--interactive", "--detach-keys=ctrl-^,ctrl-^", name)


def _remove_command(client: EngineClient, name: str) -> list[str]:
    return client.docker_command("rm", "--force", "--volumes", name)


def _create_command(
    client: EngineClient,
    image: BuiltImage,
    smoke_test: SmokeTestPlan,
    inside: Inside,
    run: Run,
    name: str,
) -> list[str]:
    program, *arguments = inside.words
    options = [*container_options(smoke_test, run, name), "--interactive"]
    options += ["--tty"] if _has_terminal() else []
    options += ["--user", _ROOT] if inside.as_root else []
    options += ["--entrypoint", program, image.id or image.names[0], *arguments]
    return client.docker_command("create", *options)


def _created(
    client: EngineClient,
    image: BuiltImage,
    smoke_test: SmokeTestPlan,
    inside: Inside,
    run: Run,
    name: str,
) -> DockerContainer:
    from docker.errors import APIError

    program, *arguments = inside.words
    create = partial(
        client.sdk.containers.create,
        **container_arguments(client, image, smoke_test, run, name),
        stdin_open=True,
        tty=_has_terminal(),
        user=_ROOT if inside.as_root else None,
        entrypoint=[program],
        command=arguments or None,
    )
    run.note(Thing("container", name))
    try:
        with reading_answers():
            container = DockerContainer(container=finish_call(create), client=client)
        if smoke_test.mounted:
            container.put_files(APP_ROOT, smoke_test.mounted.files)
        if inside.files:
            container.put_files("/", inside.files)
    except APIError as error:
        raise refused_start(client, smoke_test, str(error.explanation or error)) from error
    return container


def _handed_over(client: EngineClient, start: list[str], container: DockerContainer) -> tuple[int, State]:
    """Return the exit code of the container, or if that is 0 of the client, and how the container ended."""
    try:
        code = hand_over(start, env=client_environment(client))
    except MissingProgram:
        raise _no_client() from None
    state = container.state()
    ended_with = 0 if state.running else state.exit_code
    return ended_with or (_BY_SIGNAL - code if code < 0 else code), state


def _has_terminal() -> bool:
    return is_terminal(0, 1)


def _no_client() -> EngineError:
    what = "There is no docker client on PATH, which connects this terminal with the container."
    return EngineError(what, next_step="Install docker's client: https://docs.docker.com/engine/install/")
