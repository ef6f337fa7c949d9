"""Cached layers that machines share by a registry: each machine pulls what is there and pushes what is missing.

A tag cannot be verified: anyone who may push to the repository decides what images are built on. So the digest of each
image of cached layers that is used is recorded with what is pushed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from azureml_tasks.engines.docker.pull import pull_image
from azureml_tasks.engines.docker.push import push_image
from azureml_tasks.engines.docker.registry_errors import Cause, cause_of
from azureml_tasks.errors import AzuremlTasksError, RegistryError
from azureml_tasks.plain_text import clean

if TYPE_CHECKING:
    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.reporter import Reporter


@dataclass(frozen=True, kw_only=True)
class SharedLayers:
    """The repository of `shared-layers`.

    Args:
        client: of the engine, which pulls and pushes with its own credentials.
        repository: `login-server/repository`.
        reporter: shows progress and failures.
    """

    client: EngineClient
    repository: str
    reporter: Reporter

    def pull(self, tag: str) -> bool | None:
        """Pull the layers of this *tag*. Return False if there are none, None if the registry gives no answer."""
        name = f"{self.repository}:{tag}"
        try:
            error = pull_image(self.client, self.repository, tag, self.reporter)
        except RegistryError as helper_error:  # of the credential helper
            self.reporter.warn(
                f"cannot look up shared layers, building them here: {name}: {helper_error.what}"
            )
            return None
        if error and cause_of(error) not in {Cause.NOT_FOUND, Cause.NOT_FOUND_OR_FORBIDDEN}:
            self.reporter.warn(f"cannot look up shared layers, building them here: {name}: {clean(error)}")
            return None
        return not error

    def push(self, image_id: str, tag: str) -> None:
        """Push layers for other machines; a refusal is a warning, and the build goes on."""
        name = f"{self.repository}:{tag}"
        self.reporter.say(f"pushing shared layers: {name}")
        try:
            push_image(self.client, image_id, name, self.reporter)
        except AzuremlTasksError as error:
            self.reporter.warn(f"cannot share layers: {name}: {error.what}")

    def digest_reference(self, tag: str) -> str:
        """Return the layers of this *tag* as `login-server/repository@sha256:…`; "" if they are not shared."""
        image = self.client.inspect_image(f"{self.repository}:{tag}") or {}
        digests: list[str] = image.get("RepoDigests") or []
        return next((each for each in digests if each.startswith(f"{self.repository}@")), "")
