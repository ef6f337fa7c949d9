"""What every engine is to the rest of the package."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from azureml_tasks.context import Context
    from azureml_tasks.engines.images import Image, KeptPrefix
    from azureml_tasks.planning import Plan, Proof
    from azureml_tasks.report import Report

__all__ = ["Container", "Engine", "Keeper", "Runner", "State"]


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
        self, image: Image, proof: Proof, repository: str
    ) -> AbstractContextManager[Container | None]:
        """Run *image* as Azure ML would; the container is gone when the block ends, however it ends.

        None under --dry. A mounted model is called as the last part of *repository*.
        """


class Keeper(Protocol):
    """The prefixes that an engine keeps for a project."""

    def all(self) -> list[KeptPrefix]:
        """Each, for the project as it is and as it was, the newest first."""

    def remove(self, kept: KeptPrefix) -> bool:
        """Remove one; whether that was done."""


class Engine(Protocol):
    """What can make an image, prove it and send it away; `Plan.needs` must be a part of what it can."""

    @property
    def name(self) -> str:
        """As in `--engine`."""

    @property
    def can(self) -> frozenset[str]:
        """What it can do beyond every engine's own."""

    @property
    def registry(self) -> str:
        """Login server of the registry that it belongs to; "" for one that pushes anywhere, or is not asked yet."""

    def describe(self) -> str:
        """One line: which engine, where, which builder and why that one."""

    def planned(self, plan: Plan, context: Context) -> Image:
        """The image as far as it is known before it is built: it has no id yet."""

    def base_id(self, plan: Plan) -> str:
        """What never moves of the base as it is here now; "" where it is not here, or nobody can tell."""

    def name_it(self, image: Image, names: Sequence[str]) -> None:
        """Give *image*, which is there, these names."""

    def build(
        self, plan: Plan, context: Context, *, no_cache: bool, pull: bool, proven: bool, before: Image | None
    ) -> Image:
        """Build *context* into an image with the plan's names, after looking at the base.

        Where it can be proven nowhere else, the build proves it and keeps only what passed, if it is to be *proven*.
        What *before*, the image that was built last, has in common with it may be used again.
        """

    def has(self, image: Image) -> bool:
        """Whether the image is still where it was built."""

    def prove(self, plan: Plan, image: Image) -> Report | None:
        """Run *image* and ask it everything that the plan's proof asks; None under --dry."""

    def push(self, image: Image, name: str) -> str:
        """Send *image* to its registry as *name*; the digest that the registry itself gives it."""

    def settle(self, image: Image) -> None:
        """Put away what only led to the image's final names, or was kept for a proof that failed."""

    def keeper(self, plan: Plan) -> Keeper:
        """What is kept of the prefixes of *plan*."""

    def remove(self, image: Image) -> list[str]:
        """Remove what build has left of the image, by its names; what was removed."""
