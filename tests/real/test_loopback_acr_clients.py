"""Microsoft's and Docker's clients work with the loopback of Azure Container Registry as with Azure."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import docker
import pytest

from tests.machine import azure_cli
from tests.machine import clients as docker_clients
from tests.machine.acr.data_plane import TOKEN_USER
from tests.machine.acr.loopback import Acr
from tests.real.acr import Az, Wire, packed
from tests.real.support import consumer, removed_after, unique

_SDK = """\
import json, os, sys, time
from azure.identity import ClientSecretCredential
from azure.mgmt.containerregistrytasks import ContainerRegistryTasksMgmtClient
from azure.mgmt.containerregistrytasks.models import DockerBuildRequest, PlatformProperties
from azure.storage.blob import BlobClient

subscription, group, name, image, archive, manager = sys.argv[1:]
credential = ClientSecretCredential(
    os.environ["AZURE_TENANT_ID"], os.environ["AZURE_CLIENT_ID"], os.environ["AZURE_CLIENT_SECRET"],
    authority=os.environ["AZURE_AUTHORITY_HOST"], disable_instance_discovery=True,
)
client = ContainerRegistryTasksMgmtClient(
    credential, subscription, base_url=manager, credential_scopes=["https://management.azure.com/.default"]
)
where = client.registries.get_build_source_upload_url(group, name)
with open(archive, "rb") as data:
    BlobClient.from_blob_url(where.upload_url).upload_blob(data, overwrite=True)
run = client.registries.schedule_run(group, name, DockerBuildRequest(
    docker_file_path="Dockerfile", platform=PlatformProperties(os="Linux", architecture="amd64"),
    source_location=where.relative_path, image_names=[image], is_push_enabled=True,
))
while run.properties.status in ("Queued", "Started", "Running"):
    time.sleep(0.2)  # A run tells nobody how it is; it can only be asked.
    run = client.runs.get(group, name, run.properties.run_id)
log = BlobClient.from_blob_url(client.runs.get_log_sas_url(group, name, run.properties.run_id).log_link)
while "complete" not in map(str.lower, log.get_blob_properties().metadata):
    time.sleep(0.2)  # The last lines come after the run has ended.
print(json.dumps({
    "status": run.properties.status,
    "images": [each.as_dict() for each in run.properties.output_images],
    "last": log.download_blob().readall().decode().split("\\r\\n")[-2],
}))
"""


_QUICK_LOG = """\
TIME Downloading source code...
TIME Finished downloading source code
TIME Using acb_vol_WORD as the home volume
TIME Setting up Docker configuration...
TIME Successfully set up Docker configuration
TIME Logging in to registry: SERVER
TIME Successfully logged into SERVER
TIME Executing step ID: build. Timeout(sec): 28800, Working directory: '', Network: ''
TIME Scanning for dependencies...
TIME Successfully scanned dependencies
TIME Launching container with name: build
Sending build context to Docker daemon SIZE
Step 1/2 : FROM azureml-stand-in/tiny:1
 ---> ID
Step 2/2 : COPY word /word
 ---> ID
Successfully built ID
Successfully tagged SERVER/NAME:1
TIME Successfully executed container: build
TIME Executing step ID: push. Timeout(sec): 3600, Working directory: '', Network: ''
TIME Pushing image: SERVER/NAME:1, attempt 1
The push refers to repository [SERVER/NAME]
ID: Pushed
ID: Pushed
1: digest: DIGEST size: N
TIME Successfully pushed image: SERVER/NAME:1
TIME Step ID: build marked as successful (elapsed time in seconds: N)
TIME Populating digests for step ID: build...
TIME Successfully populated digests for step ID: build
TIME Step ID: push marked as successful (elapsed time in seconds: N)
TIME The following dependencies were found:
TIME \n\
- image:
    registry: SERVER
    repository: NAME
    tag: 1
    digest: DIGEST

Run ID: caN was successful after Ns
"""


def test_az_acr_build_pushes_what_the_registry_confirms(
    acr: Acr,
    az: Az,
    tiny_base: str,
    tmp_path: Path,
) -> None:
    """Unmodified `az acr build` exits 0, prints the whole log, and the registry has what the run says."""
    name = unique("az")
    project = {"Dockerfile": f"FROM {tiny_base}\nCOPY word /word\n", "word": f"{name}\n", "tasks.py": ""}
    folder = consumer(tmp_path, project).folder
    ended = az("acr", "build", "--registry", acr.name, "--image", f"{name}:1", ".", folder=folder)
    assert ended.code == 0, ended.stderr
    run = acr.runs[-1]
    assert run.history == ["Queued", "Started", "Running", "Succeeded"]
    digest = acr.tags(name)["1"]
    assert f"sha256:{hashlib.sha256(acr.manifest(name, '1')).hexdigest()}" == digest
    expected = {"registry": acr.login_server, "repository": name, "tag": "1", "digest": digest}
    assert run.output_images == [expected]
    assert _normal(ended.stdout, acr, name) == _QUICK_LOG
    assert {request.audience for request in acr.requests if request.endpoint == "arm"} == {
        "https://management.core.windows.net/"
    }
    assert not any(
        request.bearer or request.basic for request in acr.requests if request.endpoint == "storage"
    )


def test_az_acr_build_says_that_a_build_failed(
    acr: Acr,
    az: Az,
    tiny_base: str,
    tmp_path: Path,
) -> None:
    """A RUN that fails ends `az acr build` with 1 and `Run failed`, and pushes nothing."""
    name = unique("az")
    folder = consumer(tmp_path, {"Dockerfile": f"FROM {tiny_base}\nRUN echo no; exit 3\n"}).folder
    ended = az("acr", "build", "--registry", acr.name, "--image", f"{name}:1", ".", folder=folder)
    assert ended.code == 1
    assert ended.stderr.splitlines()[-1] == "ERROR: Run failed"
    assert "The command '/bin/sh -c echo no; exit 3' returned a non-zero code: 3\r\n" in ended.stdout
    assert acr.runs[-1].status == "Failed"
    assert acr.tags(name) == {}


def test_the_python_sdk_builds_and_pushes(
    acr: Acr,
    tiny_base: str,
    tmp_path: Path,
) -> None:
    """Azure's own Python packages upload, build, follow and read the log with what their types expect."""
    name = unique("sdk")
    archive = tmp_path / "context.tar.gz"
    archive.write_bytes(packed({"Dockerfile": f"FROM {tiny_base}\nLABEL by=sdk\n"}))
    words = [acr.subscription, acr.resource_group, acr.name, f"{name}:1", str(archive), acr.resource_manager]
    completed = subprocess.run(
        [str(azure_cli.ensure()), "-c", _SDK, *words],
        env=acr.environment(),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    printed = json.loads(completed.stdout)
    image = {"registry": acr.login_server, "repository": name, "tag": "1", "digest": acr.tags(name)["1"]}
    last = re.sub(r"\d+", "N", printed.pop("last"))
    assert (printed, last) == (
        {"status": "Succeeded", "images": [image]},
        "Run ID: caN was successful after Ns",
    )
    assert acr.runs[-1].archive == archive.read_bytes()


def test_docker_signs_in_with_an_exchanged_token(
    acr: Acr,
    wire: Wire,
    docker_client: docker.DockerClient,
    tiny_base: str,
    tmp_path: Path,
) -> None:
    """Docker's own command line signs in with a refresh token and pulls what a run has pushed."""
    name = unique("docker")
    assert (
        wire.build({"Dockerfile": f"FROM {tiny_base}\nLABEL a=b\n"}, imageNames=[f"{name}:1"]).status
        == "Succeeded"
    )
    env = docker_clients.environment(docker_clients.clients()["20.10"], tmp_path / "config")
    image = f"{acr.login_server}/{name}:1"

    def cli(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", *words], env=env, input=stdin, capture_output=True, encoding="utf-8", check=False
        )

    with removed_after(docker_client, image):
        assert cli("pull", image).returncode == 1
        signed = cli(
            "login", "-u", TOKEN_USER, "--password-stdin", acr.login_server, stdin=wire.refresh_token()
        )
        assert signed.returncode == 0, signed.stderr
        assert f"Digest: {acr.tags(name)['1']}\n" in cli("pull", image).stdout
        acr.settings.caller_actions = {"*": frozenset({"pull"})}
        refused = cli("push", image)
    assert refused.stderr.splitlines()[:2] == [
        "errors:",
        "denied: requested access to the resource is denied",
    ]


@pytest.mark.parametrize("kind", ["aad", "identity"])
def test_azures_own_credentials_find_the_way(acr: Acr, kind: str) -> None:
    """`DefaultAzureCredential` gets a token that is good here, by each of the two sets of variables alone."""
    script = "from azure.identity import DefaultAzureCredential as C; "
    script += (
        "print(C(disable_instance_discovery=True).get_token('https://management.azure.com/.default').token)"
    )
    completed = subprocess.run(
        [sys.executable, "-c", script],
        env=acr.environment() if kind == "aad" else acr.managed_identity(),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    assert {request.endpoint for request in acr.requests} == {kind}
    claims = acr.issuer.claims(completed.stdout.strip())
    assert claims
    assert (claims.audience.rstrip("/"), claims.expired) == ("https://management.azure.com", False)


def test_a_managed_identity_needs_no_secret(
    acr: Acr,
    wire: Wire,
) -> None:
    """The identity endpoint gives a token to whoever knows its header."""
    env = acr.managed_identity()
    asked = {"api-version": "2019-08-01", "resource": "https://management.azure.com"}
    header = {"X-IDENTITY-HEADER": env["IDENTITY_HEADER"]}
    refused = wire.session.get(env["IDENTITY_ENDPOINT"], params=asked)
    granted = wire.session.get(env["IDENTITY_ENDPOINT"], params=asked, headers=header)
    assert (refused.status_code, granted.status_code) == (401, 200)
    token = granted.json()["access_token"]
    assert wire.arm("GET", "/subscriptions", token=token, version="2022-12-01").status_code == 200
    assert "AZURE_CLIENT_SECRET" not in env


def _normal(text: str, acr: Acr, name: str) -> str:
    for pattern, word in (
        (re.escape(acr.login_server), "SERVER"),
        (re.escape(name), "NAME"),
        (r"(?m)^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ", "TIME "),
        (r"sha256:[0-9a-f]{64}", "DIGEST"),
        (r"\b[0-9a-f]{12}\b", "ID"),
        # A layer waits while the engine pushes five others, of anybody.
        (r"(?m)^ID: (Preparing|Waiting)\r*\n", ""),
        (r"Mounted from \S+", "Pushed"),  # Another repository may have it already.
        (r"acb_vol_acb-ID", "acb_vol_WORD"),
        (r"daemon +\S+", "daemon SIZE"),
        (r"size: \d+", "size: N"),
        (r"seconds: [\d.]+", "seconds: N"),
        (r"ca\d+ was successful after \d+s", "caN was successful after Ns"),
    ):
        text = re.sub(pattern, word, text)
    return re.sub(r"\r*\n", "\n", text)
