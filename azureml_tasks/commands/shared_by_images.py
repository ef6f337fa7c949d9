"""What the images of one run share, so that it is read and opened once."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from azureml_tasks.errors import EngineError
from azureml_tasks.project import git

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from azureml_tasks.config.settings import Acr
    from azureml_tasks.context.file_hashes import FileHashes
    from azureml_tasks.engines.acr.session import Session
    from azureml_tasks.engines.docker.engine import DockerEngine
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.project.model import NoRevision, Revision
    from azureml_tasks.reporter import Reporter


@dataclass(kw_only=True)
class Shared:
    """What the images of one run share.

    Args:
        names: of all images of the table, in order.
        hashes: of the project's files.
        plans: name of an image → its plan, if it was made already.
        sessions: those in which registries are signed in to.
        described: what was said of engines.
    """

    names: tuple[str, ...]
    hashes: FileHashes
    plans: dict[str, Plan] = field(default_factory=dict)
    sessions: dict[tuple[Acr, str], Session] = field(default_factory=dict)
    described: set[str] = field(default_factory=set)
    _commit: Callable[[], Revision | NoRevision] | None = None
    _docker: DockerEngine | EngineError | None = None

    def commit(self, folder: Path) -> Callable[[], Revision | NoRevision]:
        """Return a function that waits for the commit of *folder*, which is read once."""
        self._commit = self._commit or git.start_reading(folder.resolve())
        return self._commit

    def docker(self, connect: Callable[[], DockerEngine], reporter: Reporter) -> DockerEngine:
        """Return the local engine, which is opened once.

        Args:
            connect: opens it.
            reporter: of the image.

        Raises:
            EngineError: no engine answers.
        """
        if self._docker is None:
            try:
                self._docker = connect()
            except EngineError as error:
                self._docker = copy(error)  # Who catches it may add to it.
                raise
        if isinstance(self._docker, EngineError):
            raise copy(self._docker)
        return replace(self._docker, reporter=reporter)
