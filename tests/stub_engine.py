"""An engine that makes no image and takes down what it is asked for, for tests of the commands around engines."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from azureml_tasks.built_image import BuiltImage, PushedTag, StoredLayers
from azureml_tasks.cli.console import Console
from azureml_tasks.engines.docker import engine as docker_engine
from azureml_tasks.errors import BuildError, RegistryError, SmokeTestError
from azureml_tasks.incremental.fingerprint import fingerprint_parts
from azureml_tasks.smoke.container_protocol import AnsweringServer
from azureml_tasks.smoke.log_excerpt import LogExcerpt
from azureml_tasks.smoke.report import Check, Report
from azureml_tasks.state.failed_step import FailedStep
from tests import http_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.reporter import Reporter

__all__ = ["StubEngine", "stub_engine"]


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


@dataclass(kw_only=True)
class StubEngine:
    """An engine whose images are notes.

    Args:
        reporter: of the image.
        events: what was asked for, such as `build scoring-gpu`.
        failing: those of the events that fail.
        layers: the cached layers that it has.
    """

    reporter: Reporter
    events: list[str] = field(default_factory=list)
    failing: frozenset[str] = frozenset()
    layers: list[StoredLayers] = field(default_factory=list)
    name: str = "docker"
    registry: str = ""
    features: frozenset[str] = frozenset()

    def describe(self) -> str:
        """Return one line."""
        return f"{self.title()}, and more"

    def title(self) -> str:
        """Return the line in short."""
        return "an engine of the tests"

    def planned_image(self, plan: Plan, context: BuildContext) -> BuiltImage:
        """Return the image without an ID."""
        return BuiltImage(
            id="", names=plan.names, engine=self.name, context_sha256=context.sha256, user=plan.user
        )

    def base_as_image(self, plan: Plan) -> BuiltImage:
        """Return the base as the image to run."""
        return BuiltImage(
            id=self.base_id(plan),
            names=(str(plan.base),),
            engine=self.name,
            context_sha256="",
            user="dockeruser",
        )

    def base_id(self, plan: Plan) -> str:
        """Return an ID that follows from the base."""
        return _digest(str(plan.base))

    def missing_helper(self, registry: str) -> None:
        """Return None."""

    def base_python(self, plan: Plan) -> None:
        """Return None."""

    def check_push(self, plan: Plan) -> None:
        """Take it down."""
        self.events.append(f"check push {plan.repository}")

    def tag_image(self, image: BuiltImage, names: Sequence[str]) -> None:
        """Do nothing."""

    def build(
        self,
        plan: Plan,
        context: BuildContext,
        *,
        no_cache: bool,
        pull: bool,
        smoke_test: bool,
        previous: BuiltImage | None,
        keep_failure: Callable[[FailedStep], None],
    ) -> BuiltImage:
        """Take it down, and return an image whose ID follows from what it is made of."""
        del no_cache, pull, smoke_test, previous
        if f"build {plan.repository}" in self.failing:
            keep_failure(FailedStep(self.name, "RUN false", "FROM base\n"))
        self._do(f"build {plan.repository}", BuildError("A step failed."))
        image = self.planned_image(plan, context)
        parts = fingerprint_parts(plan, context, self.base_id(plan))
        return image._replace(id=_digest(str(parts)), fingerprint_parts=parts, installed_at=2_000_000_000)

    def start(self, plan: Plan, context: BuildContext, *, no_cache: bool) -> str:
        """Take it down, and return a run ID that follows from the image."""
        del context, no_cache
        self._do(f"start {plan.repository}", BuildError("The run cannot be started."))
        return f"run-of-{plan.repository}"

    def resume(self, plan: Plan, context: BuildContext, run: str) -> BuiltImage:
        """Take it down, and return the image of the run."""
        self._do(f"resume {run}", BuildError("A step failed."))
        return self.planned_image(plan, context)._replace(id=_digest(run), run=run)

    def exists(self, image: BuiltImage) -> bool:
        """Return whether it is not `gone`."""
        return f"gone {_repository(image)}" not in self.failing

    def image_bytes(self, image: BuiltImage) -> int:
        """Return a number."""
        return len(image.names[0])

    def smoke_test(self, plan: Plan, image: BuiltImage, keep_log: Callable[[str], None]) -> Report:
        """Take it down, and return a report."""
        del keep_log
        event = f"test {plan.repository}"
        self.events.append(event)
        outcome = Check(name="start-up", outcome="failed" if event in self.failing else "passed")
        name, look_inside = image.names[0], "invoke image.shell"
        return Report(image=name, image_id=image.id, place="here", look_inside=look_inside, checks=(outcome,))

    @contextmanager
    def answering(self, plan: Plan, image: BuiltImage) -> Iterator[AnsweringServer]:
        """Take it down, and answer each request with itself."""
        name = _repository(image)
        self._do(f"serve {name}", SmokeTestError("It does not answer."))
        with http_server.serving(_echo) as server:
            yield AnsweringServer(url=server.url, log=lambda _: LogExcerpt(f"log of {plan.names[0]}\n", 1))
        self.events.append(f"end {name}")

    def digest(self, image: BuiltImage) -> str:
        """Return "": a push tells."""
        del image
        return ""

    def push(self, image: BuiltImage, name: str, *, never_moves: bool = False) -> PushedTag:
        """Take it down, unless it is the tag that never moves."""
        if not never_moves:
            self._do(f"push {_repository(image)}", RegistryError("The registry refuses."))
        del name
        return PushedTag(digest=_digest(image.id))

    def discard_candidate(self, image: BuiltImage) -> None:
        """Do nothing."""

    def layer_store(self, plan: Plan) -> StubEngine:
        """Return the engine itself, which has the layers."""
        del plan
        return self

    def all(self) -> list[StoredLayers]:
        """Return the cached layers."""
        return list(self.layers)

    def remove_leftovers(self) -> list[str]:
        """Return nothing."""
        return []

    def remove(self, thing: BuiltImage | StoredLayers) -> list[str]:
        """Return the names of an image, or of layers, which are gone then."""
        if isinstance(thing, BuiltImage):
            return list(thing.names)
        self.layers.remove(thing)
        return [thing.name]

    def _do(self, event: str, error: Exception) -> None:
        self.events.append(event)
        if event in self.failing:
            raise error


def _echo(method: str, path: str, body: bytes) -> http_server.Reply:
    return (404 if path == "/missing" else 200), f"{method} {path} {body.decode()}".encode()


def _repository(image: BuiltImage) -> str:
    return image.names[0].rpartition("/")[2].partition(":")[0]


def stub_engine(monkeypatch: pytest.MonkeyPatch, *failing: str) -> StubEngine:
    """Put an engine in the place of Docker's, and return it.

    Args:
        monkeypatch: of the test.
        failing: those of its events that fail.
    """
    engine = StubEngine(reporter=Console(), failing=frozenset(failing))
    monkeypatch.setattr(docker_engine, "open_docker", lambda *_, **__: engine)
    return engine
