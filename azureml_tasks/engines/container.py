"""One running container on a Docker engine."""

from __future__ import annotations

import io
import re
import tarfile
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from azureml_tasks.engines.base import State
from azureml_tasks.terminal import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from azureml_tasks.engines.endpoint import Endpoint

__all__ = ["PORT", "DockerContainer"]

PORT = "5001/tcp"
"""nginx's port in every prebuilt image: Azure/azureml-assets, mlflow-model-inference, nginx's site "app"."""
_GRACE = 10
_KILLED = 137  # 128 + SIGKILL: what is left of a process whose container has ended
_SETTLED = 5  # seconds


@dataclass(frozen=True, kw_only=True)
class DockerContainer:
    """A container that the engine runs; see `base.Container` for what each operation is."""

    container: Any
    endpoint: Endpoint

    @property
    def id(self) -> str:
        """The engine's name for it."""
        return str(self.container.id)

    def address(self) -> str:
        """`http://127.0.0.1:PORT`, or "" where the engine runs on another machine."""
        if not self.endpoint.is_here:
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

        api, left = self.endpoint.client.api, b""
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

    def starved(self) -> bool:
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
