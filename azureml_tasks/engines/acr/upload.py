"""The packed context into the blob that a run reads it from, in parallel blocks."""

from __future__ import annotations

import hashlib
from itertools import chain
from typing import IO, TYPE_CHECKING, Any, cast

from azureml_tasks.engines.acr.gzip_archive import Stream, packed
from azureml_tasks.engines.acr.http import first_line
from azureml_tasks.errors import AzuremlTasksError, RemoteBuildError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azure.storage.blob import BlobClient

    from azureml_tasks.context.context_file import ContextFile
    from azureml_tasks.engines.acr.tasks_api import Source
    from azureml_tasks.reporter import Reporter

__all__ = ["BLOB", "upload"]

_BLOCK = 4 * 1024 * 1024
_AT_ONCE = 4
"""Four blocks of 4 MiB on the way keep memory below 100 MB, and a line of 1 Gbit/s busy."""

BLOB = {
    "retry_total": 4,
    "initial_backoff": 0.5,
    "increment_base": 2,
    "random_jitter_range": 1,
    "connection_timeout": 30,
    "read_timeout": 60,
}
"""How storage is asked again: each block for itself."""


def upload(source: Source, files: Sequence[ContextFile], reporter: Reporter) -> None:
    """Send an archive of *files* to *source*.

    Raises:
        HandOffError: storage refuses, or does not answer.
        BuildError: a file changed meanwhile.
    """
    from azure.core.exceptions import AzureError
    from azure.storage.blob import BlobClient

    blocks = reporter.progress(packed(files), sum(file.size for file in files), "sending the build context")
    options: dict[str, Any] = {"max_block_size": _BLOCK, "max_single_put_size": _BLOCK, **BLOB}
    try:
        with BlobClient.from_blob_url(source.url, **options) as blob:
            _send(blob, Stream(blocks))
    except AzuremlTasksError:
        raise
    except AzureError as error:
        said = f"storage said: {first_line(error)}"
        fix = (
            "Look at the network: the build context goes to a storage account of ACR,\n"
            f"{source.url.partition('?')[0].split('/')[2]}; then run the same command again"
        )
        raise RemoteBuildError("The build context could not be sent.", next_step=fix, said=said) from error


def _send(blob: BlobClient, stream: Stream) -> None:
    """What fits into one block goes without threads, so that Ctrl-C need not wait for a line that stands still."""
    first, checked = stream.read(_BLOCK), _has_md5()
    if len(first) < _BLOCK:
        blob.upload_blob(first, overwrite=True, validate_content=checked)
        return
    whole = Stream(chain((first, bytes(stream.left)), stream.blocks))
    # A file by its one operation that is used; the annotation wants all of them.
    content = cast("IO[bytes]", whole)
    blob.upload_blob(content, overwrite=True, max_concurrency=_AT_ONCE, validate_content=checked)


def _has_md5() -> bool:
    """Whether each block can go with its MD5, by which storage refuses one that arrived otherwise.

    Without it storage only says the CRC-64 of what it got, which this client does not look at
    (https://learn.microsoft.com/rest/api/storageservices/put-block). A machine in FIPS mode has no MD5; there TLS
    alone protects the blocks.
    """
    try:
        hashlib.md5(b"")  # noqa: S324 -- against accidents on the way; who may write is what the signature says
    except ValueError:
        return False
    return True
