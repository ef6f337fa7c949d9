"""Azure Storage: a real emulator behind an endpoint, and signed URLs."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import urllib.parse
import uuid
from dataclasses import dataclass

from azure.storage.blob import BlobClient, BlobServiceClient

from tests.machine.acr.azure_state import Settings
from tests.machine.acr.messages import Answer, Request
from tests.machine.acr.proxy import forward
from tests.machine.azurite import Azurite

__all__ = ["Storage"]

_CONTAINER = "acrtasks-8e6a2f"
_VERSION = "2020-12-06"


@dataclass(kw_only=True)
class Storage:
    """A container for build contexts and logs.

    Args:
        azurite: the emulator.
        url: where our endpoint is served.
        settings: how long URLs last.
    """

    azurite: Azurite
    url: str
    settings: Settings

    def answer(self, request: Request) -> Answer:
        """Forward a request to the emulator."""
        return forward(request, self.azurite.host)

    def prepare(self) -> None:
        """Create the container."""
        self._service().create_container(_CONTAINER)

    def new_source(self) -> str:
        """Return the path of a new build context."""
        day = dt.datetime.now(dt.timezone.utc).strftime("%Y%m%d0000")
        return f"source/{day}/{uuid.uuid4().hex}.tar.gz"

    def new_log(self, run: str) -> str:
        """Return the path of a run's log."""
        return f"logs/{uuid.uuid4().hex}/{run}/rawtext.log"

    def blob(self, path: str) -> BlobClient:
        """Return a client of a blob that uses the emulator directly."""
        return self._service().get_blob_client(_CONTAINER, path)

    def to_upload(self, path: str) -> str:
        """Return the URL to upload a build context."""
        return self._granted(path, "cw", self.settings.upload_seconds)

    def to_read(self, path: str) -> str:
        """Return the URL to read a log."""
        return self._granted(path, "r", self.settings.log_seconds)

    def _granted(self, path: str, permissions: str, seconds: float) -> str:
        """Return the URL of a blob with a signature (SAS) that grants *permissions* for a while."""
        now = dt.datetime.now(dt.timezone.utc)
        expiry = now + dt.timedelta(seconds=seconds)
        start = min(now, expiry) - dt.timedelta(minutes=5)
        times = [moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in (start, expiry)]
        resource = f"/blob/{self.azurite.account}/{_CONTAINER}/{path}"
        # As the service's documentation orders them, those that stay empty included.
        signed = [permissions, *times, resource, "", "", "", _VERSION, "b", *[""] * 7]
        digest = hmac.new(base64.b64decode(self.azurite.key), "\n".join(signed).encode(), hashlib.sha256)
        query = {
            "sv": _VERSION,
            "st": times[0],
            "se": times[1],
            "sr": "b",
            "sp": permissions,
            "sig": base64.b64encode(digest.digest()).decode(),
        }
        return f"{self.url}/{self.azurite.account}/{_CONTAINER}/{path}?{urllib.parse.urlencode(query)}"

    def _service(self) -> BlobServiceClient:
        return BlobServiceClient(
            f"http://{self.azurite.host}/{self.azurite.account}",
            credential={"account_name": self.azurite.account, "account_key": self.azurite.key},
            use_env_settings=False,  # what a proxy of this machine has no part in
            retry_total=0,
        )
