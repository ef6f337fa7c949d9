"""The container of a smoke test, as an engine provides it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from azureml_tasks.smoke.log_excerpt import LogExcerpt, excerpt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.project.model import SmokeTestPlan


_PYTHONS = ('"${AZUREML_CONDA_ENVIRONMENT_PATH:-/usr}/bin/python"', "python3", "python")
FIND_PYTHON = f"$({' || '.join(f'command -v {name}' for name in _PYTHONS)})"
"""What a shell reads as the path of the image's Python: that of its conda environment, else the first on PATH."""


class State(NamedTuple):
    """Whether a container runs, and its exit code if not (137 with `out_of_memory` if memory ran out).

    One that could not be started has an exit code, too: 126 or 127 if its program cannot be run or is not there.
    """

    running: bool
    exit_code: int
    out_of_memory: bool
    started: bool = True


class Container(Protocol):
    """One running container of an image."""

    @property
    def id(self) -> str:
        """The engine's ID of the container."""

    def address(self) -> str:
        """Return `http://127.0.0.1:PORT` if the server's port is published on this machine, else ""."""

    def state(self) -> State:
        """Return the current state."""

    def log(self, timeout: float = ..., since: float = ...) -> LogExcerpt:
        """Return what the container has printed; of a long log its beginning and its end.

        Args:
            timeout: seconds that the engine may be silent.
            since: leave out what was printed before; seconds since 1970 (UTC) by the engine's clock.
        """

    def printed(self, timeout: float) -> Iterator[str]:
        """Yield each line that it prints until it ends; it must print one in *timeout* seconds."""

    def put(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Write *files* (name → content) into *folder* in the container."""

    def lines(self, argv: Sequence[str]) -> Iterator[str]:
        """Run *argv* in the container and yield each line of its stdout as it is printed."""

    def ran_out_of_memory(self) -> bool:
        """Return whether the kernel killed a process in the running container, such as a worker, for lack of memory."""

    def peak_memory(self) -> int | None:
        """Return the largest memory use so far in bytes; None if the engine does not know."""

    def stop(self) -> float:
        """Stop the container as an orchestrator does, with 10 s of grace, and return how many seconds it took."""


class AnsweringServer(NamedTuple):
    """The server of a running container.

    Args:
        url: `http://127.0.0.1:PORT`.
        log: returns what the container has printed since a time, in seconds since 1970 (UTC); raises EngineError.
    """

    url: str
    log: Callable[[float], LogExcerpt]


class Runner(Protocol):
    """An engine that can run an image."""

    def running(
        self, image: BuiltImage, smoke_test: SmokeTestPlan
    ) -> AbstractContextManager[Container | None]:
        """Run *image* as Azure ML would, and remove the container when the block ends; None under --dry."""


@dataclass(frozen=True, kw_only=True)
class ContainerEnd:
    """The container after the last request.

    Args:
        exit_code: None while it runs.
        out_of_memory: whether the kernel killed a process in it for lack of memory.
        peak_memory: bytes; None if unknown.
        stop_seconds: how long it took to stop; None if it was not stopped.
        log: what it printed.
        replaced_script: the image's own entry script, in whose place our stand-in served; "" for none.
        has_core: whether the image has azureml-core; None if nobody looked.
    """

    exit_code: int | None = None
    out_of_memory: bool = False
    peak_memory: int | None = None
    stop_seconds: float | None = None
    log: LogExcerpt = LogExcerpt()
    replaced_script: str = ""
    has_core: bool | None = None


def end_of(event: Mapping[str, Any]) -> ContainerEnd:
    """Return the end of a container as the event `container` describes it; nothing is known if it is empty."""
    return ContainerEnd(
        exit_code=None if event.get("running", True) else int(event["exit_code"]),
        out_of_memory=bool(event.get("out_of_memory")),
        peak_memory=event.get("peak_memory"),
        stop_seconds=event.get("stop"),
        log=excerpt([str(event.get("log", "")).encode(errors="replace")]),
        replaced_script=str(event.get("replaced", "")),
        has_core=event.get("core"),
    )
