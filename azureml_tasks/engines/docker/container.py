"""One running container on a Docker engine."""

from __future__ import annotations

import io
import re
import tarfile
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_tasks.engines.interrupts import to_its_end
from azureml_tasks.errors import EngineError
from azureml_tasks.in_image import default_score
from azureml_tasks.plain_text import clean
from azureml_tasks.planning.plan import APP_ROOT, MODEL_DIR
from azureml_tasks.smoke.container import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.project.model import SmokeTestPlan

__all__ = ["LABEL", "PORT", "DockerContainer", "new_name", "running", "start_commands"]

PORT = "5001/tcp"
"""nginx's port in every prebuilt image: Azure/azureml-assets, mlflow-model-inference, nginx's site "app"."""
_GRACE = 10
_KILLED = 137  # 128 + SIGKILL: what is left of a process whose container has ended
_SETTLED = 5  # seconds


@dataclass(frozen=True, kw_only=True)
class DockerContainer:
    """A container that the engine runs; see `base.Container` for what each operation is."""

    container: Any
    client: EngineClient

    @property
    def id(self) -> str:
        """The engine's name for it."""
        return str(self.container.id)

    def address(self) -> str:
        """`http://127.0.0.1:PORT`, or "" where the engine runs on another machine."""
        if not self.client.is_local:
            return ""
        self.container.reload()
        ports = (self.container.attrs["NetworkSettings"]["Ports"] or {}).get(PORT) or []
        return f"http://127.0.0.1:{ports[0]['HostPort']}" if ports else ""

    def state(self) -> State:
        """How it is now."""
        self.container.reload()
        state = self.container.attrs["State"]
        return State(
            running=bool(state["Running"]),
            exit_code=int(state["ExitCode"]),
            out_of_memory=bool(state.get("OOMKilled")),
        )

    def log(self) -> str:
        """All that it has printed."""
        return clean(self.container.logs().decode(errors="replace"))

    def put(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Write *files* into *folder*, inside; it is made where it is missing."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for name, data in files.items():
                info = tarfile.TarInfo(f"{folder.strip('/')}/{name}")
                info.size, info.mode = len(data), 0o644
                tar.addfile(info, io.BytesIO(data))
        self.container.put_archive("/", packed.getvalue())

    def lines(self, argv: Sequence[str]) -> Iterator[str]:
        """Run *argv* inside, and give each line of its stdout as it comes; none where the container has ended."""
        from docker.errors import APIError

        api, left = self.client.sdk.api, b""
        try:
            started = api.exec_create(self.id, list(argv), stderr=False)["Id"]
            output = api.exec_start(started, stream=True)
        except APIError:
            self._settle()
            if self.state().running:
                raise
            return
        for block in output:
            *whole, left = (left + block).split(b"\n")
            yield from (line.decode(errors="replace") for line in whole)
        if left:
            yield left.decode(errors="replace")
        if api.exec_inspect(started)["ExitCode"] in {None, _KILLED}:
            self._settle()

    def _settle(self) -> None:
        """The engine learns a moment later than we that a container has ended; where it has not, go on."""
        from requests import ConnectionError as NoAnswer
        from requests import Timeout

        with suppress(NoAnswer, Timeout):
            self.container.wait(timeout=_SETTLED)

    def ran_out_of_memory(self) -> bool:
        """From the kernel's own count, in cgroup v1's file or v2's: the engine tells of a container's end alone."""
        files = "/sys/fs/cgroup/memory/memory.oom_control /sys/fs/cgroup/memory.events"
        return any(re.match("oom_kill [1-9]", line) for line in self.lines(["/bin/sh", "-c", f"cat {files}"]))

    def peak_memory(self) -> int | None:
        """From the kernel's own record: cgroup v1 by the engine, v2 (`memory.peak`, Linux 5.19) from inside."""
        memory = self.container.stats(stream=False, one_shot=True).get("memory_stats") or {}
        if memory.get("max_usage"):
            return int(memory["max_usage"])
        text = next(self.lines(["cat", "/sys/fs/cgroup/memory.peak"]), "")
        return int(text) if text.isdigit() else None

    def stop(self) -> float:
        """Stop it as an orchestrator does; the seconds that it took."""
        began = time.monotonic()
        self.container.stop(timeout=_GRACE)
        return time.monotonic() - began


LABEL = "azureml-tasks.smoke-test"
_DEFAULT_SCRIPT = Path(default_score.__file__)


def start_commands(
    client: EngineClient, image: BuiltImage, smoke_test: SmokeTestPlan, repository: str, name: str
) -> list[list[str]]:
    """The docker commands that start the same container."""
    options = ["--name", name, "--label", f"{LABEL}=1", "--publish", "127.0.0.1::5001"]
    options += ["--memory", smoke_test.memory] if smoke_test.memory else []
    options += [
        part
        for key, value in _environment(smoke_test, repository).items()
        for part in ("--env", f"{key}={value}")
    ]
    if smoke_test.model:
        options += [
            "--mount",
            f"type=bind,readonly,source={smoke_test.model},target={_model_target(repository)}",
        ]
    options += [image.id or image.names[0]]
    if not smoke_test.default_script:
        return [client.docker_command("run", "--detach", *options)]
    copied = client.docker_command("cp", str(_DEFAULT_SCRIPT), f"{name}:{APP_ROOT}/{_DEFAULT_SCRIPT.name}")
    return [client.docker_command("create", *options), copied, client.docker_command("start", name)]


def _model_target(repository: str) -> str:
    """Where Azure ML mounts version 1 of a model of this name."""
    return f"{MODEL_DIR}/{repository.rpartition('/')[2]}/1"


def _environment(smoke_test: SmokeTestPlan, repository: str) -> dict[str, str]:
    mounted = {"AZUREML_MODEL_DIR": _model_target(repository)} if smoke_test.model else {}
    entry = {"AZUREML_ENTRY_SCRIPT": _DEFAULT_SCRIPT.name} if smoke_test.default_script else {}
    return {**mounted, **entry, **smoke_test.env}


@contextmanager
def running(
    client: EngineClient, image: BuiltImage, smoke_test: SmokeTestPlan, repository: str, name: str
) -> Iterator[DockerContainer]:
    """Start *image*; its container is removed when the block ends, also by Ctrl-C or SIGTERM.

    Raises:
        EngineError: the engine cannot start it.
    """
    from docker.errors import APIError, NotFound
    from docker.types import Mount

    target = _model_target(repository)
    containers = client.sdk.containers
    create = partial(
        containers.create,
        image.id,
        name=name,
        labels={LABEL: "1"},
        ports={PORT: ("127.0.0.1", 0)},  # 0: any free port
        environment=_environment(smoke_test, repository),
        mounts=[Mount(target, smoke_test.model, type="bind", read_only=True)] if smoke_test.model else [],
        mem_limit=smoke_test.memory or None,
    )
    try:
        try:
            container = DockerContainer(container=to_its_end(create), client=client)
            if smoke_test.default_script:
                container.put(APP_ROOT, {_DEFAULT_SCRIPT.name: _DEFAULT_SCRIPT.read_bytes()})
            container.container.start()
        except APIError as error:
            raise _cannot_start(client, smoke_test, str(error.explanation or error)) from error
        yield container
    finally:
        with suppress(NotFound):
            containers.get(name).remove(force=True, v=True)


def new_name() -> str:
    """A container's name that nothing else has."""
    return f"azureml-image-{uuid.uuid4().hex[:12]}"


def _cannot_start(client: EngineClient, smoke_test: SmokeTestPlan, said: str) -> EngineError:
    words = f"docker said: {clean(said)}"
    if smoke_test.model and ("bind source path does not exist" in said or "invalid mount config" in said):
        fix = 'Run the smoke test where the engine runs, or bake the model in: model = "…"'
        return EngineError(
            f"The engine at {client.host} cannot see {smoke_test.model}, so it cannot mount the model.",
            next_step=fix,
            said=words,
        )
    return EngineError("The engine could not run the image.", next_step="Look at what it said.", said=words)
