"""A build on the local engine, in one piece or on a prefix that the engine keeps.

A builder that is sent the whole build context each time takes as long as that takes. So what comes before the code is
an image of its own wherever it holds much: a changed line of code then sends the code alone.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from azureml_tasks.context import confirm
from azureml_tasks.dockerfile import STAGES
from azureml_tasks.engines.steps import Steps
from azureml_tasks.errors import BuildError
from azureml_tasks.prefixes import Prefix, part, prefixes, repository

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.context import Context
    from azureml_tasks.engines.building import Build
    from azureml_tasks.engines.endpoint import Endpoint
    from azureml_tasks.planning import Plan

__all__ = ["Chain"]

_MUCH = 4 * 1024 * 1024
"""Bytes of files from which sending them takes longer than one image more."""
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

    def image(self, *, no_cache: bool) -> str:
        """Build the image, and name it once it is sure that its files are those of the plan; its id.

        Raises:
            BuildError: a step failed, or files changed meanwhile.
            EngineError: the engine's disk is full.
        """
        made = self._built(no_cache=no_cache)
        try:
            confirm(self.context)
        except BuildError:
            found = self.endpoint.image(made)
            if found and not found.get("RepoTags"):
                self.endpoint.client.images.remove(made, noprune=True)
            raise
        for name in self.plan.names:
            self.endpoint.tag(made, name)
        return made

    def _built(self, *, no_cache: bool) -> str:
        prefix = next(iter(prefixes(self.plan, self.parts)[-1:]), None)
        if not prefix or self._size(prefix) < _MUCH:
            return self._run(self.context, no_cache=no_cache)
        name = f"{repository(self.plan)}:{prefix.tag}"
        found = None if no_cache else self._usable(name)
        on = found or self._make(prefix, name, no_cache=no_cache)
        rest = STAGES[len(prefix.stages) :]
        # BuildKit finds an image of the engine by its name alone.
        base = on if self.build.builder.kind == "legacy" else name
        return self._run(part(self.plan, self.context, base, rest), no_cache=no_cache)

    def _size(self, prefix: Prefix) -> int:
        return part(self.plan, self.context, "", prefix.stages).size

    def _usable(self, name: str) -> str:
        """The id of the prefix of this name; "" where there is none, or where it has become too old."""
        found = self.endpoint.image(name)
        if not found:
            return ""
        if not self.plan.pinned and _age(found) > self.plan.prefix_max_age:
            self.build.terminal.say(
                f"{name} is too old: its packages are not pinned, and newer ones may be there"
            )
            return ""
        self.build.terminal.say(f"all below the code is as it was, and there: {name}")
        return str(found["Id"])

    def _make(self, prefix: Prefix, name: str, *, no_cache: bool) -> str:
        below = part(self.plan, self.context, str(self.plan.base), prefix.stages)
        too_old = self.endpoint.image(name) is not None
        made = self._run(below, no_cache=no_cache or too_old)
        self.endpoint.tag(made, name)
        self.build.terminal.say(f"all below the code is kept as {name}")
        self._forget_old(made)
        return made

    def _run(self, context: Context, *, no_cache: bool) -> str:
        return replace(self.build, steps=Steps()).run(self.plan, context, no_cache=no_cache)

    def _forget_old(self, newest: str) -> None:
        """Remove the names of this project's prefixes but for the last ones."""
        from docker.errors import APIError

        found: list[Any] = self.endpoint.client.images.list(name=repository(self.plan))
        others = sorted(
            (image for image in found if image.id != newest), key=lambda image: -_made_at(image.attrs)
        )
        for image in others[_KEPT - 1 :]:
            for name in image.tags:
                with suppress(APIError):  # Another image or container has it; it goes with that.
                    self.endpoint.client.images.remove(name)
                    self.build.terminal.say(f"removed {name}, which is no longer of use")


def _age(attrs: Mapping[str, Any]) -> float:
    """Days since an image was made."""
    return (time.time() - _made_at(attrs)) / 86_400


def _made_at(attrs: Mapping[str, Any]) -> float:
    """Seconds since 1970; the API gives nanoseconds, which Python's parser does not take."""
    text = str(attrs["Created"])
    return datetime.fromisoformat(f"{text.partition('.')[0].rstrip('Z')}+00:00").timestamp()
