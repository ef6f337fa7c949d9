"""What a run has built waits in a repository of its own until it has passed, and gets its final names from there.

So a final tag always means passed. Nothing is deleted by digest in the final repository: that would take
every tag of the manifest along.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from azureml_tasks.errors import AzuremlTasksError, BuildError, RegistryError, stating

if TYPE_CHECKING:
    from azureml_tasks.engines.acr.session import Session
    from azureml_tasks.registry.api import Manifest, RegistryApi
    from azureml_tasks.reporter import Reporter

__all__ = ["Candidates", "final_of", "repository_of"]

_SUFFIX = "/candidate"


def repository_of(repository: str) -> str:
    """Where the candidates of *repository* wait."""
    return repository + _SUFFIX


def final_of(candidates: str) -> str:
    """The repository whose candidates wait in *candidates*."""
    return candidates.removesuffix(_SUFFIX)


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """The candidates of one repository.

    Args:
        repositories: of the registry.
        repository: the final one.
        name: of the registry's resource, as `az acr` wants it.
        reporter: hears of what stays.
    """

    repositories: RegistryApi
    repository: str
    name: str
    reporter: Reporter

    @classmethod
    def of(cls, session: Session, repository: str, reporter: Reporter) -> Candidates:
        """Those of *repository* at the registry of *session*."""
        name = session.registry.name
        return cls(repositories=session.repositories, repository=repository, name=name, reporter=reporter)

    def find(self, digest: str) -> tuple[str, Manifest] | None:
        """The repository that has *digest*, and its manifest: the candidates', else the final one.

        Another release may have published the same bytes, and have put its candidate away, which was ours too.
        """
        for repository in (repository_of(self.repository), self.repository):
            if found := self.repositories.manifest(repository, digest):
                return repository, found
        return None

    def publish(self, digest: str, tag: str) -> str:
        """Give the candidate of *digest* the final *tag*; the digest that the registry then has for it.

        Raises:
            BuildError: the candidate is gone.
            RegistryError: the registry refuses, or somebody else has given the tag to another image meanwhile.
        """
        found = self.find(digest)
        if not found:
            what = f"The candidate {repository_of(self.repository)}@{digest[:19]} is gone from the registry."
            raise BuildError(what, next_step="invoke image.build --engine acr")
        source, manifest = found
        self.repositories.copy(manifest, source, self.repository, tag)
        name = f"{self.repositories.login_server}/{self.repository}:{tag}"
        with stating(
            f"{name} was pushed, and is not confirmed yet. Continue with: invoke image.push --engine acr"
        ):
            now = self.repositories.manifest(self.repository, tag)
        if not now or now.digest != digest:
            held = now.digest if now else "nothing"
            what = (
                f"The registry holds {held} as {name}, not {digest}: somebody else pushed that tag meanwhile."
            )
            state = f"The image is there as {self.repository}@{digest}, and that tag names another one now."
            raise RegistryError(
                what, next_step="Push again, or give the image a tag of its own: --tag", state=state
            )
        return now.digest

    def remove(self, digest: str) -> bool:
        """Delete the candidate of *digest*; where that is refused, say what stays and how it goes."""
        repository = repository_of(self.repository)
        try:
            self.repositories.delete(repository, digest)
        except AzuremlTasksError as error:
            self.reporter.warn(
                f"the candidate {repository}@{digest} stays in the registry: {error.what}\n"
                f"    az acr repository delete --name {self.name} --image {repository}@{digest}"
            )
            return False
        return True
