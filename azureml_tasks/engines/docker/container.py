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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_tasks.context.tar_archive import end_of_archive
from azureml_tasks.context.tar_archive import member as archive_member
from azureml_tasks.engines.docker.answers import container_details, identifier, member
from azureml_tasks.engines.docker.api_errors import reading_answers
from azureml_tasks.engines.docker.gpus import device_requests, gpu_option, start_error
from azureml_tasks.engines.docker.leftovers import LABEL as RUN_LABEL
from azureml_tasks.engines.docker.socket_http import UnreadableAnswer
from azureml_tasks.engines.interrupts import finish_call
from azureml_tasks.engines.log_lines import lines_of
from azureml_tasks.errors import EngineError
from azureml_tasks.in_image import default_score
from azureml_tasks.plain_text import clean
from azureml_tasks.planning.plan import APP_ROOT, MODEL_DIR
from azureml_tasks.smoke.batch import batch_command, batch_files, batch_mounts
from azureml_tasks.smoke.container_protocol import State
from azureml_tasks.smoke.log_excerpt import LogExcerpt, excerpt
from azureml_tasks.state.runs import Thing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.context.context_file import ContextFile
    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.project.model import MountedCode, SmokeTestPlan
    from azureml_tasks.reporter import Reporter
    from azureml_tasks.state.runs import Run

LABEL = "azureml-tasks.smoke-test"
_DEFAULT_SCRIPT = Path(default_score.__file__)
_BATCH_FOLDER = "/tmp/azureml-image-batch"  # noqa: S108 -- a folder of the container, which is thrown away
_GRACE_PERIOD = 10  # seconds
_KILLED = 137  # 128 + SIGKILL: the exit code of a process whose container has ended
_LONGEST_LINE = 64 * 1024 * 1024
"""Bytes of a line that a program in the container prints; the answer to a request has 16 MiB at most."""
_END_TIMEOUT = 5  # seconds
_LOG_TIMEOUT = 600  # seconds
_LOG_BLOCK = 1024 * 1024  # bytes
_HEADER = 8
"""Bytes before each piece of a log, of which the last four are its length:
https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach"""


def start_commands(
    client: EngineClient, image: BuiltImage, smoke_test: SmokeTestPlan, run: Run, name: str
) -> list[list[str]]:
    """Return the docker commands that do what `run_container` does, but for code that Azure ML mounts."""
    labels = [word for label, value in _labels(run).items() for word in ("--label", f"{label}={value}")]
    options = ["--name", name, *labels, "--publish", f"127.0.0.1::{smoke_test.port}"]
    if smoke_test.memory:
        options += ["--memory", smoke_test.memory]
    if smoke_test.gpus:
        options += ["--gpus", gpu_option(smoke_test.gpus)]
    for variable, value in _environment(smoke_test).items():
        options += ["--env", f"{variable}={value}"]
    mounts = {_target(smoke_test): smoke_test.model} if smoke_test.model else {}
    if smoke_test.mini_batch:
        mounts |= batch_mounts(smoke_test, _BATCH_FOLDER)
        options += ["--entrypoint", "/bin/sh"]
    for target, source in mounts.items():
        options += ["--mount", f"type=bind,readonly,source={source},target={target}"]
    options += [image.id or image.names[0]]
    if smoke_test.mini_batch:
        options += ["-c", batch_command(smoke_test, _BATCH_FOLDER)]
    if not smoke_test.default_script and not smoke_test.mounted:
        return [client.docker_command("run", "--detach", *options)]
    copy = client.docker_command("cp", str(_DEFAULT_SCRIPT), f"{name}:{APP_ROOT}/{_DEFAULT_SCRIPT.name}")
    return [
        client.docker_command("create", *options),
        *([copy] if smoke_test.default_script else []),
        client.docker_command("start", name),
    ]


def announce_start(
    client: EngineClient,
    image: BuiltImage,
    smoke_test: SmokeTestPlan,
    run: Run,
    name: str,
    reporter: Reporter,
) -> bool:
    """Announce the commands that do what `run_container` does. Return False if it must not be carried out."""
    *before, start = start_commands(client, image, smoke_test, run, name)
    reporter.effects(before)
    if mounted := smoke_test.mounted:
        # What ignore files leave out is not in the build context, and so not in the container.
        folder = run.records / f"{name}-code"
        packages = folder / "code" / mounted.packages_name
        reporter.effect(["mkdir", "--parents", str(packages.parent)])
        unpack = ["tar", "--extract", "--file=-", f"--directory={folder}", "code"]
        reporter.effect(unpack, before="invoke image.context | ")
        if mounted.packages:
            reporter.effect(["cp", "--recursive", mounted.packages, str(packages)])
        reporter.effect(
            client.docker_command("cp", str(folder / "code"), f"{name}:{APP_ROOT}/{mounted.name}")
        )
        reporter.effect(["rm", "-r", str(folder)])
    return reporter.effect(start)


@contextmanager
def run_container(
    client: EngineClient, image: BuiltImage, smoke_test: SmokeTestPlan, run: Run, name: str
) -> Iterator[DockerContainer]:
    """Start *image* as the container *name*, which *run* notes, and removes as it ends.

    Raises:
        EngineError: the engine cannot start it.
    """
    from docker.errors import APIError
    from docker.types import Mount

    containers, model = client.sdk.containers, smoke_test.model
    create = partial(
        containers.create,
        image.id,
        name=name,
        labels=_labels(run),
        ports={f"{smoke_test.port}/tcp": ("127.0.0.1", 0)},  # 0: any free port
        environment={**client.proxies, **_environment(smoke_test)},
        use_config_proxy=False,  # The SDK may have read another configuration than docker's client does.
        mounts=[Mount(_target(smoke_test), model, type="bind", read_only=True)] if model else [],
        mem_limit=smoke_test.memory or None,
        device_requests=device_requests(client, smoke_test.gpus) or None,
        entrypoint=["/bin/sh"] if smoke_test.mini_batch else None,
        command=["-c", batch_command(smoke_test, _BATCH_FOLDER)] if smoke_test.mini_batch else None,
    )
    run.note(Thing("container", name))
    try:
        with reading_answers():
            created = finish_call(create)
        container = DockerContainer(container=created, client=client, port=smoke_test.port)
        if smoke_test.default_script:
            container.put(APP_ROOT, {_DEFAULT_SCRIPT.name: _DEFAULT_SCRIPT.read_bytes()})
        if smoke_test.mini_batch:
            container.put(_BATCH_FOLDER, batch_files(smoke_test))
        if smoke_test.mounted:
            container.put_files(APP_ROOT, smoke_test.mounted.files)
        with reading_answers():
            container.container.start()
    except APIError as error:
        raise _start_error(client, smoke_test, str(error.explanation or error)) from error
    yield container


def _labels(run: Run) -> dict[str, str]:
    return {LABEL: "1", RUN_LABEL: run.id}


def _model_folder(smoke_test: SmokeTestPlan) -> str:
    """Return the folder of version 1 of a registered model, which AZUREML_MODEL_DIR names in a deployment."""
    return f"{MODEL_DIR}/{smoke_test.model_name}/1"


def _target(smoke_test: SmokeTestPlan) -> str:
    """Return where Azure ML mounts the file or folder of a registered model: under its own name.

    https://learn.microsoft.com/azure/machine-learning/how-to-deploy-online-endpoints#understand-the-scoring-script
    """
    return f"{_model_folder(smoke_test)}/{Path(smoke_test.model).name}"


def _environment(smoke_test: SmokeTestPlan) -> dict[str, str]:
    model = {"AZUREML_MODEL_DIR": _model_folder(smoke_test)} if smoke_test.model else {}
    stand_in = {"AML_APP_ROOT": APP_ROOT, "AZUREML_ENTRY_SCRIPT": _DEFAULT_SCRIPT.name}
    script = stand_in if smoke_test.default_script else {}
    return {**model, **script, **_mounted_variables(smoke_test.mounted), **smoke_test.env}


def _mounted_variables(mounted: MountedCode | None) -> dict[str, str]:
    """Return the variables that Azure ML sets for mounted code: azure-ai-ml 1.35.2, `_local_endpoints`."""
    if not mounted:
        return {}
    root = f"{APP_ROOT}/{mounted.name}"
    return {**mounted.variables, "AML_APP_ROOT": root, "AZUREML_ENTRY_SCRIPT": mounted.script}


def _start_error(client: EngineClient, smoke_test: SmokeTestPlan, message: str) -> EngineError:
    said = f"docker said: {clean(message)}"
    no_source = "bind source path does not exist" in message or "invalid mount config" in message
    if smoke_test.model and no_source:
        fix = 'Run the smoke test on the engine\'s own machine, or copy the model into the image: model = "…"'
        what = f"The engine at {client.host} does not have {smoke_test.model}, so it cannot mount the model."
        return EngineError(what, next_step=fix, said=said)
    if smoke_test.gpus:
        return start_error(client, smoke_test.gpus, message)
    return EngineError("The engine could not run the image.", next_step="See its message.", said=said)


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
        """Return `http://127.0.0.1:PORT`; "" if the engine runs on another machine."""
        if not self.client.is_local:
            return ""
        with reading_answers():
            self.container.reload()
        network = container_details(self.container.attrs).get("NetworkSettings") or {}
        ports = member(network.get("Ports") or {}, f"{self.port}/tcp", [{"HostPort": str}]) or [{}]
        return f"http://127.0.0.1:{ports[0]['HostPort']}" if ports[0].get("HostPort") else ""

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
        )

    def log(self) -> LogExcerpt:
        """Return what it has printed, read in constant memory."""
        api = self.client.sdk.api
        url = f"{api.base_url}/v{self.client.api}/containers/{self.id}/logs"
        with api.get(url, params={"stdout": 1, "stderr": 1}, stream=True, timeout=_LOG_TIMEOUT) as answer:
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
        api = self.client.sdk.api
        url = f"{api.base_url}/v{self.client.api}/containers/{self.id}/logs"
        query = {"stdout": 1, "stderr": 1, "follow": 1}
        with api.get(url, params=query, stream=True, timeout=timeout) as answer:
            answer.raise_for_status()
            blocks = contents(answer.iter_content(_LOG_BLOCK))
            yield from (line.decode(errors="replace") for line in lines_of(blocks, _LONGEST_LINE))
        self._wait_for_end()

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
            self._wait_for_end()
            if self.state().running:
                raise
            return
        yield from (line.decode(errors="replace") for line in lines_of(output, _LONGEST_LINE))
        with reading_answers():
            ended = api.exec_inspect(process)
        if member(ended, "ExitCode", int) in {None, _KILLED}:
            self._wait_for_end()

    def _wait_for_end(self) -> None:
        """Wait a moment: the engine notices the end of a container later than the end of a process in it."""
        from requests import ConnectionError as NoAnswer
        from requests import Timeout

        with suppress(NoAnswer, Timeout), reading_answers():
            self.container.wait(timeout=_END_TIMEOUT)

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
