"""A build on the local engine, in one piece or on a prefix that the engine keeps.

A builder that is sent the whole build context each time takes as long as that takes. So what comes before the code is
an image of its own wherever that pays: of a changed line of code the engine then gets the code alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.context.build_context import confirm
from azureml_tasks.engines.build_log import BuildLog
from azureml_tasks.engines.docker.build import MUCH
from azureml_tasks.errors import BuildError
from azureml_tasks.incremental.added_requirements import STAGE, AddedRequirements, added_requirements
from azureml_tasks.incremental.cached_layers import (
    CachedLayers,
    cached_layers_of,
    layers_repository,
    stage_context,
)
from azureml_tasks.planning.dockerfile import STAGES, render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.engines.docker.build import Build
    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.engines.docker.shared_layers import Shared
    from azureml_tasks.planning.plan import Plan

__all__ = ["LayeredBuild"]

_MOST_LAYERS = 100
"""From how many on a prefix grows no more: engines take 125 (moby, layer/layer_store.go: maxLayerDepth)."""


class LayeredBuild(NamedTuple):
    """The way of one plan through the local engine.

    Args:
        build: carries out each part.
        plan: the image.
        context: its files.
        parts: its making.
        before: the image that was built last, whose prefix this one may grow from; None for none.
    """

    build: Build
    plan: Plan
    context: BuildContext
    parts: Mapping[str, str]
    before: BuiltImage | None

    @property
    def client(self) -> EngineClient:
        """The engine."""
        return self.build.client

    def image(self, *, no_cache: bool) -> tuple[str, tuple[str, ...]]:
        """Build the image, and name it once it is sure that its files are those of the plan.

        Returns:
            Its id, and the shared prefix that it stands on, by its digest, where there is one.

        Raises:
            BuildError: a step failed, or files changed meanwhile.
            EngineError: the engine's disk is full.
        """
        wanted = self._wanted()
        made = self._on(wanted, no_cache=no_cache) if wanted else self._whole(no_cache=no_cache)
        self._confirm(made, self.context)
        for name in self.plan.names:
            self.client.tag_image(made, name)
        reference = self._shared.reference(wanted[-1].tag) if self._shared and wanted else ""
        return made, (reference,) if reference else ()

    def _confirm(self, made: str, context: BuildContext) -> None:
        """See that *made* is made of the files that were hashed; of others it gets no name, and is removed.

        Raises:
            BuildError: they have changed.
        """
        try:
            confirm(context)
        except BuildError:
            _remove_unnamed(self.client, made)
            raise

    def _made(self, context: BuildContext, *, no_cache: bool) -> str:
        """Build one part, and give its id."""
        return self.build._replace(steps=BuildLog()).run(self.plan, context, no_cache=no_cache, is_part=True)

    def _whole(self, *, no_cache: bool) -> str:
        on_base = self._on_top(None, STAGES)
        if self.build.only_copies(on_base):
            return self._made(on_base, no_cache=no_cache)
        dockerfile = render(self.plan, mounts=self._mounts)
        return self.build.run(self.plan, self.context._replace(dockerfile=dockerfile), no_cache=no_cache)

    def _part(self, base: str, names: Sequence[str]) -> BuildContext:
        return stage_context(self.plan, self.context, base, names, mounts=self._mounts, literal=True)

    @property
    def _mounts(self) -> bool:
        return self.build.builder.kind != "legacy"

    @property
    def _shared(self) -> Shared | None:
        if not (where := self.plan.shared_layers):
            return None
        from azureml_tasks.engines.docker.shared_layers import Shared

        return Shared(client=self.client, repository=where, reporter=self.build.reporter)

    def _wanted(self) -> tuple[CachedLayers, ...]:
        """The prefixes to stand on: all where machines share them, else the last one, where that pays."""
        found = cached_layers_of(self.plan, self.parts)
        if self._shared or not found:
            return found
        last = found[-1]
        above = self._part("", STAGES[len(last.stages) :])
        pays = self._part("", last.stages).size >= MUCH or self.build.only_copies(above)
        return (last,) if pays else ()

    def _on(self, wanted: tuple[CachedLayers, ...], *, no_cache: bool) -> str:
        """Build the image on the last of *wanted*, which is made where it is not there."""
        done = 0 if no_cache else self._longest(wanted)
        if done < len(wanted):
            from azureml_tasks.engines.docker.layer_store import DockerLayerStore

            self._make_from(wanted, done, no_cache=no_cache)
            DockerLayerStore(self.client, self.plan, self.build.reporter).forget_old(
                {one.tag for one in wanted}
            )
        rest = self._on_top(wanted[-1], STAGES[len(wanted[-1].stages) :])
        return self._made(rest, no_cache=no_cache)

    def _longest(self, wanted: tuple[CachedLayers, ...]) -> int:
        """How many of *wanted* are there: here, or else in the registry that machines share."""
        asked = self._shared
        for count in range(len(wanted), 0, -1):
            prefix = wanted[count - 1]
            if self._usable(self._name(prefix)):
                return count
            found = asked.pull(prefix.tag) if asked else None
            asked = asked if found is not None else None  # Who cannot tell of one cannot tell of another.
            if found:
                self.client.tag_image(f"{self.plan.shared_layers}:{prefix.tag}", self._name(prefix))
                if self._usable(self._name(prefix)):
                    return count
        return 0

    def _usable(self, name: str) -> bool:
        """Whether the engine has the prefix of this name, and it is not too old."""
        if not (found := self.client.inspect_image(name)):
            return False
        if not self.plan.pinned:
            from azureml_tasks.engines.docker.layer_store import days_since

            if days_since(found) > self.plan.cached_layers_max_age:
                why = "its packages are not pinned, and newer ones may be there"
                self.build.reporter.say(f"{name} is too old: {why}")
                return False
        self.build.reporter.say(f"as before, and here: {name}")
        return True

    def _make_from(self, wanted: tuple[CachedLayers, ...], done: int, *, no_cache: bool) -> None:
        """Make the prefixes of *wanted* that come after the first *done*; the last alone where it can grow."""
        if not done and (grown := self._grown()):
            self._keep_new(wanted[-1], grown.into(self._on_top(grown.on, (STAGE,))), no_cache=no_cache)
            return
        for prefix, on in zip(wanted[done:], (None, *wanted)[done:-1], strict=True):
            below = self._on_top(on, prefix.stages[len(on.stages) if on else 0 :])
            self._keep_new(prefix, below, no_cache=no_cache)

    def _grown(self) -> AddedRequirements | None:
        """The prefix that needs some packages more; machines that share theirs make them all the same way."""
        found = None if self._shared else added_requirements(self.plan, self.parts, self.before)
        attrs = self.client.inspect_image(self._name(found.on)) if found else None
        if not found or not attrs or len(attrs["RootFS"]["Layers"]) >= _MOST_LAYERS:
            return None
        self.build.reporter.say(f"here, but for the packages that were added: {self._name(found.on)}")
        return found

    def _keep_new(self, prefix: CachedLayers, below: BuildContext, *, no_cache: bool) -> None:
        """Build what *below* says, which makes *prefix*."""
        name = self._name(prefix)
        too_old = self.client.inspect_image(name) is not None
        made = self._made(below, no_cache=no_cache or too_old)
        self._confirm(made, below)
        self.client.tag_image(made, name)
        self.build.reporter.say(f"kept for the next build: {name}")
        if self._shared:
            self._shared.push(made, prefix.tag)

    def _name(self, prefix: CachedLayers) -> str:
        return f"{layers_repository(self.plan)}:{prefix.tag}"

    def _on_top(self, prefix: CachedLayers | None, names: Sequence[str]) -> BuildContext:
        """What it takes to build the stages of these *names* on *prefix*, or else on the base.

        A prefix is named by its id, which never moves, but for BuildKit, which finds images by their names alone.
        """
        named = self._part(self._name(prefix) if prefix else str(self.plan.base), names)
        if not prefix or self._mounts or self.build.only_copies(named):
            return named
        return self._part(str((self.client.inspect_image(self._name(prefix)) or {}).get("Id", "")), names)


def _remove_unnamed(client: EngineClient, image_id: str) -> None:
    """Remove an image that nobody would find, since it has no name; what it stands on stays."""
    found = client.inspect_image(image_id)
    if found and not found.get("RepoTags"):
        client.sdk.images.remove(image_id, noprune=True)
