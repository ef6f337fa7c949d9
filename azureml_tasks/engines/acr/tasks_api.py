"""The operations of ACR Tasks: upload a build context, start a run, read its status and log URL, cancel it.

https://learn.microsoft.com/rest/api/containerregistry/runs
"""

from __future__ import annotations

import base64
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from azureml_tasks.engines.acr.task_file import value_name
from azureml_tasks.errors import AzuremlTasksError, RegistryError, RemoteBuildError
from azureml_tasks.timestamps import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.config.settings import Acr
    from azureml_tasks.engines.acr.arm_client import ArmClient
    from azureml_tasks.engines.acr.registry_lookup import Registry
    from azureml_tasks.engines.acr.task_file import TaskFile

_VERSION = "2025-03-01-preview"
_WITH_PROTOCOL = "2026-11-01"
"""The first API version of registries with `endpointProtocol` that is no preview."""
_FINAL = frozenset({"Succeeded", "Failed", "Canceled", "Error", "Timeout"})
"""The final statuses of a run (`RunStatus` of this API version)."""


@dataclass(frozen=True, kw_only=True)
class UploadTarget:
    """Where to upload a build context.

    Args:
        url: of a blob, with its signature.
        path: the name of the blob in a run request.
    """

    url: str
    path: str


@dataclass(frozen=True, kw_only=True)
class OutputImage:
    """An image that a run has pushed."""

    registry: str
    repository: str
    tag: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class Run:
    """The state of a run.

    Args:
        id: such as `ca8`.
        status: Queued, Started, Running, Succeeded, Failed, Canceled, Error or Timeout.
        created: RFC 3339, like the two below; "" if unknown.
        started: when an agent took it.
        finished: when it ended.
        images: the images that it has pushed.
        error: ACR's message about a failure.
    """

    id: str
    status: str
    created: str = ""
    started: str = ""
    finished: str = ""
    images: tuple[OutputImage, ...] = ()
    error: str = ""

    @property
    def ended(self) -> bool:
        """Whether the status is final."""
        return self.status in _FINAL

    @property
    def durations(self) -> str:
        """How long the run was queued and how long it worked, by ACR's clock."""
        seconds = {
            "queued": _seconds(self.created, self.started),
            "running": _seconds(self.started, self.finished),
        }
        known = [f"{value:.0f} s {name}" for name, value in seconds.items() if value is not None]
        return ", ".join(known) or "ACR reports no times"


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What every run request of one plan has in common.

    Args:
        acr: the table.
        platform: such as `linux/amd64`.
        source: `UploadTarget.path` of the build context.
        abac: whether the run pushes with the caller's identity, see `Registry.abac`.
    """

    acr: Acr
    platform: str
    source: str
    abac: bool

    def quick_build(self, image: str, context_sha256: str, *, no_cache: bool) -> dict[str, Any]:
        """Return the request to build the Dockerfile of the context and push *image*, `repository:tag`."""
        return {
            "type": "DockerBuildRequest",
            "imageNames": [image],
            "isPushEnabled": True,
            "noCache": no_cache,
            "dockerFilePath": "Dockerfile",
            "arguments": [{"name": "CONTEXT_SHA256", "value": context_sha256, "isSecret": False}],
            **self._common(),
        }

    def task(self, file: TaskFile, secrets: Mapping[str, bytes]) -> dict[str, Any]:
        """Return the request to run the multi-step task *file*; *secrets* maps IDs to values."""
        values = [
            {"name": value_name(id_), "value": _base64(_escape_heredoc(secret)), "isSecret": True}
            for id_, secret in secrets.items()
        ]
        return {
            "type": "EncodedTaskRunRequest",
            "encodedTaskContent": _base64(str(file).encode()),
            "values": values,
            **self._common(),
        }

    def _common(self) -> dict[str, Any]:
        _, architecture, *variant = self.platform.split("/")
        platform = {
            "os": "Linux",
            "architecture": architecture,
            **({"variant": variant[0]} if variant else {}),
        }
        caller = {"credentials": {"sourceRegistry": {"identity": "[caller]"}}} if self.abac else {}
        pool = {"agentPoolName": self.acr.agent_pool} if self.acr.agent_pool else {}
        return {
            "platform": platform,
            "sourceLocation": self.source,
            "timeout": self.acr.timeout,
            **pool,
            **caller,
        }


@dataclass(frozen=True, kw_only=True)
class TasksApi:
    """The ACR Tasks operations of one registry; errors as of `ArmClient`."""

    arm: ArmClient
    registry: Registry

    def refuse_dual_stack(self) -> None:
        """Refuse a registry that answers by IPv6 too, as such registries run no tasks.

        https://learn.microsoft.com/azure/container-registry/container-registry-ipv6-dual-stack; clouds that do not
        know this API version do not know the setting.

        Raises:
            RegistryError: it is such a registry.
        """
        resource: dict[str, Any] = {}
        with suppress(AzuremlTasksError):  # The run itself will tell what is wrong.
            resource = self.arm.get(
                self.registry.id, _WITH_PROTOCOL, "look up the registry's endpoint protocol"
            )
        if (resource.get("properties") or {}).get("endpointProtocol") == "IPv4AndIPv6":
            what = (
                f"Registry {self.registry.login_server} has IPv6 dual stack endpoints and runs no ACR Tasks."
            )
            fix = (
                f"az acr update --name {self.registry.name} --endpoint-protocol IPv4\n"
                "or build on a Docker engine: --engine docker"
            )
            raise RegistryError(what, next_step=fix)

    def upload_target(self) -> UploadTarget:
        """Return where to upload a build context; Azure refuses here if the caller may not use ACR Tasks."""
        answer = self._post("listBuildSourceUploadUrl", "give an upload URL for the build context")
        if not answer.get("uploadUrl") or not answer.get("relativePath"):
            raise RemoteBuildError("Azure gave no upload URL for the build context.")
        return UploadTarget(url=str(answer["uploadUrl"]), path=str(answer["relativePath"]))

    def start(self, request: Mapping[str, Any]) -> Run:
        """Add a run to the queue; see `RunRequest`."""
        path = f"{self.registry.id}/scheduleRun"
        return _parse_run(self.arm.post_once(path, _VERSION, "start the run", dict(request)))

    def get(self, run: str) -> Run:
        """Return the state of the run."""
        path = f"{self.registry.id}/runs/{quote(run)}"
        return _parse_run(self.arm.get(path, _VERSION, f"give the status of run {run}"))

    def log_url(self, run: str) -> str:
        """Return the URL of the run's log with a signature that expires; "" if there is no log yet."""
        answer = self._post(f"runs/{quote(run)}/listLogSasUrl", f"give the URL of the log of run {run}")
        return str(answer.get("logLink") or "")

    def cancel(self, run: str) -> None:
        """Cancel the run; Azure refuses with 400 or 409 if it has already ended."""
        self._post(f"runs/{quote(run)}/cancel", f"cancel run {run}")

    def _post(self, operation: str, action: str) -> dict[str, Any]:
        return self.arm.post(f"{self.registry.id}/{operation}", _VERSION, action)


def _parse_run(resource: Mapping[str, Any]) -> Run:
    properties = resource.get("properties") or {}
    run = str(properties.get("runId") or resource.get("name") or "")
    if not run:
        raise RemoteBuildError("Azure's answer contains no run ID.")
    return Run(
        id=run,
        status=str(properties.get("status") or "Queued"),
        created=str(properties.get("createTime") or ""),
        started=str(properties.get("startTime") or ""),
        finished=str(properties.get("finishTime") or ""),
        images=tuple(_parse_image(image) for image in properties.get("outputImages") or ()),
        error=str(properties.get("runErrorMessage") or ""),
    )


def _parse_image(resource: Mapping[str, Any]) -> OutputImage:
    return OutputImage(
        registry=str(resource.get("registry") or ""),
        repository=str(resource.get("repository") or ""),
        tag=str(resource.get("tag") or ""),
        digest=str(resource.get("digest") or ""),
    )


def _seconds(start: str, end: str) -> float | None:
    start_time, end_time = parse_timestamp(start), parse_timestamp(end)
    return (end_time - start_time).total_seconds() if start_time and end_time else None


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _escape_heredoc(secret: bytes) -> bytes:
    """Escape *secret* for an unquoted here-document that ends with the line EOL, which the agent writes it through.

    No line may begin as `EOL` does: dash loses a byte of a line that begins with E and differs later
    (Azure/acr-builder, createSecretFiles).
    """
    for special in (b"\\", b"$", b"`"):
        secret = secret.replace(special, b"\\" + special)
    return re.sub(rb"(?m)^E", b"$(:)E", secret)
