"""The builds of a run: the whole image, or the layers that follow the cached layers in the registry.

An agent starts without any cache, so a quick build builds every layer. The layers below the code are therefore pushed
to a repository beside the image's, and used as the base of later builds: by the digest that is recorded for the
project, since anybody who may push there can move a tag. Only a repository that the table shares is looked up by tag.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.context.build_context import IGNORE_FILE
from azureml_tasks.context.context_file import ContextFile
from azureml_tasks.engines.acr.candidates import RUN_ID, candidate_repository
from azureml_tasks.engines.acr.layer_store import registry_layers_repository, shares_layers
from azureml_tasks.engines.acr.task_file import RESERVED, BuildPiece
from azureml_tasks.errors import AzuremlTasksError
from azureml_tasks.incremental.cached_layers import CachedLayers, cached_layers_of, stage_context
from azureml_tasks.incremental.fingerprint import fingerprint_parts
from azureml_tasks.notice import Notice
from azureml_tasks.planning.dockerfile import STAGES, labelled
from azureml_tasks.planning.plan import BUILDKIT
from azureml_tasks.timestamps import SECONDS_PER_DAY, epoch_seconds, parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.registry.api import RegistryApi
    from azureml_tasks.reporter import Reporter
    from azureml_tasks.state.layer_records import LayerRecords


_PROJECT = "project"
"""The folder of the upload with the files of the project, for a Dockerfile of its own."""


@dataclass(frozen=True, kw_only=True)
class BuildPieces:
    """The builds of a run.

    Args:
        pieces: in their order; the last one builds the image.
        cached_layers: the base of the first one, `login-server/repository@sha256:…`; "" for the base of the plan.
        installed_at: when these were built, seconds since 1970 (UTC); 0 if there are none.
    """

    pieces: tuple[BuildPiece, ...]
    cached_layers: str = ""
    installed_at: int = 0

    @property
    def image(self) -> str:
        """The candidate image."""
        return self.pieces[-1].image

    @property
    def installs(self) -> bool:
        """Whether the run installs Python packages."""
        return any(piece.installs for piece in self.pieces)

    @property
    def context_files(self) -> tuple[ContextFile, ...]:
        """The files to upload: each Dockerfile, then the files of all builds without duplicates."""
        dockerfiles = {piece.dockerfile: piece.context.dockerfile.encode() for piece in self.pieces}
        files = {file.name: file for piece in self.pieces for file in piece.context.files}
        return (
            *(
                ContextFile(name=name, data=text, size=len(text))
                for name, text in sorted(dockerfiles.items())
            ),
            *(files[name] for name in sorted(files)),
        )


class _StoredLayers(NamedTuple):
    """The largest cached layers in the registry: how many of the plan's, their reference and when they were built."""

    stored: int = 0
    reference: str = ""
    built_at: int = 0


_NONE = _StoredLayers()


def whole_image(plan: Plan, context: BuildContext) -> BuildPieces:
    """Return one build of the whole image."""
    piece = (
        _own_piece(plan, context) if plan.own_dockerfile else _piece(context, "Dockerfile", _candidate(plan))
    )
    return BuildPieces(pieces=(piece,))


def _own_piece(plan: Plan, context: BuildContext) -> BuildPiece:
    """Return the build of the project's own Dockerfile, with the labels in it, on a folder of the project's files.

    The Dockerfile lies outside that folder, so that no instruction copies ours. The folder has no ignore file, since
    that was applied already, and `exclude` may have brought files back.
    """
    own = [
        file._replace(name=f"{_PROJECT}/{file.name}") for file in context.files if file.name != IGNORE_FILE
    ]
    return BuildPiece(
        dockerfile=f"{RESERVED}/Dockerfile",
        context=context._replace(
            files=(ContextFile(name=f"{_PROJECT}/"), *own), dockerfile=labelled(plan, context.sha256)
        ),
        image=_candidate(plan),
        installs=False,
        folder=_PROJECT,
        buildkit=BUILDKIT in plan.required_features,
    )


def pieces_after_cached_layers(
    plan: Plan,
    context: BuildContext,
    repositories: RegistryApi,
    records: LayerRecords,
    reporter: Reporter,
    *,
    no_cache: bool,
) -> BuildPieces:
    """Return the builds that follow the largest cached layers in the registry.

    Args:
        plan: the image, with its registry.
        context: of the whole image.
        repositories: of the registry.
        records: of the project's cached layers in the registry.
        reporter: gets messages about the cached layers.
        no_cache: ignore the cached layers in the registry, and build all of them.
    """
    available = cached_layers_of(plan, fingerprint_parts(plan, context, str(plan.base)))
    if not available:
        return whole_image(plan, context)
    largest = _NONE
    if not no_cache:
        largest = _largest_in_registry(plan, available, repositories, records, reporter)
    reused, missing = available[: largest.stored], available[largest.stored :]
    pieces = _pieces(plan, context, largest.reference or str(plan.base), reused, missing)
    return BuildPieces(pieces=tuple(pieces), cached_layers=largest.reference, installed_at=largest.built_at)


def _largest_in_registry(
    plan: Plan,
    available: tuple[CachedLayers, ...],
    repositories: RegistryApi,
    records: LayerRecords,
    reporter: Reporter,
) -> _StoredLayers:
    """Return the largest of *available*, the smallest first, that the registry has."""
    repository = registry_layers_repository(plan)
    for count in range(len(available), 0, -1):
        layers = available[count - 1]
        name = f"{repository}:{layers.tag}"
        record = records.read(layers.tag)
        if not record and not shares_layers(plan):
            continue
        try:
            manifest = repositories.manifest(repository, record.id if record else layers.tag)
            created = repositories.created(repository, manifest) if manifest else ""
        except AzuremlTasksError as error:
            what = f"cannot look up the cached layers {name}, so they are built again: {error.what}"
            reporter.warn(Notice("cached-layers", what))
            return _NONE
        if manifest and (_is_pinned(plan) or _age_in_days(created) <= plan.cached_layers_max_age):
            reporter.say(f"using cached layers: {' + '.join(layers.stages)}, {name}")
            records.write(layers.tag, manifest.digest, f"{plan.registry}/{name}")
            reference = f"{plan.registry}/{repository}@{manifest.digest}"
            return _StoredLayers(stored=count, reference=reference, built_at=int(epoch_seconds(created)))
        if not manifest:
            records.forget(layers.tag)
        else:
            reporter.say(
                f"not using cached layers {name}: they are older than cached-layers-max-age = "
                f"{plan.cached_layers_max_age:g} days, and not everything in them is pinned"
            )
    return _NONE


def _is_pinned(plan: Plan) -> bool:
    """Return whether a build today would install the same: a tag of the base may name another image tomorrow."""
    return plan.pinned and bool(plan.base.digest)


def _age_in_days(created: str) -> float:
    """Return the days since *created* (RFC 3339); infinity if it is unknown."""
    moment = parse_timestamp(created)
    return (time.time() - moment.timestamp()) / SECONDS_PER_DAY if moment else float("inf")


def _pieces(
    plan: Plan,
    context: BuildContext,
    base: str,
    reused: Sequence[CachedLayers],
    missing: Sequence[CachedLayers],
) -> Iterator[BuildPiece]:
    """Yield a build for each of the *missing* cached layers, then that of the image."""
    done = len(reused[-1].stages) if reused else 0
    for layers in missing:
        stages = layers.stages[done:]
        name = f"{plan.registry}/{registry_layers_repository(plan)}:{layers.tag}"
        yield _piece(stage_context(plan, context, base, stages), f"Dockerfile.{stages[-1]}", name)
        done, base = len(layers.stages), name
    yield _piece(stage_context(plan, context, base, STAGES[done:]), "Dockerfile", _candidate(plan))


def _piece(context: BuildContext, dockerfile: str, image: str) -> BuildPiece:
    installs = any(file.name.startswith("python/") for file in context.files)
    return BuildPiece(dockerfile=dockerfile, context=context, image=image, installs=installs)


def _candidate(plan: Plan) -> str:
    return f"{plan.registry}/{candidate_repository(plan.repository)}:{RUN_ID}"
