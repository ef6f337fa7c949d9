"""Upload the build context to Azure Storage, in parallel blocks."""

from __future__ import annotations

import hashlib
from itertools import chain
from typing import IO, TYPE_CHECKING, Any, cast

from azureml_tasks.engines.acr.azure_errors import first_line
from azureml_tasks.engines.acr.gzip_archive import BlockReader, gzip_archive
from azureml_tasks.errors import AzuremlTasksError, RemoteBuildError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azure.storage.blob import BlobClient

    from azureml_tasks.context.context_file import ContextFile
    from azureml_tasks.engines.acr.tasks_api import UploadTarget
    from azureml_tasks.reporter import Reporter

_BLOCK = 4 * 1024 * 1024
_PARALLEL = 4
"""Four blocks of 4 MiB in flight saturate 1 Gbit/s and keep memory below 100 MB."""

BLOB_OPTIONS = {
    "retry_total": 4,
    "initial_backoff": 0.5,
    "increment_base": 2,
    "random_jitter_range": 1,
    "connection_timeout": 30,
    "read_timeout": 60,
}
"""Timeouts (seconds) and retries of each request to Azure Storage."""


class TargetRefusedError(RemoteBuildError):
    """The URL has expired, or something is there already; with another URL, the upload can succeed."""


def upload(target: UploadTarget, files: Sequence[ContextFile], reporter: Reporter) -> None:
    """Upload an archive of *files*; what is there already is not overwritten.

    Raises:
        TargetRefusedError: the URL can no longer be used.
        RemoteBuildError: Azure Storage refuses or does not answer.
        BuildError: a file changed meanwhile.
    """
    from azure.core.exceptions import AzureError, ClientAuthenticationError, ResourceExistsError
    from azure.storage.blob import BlobClient

    size = sum(file.size for file in files)
    blocks = reporter.progress(gzip_archive(files), size, "uploading the build context")
    options: dict[str, Any] = {"max_block_size": _BLOCK, "max_single_put_size": _BLOCK, **BLOB_OPTIONS}
    try:
        with BlobClient.from_blob_url(target.url, **options) as blob:
            _upload_blocks(blob, BlockReader(blocks))
    except AzuremlTasksError:
        raise
    except AzureError as error:
        host = target.url.partition("?")[0].split("/")[2]
        is_refused = isinstance(error, ClientAuthenticationError | ResourceExistsError)
        raise (TargetRefusedError if is_refused else RemoteBuildError)(
            "The build context could not be uploaded.",
            next_step="Check the network: the build context is uploaded to a storage account of ACR,\n"
            f"{host}; then run the same command again",
            said=f"Azure Storage said: {first_line(error)}",
        ) from error


def _upload_blocks(blob: BlobClient, reader: BlockReader) -> None:
    first, validate = reader.read(_BLOCK), _has_md5()
    if len(first) < _BLOCK:
        # Without threads, so that Ctrl-C does not wait for a connection that is stuck.
        blob.upload_blob(first, overwrite=False, validate_content=validate)
        return
    # The SDK only calls `read`, but its annotation requires a whole file.
    content = cast("IO[bytes]", BlockReader(chain((first, bytes(reader.rest)), reader.blocks)))
    blob.upload_blob(content, overwrite=False, max_concurrency=_PARALLEL, validate_content=validate)


def _has_md5() -> bool:
    """Return whether blocks can be sent with their MD5, so that Azure Storage rejects a corrupted block.

    Without an MD5, Azure Storage returns a CRC-64 of what it received, which the SDK ignores
    (https://learn.microsoft.com/rest/api/storageservices/put-block). Python in FIPS mode has no MD5; then only TLS
    protects the blocks.
    """
    try:
        hashlib.md5(b"")  # noqa: S324 -- detects corruption, not attackers
    except ValueError:
        return False
    return True
