"""Start a container of an image as Azure ML does, and remove it."""

from __future__ import annotations

import io
import re
import tarfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from azureml_tasks.context.tar_archive import end_of_archive
from azureml_tasks.context.tar_archive import member as archive_member
from azureml_tasks.engines.docker.answers import container_details, identifier, member
from azureml_tasks.engines.docker.api_errors import reading_answers
from azureml_tasks.engines.docker.container_arguments import (
    BATCH_FOLDER,
    DEFAULT_SCRIPT,
    LOOPBACK,
    container_arguments,
)
from azureml_tasks.engines.docker.gpus import start_error
from azureml_tasks.engines.docker.socket_http import UnreadableAnswer
from azureml_tasks.engines.finish_call import finish_call
from azureml_tasks.engines.log_lines import lines_of
from azureml_tasks.errors import EngineError
from azureml_tasks.plain_text import clean
from azureml_tasks.planning.plan import APP_ROOT
from azureml_tasks.smoke.batch import batch_command, batch_files
from azureml_tasks.smoke.container_protocol import State
from azureml_tasks.smoke.log_excerpt import LogExcerpt, excerpt
from azureml_tasks.state.runs import Thing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.context.context_file import ContextFile
    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.project.model import SmokeTestPlan
    from azureml_tasks.state.runs import Run

_GRACE_PERIOD = 10  # seconds
_KILLED = 137  # 128 + SIGKILL: the exit code of a process whose container has ended
_LONGEST_LINE = 64 * 1024 * 1024
"""Bytes of a line that a program in the container prints; the answer to a request has 16 MiB at most."""
_END_TIMEOUT = 30  # seconds
_LOG_TIMEOUT = 600  # seconds
_LOG_BLOCK = 1024 * 1024  # bytes
_HEADER = 8
"""Bytes before each piece of a log, of which the last four are its length:
https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach"""


@contextmanager
def run_container(
    client: EngineClient, image: BuiltImage, smoke_test: SmokeTestPlan, run: Run, name: str
) -> Iterator[DockerContainer]:
    """Start *image* as the container *name*, which *run* notes, and removes as it ends.

    Raises:
        EngineError: the engine cannot start it.
    """
    with refused_starts(client, smoke_test):
        container = created_container(client, image, smoke_test, run, name, ports={smoke_test.port: 0})
        with reading_answers():
            container.container.start()
    yield container


def created_container(
    client: EngineClient,
    image: BuiltImage,
    smoke_test: SmokeTestPlan,
    run: Run,
    name: str,
    *,
    ports: Mapping[int, int],
) -> DockerContainer:
    """Create the container *name* with all its files; it is not started yet.

    Args:
        client: the engine.
        image: to run.
        smoke_test: what the container gets.
        run: notes it, and removes it as it ends.
        name: of the container.
        ports: in the container → on the loopback of the engine's machine; 0 for any free one.
    """
    create = partial(
        client.sdk.containers.create,
        **container_arguments(client, image, smoke_test, run, name),
        ports={f"{inside}/tcp": (LOOPBACK, outside) for inside, outside in ports.items()},
        entrypoint=["/bin/sh"] if smoke_test.mini_batch else None,
        command=["-c", batch_command(smoke_test, BATCH_FOLDER)] if smoke_test.mini_batch else None,
    )
    run.note(Thing("container", name))
    with reading_answers():
        created = finish_call(create)
    container = DockerContainer(container=created, client=client, port=smoke_test.port)
    if smoke_test.default_script:
        container.put(APP_ROOT, {DEFAULT_SCRIPT.name: DEFAULT_SCRIPT.read_bytes()})
    if smoke_test.mini_batch:
        container.put(BATCH_FOLDER, batch_files(smoke_test))
    if smoke_test.mounted:
        container.put_files(APP_ROOT, smoke_test.mounted.files)
    return container


@contextmanager
def refused_starts(client: EngineClient, smoke_test: SmokeTestPlan) -> Iterator[None]:
    """Raise the error of a container that the engine does not create or start in the block."""
    from docker.errors import APIError

    try:
        yield
    except APIError as error:
        raise refused_start(client, smoke_test, str(error.explanation or error)) from error


def refused_start(client: EngineClient, smoke_test: SmokeTestPlan, message: str) -> EngineError:
    """Return the error for a container that the engine did not create or start, by its *message*."""
    said = f"docker said: {clean(message)}"
    no_source = "bind source path does not exist" in message or "invalid mount config" in message
    if smoke_test.model and no_source:
        fix = 'Run the smoke test on the engine\'s own machine, or copy the model into the image: model = "…"'
        what = f"The engine at {client.host} does not have {smoke_test.model}, so it cannot mount the model."
        return EngineError(what, next_step=fix, said=said)
    if smoke_test.gpus:
        return start_error(client, smoke_test.gpus, message)
    memory = f', and smoke-test.memory = "{smoke_test.memory}" in the table' if smoke_test.memory else ""
    return EngineError(
        "The engine could not run the image.", next_step=f"See its message{memory}.", said=said
    )


def contents(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the content of a log's pieces, without their headers, for each of *blocks*, which divide it anywhere."""
    rest, missing = b"", 0
    for block in blocks:
        data, place = rest + block, 0
        content = bytearray()
        while missing or place + _HEADER <= len(data):
            if not missing:
                place += _HEADER
                missing = int.from_bytes(data[place - 4 : place], "big")
            taken = data[place : place + missing]
            content += taken
            place, missing = place + len(taken), missing - len(taken)
            if missing:
                break
        rest = data[place:]
        yield bytes(content)


def printed_blocks(
    client: EngineClient, container_id: str, timeout: float, *, stderr: bool
) -> Iterator[bytes]:
    """Yield what a container prints until it ends; it must print something in *timeout* seconds.

    Engines before version 23 may close a log that is followed before its last lines are sent: the end of the container
    and a new line compete (moby 20.10, daemon/logger/loggerutils/follow.go). So the rest is read afterwards.
    """
    api, seen = client.sdk.api, 0
    url = f"{api.base_url}/v{client.api}/containers/{container_id}/logs"
    for follow in (1, 0):
        query, skipped = {"stdout": 1, "stderr": int(stderr), "follow": follow}, seen
        with api.get(url, params=query, stream=True, timeout=timeout) as answer:
            answer.raise_for_status()
            for block in contents(answer.iter_content(_LOG_BLOCK)):
                new = block[skipped:]
                skipped -= min(skipped, len(block))
                seen += len(new)
                yield new
        if follow:
            wait_for_end(client, container_id)


def wait_for_end(client: EngineClient, container_id: str) -> None:
    """Wait for the end, 30 s at most: the engine notices it later than the end of a process in the container."""
    from requests import ConnectionError as NoAnswer
    from requests import Timeout

    with suppress(NoAnswer, Timeout), reading_answers():
        client.sdk.api.wait(container_id, timeout=_END_TIMEOUT)


@dataclass(frozen=True, kw_only=True)
class DockerContainer:
    """A container on the engine; see `smoke.container_protocol.Container` for each operation.

    Args:
        container: of Docker's SDK.
        client: the engine.
        port: of the server in it.
    """

    container: Any
    client: EngineClient
    port: int = 5001

    @property
    def id(self) -> str:
        """The container's ID."""
        return str(self.container.id)

    def address(self) -> str:
        """Return `http://127.0.0.1:PORT`; "" if the engine runs on another machine.

        A container that has ended already has no port any more: PORT is 0, which refuses every connection.
        """
        if not self.client.is_local:
            return ""
        with reading_answers():
            self.container.reload()
        network = container_details(self.container.attrs).get("NetworkSettings") or {}
        ports = member(network.get("Ports") or {}, f"{self.port}/tcp", [{"HostPort": str}]) or [{}]
        return f"http://127.0.0.1:{ports[0].get('HostPort') or 0}"

    def state(self) -> State:
        """Return whether it runs, else how it ended."""
        with reading_answers():
            self.container.reload()
        state = container_details(self.container.attrs).get("State")
        if not state:
            raise UnreadableAnswer("the container has no State")
        return State(
            running=bool(state.get("Running")),
            exit_code=state.get("ExitCode") or 0,
            out_of_memory=bool(state.get("OOMKilled")),
            started=state.get("Status") != "created",
        )

    def log(self, timeout: float = _LOG_TIMEOUT, since: float = 0.0) -> LogExcerpt:
        """Return what it has printed, read in constant memory."""
        api = self.client.sdk.api
        url = f"{api.base_url}/v{self.client.api}/containers/{self.id}/logs"
        query = {"stdout": "1", "stderr": "1", "since": f"{since:.6f}"}
        with api.get(url, params=query, stream=True, timeout=timeout) as answer:
            answer.raise_for_status()
            return excerpt(contents(answer.iter_content(_LOG_BLOCK)))

    def put(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Write *files* into *folder* of the container, which is created if it is missing."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for name, content in files.items():
                member = tarfile.TarInfo(f"{folder.strip('/')}/{name}")
                member.size, member.mode = len(content), 0o644
                tar.addfile(member, io.BytesIO(content))
        with reading_answers():
            self.container.put_archive("/", archive.getvalue())

    def printed(self, timeout: float) -> Iterator[str]:
        """Yield each line that it prints until it ends; it must print one in *timeout* seconds."""
        blocks = printed_blocks(self.client, self.id, timeout, stderr=True)
        yield from (line.decode(errors="replace") for line in lines_of(blocks, _LONGEST_LINE))

    def put_files(self, folder: str, files: Sequence[ContextFile]) -> None:
        """Write members of an archive into *folder* of the container, which exists."""
        blocks = (block for file in files for block in archive_member(file))
        with reading_answers():
            self.container.put_archive(folder, chain(blocks, [end_of_archive()]))

    def lines(self, argv: Sequence[str]) -> Iterator[str]:
        """Run *argv* in the container and yield each line of its stdout; none if the container has ended."""
        from docker.errors import APIError

        api = self.client.sdk.api
        try:
            with reading_answers():
                created = api.exec_create(self.id, list(argv), stderr=False)
            process = identifier(created, "the process")
            output = api.exec_start(process, stream=True)
        except APIError:
            wait_for_end(self.client, self.id)
            if self.state().running:
                raise
            return
        yield from (line.decode(errors="replace") for line in lines_of(output, _LONGEST_LINE))
        with reading_answers():
            ended = api.exec_inspect(process)
        if member(ended, "ExitCode", int) in {None, _KILLED}:
            wait_for_end(self.client, self.id)

    def ran_out_of_memory(self) -> bool:
        """Return whether the kernel has killed a process of it for lack of memory, by the file of cgroup v1 or v2."""
        files = "/sys/fs/cgroup/memory/memory.oom_control /sys/fs/cgroup/memory.events"
        return any(re.match("oom_kill [1-9]", line) for line in self.lines(["/bin/sh", "-c", f"cat {files}"]))

    def peak_memory(self) -> int | None:
        """Return the most bytes that it used: by the engine for cgroup v1, by `memory.peak` (Linux 5.19) for v2."""
        with reading_answers():
            stats = self.container.stats(stream=False, one_shot=True)
        memory = member(stats, "memory_stats", {"max_usage": int}) or {}
        if memory.get("max_usage"):
            return int(memory["max_usage"])
        text = next(self.lines(["cat", "/sys/fs/cgroup/memory.peak"]), "")
        return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None

    def stop(self) -> float:
        """Stop it as an orchestrator does, and return the seconds that it took."""
        start = time.monotonic()
        with reading_answers():
            self.container.stop(timeout=_GRACE_PERIOD)
        return time.monotonic() - start
