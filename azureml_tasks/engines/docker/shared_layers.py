"""The prefixes that machines share by a registry: each machine pulls what is there, and pushes what is not.

What a name stands for cannot be checked from outside: whoever may push to that repository decides what images are
built on. Each one that is used is therefore named by its digest in the record of what is pushed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.engines.docker.pull import pull_image
from azureml_tasks.engines.docker.push import push_image
from azureml_tasks.engines.docker.registry_errors import Cause, cause_of
from azureml_tasks.errors import AzuremlTasksError
from azureml_tasks.plain_text import clean

if TYPE_CHECKING:
    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.reporter import Reporter

__all__ = ["Shared"]


class Shared(NamedTuple):
    """The repository of `shared-layers`.

    Args:
        client: the engine, which has the way and the credentials.
        repository: `login-server/repository`.
        reporter: hears what is pulled and pushed, and of what cannot be told.
    """

    client: EngineClient
    repository: str
    reporter: Reporter

    def pull(self, tag: str) -> bool | None:
        """Whether the prefix of this *tag* is there, and here now; None where nobody can tell, which is said."""
        message = pull_image(self.client, self.repository, tag, self.reporter)
        if message and cause_of(message) not in {Cause.NOT_FOUND, Cause.NOT_FOUND_OR_FORBIDDEN}:
            name = f"{self.repository}:{tag}"
            self.reporter.warn(
                f"whether {name} is there cannot be told, so it is built anew: {clean(message)}"
            )
            return None
        return not message

    def push(self, image_id: str, tag: str) -> None:
        """Push a prefix for others; where that is refused, it is said, and this build goes on."""
        name = f"{self.repository}:{tag}"
        self.reporter.say(f"pushing {name} for other machines")
        try:
            push_image(self.client, image_id, name, self.reporter)
        except AzuremlTasksError as error:
            self.reporter.warn(f"{name} is not shared: {error.what}")

    def reference(self, tag: str) -> str:
        """The prefix of this *tag* by its digest, `login-server/repository@sha256:…`; "" where it is not shared."""
        found = self.client.inspect_image(f"{self.repository}:{tag}") or {}
        digests: list[str] = found.get("RepoDigests") or []
        return next((each for each in digests if each.startswith(f"{self.repository}@")), "")
