"""HTTP to Azure through azure-core's pipeline: temporary failures are retried, tokens never follow a redirect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from azureml_tasks.plain_text import clean

if TYPE_CHECKING:
    from azure.core import PipelineClient

__all__ = ["AGAIN", "client", "first_line"]

_RETRIES: dict[str, Any] = {"retry_total": 3, "retry_backoff_factor": 0.5, "retry_backoff_max": 10}
"""Three more tries: at once, after 1 s and after 2 s, or when the server says."""
AGAIN: dict[str, Any] = {"retry_on_methods": frozenset({"DELETE", "GET", "HEAD", "POST", "PUT"})}
"""For a request that may be done twice; of its own accord the pipeline does not repeat a POST that was cut off."""
_CONNECT, _READ = 30, 60
"""Seconds for a connection, and without a byte of an answer."""


def client(url: str, *, signed: Any = None, redirects: bool = True) -> PipelineClient[Any, Any]:
    """A client for *url*.

    Args:
        url: scheme and host.
        signed: a policy that signs each try.
        redirects: whether an answer may name another address; a signature stays behind then.
    """
    from azure.core import PipelineClient
    from azure.core.pipeline.policies import (
        RedirectPolicy,
        RetryPolicy,
        SensitiveHeaderCleanupPolicy,
        UserAgentPolicy,
    )

    # The default ones, without the one that takes answers apart: it knows no blob's media type.
    policies: list[Any] = [
        UserAgentPolicy("azureml-tasks"),
        RedirectPolicy(permit_redirects=redirects),
        RetryPolicy(**_RETRIES),
        *([signed] if signed else []),
        SensitiveHeaderCleanupPolicy(),
    ]
    return PipelineClient(url, policies=policies, connection_timeout=_CONNECT, read_timeout=_READ)


def first_line(error: Exception) -> str:
    """What an error of Microsoft's libraries says, without the pages that follow."""
    return next(iter(clean(str(error)).splitlines()), type(error).__name__)
