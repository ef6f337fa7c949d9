"""Cached layers that machines share by a registry: each machine pulls what is there and pushes what is missing.

A tag cannot be verified: anyone who may push to the repository decides what images are built on. So it is looked up
once, for its digest, and what can be checked is checked; from then on the machine has the ID. The digest of each image
of cached layers that is used is recorded with what is pushed.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from azureml_tasks.engines.docker.api_errors import reading_answers
from azureml_tasks.engines.docker.credentials import auth_config
from azureml_tasks.engines.docker.layer_store import layers_of
from azureml_tasks.engines.docker.pull import pull_image
from azureml_tasks.engines.docker.push import push_image, registry_api
from azureml_tasks.engines.docker.registry_errors import Cause, cause_of
from azureml_tasks.errors import AzuremlTasksError, RegistryError
from azureml_tasks.notice import Notice
from azureml_tasks.plain_text import clean
from azureml_tasks.registry.session import AnswerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.reporter import Reporter

_INHERITED = (
    *("Env", "Cmd", "Entrypoint", "WorkingDir", "Volumes", "ExposedPorts"),
    *("StopSignal", "Shell", "Healthcheck", "Labels"),
)
"""What layers of packages and of a model leave as the base has it."""


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

    def pull(self, tag: str, base_id: str) -> Mapping[str, Any] | None:
        """Pull the layers of this *tag*, by the digest that it has now, and check what can be checked of them.

        Args:
            tag: of the layers.
            base_id: ID of the base that they must be built on.

        Returns:
            What the engine knows of their image; empty if there are none of use; None if the registry does not answer.
        """
        name = f"{self.repository}:{tag}"
        try:
            digest, error = self._digest(tag)
            error = error or pull_image(self.client, self.repository, digest, self.reporter)
        except RegistryError as refused:  # By the credential helper, or to a question of our own.
            if isinstance(refused, AnswerError) and refused.status == HTTPStatus.NOT_FOUND:
                return {}
            self._warn(f"cannot look up shared layers, building them here: {name}: {refused.what}")
            return None
        if error:
            if cause_of(error) in {Cause.NOT_FOUND, Cause.NOT_FOUND_OR_FORBIDDEN}:
                return {}
            self._warn(f"cannot look up shared layers, building them here: {name}: {clean(error)}")
            return None
        image = self.client.inspect_image(f"{self.repository}@{digest}") or {}
        if why := difference(image, self.client.inspect_image(base_id) or {}):
            self.client.remove_image(f"{self.repository}@{digest}")
            self._warn(f"not using shared layers, building them here: {name}@{digest}: {why}")
            return {}
        self.client.tag_image(str(image["Id"]), name)
        return image

    def _warn(self, what: str) -> None:
        self.reporter.warn(Notice("cached-layers", what))

    def _digest(self, tag: str) -> tuple[str, str]:
        """Return the digest that a tag has in the registry, and the message if it is refused."""
        from docker.errors import APIError

        host, _, path = self.repository.partition("/")
        try:
            if self.client.is_podman:  # Its API has no such request.
                return registry_api(host, self.client.config).digest(path, tag), ""
            name, auth = f"{self.repository}:{tag}", auth_config(self.client.config, host)
            with reading_answers():
                return str(self.client.sdk.images.get_registry_data(name, auth_config=auth).id), ""
        except APIError as error:
            return "", str(error.explanation or error)

    def push(self, image_id: str, tag: str) -> None:
        """Push layers for other machines; a refusal is a warning, and the build goes on."""
        name = f"{self.repository}:{tag}"
        self.reporter.say(f"pushing shared layers: {name}")
        try:
            push_image(self.client, image_id, name, self.reporter)
        except AzuremlTasksError as error:
            self._warn(f"cannot share layers: {name}: {error.what}")

    def digest_reference(self, image_id: str) -> str:
        """Return cached layers as `login-server/repository@sha256:…`; "" if they are not shared."""
        image = self.client.inspect_image(image_id) or {}
        digests: list[str] = image.get("RepoDigests") or []
        return next((each for each in digests if each.startswith(f"{self.repository}@")), "")


def difference(image: Mapping[str, Any], base: Mapping[str, Any]) -> str:
    """Return what of *image* cannot be so if it has packages and a model on top of *base*; "" if nothing is.

    What its own layers hold cannot be checked: that is why somebody who may push to the repository is trusted.
    """
    if not image or layers_of(image)[: len(layers_of(base))] != layers_of(base):
        return "it is not built on the base"
    if any(image.get(name) != base.get(name) for name in ("Os", "Architecture")):
        return "it is made for another platform than the base"
    config, below = image.get("Config") or {}, base.get("Config") or {}
    if below.get("OnBuild"):
        return ""  # These instructions may change anything.
    expected = {**{name: below.get(name) for name in _INHERITED}, "User": "root", "OnBuild": None}
    wrong = [name for name, value in expected.items() if (config.get(name) or None) != (value or None)]
    return f"it changes the configuration of the base: {', '.join(wrong)}" if wrong else ""
