"""The container of the smoke test as one that serves: its ports are known, and its code is replaced meanwhile."""

from __future__ import annotations

import errno
import http.client
import re
import socket
import threading
import time
from collections import deque
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.context.tar_archive import end_of_archive
from azureml_tasks.context.tar_archive import member as archive_member
from azureml_tasks.engines.docker.answers import identifier, member
from azureml_tasks.engines.docker.api_errors import reading_answers, translate_errors
from azureml_tasks.engines.docker.base_image import variables_of
from azureml_tasks.engines.docker.container import created_container, refused_starts
from azureml_tasks.engines.docker.container_arguments import announce_start, variables_for
from azureml_tasks.engines.docker.debugger import debugged, debugger_copies, debugger_files, inside_port
from azureml_tasks.engines.docker.leftovers import container_name, tracked_run
from azureml_tasks.engines.log_lines import lines_of
from azureml_tasks.errors import EngineError, MachineError
from azureml_tasks.in_image.probe import deadline
from azureml_tasks.plain_text import clean
from azureml_tasks.smoke.container_protocol import FIND_PYTHON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.context.context_file import ContextFile
    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.engines.docker.container import DockerContainer
    from azureml_tasks.engines.docker.engine import DockerEngine
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.project.model import SmokeTestPlan
    from azureml_tasks.reporter import Reporter
    from azureml_tasks.smoke.container_protocol import State

_GRACE_PERIOD = 1
"""Seconds that a server has to end; the server of Azure ML's images ends at once."""
_TRY_TIMEOUT = 0.5
"""Seconds that a server may take to answer one question for its health."""
_LONGEST_LINE = 64 * 1024
_LAST_BYTES = 64 * 1024
_KEPT_LINES = 500
"""Lines that are kept since a start: after a traceback the server may print its settings once more."""
_LAST_LINES = 5.0
"""Seconds until the last lines of a container that has ended are here."""
_REMOVALS = 3
"""Times that a container is started to remove files from it: one whose server fails may end at any moment."""
_REFUSED_CHECK = re.compile(r'connect\(\) failed \(111: Connection refused\) .* request: "GET ')
"""What nginx in Azure ML's images prints of each health check while the server behind it starts."""
_ROOT = "0"
LAST_PORT = 65535
_LONG_AGO = 315_532_800
"""1980-01-01T00:00:00Z, as in an image."""
_SERVER = "azmlinfsrv"
"""The name of the processes of Azure ML's server: gunicorn and its workers."""
_RELOAD = ("killall", "-HUP", _SERVER)
"""Workers end at once, and gunicorn starts others, which load the code: https://docs.gunicorn.org/en/stable/signals.html.
Azure ML's images have killall: `/var/runit/gunicorn/finish` runs it."""
_LOADS_EARLY = ("WORKER_PRELOAD", "GUNICORN_CMD_ARGS")
"""Variables by which gunicorn itself may load the code, and not its workers."""
_COLUMNS = ("pid", "ppid", "comm")
"""Of ps: a process, the one that has started it, and its name."""
_ASK = (
    "import signal, sys, urllib.request as u; signal.alarm(2); "
    "u.build_opener(u.ProxyHandler({})).open(sys.argv[1]); print('answered')"
)
"""Through no proxy: one of the container's variables does not know its loopback. It has two seconds for all of it."""


class Ports(NamedTuple):
    """Ports on the loopback of the engine's machine.

    Args:
        server: of the server.
        debugger: of the debugger; 0 for none.
    """

    server: int
    debugger: int = 0


def refuse_taken_ports(client: EngineClient, ports: Ports) -> None:
    """Refuse ports that another program of this machine has, if the engine is on this machine.

    Raises:
        MachineError: with a port that is free.
    """
    if not client.is_local:
        return
    for flag, port in (("--port", ports.server), ("--debug", ports.debugger)):
        if port and not _is_free(port):
            others = (other for other in range(port + 1, LAST_PORT + 1) if other not in ports)
            free = next(filter(_is_free, others), 0)
            what = f"The port {port} is used by another program."
            words = {"--port": ports.server, "--debug": ports.debugger, flag: free}
            flags = " ".join(f"{name} {number}" for name, number in words.items() if number)
            raise MachineError(what, next_step=f"invoke image.serve {flags}")


def _is_free(port: int) -> bool:
    """Return whether nobody listens at *port* on loopback; also if we may not, because the engine may."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


@contextmanager
def serving(
    engine: DockerEngine, plan: Plan, image: BuiltImage, ports: Ports, log: FollowedLog
) -> Iterator[ServedContainer | None]:
    """Create the container of the smoke test for the block, which starts it; None under --dry.

    Args:
        engine: has the image.
        plan: with the smoke test.
        image: to serve.
        ports: where the container is published.
        log: takes what it prints.

    Raises:
        EngineError: the engine cannot create it.
        SettingsError: the image has no entry script, and the table wants one to answer.
    """
    client, reporter = engine.client, engine.reporter
    smoke_test = engine.with_own_script(plan, image).smoke_test
    with translate_errors(client.host):
        variables = {
            **(variables_of(client, image.id) or {} if image.id else {}),
            **variables_for(smoke_test),
        }
        published, copies = {smoke_test.port: ports.server}, {}
        if ports.debugger:
            smoke_test, copies = debugged(smoke_test, variables), debugger_copies()
            published[inside_port(smoke_test)] = ports.debugger
        with tracked_run(client, engine.folder, reporter) as run:
            name = container_name(run)
            remove = client.docker_command("rm", "--force", "--volumes", name)
            start = announce_start(
                client, image, smoke_test, run, name, reporter, ports=published, copies=copies
            )
            if not start:
                reporter.effect(client.docker_command("logs", "--follow", name))
                reporter.effect(remove)
                yield None
                return
            with refused_starts(client, smoke_test):
                created = created_container(client, image, smoke_test, run, name, ports=published)
            served = ServedContainer(
                container=created,
                smoke_test=smoke_test,
                name=name,
                port=ports.server,
                reporter=reporter,
                log=log,
                variables=variables,
            )
            if ports.debugger:
                served.write(debugger_files(), _LONG_AGO)
            yield served
        if reporter.echo:
            reporter.effect(remove)


@dataclass
class FollowedLog:
    """What a container prints, read as it comes, without what nginx says of our health checks before there is a server.

    Args:
        line: takes each line, safe to print.
        failure: why *line* took no more lines, such as a reader that went away.
        printed: the last lines since the server was started.
    """

    line: Callable[[str], None]
    failure: BaseException | None = None
    printed: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES))
    _threads: list[threading.Thread] = field(default_factory=list)

    def follow(self, container: Any) -> None:
        """Print what *container* prints, which is about to be started, until it ends."""
        with reading_answers():
            output = container.attach(stream=True, logs=False)
        thread = threading.Thread(target=self._read, args=(output,), daemon=True)
        thread.start()
        self._threads.append(thread)

    def is_over(self) -> bool:
        """Return whether the container that was followed last prints no more."""
        return bool(self._threads) and not any(map(threading.Thread.is_alive, self._threads))

    def end(self) -> None:
        """Wait for the last lines of a container that has ended."""
        for thread in self._threads:
            thread.join(_LAST_LINES)
        self._threads.clear()

    def _read(self, output: Any) -> None:
        try:
            for line in lines_of(output, _LONGEST_LINE):
                text = clean(line.decode(errors="replace"))
                if not _REFUSED_CHECK.search(text):
                    self.printed.append(text)
                    self.line(text)
        except BaseException as error:  # noqa: BLE001 -- the main thread raises it again
            self.failure = error


@dataclass(frozen=True, kw_only=True)
class ServedContainer:
    """A container on the engine, whose server is started again with other code.

    Args:
        container: it is created, and has its first files.
        smoke_test: what it was created with.
        name: of the container.
        port: of the engine's machine, where the server is.
        reporter: takes the commands that do the same.
        log: takes what it prints.
        variables: of its image, and those that the container gets besides.
    """

    container: DockerContainer
    smoke_test: SmokeTestPlan
    name: str
    port: int
    reporter: Reporter
    log: FollowedLog
    variables: Mapping[str, str]

    def start(self) -> None:
        """Start it, and read what it prints.

        Raises:
            EngineError: the engine cannot start it.
        """
        self.log.printed.clear()
        self.log.follow(self.container.container)
        with refused_starts(self.container.client, self.smoke_test), reading_answers():
            self.container.container.start()

    def follow_again(self) -> None:
        """Read what it prints, after the engine has ended its log while it runs."""
        self.log.end()
        self.log.follow(self.container.container)

    def reload(self) -> bool:
        """Start only the workers of Azure ML's server again; return False if the container must be started again."""
        if any(self.variables.get(name) for name in _LOADS_EARLY) or not self._has_only_workers():
            return False
        self.reporter.effect(self._docker("exec", "--user", _ROOT, self.name, *_RELOAD))
        self.log.printed.clear()
        code, _ = self._run(_RELOAD)
        return code == 0

    def _has_only_workers(self) -> bool:
        """Return whether the server has started workers, and they no program, which would go on.

        Before gunicorn has workers, the signal would end it.
        """
        from docker.errors import APIError

        try:
            with reading_answers():
                listed = self.container.container.top(ps_args=f"-eo {','.join(_COLUMNS)}")
        except APIError:  # It has ended, or the engine has no ps; Podman takes other words.
            return False
        processes = [row for row in member(listed, "Processes", [[str]]) or [] if len(row) == len(_COLUMNS)]
        names = {process: name for process, _, name in processes}
        started = {name for _, parent, name in processes if names.get(parent) == _SERVER}
        return started == {_SERVER}

    def restart(self) -> None:
        """Start the container again."""
        self.reporter.effect(self._docker("restart", f"--time={_GRACE_PERIOD}", self.name))
        self.stop()
        self.start()

    def stop(self) -> None:
        """Stop it, and print its last lines."""
        with reading_answers():
            self.container.container.stop(timeout=_GRACE_PERIOD)
        self.log.end()

    def put(self, files: Sequence[ContextFile], when: int) -> None:
        """Announce and do what `write` does."""
        for file in files:
            if file.source:
                self.reporter.effect(self._docker("cp", file.source, f"{self.name}:/{file.name}"))
        self.write(files, when)

    def write(self, files: Sequence[ContextFile], when: int) -> None:
        """Write *files*, whose names are paths without the first slash; root owns them.

        Args:
            files: members of an archive, each folder before what is in it.
            when: the time that they changed, seconds since 1970. Python compiles a module again only if its time or its
                size is another one.
        """
        if files:
            blocks = (block for file in files for block in archive_member(file, when))
            with reading_answers():
                self.container.container.put_archive("/", chain(blocks, [end_of_archive()]))

    def remove(self, paths: Sequence[str]) -> None:
        """Remove files and folders; a container that does not run is started for it.

        Raises:
            EngineError: they cannot be removed.
        """
        if not paths:
            return
        remove = ["rm", "-rf", "--", *paths]
        self.reporter.effect(self._docker("exec", "--user", _ROOT, self.name, *remove))
        said = ""
        for _ in range(_REMOVALS):
            if not self.state().running:
                self.start()
            code, said = self._run(remove)
            if code == 0:
                return
        what = f"The container's files could not be removed: {', '.join(paths)}."
        raise EngineError(what, next_step="invoke image.serve --build", said=f"rm said: {clean(said)}")

    def state(self) -> State:
        """Return whether it runs, else how it ended."""
        return self.container.state()

    def status(self) -> int | None:
        """Return the HTTP status of the health check: 0 for no answer yet, None if nobody listens at the port here."""
        if not self.container.client.is_local:
            return None
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=_TRY_TIMEOUT)) as connection:
            try:
                connection.connect()
                with deadline(connection.sock, time.perf_counter() + _TRY_TIMEOUT):
                    connection.request("GET", self.smoke_test.health)
                    return connection.getresponse().status
            except ConnectionRefusedError:
                return None
            except (OSError, http.client.HTTPException):
                return 0

    def answers_inside(self) -> bool:
        """Return whether the health check answers inside the container: the port may be on another machine."""
        url = f"http://127.0.0.1:{self.smoke_test.port}{self.smoke_test.health}"
        command = ["/bin/sh", "-c", f'exec "{FIND_PYTHON}" -I -c "$0" "$1"', _ASK, url]
        last = deque(self.container.lines(command), maxlen=1)
        return list(last) == ["answered"]

    def _docker(self, *arguments: str) -> list[str]:
        return self.container.client.docker_command(*arguments)

    def _run(self, argv: Sequence[str]) -> tuple[int, str]:
        """Run *argv* as root in the container; return its exit code, 1 if the container has ended, and its last output.

        The program is the image's own, which can print anything.
        """
        from docker.errors import APIError

        api = self.container.client.sdk.api
        try:
            with reading_answers():
                process = identifier(
                    api.exec_create(self.container.id, list(argv), user=_ROOT), "the process"
                )
                output = b""
                for block in api.exec_start(process, stream=True):
                    output = (output + block)[-_LAST_BYTES:]
                code = member(api.exec_inspect(process), "ExitCode", int)
        except APIError as error:
            return 1, str(error.explanation or error)
        return 1 if code is None else code, output.decode(errors="replace")
