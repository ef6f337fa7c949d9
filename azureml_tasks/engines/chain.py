"""A build on the local engine, in one piece or on a prefix that the engine keeps.

A builder that is sent the whole build context each time takes as long as that takes. So what comes before the code is
an image of its own wherever it holds much: a changed line of code then sends the code alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from azureml_tasks.context import confirm
from azureml_tasks.dockerfile import STAGES, render
from azureml_tasks.engines.building import MUCH
from azureml_tasks.engines.kept import LocalKeeper, made_at
from azureml_tasks.engines.shared import Shared
from azureml_tasks.engines.steps import Steps
from azureml_tasks.errors import BuildError
from azureml_tasks.prefixes import Prefix, part, prefixes, repository

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from azureml_tasks.context import Context
    from azureml_tasks.engines.building import Build
    from azureml_tasks.engines.endpoint import Endpoint
    from azureml_tasks.planning import Plan

__all__ = ["Chain"]

_KEPT = 2
"""Prefixes of a project that stay: that of the image that is built, and the one before it, to go back to."""


@dataclass(frozen=True, kw_only=True)
class Chain:
    """The way of one plan through the local engine.

    Args:
        build: carries out each part.
        plan: the image.
        context: its files.
        parts: its making.
    """

    build: Build
    plan: Plan
    context: Context
    parts: Mapping[str, str]

    @property
    def endpoint(self) -> Endpoint:
        """The engine."""
        return self.build.endpoint

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
            self.endpoint.tag(made, name)
        reference = self._shared.reference(wanted[-1].tag) if self._shared and wanted else ""
        return made, (reference,) if reference else ()

    def _confirm(self, made: str, context: Context) -> None:
        """See that *made* is made of the files that were hashed; of others it gets no name, and is removed."""
        try:
            confirm(context)
        except BuildError:
            found = self.endpoint.image(made)
            if found and not found.get("RepoTags"):
                self.endpoint.client.images.remove(made, noprune=True)
            raise

    def _whole(self, *, no_cache: bool) -> str:
        dockerfile = render(self.plan, mounts=self._mounts)
        return self._run(replace(self.context, dockerfile=dockerfile), no_cache=no_cache)

    def _part(self, base: str, names: Sequence[str]) -> Context:
        return part(self.plan, self.context, base, names, mounts=self._mounts, literal=True)

    @property
    def _mounts(self) -> bool:
        return self.build.builder.kind != "legacy"

    @cached_property
    def _shared(self) -> Shared | None:
        where, build = self.plan.shared_layers, self.build
        return Shared(endpoint=build.endpoint, repository=where, terminal=build.terminal) if where else None

    def _wanted(self) -> tuple[Prefix, ...]:
        """The prefixes to stand on: all where machines share them, else the last one, where that holds much."""
        found = prefixes(self.plan, self.parts)
        if self._shared or not found:
            return found
        last = found[-1]
        return (last,) if self._part("", last.stages).size >= MUCH else ()

    def _on(self, wanted: tuple[Prefix, ...], *, no_cache: bool) -> str:
        """Build the image on the last of *wanted*, which is made where it is not there."""
        done = 0 if no_cache else self._longest(wanted)
        for at, prefix in enumerate(wanted[done:], done):
            self._make(prefix, wanted[at - 1] if at else None, no_cache=no_cache)
        if done < len(wanted):
            self._forget_old()
        rest = STAGES[len(wanted[-1].stages) :]
        return self._run(self._part(self._base(wanted[-1]), rest), no_cache=no_cache)

    def _longest(self, wanted: tuple[Prefix, ...]) -> int:
        """How many of *wanted* are there: here, or else in the registry that machines share."""
        asked = self._shared
        for count in range(len(wanted), 0, -1):
            prefix = wanted[count - 1]
            if self._usable(self._name(prefix)):
                return count
            found = asked.pull(prefix.tag) if asked else None
            asked = asked if found is not None else None  # Who cannot tell of one cannot tell of another.
            if found:
                self.endpoint.tag(f"{self.plan.shared_layers}:{prefix.tag}", self._name(prefix))
                if self._usable(self._name(prefix)):
                    return count
        return 0

    def _usable(self, name: str) -> bool:
        """Whether the engine has the prefix of this name, and it is not too old."""
        found = self.endpoint.image(name)
        if not found:
            return False
        if not self.plan.pinned and _age(found) > self.plan.prefix_max_age:
            self.build.terminal.say(
                f"{name} is too old: its packages are not pinned, and newer ones may be there"
            )
            return False
        self.build.terminal.say(f"as before, and here: {name}")
        return True

    def _make(self, prefix: Prefix, on: Prefix | None, *, no_cache: bool) -> None:
        name, done = self._name(prefix), len(on.stages) if on else 0
        base = self._base(on) if on else str(self.plan.base)
        below = self._part(base, prefix.stages[done:])
        too_old = self.endpoint.image(name) is not None
        made = self._run(below, no_cache=no_cache or too_old)
        self._confirm(made, below)  # Its name says what files it is made of, for every build to come.
        self.endpoint.tag(made, name)
        self.build.terminal.say(f"kept for the next build: {name}")
        if self._shared:
            self._shared.push(made, prefix.tag)

    def _name(self, prefix: Prefix) -> str:
        return f"{repository(self.plan)}:{prefix.tag}"

    def _base(self, prefix: Prefix) -> str:
        """What FROM names: an id, which never moves; BuildKit finds an image of the engine by its name alone."""
        if self._mounts:
            return self._name(prefix)
        return str((self.endpoint.image(self._name(prefix)) or {}).get("Id", ""))

    def _run(self, context: Context, *, no_cache: bool) -> str:
        return replace(self.build, steps=Steps()).run(self.plan, context, no_cache=no_cache)

    def _forget_old(self) -> None:
        """Remove the names of this project's prefixes but for the last ones."""
        now = {prefix.tag for prefix in self._wanted()}
        keeper = LocalKeeper(endpoint=self.endpoint, plan=self.plan, terminal=self.build.terminal)
        others = [kept for kept in keeper.all() if kept.tag not in now]
        stay = list(dict.fromkeys(kept.tag for kept in others))[: _KEPT - 1]
        for kept in others:
            if kept.tag not in stay and keeper.remove(kept):
                self.build.terminal.say(f"removed {kept.name}, which is of no use any more")


def _age(attrs: Mapping[str, Any]) -> float:
    """Days since an image was made."""
    return (time.time() - made_at(attrs)) / 86_400
