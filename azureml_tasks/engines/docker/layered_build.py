"""Build an image on a Docker engine in one piece, or on cached layers.

A builder that gets the whole build context each time needs as long as the transfer takes. The layers below the code are
therefore an image of their own if that saves time: of a changed line of code, the engine then gets the code alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.context.build_context import confirm
from azureml_tasks.engines.docker.build import LARGE_CONTEXT
from azureml_tasks.errors import BuildError
from azureml_tasks.incremental.added_requirements import STAGE, added_requirements
from azureml_tasks.incremental.cached_layers import (
    CachedLayers,
    cached_layers_of,
    local_layers_repository,
    stage_context,
)
from azureml_tasks.incremental.rebuild_reasons import packages_are_too_old
from azureml_tasks.planning.dockerfile import STAGES, render
from azureml_tasks.timestamps import days_since, epoch_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.engines.docker.build import Build
    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.engines.docker.layer_store import DockerLayerStore
    from azureml_tasks.engines.docker.shared_layers import SharedLayers
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.reporter import Reporter

_MOST_LAYERS = 100
"""Layers from which on no packages are added; engines take 125 (moby, layer/layer_store.go: maxLayerDepth)."""
_INSTALLING_PARTS = ("version", "platform", "base", "system", "python")


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
    """

    build: Build
    store: DockerLayerStore
    plan: Plan
    context: BuildContext
    parts: Mapping[str, str]
    previous: BuiltImage | None
    no_cache: bool

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
            BuildError: a step failed, or files changed meanwhile.
            EngineError: the engine's disk is full.
        """
        image = self._build_on_layers() if self._layers else self._build_whole()
        confirm(self.context)
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
        """Build the rest of the image on its cached layers.

        Another command may have removed them since they were found; then they are built again.
        """
        stages = STAGES[len(self._layers[-1].stages) :]
        base = self._ensure_layers()
        try:
            image_id = self._run(self._stage_context(base, stages))
        except BuildError:
            if self._client.inspect_image(base):
                raise
            self._reporter.say(f"cached layers were removed meanwhile, building them again: {base}")
            base = self._ensure_layers()
            image_id = self._run(self._stage_context(base, stages))
        built_at = epoch_seconds(str((self._client.inspect_image(base) or {}).get("Created", "")))
        shared = self._shared.digest_reference(self._layers[-1].tag) if self._shared else ""
        return LayeredImage(id=image_id, installed_at=int(built_at), shared_layers=shared)

    def _ensure_layers(self) -> str:
        """Return the name of the cached layers to build on, after building them if they are missing or too old."""
        count, name = (0, "") if self.no_cache else self._longest_usable()
        if count == len(self._layers):
            return name
        name = (not count and self._add_packages()) or self._build_layers(count, name)
        self.store.remove_unused({tag for each in self._layers for tag in (each.tag, each.grown_tag)})
        return name

    def _longest_usable(self) -> tuple[int, str]:
        """Return how many of the cached layers can be used, on the engine or in the shared registry, and the name."""
        shared = self._shared
        for count in range(len(self._layers), 0, -1):
            layers = self._layers[count - 1]
            name = self._usable(layers)
            if not name and shared:
                pulled = shared.pull(layers.tag)
                shared = None if pulled is None else shared  # A registry that does not answer is asked once.
                if pulled:
                    self.store.use(self._name(layers.tag), f"{self.plan.shared_layers}:{layers.tag}")
                    name = self._usable(layers)
            if name:
                return count, name
        return 0, ""

    def _usable(self, layers: CachedLayers) -> str:
        """Return the name of the layers on the engine; "" if they are missing or too old."""
        for name in (self._name(layers.tag), self._name(layers.grown_tag)):
            image = self._client.inspect_image(name)
            if not image:
                continue
            if packages_are_too_old(self.plan, epoch_seconds(str(image["Created"]))):
                self._reporter.say(f"cached layers are too old for packages that are not pinned: {name}")
                return ""
            self._reporter.say(f"using cached layers: {name}")
            self.store.use(name, str(image["Id"]))
            return name
        return ""

    def _add_packages(self) -> str:
        """Build the cached layers by adding packages to those of the previous image; "" if that is not possible.

        Shared layers are always built in one piece, so that all machines build the same.
        """
        added = None if self._shared else added_requirements(self.plan, self.parts, self.previous)
        if not added:
            return ""
        for name in (self._name(added.base.tag), self._name(added.base.grown_tag)):
            image = self._client.inspect_image(name)
            if image and len(image["RootFS"]["Layers"]) < _MOST_LAYERS:
                self._reporter.say(f"adding packages to cached layers: {name}")
                self.store.use(name, str(image["Id"]))
                context = added.added_to(self._stage_context(name, (STAGE,)))
                return self._build_cached(self._layers[-1].grown_tag, context)
        return ""

    def _build_layers(self, count: int, base: str) -> str:
        """Build the cached layers after the first *count*, whose name is *base*, and return the name of the last."""
        done = len(self._layers[count - 1].stages) if count else 0
        for layers in self._layers[count:]:
            context = self._stage_context(base or str(self.plan.base), layers.stages[done:])
            base, done = self._build_cached(layers.tag, context), len(layers.stages)
        return base

    def _build_cached(self, tag: str, context: BuildContext) -> str:
        """Build cached layers from *context*, tag them and return their name."""
        name = self._name(tag)
        is_too_old = self._client.inspect_image(name) is not None
        image_id = self._run(context, no_cache=is_too_old)
        confirm(context)
        self.store.use(name, image_id)
        self._reporter.say(f"saved cached layers: {name}")
        if self._shared:
            self._shared.push(image_id, tag)
        return name

    def _run(self, context: BuildContext, *, no_cache: bool = False) -> str:
        return self.build.run(self.plan, context, no_cache=no_cache or self.no_cache)

    def _name(self, tag: str) -> str:
        return f"{local_layers_repository(self.plan)}:{tag}"

    def _stage_context(self, base: str, stages: Sequence[str]) -> BuildContext:
        return stage_context(self.plan, self.context, base, stages, mounts=self._mounts, literal=True)
