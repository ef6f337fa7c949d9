"""The tasks of a registry: where a context is uploaded, and the runs that use it."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from azureml_tasks.engines.acr.arm_client import NotThere, ResourceManager
from azureml_tasks.engines.acr.task_file import value_name
from azureml_tasks.errors import RemoteBuildError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.config.settings import Acr
    from azureml_tasks.engines.acr.registry_lookup import Registry
    from azureml_tasks.engines.acr.task_file import TaskFile

__all__ = ["ENDED", "OutputImage", "Request", "Run", "Source", "Tasks"]

_VERSION = "2025-03-01-preview"
ENDED = frozenset({"Succeeded", "Failed", "Canceled", "Error", "Timeout"})
"""The statuses that a run keeps (RunStatus of that version)."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a build context is uploaded: a blob's address with a signature of its own, and its name for a run."""

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
    """A run as it is now.

    Args:
        id: such as `ca8`.
        status: Queued, Started or Running, or one of `ENDED`.
        created: RFC 3339, as are the other two; "" for what has not come.
        started: when an agent took it.
        finished: when it ended.
        images: what it has pushed.
        error: what ACR says of a failure.
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
        """Whether its status is final."""
        return self.status in ENDED


@dataclass(frozen=True, kw_only=True)
class Tasks:
    """The tasks' operations of one registry; each raises what `ResourceManager` does."""

    manager: ResourceManager
    registry: Registry

    def source(self) -> Source:
        """An address to upload to; asking for it also shows that tasks are permitted."""
        found = self._post("listBuildSourceUploadUrl", "an address to upload the build context to")
        if not found.get("uploadUrl") or not found.get("relativePath"):
            raise RemoteBuildError("Azure gave no address to upload the build context to.")
        return Source(url=str(found["uploadUrl"]), path=str(found["relativePath"]))

    def schedule(self, request: Mapping[str, Any]) -> Run:
        """Put a run into the queue, once."""
        path = f"{self.registry.id}/scheduleRun"
        try:
            return _read(self.manager.post_once(path, _VERSION, "the run", dict(request)))
        except NotThere as missing:
            raise missing.error from missing

    def get(self, run: str) -> Run:
        """The run as it is now."""
        try:
            return _read(self.manager.get(self._run(run), _VERSION, f"how run {run} is"))
        except NotThere as missing:
            raise missing.error from missing

    def log_url(self, run: str) -> str:
        """The address of the run's log, with a signature that lasts for a while."""
        found = self._post(f"runs/{quote(run)}/listLogSasUrl", f"the address of the log of run {run}")
        return str(found.get("logLink") or "")

    def cancel(self, run: str) -> None:
        """Ask for the run's end; one that has ended by itself is as it is (409 or 400)."""
        self._post(f"runs/{quote(run)}/cancel", f"the end of run {run}")

    def _run(self, run: str) -> str:
        return f"{self.registry.id}/runs/{quote(run)}"

    def _post(self, action: str, what: str) -> dict[str, Any]:
        try:
            return self.manager.post(f"{self.registry.id}/{action}", _VERSION, what)
        except NotThere as missing:
            raise missing.error from missing


def _read(found: Mapping[str, Any]) -> Run:
    properties = found.get("properties") or {}
    run = str(properties.get("runId") or found.get("name") or "")
    if not run:
        raise RemoteBuildError("Azure's answer names no run.")
    return Run(
        id=run,
        status=str(properties.get("status") or "Queued"),
        created=str(properties.get("createTime") or ""),
        started=str(properties.get("startTime") or ""),
        finished=str(properties.get("finishTime") or ""),
        images=tuple(_image(image) for image in properties.get("outputImages") or ()),
        error=str(properties.get("runErrorMessage") or ""),
    )


def _image(found: Mapping[str, Any]) -> OutputImage:
    return OutputImage(
        registry=str(found.get("registry") or ""),
        repository=str(found.get("repository") or ""),
        tag=str(found.get("tag") or ""),
        digest=str(found.get("digest") or ""),
    )


@dataclass(frozen=True, kw_only=True)
class Request:
    """A run to be asked for.

    Args:
        acr: the table.
        platform: such as `linux/amd64`.
        source: what the upload's address calls the context.
        abac: whether the run acts as its caller.
    """

    acr: Acr
    platform: str
    source: str
    abac: bool

    def quick_build(self, image: str, context_sha256: str, *, no_cache: bool) -> dict[str, Any]:
        """Build the context's Dockerfile and push *image*, `repository:tag` without its login server."""
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
        """Do what *file* says; *secrets* are by their id."""
        values = [
            {"name": value_name(name), "value": _encoded(_for_a_heredoc(value)), "isSecret": True}
            for name, value in secrets.items()
        ]
        return {
            "type": "EncodedTaskRunRequest",
            "encodedTaskContent": _encoded(str(file).encode()),
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


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _for_a_heredoc(value: bytes) -> bytes:
    """The agent writes a secret through an unquoted heredoc up to a line EOL (Azure/acr-builder, createSecretFiles).

    No line may look like that one, not even in its first letter: dash drops the byte at which they part.
    """
    for special in (b"\\", b"$", b"`"):
        value = value.replace(special, b"\\" + special)
    return re.sub(rb"(?m)^E", b"$(:)E", value)
