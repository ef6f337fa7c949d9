"""One run of a command: what it is about, and where its records are."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.config.allowed_registries import AllowedRegistries
from azureml_tasks.errors import FileProblem, SettingsError
from azureml_tasks.state.own_records import foreign_records
from azureml_tasks.state.project_identity import project_key
from azureml_tasks.state.record_folder import FOLDER
from azureml_tasks.state.records import Records

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from azureml_tasks.commands.shared_by_images import Shared
    from azureml_tasks.config.problems import Override
    from azureml_tasks.context.file_hashes import FileHashes
    from azureml_tasks.project.build_secrets import SecretSource
    from azureml_tasks.reporter import Reporter


class RunContext(NamedTuple):
    """One run of a command.

    Args:
        folder: of the project.
        reporter: takes progress, warnings and effects.
        engine: one of `run_engine.ENGINES`.
        overrides: key of the table → value of this run that takes precedence.
        cache_scope: whose caches are used: runs with another scope share none; "" for the usual ones.
        secrets: ID of a secret → where it is.
        source_builds: whether packages may be built from source while secrets are mounted.
        allowed_registries: that code and models may be sent to.
        state: folder for the records, each project's in its own; None for `.azureml-image` of the project.
        chosen: the image that the run names; None for all, or if the table itself is the image.
        image: of which of the table's images this run is, see `image_runs`; "" if the table itself is the image.
        shared: what the images of one run share; None if the table itself is the image.
        root: folder that the project's files must be in, an absolute path; None for the one that the table says.
    """

    folder: Path
    reporter: Reporter
    engine: str = "docker"
    overrides: Mapping[str, Override] = MappingProxyType({})
    cache_scope: str = ""
    secrets: Mapping[str, SecretSource] = MappingProxyType({})
    source_builds: bool = False
    allowed_registries: AllowedRegistries = AllowedRegistries()
    state: Path | None = None
    chosen: Override | None = None
    image: str = ""
    shared: Shared | None = None
    root: Override | None = None

    @property
    def project_key(self) -> str:
        """The key under which caches of the project are kept."""
        return project_key(self.folder, self.cache_scope)

    @property
    def records(self) -> Records:
        """What earlier commands left for the project, or for the image."""
        home = self.state / self.project_key if self.state else self.folder / FOLDER
        return Records(folder=home / self.image if self.image else home, image=self.image)

    def file_hashes(self) -> FileHashes:
        """Return the hashes of the project's files that are known."""
        return self.shared.hashes if self.shared else self.records.file_hashes()


def refuse_foreign_records(run: RunContext) -> None:
    """Refuse records that are not this machine's own, so that nobody's commit says what was built, tested and pushed.

    Raises:
        SettingsError: their folder is a link, no folder, or tracked by git.
    """
    if run.shared:  # `image_runs` has looked at the records of all its images.
        return
    if problem := foreign_records(run.records.home, run.image):
        raise SettingsError([problem if run.state else FileProblem(*problem)])
