"""What is asked of a registry's tasks, as the JSON of `scheduleRun` (API 2025-03-01-preview)."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from azureml_tasks.acr.task_file import value_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.acr.task_file import TaskFile
    from azureml_tasks.settings import Acr

__all__ = ["Request"]


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
