"""Fixtures of the loopback of Azure Container Registry: the Azure CLI, and plain requests."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.machine import azure_cli
from tests.machine.acr import loopback
from tests.machine.acr.azure_state import CLIENT, SECRET, TENANT
from tests.machine.acr.runs import Run
from tests.real.support import Ended

__all__ = ["Az", "Wire", "acr", "acr_session", "az", "packed", "wire"]

_VERSION = "2025-03-01-preview"
_SECONDS = 300.0


@pytest.fixture(scope="session")
def acr_session(loopback_acr: loopback.Acr) -> loopback.Acr:
    """Return the loopback, with the state that other tests left."""
    return loopback_acr


@pytest.fixture
def acr(acr_session: loopback.Acr) -> Iterator[loopback.Acr]:
    """Return the loopback, reset before and after the test."""
    acr_session.reset()
    yield acr_session
    acr_session.reset()


@dataclass(frozen=True, kw_only=True)
class Az:
    """Microsoft's `az`, signed in.

    Args:
        python: the interpreter that has it.
        env: its environment.
    """

    python: Path
    env: Mapping[str, str]

    def __call__(self, *arguments: str, folder: Path | None = None) -> Ended:
        """Run it and wait for its end."""
        completed = subprocess.run(
            [str(self.python), "-m", "azure.cli", *arguments],
            cwd=folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        # Python's text mode would turn each carriage return into a line end.
        return Ended(
            code=completed.returncode, stdout=completed.stdout.decode(), stderr=completed.stderr.decode()
        )


@pytest.fixture(scope="session")
def az(acr_session: loopback.Acr, tmp_path_factory: pytest.TempPathFactory) -> Az:
    """Return `az`, signed in to the loopback with a service principal."""
    folder = tmp_path_factory.mktemp("az")
    own = {
        "AZURE_CONFIG_DIR": str(folder),
        "AZURE_CORE_COLLECT_TELEMETRY": "false",
        # Otherwise it looks up our authority at Microsoft, where it is unknown.
        "AZURE_CORE_INSTANCE_DISCOVERY": "false",
        "PYTHONUTF8": "1",
    }
    # Without bytecode each command takes twice as long.
    outer = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    value = Az(python=azure_cli.ensure(), env={**outer, **acr_session.environment(), **own})
    for words in (
        ("cloud", "register", "-n", "Loopback", "--endpoint-resource-manager", acr_session.resource_manager),
        ("cloud", "set", "-n", "Loopback"),
        ("login", "--service-principal", "-u", CLIENT, "-p", SECRET, "--tenant", TENANT),
        ("account", "set", "-s", acr_session.subscription),
    ):
        ended = value(*words)
        assert ended.code == 0, ended.stderr
    return value


@dataclass(frozen=True, kw_only=True)
class Wire:
    """Sends the documented requests, and what no client would send."""

    acr: loopback.Acr
    session: requests.Session

    def token(self, audience: str = "https://management.azure.com") -> str:
        """Return an Azure token for *audience*."""
        sent = {
            "grant_type": "client_credentials",
            "client_id": CLIENT,
            "client_secret": SECRET,
            "scope": f"{audience}/.default",
        }
        answer = self.session.post(f"{self.acr.directory}/{TENANT}/oauth2/v2.0/token", data=sent)
        return str(answer.json()["access_token"])

    def exchange(self, audience: str) -> requests.Response:
        """Send a token for *audience* to the registry, in exchange for its refresh token."""
        sent = {
            "grant_type": "access_token",
            "service": self.acr.login_server,
            "tenant": TENANT,
            "access_token": self.token(audience),
        }
        return self.session.post(f"http://{self.acr.login_server}/oauth2/exchange", data=sent)

    def refresh_token(self) -> str:
        """Exchange a token for the registry's refresh token."""
        answer = self.exchange("https://containerregistry.azure.net")
        assert answer.status_code == requests.codes.ok, answer.text
        return str(answer.json()["refresh_token"])

    def arm(
        self, method: str, path: str, *, json: Any = None, token: str | None = None, version: str = _VERSION
    ) -> requests.Response:
        """Send a request to Azure Resource Manager; *path* is relative to the registry, or absolute."""
        url = self.acr.resource_manager + (path if path.startswith("/") else f"{self.acr.registry.id}/{path}")
        return self.session.request(
            method,
            url,
            params={"api-version": version},
            json=json,
            headers={"Authorization": f"Bearer {token or self.token()}"},
        )

    def upload(self, archive: bytes) -> str:
        """Upload a build context and return its path."""
        where = self.arm("POST", "listBuildSourceUploadUrl").json()
        response = self.session.put(where["uploadUrl"], data=archive, headers={"x-ms-blob-type": "BlockBlob"})
        assert response.status_code == requests.codes.created, response.text
        return str(where["relativePath"])

    def schedule(self, request: Mapping[str, Any]) -> Run:
        """Start a run."""
        response = self.arm("POST", "scheduleRun", json=request)
        assert response.status_code == requests.codes.ok, response.text
        run = self.acr.runs.find(response.json()["properties"]["runId"])
        assert run
        return run

    def run(self, request: Mapping[str, Any]) -> Run:
        """Start a run and wait for its end."""
        run = self.schedule(request)
        assert run.done.wait(_SECONDS), run.text
        return run

    def build(self, files: Mapping[str, str], **more: Any) -> Run:
        """Run a quick build of *files*; it pushes only with `imageNames` in *more*."""
        return self.run(self.build_request(self.upload(packed(files)), **more))

    @staticmethod
    def build_request(source: str, **more: Any) -> dict[str, Any]:
        """Return a minimal request of a quick build."""
        return {
            "type": "DockerBuildRequest",
            "dockerFilePath": "Dockerfile",
            "platform": {"os": "linux", "architecture": "amd64"},
            "sourceLocation": source,
            "isPushEnabled": "imageNames" in more,
            **more,
        }


@pytest.fixture
def wire(acr: loopback.Acr) -> Iterator[Wire]:
    """Return a sender of plain requests."""
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(acr.bundle)
        yield Wire(acr=acr, session=session)


def packed(files: Mapping[str, str]) -> bytes:
    """Return an archive of *files*, readable by everyone."""
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text.encode()), 0o644
            archive.addfile(member, io.BytesIO(text.encode()))
    return into.getvalue()
