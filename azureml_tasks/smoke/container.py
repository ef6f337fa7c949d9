"""What the smoke test needs of a container, and of the engine that starts one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.project.model import SmokeTestPlan

__all__ = ["Container", "Runner", "State"]


class State(NamedTuple):
    """How a container is: running, or ended with a code (137 where memory ran out, with `out_of_memory`)."""

    running: bool
    exit_code: int
    out_of_memory: bool


class Container(Protocol):
    """One running container of an image."""

    @property
    def id(self) -> str:
        """The engine's name for it."""

    def address(self) -> str:
        """`http://127.0.0.1:PORT` where port 5001 is published on this machine; "" where it is not."""

    def state(self) -> State:
        """How it is now."""

    def log(self) -> str:
        """All that it has printed."""

    def put(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Write *files* (name → bytes) into *folder*, inside."""

    def lines(self, argv: Sequence[str]) -> Iterator[str]:
        """Run *argv* inside, and give each line that it prints on stdout as it comes."""

    def starved(self) -> bool:
        """Whether it runs on after memory ran out and a process in it was ended, as a server's worker is."""

    def peak_memory(self) -> int | None:
        """The most bytes of memory that it has used; None where the engine cannot tell."""

    def stop(self) -> float:
        """Stop it as an orchestrator does, with 10 s of grace; the seconds that it took."""


class Runner(Protocol):
    """What can run an image on a machine."""

    def running(
        self, image: BuiltImage, smoke_test: SmokeTestPlan, repository: str
    ) -> AbstractContextManager[Container | None]:
        """Run *image* as Azure ML would; the container is gone when the block ends, however it ends.

        None under --dry. A mounted model is called as the last part of *repository*.
        """
