"""Candidate images: what a run pushes, before it has passed its smoke test.

A run pushes to `NAME/candidate`, and a candidate is copied to its final tags after it has passed, so a final tag never
names an untested image. Candidates have their own repository because deleting a manifest deletes all its tags.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from azureml_tasks.built_image import PushedTag
from azureml_tasks.engines.tag_state import digest_if_known, left_behind
from azureml_tasks.errors import AzuremlTasksError, BuildError, RegistryError
from azureml_tasks.notice import Notice
from azureml_tasks.registry.session import AnswerError

if TYPE_CHECKING:
    from azureml_tasks.engines.acr.session import Session
    from azureml_tasks.registry.api import Manifest, RegistryApi
    from azureml_tasks.reporter import Reporter

RUN_ID = "{{.Run.ID}}"
"""The tag of a candidate; the agent replaces it by the ID of the run."""
SUFFIX = "/candidate"


def candidate_repository(repository: str) -> str:
    """Return the repository of the candidates of *repository*."""
    return repository + SUFFIX


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """The candidates of one repository.

    Args:
        repositories: of the registry.
        repository: the final one.
        name: resource name of the registry, for `az acr`.
        reporter: gets warnings.
    """

    repositories: RegistryApi
    repository: str
    name: str
    reporter: Reporter

    @classmethod
    def of(cls, session: Session, repository: str, reporter: Reporter) -> Candidates:
        """Return the candidates of *repository* in the registry of *session*."""
        name = session.registry.name
        return cls(repositories=session.repositories, repository=repository, name=name, reporter=reporter)

    def find(self, digest: str) -> tuple[str, Manifest] | None:
        """Return the repository of *digest* and its manifest: the candidates', or else the final one.

        Two releases of the same files share one candidate; the first to finish publishes and deletes it.
        """
        for repository in (candidate_repository(self.repository), self.repository):
            if manifest := self.repositories.manifest(repository, digest):
                return repository, manifest
        return None

    def publish(self, digest: str, tag: str, *, never_moves: bool = False) -> PushedTag:
        """Copy the candidate *digest* to the final *tag*; return its digest, and what the tag named before.

        Args:
            digest: of the candidate.
            tag: of the final repository.
            never_moves: do nothing if the registry has that tag.

        Raises:
            BuildError: the candidate does not exist.
            RegistryError: the registry refuses, or someone else moved the tag meanwhile.
        """
        before = digest_if_known(lambda: self._named(tag))
        if never_moves and before:
            return PushedTag(digest=before, before=before)
        candidate = self.find(digest)
        if not candidate:
            what = (
                f"The candidate image {candidate_repository(self.repository)}@{digest[:19]} "
                "is no longer in the registry."
            )
            raise BuildError(what, next_step="invoke image.build --engine acr")
        source, manifest = candidate
        if digest_if_known(lambda: self._named(digest)):
            source = self.repository  # An earlier tag has brought the layers there.
        name = f"{self.repositories.login_server}/{self.repository}:{tag}"
        try:
            self.repositories.copy(manifest, source, self.repository, tag)
        except AzuremlTasksError as error:
            error.state = left_behind(name, lambda: self._named(tag), before)
            raise
        self._confirm(name, digest, tag)
        return PushedTag(digest=digest, before=before)

    def _confirm(self, name: str, digest: str, tag: str) -> None:
        """Check what the registry has as *name*; it has confirmed *digest* once, so no answer is only a warning."""
        published = digest_if_known(lambda: self._stored(tag))
        if published is None:
            what = f"{name} was pushed as {digest}, which the registry did not confirm again"
            self.reporter.warn(Notice("digest-unconfirmed", what))
        elif published != digest:
            raise RegistryError(
                f"{name} is {published or 'nothing'}, not {digest}: someone else pushed this tag at the same time.",
                next_step="Push again, or use another tag: --tag",
                state=f"The image is in the registry as {self.repository}@{digest}; the tag names another one.",
            )

    def _stored(self, tag: str) -> str:
        """Return the digest of what is stored as a tag of the final repository; "" if nothing is."""
        manifest = self.repositories.manifest(self.repository, tag)
        return manifest.digest if manifest else ""

    def _named(self, reference: str) -> str:
        """Return the digest that a tag or digest of the final repository names; "" if there is none."""
        try:
            return self.repositories.digest(self.repository, reference)
        except AnswerError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return ""
            raise

    def remove(self, digest: str) -> bool:
        """Delete the candidate *digest*; return False, with a warning, if the registry refuses."""
        repository = candidate_repository(self.repository)
        try:
            self.repositories.delete(repository, digest)
        except AzuremlTasksError as error:
            what = f"the candidate image {repository}@{digest} was not deleted: {error.what}"
            fix = f"az acr repository delete --name {self.name} --image {repository}@{digest}"
            self.reporter.warn(Notice("candidate-left", what, fix=fix))
            return False
        return True
