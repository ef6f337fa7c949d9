"""What a run has to build: the whole image, or what comes after the longest prefix that its registry has.

An agent of ACR starts with nothing, so that a quick build makes every layer anew. What stands below the code is
therefore kept in a repository of its own beside the image's, named by what makes it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from azureml_tasks.context.context_file import ContextFile
from azureml_tasks.engines.acr.candidates import repository_of
from azureml_tasks.engines.acr.layer_store import built_at, prefix_repository
from azureml_tasks.engines.acr.task_file import RUN_ID
from azureml_tasks.errors import AzuremlTasksError
from azureml_tasks.incremental.cached_layers import CachedLayers, cached_layers_of, stage_context
from azureml_tasks.incremental.fingerprint import fingerprint_parts
from azureml_tasks.planning.dockerfile import STAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.registry.api import RegistryApi
    from azureml_tasks.reporter import Reporter

__all__ = ["Piece", "Route", "route", "whole"]

_DAY = 86_400


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One build of a run.

    Args:
        dockerfile: name of its Dockerfile in the context.
        context: the text of that, and the files that it copies.
        image: the name that it gets, `login-server/repository:tag`.
        installs: whether it is the one that installs the Python packages, and so needs the secrets.
    """

    dockerfile: str
    context: BuildContext
    image: str
    installs: bool


@dataclass(frozen=True, kw_only=True)
class Route:
    """The builds of a run, in their order; the last one makes the image.

    Args:
        pieces: each build.
        on: the prefix that the first one stands on, `login-server/repository@sha256:…`; "" for the base.
    """

    pieces: tuple[Piece, ...]
    on: str = ""

    @property
    def members(self) -> tuple[ContextFile, ...]:
        """What has to travel: each Dockerfile, then the files of all pieces, each once."""
        texts = {piece.dockerfile: piece.context.dockerfile.encode() for piece in self.pieces}
        files = {file.name: file for piece in self.pieces for file in piece.context.files}
        written = (ContextFile(name=name, data=data, size=len(data)) for name, data in sorted(texts.items()))
        return (*written, *(files[name] for name in sorted(files)))

    @property
    def installs(self) -> bool:
        """Whether Python packages are installed anew."""
        return any(piece.installs for piece in self.pieces)


def whole(plan: Plan, context: BuildContext) -> Route:
    """The image in one piece."""
    return Route(pieces=(_piece(context, "Dockerfile", _candidate(plan)),))


def route(
    plan: Plan, context: BuildContext, repositories: RegistryApi, reporter: Reporter, *, no_cache: bool
) -> Route:
    """The way to the image of *plan* from the longest prefix that is there.

    Args:
        plan: the image, with its registry.
        context: of the whole of it.
        repositories: of that registry.
        reporter: hears which prefix is used, and of one that cannot be told of.
        no_cache: whether everything is built anew, the prefixes too.
    """
    chain = cached_layers_of(plan, fingerprint_parts(plan, context, str(plan.base)))
    if not chain:
        return whole(plan, context)
    done, on = (0, "") if no_cache else _longest(plan, chain, repositories, reporter)
    return Route(pieces=tuple(_pieces(plan, context, chain, done, on)), on=on)


def _longest(
    plan: Plan, chain: tuple[CachedLayers, ...], repositories: RegistryApi, reporter: Reporter
) -> tuple[int, str]:
    """How many prefixes are there already, and the reference of the longest by its digest."""
    where = prefix_repository(plan)
    for count in range(len(chain), 0, -1):
        tag = chain[count - 1].tag
        try:
            found = repositories.manifest(where, tag)
            made = repositories.created(where, found) if found else ""
        except AzuremlTasksError as error:
            reporter.warn(f"whether {where}:{tag} is there cannot be told, so it is built anew: {error.what}")
            return 0, ""
        if found and (_is_fixed(plan) or _age(made) <= plan.cached_layers_max_age):
            reporter.say(
                f"as before, and in the registry: {' + '.join(chain[count - 1].stages)}, {where}:{tag}"
            )
            return count, f"{plan.registry}/{where}@{found.digest}"
        if found:
            reporter.say(f"{where}:{tag} is too old: what it holds is not pinned, and newer may be there")
    return 0, ""


def _is_fixed(plan: Plan) -> bool:
    """Whether its prefixes stay what they are: a base by its tag may be another image tomorrow."""
    return plan.pinned and bool(plan.base.digest)


def _age(created: str) -> float:
    """Days since *created* (RFC 3339); thousands where nobody knows."""
    return (time.time() - built_at(created)) / _DAY


def _pieces(
    plan: Plan, context: BuildContext, chain: tuple[CachedLayers, ...], done: int, on: str
) -> Iterator[Piece]:
    below, base = chain[done - 1].stages if done else (), on or str(plan.base)
    for prefix in chain[done:]:
        stages = prefix.stages[len(below) :]
        name = f"{plan.registry}/{prefix_repository(plan)}:{prefix.tag}"
        yield _piece(stage_context(plan, context, base, stages), f"Dockerfile.{stages[-1]}", name)
        below, base = prefix.stages, name
    rest = STAGES[len(below) :]
    yield _piece(stage_context(plan, context, base, rest), "Dockerfile", _candidate(plan))


def _piece(context: BuildContext, dockerfile: str, image: str) -> Piece:
    installs = any(file.name.startswith("python/") for file in context.files)
    return Piece(dockerfile=dockerfile, context=context, image=image, installs=installs)


def _candidate(plan: Plan) -> str:
    return f"{plan.registry}/{repository_of(plan.repository)}:{RUN_ID}"
