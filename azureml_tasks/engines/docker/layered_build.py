"""Build an image on a Docker engine in one piece, or on cached layers.

A builder that gets the whole build context each time needs as long as the transfer takes. The layers below the code are
therefore an image of their own if that saves time: of a changed line of code, the engine then gets the code alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.context.build_context import confirm
from azureml_tasks.engines.docker.build import LARGE_CONTEXT
from azureml_tasks.engines.docker.layer_store import found_layers, layers_of
from azureml_tasks.engines.docker.leftovers import temporary_reference
from azureml_tasks.engines.docker.socket_http import RefusedError
from azureml_tasks.errors import EngineError
from azureml_tasks.incremental.added_requirements import STAGE, added_requirements
from azureml_tasks.incremental.cached_layers import (
    CachedLayers,
    cached_layers_of,
    kept_name,
    stage_context,
)
from azureml_tasks.incremental.rebuild_reasons import packages_are_too_old
from azureml_tasks.planning.dockerfile import STAGES, render
from azureml_tasks.timestamps import days_since

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.engines.docker.build import Build
    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.engines.docker.layer_store import DockerLayerStore, FoundLayers
    from azureml_tasks.engines.docker.shared_layers import SharedLayers
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.reporter import Reporter

_MOST_LAYERS = 100
"""Layers from which on no packages are added; engines take 125 (moby, layer/layer_store.go: maxLayerDepth)."""
_INSTALLING_PARTS = ("version", "platform", "base", "system", "python")


class LayersGoneError(Exception):
    """Another command has removed the cached layers since they were found."""


class LayeredImage(NamedTuple):
    """What was built.

    Args:
        id: of the image.
        installed_at: when its packages were installed, seconds since 1970 (UTC).
        shared_layers: the shared layers that it is based on, `login-server/repository@sha256:…`; "" for none.
    """

    id: str
    installed_at: int
    shared_layers: str = ""


@dataclass(frozen=True, kw_only=True)
class LayeredBuild:
    """The build of one image.

    Args:
        build: runs each Dockerfile.
        store: of the project's cached layers.
        plan: the image.
        context: its files.
        parts: hashes of its inputs, see `fingerprint.fingerprint_parts`.
        previous: the image that was built last; None if there is none or it is not to be used.
        no_cache: build every step, and use no cached layers.
        judge: raises an error for the ID of a built image that must not get its names; None to name any.
    """

    build: Build
    store: DockerLayerStore
    plan: Plan
    context: BuildContext
    parts: Mapping[str, str]
    previous: BuiltImage | None
    no_cache: bool
    judge: Callable[[str], None] | None = None

    @property
    def _client(self) -> EngineClient:
        return self.build.client

    @property
    def _reporter(self) -> Reporter:
        return self.build.reporter

    @property
    def _mounts(self) -> bool:
        return self.build.builder.kind != "legacy"

    def run(self) -> LayeredImage:
        """Build the image, and tag it if its files are still those that were hashed.

        Raises:
            BuildError: a step failed, files changed meanwhile, or `judge` refuses the image.
            EngineError: the engine's disk is full.
        """
        image = self._build_on_layers() if self._layers else self._build_whole()
        confirm(self.context)
        if self.judge:
            self.judge(image.id)
        for name in self.plan.names:
            self._client.tag_image(image.id, name)
        return image

    @cached_property
    def _shared(self) -> SharedLayers | None:
        """The registry by which machines share cached layers; None for none."""
        if not self.plan.shared_layers:
            return None
        from azureml_tasks.engines.docker.shared_layers import SharedLayers

        return SharedLayers(client=self._client, repository=self.plan.shared_layers, reporter=self._reporter)

    @cached_property
    def _layers(self) -> tuple[CachedLayers, ...]:
        """The cached layers to build on: all if machines share them, else the last ones if that saves time."""
        layers = cached_layers_of(self.plan, self.parts)
        if self._shared or not layers:
            return layers
        last = layers[-1]
        rest = self._stage_context("", STAGES[len(last.stages) :])
        is_large = self._stage_context("", last.stages).size >= LARGE_CONTEXT
        return (last,) if is_large or self.build.uses_api_buildkit(rest) else ()

    def _build_whole(self) -> LayeredImage:
        context = self.context._replace(dockerfile=render(self.plan, mounts=self._mounts))
        no_cache, installed_at = self.no_cache, int(time.time())
        before = self.previous
        if before and all(
            before.fingerprint_parts.get(name) == self.parts[name] for name in _INSTALLING_PARTS
        ):
            # The builder has the installed packages in its own cache, however old they are.
            if packages_are_too_old(self.plan, before.installed_at):
                days = days_since(before.installed_at)
                self._reporter.say(f"installing packages again: they are not pinned, and {days:.0f} days old")
                no_cache = True
            else:
                installed_at = before.installed_at
        return LayeredImage(
            id=self.build.run(self.plan, context, no_cache=no_cache), installed_at=installed_at
        )

    def _build_on_layers(self) -> LayeredImage:
        """Build the rest of the image on its cached layers."""
        stages = STAGES[len(self._layers[-1].stages) :]
        layers = self._ensure_layers()
        try:
            image_id = self._run_on(layers, stages)
        except LayersGoneError:
            self._reporter.say(f"cached layers were removed meanwhile, building them again: {layers.name}")
            layers = self._ensure_layers()
            image_id = self._run_on(layers, stages)
        shared = self._shared.digest_reference(layers.id) if self._shared else ""
        return LayeredImage(id=image_id, installed_at=int(layers.built_at), shared_layers=shared)

    def _ensure_layers(self) -> FoundLayers:
        """Return the cached layers to build on, after building them if they are missing or too old."""
        count, layers = (0, None) if self.no_cache else self._longest_usable()
        if layers and count == len(self._layers):
            return layers
        layers = (not count and self._add_packages()) or self._build_layers(count, layers)
        own = {tag for each in self._layers for tag in (each.tag, each.grown_tag)}
        self.store.remove_unused(own | self.plan.kept_layers)
        return layers

    def _longest_usable(self) -> tuple[int, FoundLayers | None]:
        """Return how many of the cached layers can be used, from the engine or the shared registry, and the longest."""
        shared = self._shared
        for count in range(len(self._layers), 0, -1):
            tag = self._layers[count - 1].tag
            layers = self._usable(self._layers[count - 1])
            if not layers and shared:
                pulled = shared.pull(tag, self.parts["base"])
                shared = None if pulled is None else shared  # A registry that does not answer is asked once.
                if pulled:
                    self.store.use(tag, found_layers(pulled, kept_name(self.plan, tag)))
                    layers = self._usable(self._layers[count - 1])
            if layers:
                return count, layers
        return 0, None

    def _usable(self, wanted: CachedLayers) -> FoundLayers | None:
        """Return the cached layers that this project has recorded; None if they are missing or too old."""
        for tag in (wanted.tag, wanted.grown_tag):
            layers = self.store.find(tag)
            if not layers:
                continue
            if packages_are_too_old(self.plan, layers.built_at):
                self._reporter.say(
                    f"cached layers are too old for packages that are not pinned: {layers.name}"
                )
                return None
            self._reporter.say(f"using cached layers: {layers.name}")
            self.store.use(tag, layers)
            return layers
        return None

    def _add_packages(self) -> FoundLayers | None:
        """Build the cached layers by adding packages to those of the previous image; None if that is not possible.

        Shared layers are always built in one piece, so that all machines build the same.
        """
        added = None if self._shared else added_requirements(self.plan, self.parts, self.previous)
        if not added:
            return None
        for tag in (added.base.tag, added.base.grown_tag):
            below = self.store.find(tag)
            if below and len(below.layers) < _MOST_LAYERS:
                self._reporter.say(f"adding packages to cached layers: {below.name}")
                self.store.use(tag, below)
                # The layers below have the environment of the server, which must not be made again.
                context = added.added_to(
                    self._stage_context(self._named(below), (STAGE,), self.plan._replace(adds_server=False))
                )
                return self._build_cached(self._layers[-1].grown_tag, context, below)
        return None

    def _build_layers(self, count: int, below: FoundLayers | None) -> FoundLayers:
        """Build the cached layers after the first *count*, which are *below*, and return the last ones."""
        done = len(self._layers[count - 1].stages) if count else 0
        layers = self._build_next(self._layers[count], done, below)
        for previous, wanted in pairwise(self._layers[count:]):
            layers = self._build_next(wanted, len(previous.stages), layers)
        return layers

    def _build_next(self, wanted: CachedLayers, done: int, below: FoundLayers | None) -> FoundLayers:
        """Build cached layers on *below*, which has their first *done* stages, or on the base."""
        context = self._stage_context(self._named(below), wanted.stages[done:])
        return self._build_cached(wanted.tag, context, below)

    def _build_cached(self, tag: str, context: BuildContext, below: FoundLayers | None) -> FoundLayers:
        """Build cached layers from *context*, record them and return them."""
        is_too_old = self.store.find(tag) is not None
        image_id = self._run(context, no_cache=is_too_old)
        confirm(context)
        layers = found_layers(self._checked(image_id, below), kept_name(self.plan, tag))
        self.store.use(tag, layers)
        self._reporter.say(f"saved cached layers: {layers.name}")
        if self._shared:
            self._shared.push(image_id, tag)
        return layers

    def _run_on(self, layers: FoundLayers, stages: Sequence[str]) -> str:
        """Build *stages* on cached layers and return the image ID.

        Raises:
            LayersGoneError: the engine does not have them any more.
        """
        image_id = self._run(self._stage_context(self._named(layers), stages))
        self._checked(image_id, layers)
        return image_id

    def _named(self, layers: FoundLayers | None) -> str:
        """Return what the Dockerfile is based on: the base, or cached layers by a name that only this build knows.

        Any build can give any image the name that keeps cached layers, and BuildKit takes no ID.

        Raises:
            LayersGoneError: the engine does not have them any more.
        """
        if not layers:
            return str(self.plan.base)
        name = temporary_reference(self.build.tracked)
        try:
            self._client.tag_image(layers.id, name)
        except RefusedError as error:
            if self._client.inspect_image(layers.id):
                raise
            raise LayersGoneError(layers.id) from error
        return name

    def _checked(self, image_id: str, below: FoundLayers | None) -> Mapping[str, Any]:
        """Return what the engine knows of an image that was built on the cached layers *below*.

        Raises:
            EngineError: its layers do not begin with theirs, or somebody else has removed it.
        """
        image = self._client.inspect_image(image_id)
        if not image:
            what = f"Another command has removed the image {image_id[:19]} while it was built."
            raise EngineError(what, next_step="invoke image.build")
        if below and layers_of(image)[: len(below.layers)] != below.layers:
            what = f"The builder has not built on the cached layers {below.name} ({below.id[:19]})."
            raise EngineError(what, next_step="invoke image.build --no-cache")
        return image

    def _run(self, context: BuildContext, *, no_cache: bool = False) -> str:
        return self.build.run(self.plan, context, no_cache=no_cache or self.no_cache)

    def _stage_context(self, base: str, stages: Sequence[str], plan: Plan | None = None) -> BuildContext:
        return stage_context(plan or self.plan, self.context, base, stages, mounts=self._mounts, literal=True)
