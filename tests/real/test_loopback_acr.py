"""The loopback ACR is true to Azure: clients that are not ours work with it, and it refuses what Azure refuses."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import docker
import pytest
import requests

from tests.machine import azure_cli
from tests.machine import clients as docker_clients
from tests.machine.acr import faults
from tests.machine.acr.data_plane import TOKEN_USER
from tests.machine.acr.loopback import Acr
from tests.machine.acr.runs import Run
from tests.machine.acr.world import TENANT
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
ID: Preparing
ID: Preparing
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
    project = {"Dockerfile": f"FROM {tiny_base}\nCOPY word /word\n", "word": "hello\n", "tasks.py": ""}
    folder = consumer(tmp_path, project).folder
    done = az("acr", "build", "--registry", acr.name, "--image", f"{name}:1", ".", folder=folder)
    assert done.code == 0, done.stderr
    run = acr.runs[-1]
    assert run.history == ["Queued", "Started", "Running", "Succeeded"]
    digest = acr.tags(name)["1"]
    assert f"sha256:{hashlib.sha256(acr.manifest(name, '1')).hexdigest()}" == digest
    expected = {"registry": acr.login_server, "repository": name, "tag": "1", "digest": digest}
    assert run.output_images == [expected]
    assert _normal(done.stdout, acr, name) == _QUICK_LOG
    assert {one.audience for one in acr.requests if one.front == "arm"} == {
        "https://management.core.windows.net/"
    }
    assert not any(one.bearer or one.basic for one in acr.requests if one.front == "storage")


def test_az_acr_build_says_that_a_build_failed(
    acr: Acr,
    az: Az,
    tiny_base: str,
    tmp_path: Path,
) -> None:
    """A RUN that fails ends `az acr build` with 1 and `Run failed`, and pushes nothing."""
    name = unique("az")
    folder = consumer(tmp_path, {"Dockerfile": f"FROM {tiny_base}\nRUN echo no; exit 3\n"}).folder
    done = az("acr", "build", "--registry", acr.name, "--image", f"{name}:1", ".", folder=folder)
    assert done.code == 1
    assert done.stderr.splitlines()[-1] == "ERROR: Run failed"
    assert "The command '/bin/sh -c echo no; exit 3' returned a non-zero code: 3\r\n" in done.stdout
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
    done = subprocess.run(
        [str(azure_cli.ensure()), "-c", _SDK, *words],
        env=acr.environment(),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    image = {"registry": acr.login_server, "repository": name, "tag": "1", "digest": acr.tags(name)["1"]}
    last = re.sub(r"\d+", "N", said.pop("last"))
    assert (said, last) == ({"status": "Succeeded", "images": [image]}, "Run ID: caN was successful after Ns")
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

    def cli(*words: str, said: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", *words], env=env, input=said, capture_output=True, encoding="utf-8", check=False
        )

    with removed_after(docker_client, image):
        assert cli("pull", image).returncode == 1
        signed = cli(
            "login", "-u", TOKEN_USER, "--password-stdin", acr.login_server, said=_refresh_token(wire)
        )
        assert signed.returncode == 0, signed.stderr
        assert f"Digest: {acr.tags(name)['1']}\n" in cli("pull", image).stdout
        acr.settings.caller_actions = {"*": frozenset({"pull"})}
        refused = cli("push", image)
    assert refused.stderr.splitlines()[:2] == [
        "errors:",
        "denied: requested access to the resource is denied",
    ]


def test_a_refresh_token_gives_access_to_several_repositories(
    acr: Acr,
    wire: Wire,
) -> None:
    """Scopes may be repeated or in one string, and what the caller may not do is left out of the token."""
    acr.settings.caller_actions = {"a": frozenset({"pull", "push"}), "b": frozenset({"pull"})}
    sent = {
        "grant_type": "refresh_token",
        "service": acr.login_server,
        "refresh_token": _refresh_token(wire),
        "scope": ["repository:a:pull,push", "repository:b:pull,push repository:c:pull"],
    }
    answer = wire.session.post(f"http://{acr.login_server}/oauth2/token", data=sent)
    claims = _claims(answer.json()["access_token"])
    assert claims["access"] == [
        {"type": "repository", "name": "a", "actions": ["pull", "push"]},
        {"type": "repository", "name": "b", "actions": ["pull"]},
    ]
    assert claims["aud"] == acr.login_server


def test_an_expired_refresh_token_gives_nothing(
    acr: Acr,
    wire: Wire,
) -> None:
    """The registry sends a client with an old refresh token to sign in again."""
    sent = {"grant_type": "refresh_token", "service": acr.login_server, "refresh_token": _refresh_token(wire)}
    acr.expire_tokens()
    answer = wire.session.post(f"http://{acr.login_server}/oauth2/token", data=sent)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (401, "UNAUTHORIZED")


def test_the_registry_says_where_its_tokens_are(
    acr: Acr,
    wire: Wire,
) -> None:
    """Without a token `/v2/` is refused with the challenge by which clients find the token endpoint."""
    answer = wire.session.get(f"http://{acr.login_server}/v2/")
    realm = f"http://{acr.login_server}/oauth2/token"
    challenge = f'Bearer realm="{realm}",service="{acr.login_server}"'
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, challenge)


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        pytest.param(
            {"foo": 1},
            "InvalidRequestContent",
            "The request content was invalid and could not be deserialized: 'Could not find member 'foo' on "
            "object of type 'DockerBuildRequest'. Path 'foo', line 1.'.",
            id="a member that is unknown",
        ),
        pytest.param(
            {"platform": {"os": "linux", "arch": "amd64"}},
            "InvalidRequestContent",
            "The request content was invalid and could not be deserialized: 'Could not find member 'arch' on "
            "object of type 'platform'. Path 'platform.arch', line 1.'.",
            id="one inside another",
        ),
        pytest.param(
            {"noCache": "yes"},
            "InvalidRequestContent",
            "The request content was invalid and could not be deserialized: 'Error converting value 'yes' to "
            "type 'bool'. Path 'noCache', line 1.'.",
            id="a value of another type",
        ),
        pytest.param(
            {"timeout": 299},
            "InvalidParameter",
            "The run timeout 299 is invalid. It must be between 300 and 28800 seconds.",
            id="a timeout that is too short",
        ),
        pytest.param(
            {"dockerFilePath": None},
            "InvalidRequestContent",
            "The request content was invalid and could not be deserialized: 'Required property "
            "'dockerFilePath' not found in JSON of type 'DockerBuildRequest'. Path ''.'.",
            id="a member that is missing",
        ),
        pytest.param(
            {"agentConfiguration": {"cpu": 4}},
            "InvalidParameter",
            "The CPU count 4 is invalid. The supported values are (2).",
            id="another agent",
        ),
    ],
)
def test_requests_are_read_strictly(
    wire: Wire,
    changed: dict[str, Any],
    code: str,
    words: str,
) -> None:
    """What a run request may not say is refused by name, and no run is made."""
    before = len(wire.acr.runs)
    answer = wire.arm("POST", "scheduleRun", json={**wire.build_request("source/x"), **changed})
    assert (answer.status_code, answer.json()) == (400, {"error": {"code": code, "message": words}})
    assert len(wire.acr.runs) == before


def test_calls_without_a_good_token_are_refused(
    acr: Acr,
    wire: Wire,
) -> None:
    """A token of another audience, an unknown one and an expired one are told apart, each with a challenge."""
    wrong = wire.arm(
        "GET", "/subscriptions", token=wire.token("https://vault.azure.net"), version="2022-12-01"
    )
    unknown = wire.arm("GET", "/subscriptions", token="x.y.z", version="2022-12-01")  # noqa: S106 -- no token of anybody's
    token = wire.token()
    acr.expire_tokens()
    expired = wire.arm("GET", "/subscriptions", token=token, version="2022-12-01")
    codes = [(each.status_code, each.json()["error"]["code"]) for each in (wrong, unknown, expired)]
    assert codes == [
        (401, "InvalidAuthenticationTokenAudience"),
        (401, "InvalidAuthenticationToken"),
        (401, "ExpiredAuthenticationToken"),
    ]
    challenge = expired.headers["WWW-Authenticate"]
    assert challenge.startswith(f'Bearer authorization_uri="{acr.directory}/{TENANT}", error="invalid_token"')


def test_an_interface_version_that_is_not_there_is_refused(wire: Wire) -> None:
    """Resource Manager names the versions that there are."""
    answer = wire.arm("GET", f"{wire.acr.registry.id}", version="1999-01-01")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "NoRegisteredProviderFound")


def test_lists_come_in_pages(
    acr: Acr,
    wire: Wire,
) -> None:
    """The main registry is not on the first page of anything, so that a client has to turn them."""
    token = wire.token()

    def all_of(path: str, version: str) -> list[list[str]]:
        url, pages = f"{acr.resource_manager}{path}?api-version={version}", []
        while url:
            page = wire.session.get(url, headers={"Authorization": f"Bearer {token}"}).json()
            pages.append([item.get("subscriptionId") or item["name"] for item in page["value"]])
            url = page.get("nextLink")
        return pages

    subscriptions = all_of("/subscriptions", "2022-12-01")
    assert subscriptions == [["55555555-eeee-4eee-8eee-555555555555"], [acr.subscription]]
    path = f"/subscriptions/{acr.subscription}/providers/Microsoft.ContainerRegistry/registries"
    assert all_of(path, "2025-04-01") == [["sharedregistry"], ["loopbackregistry"]]


def test_what_the_caller_may_not_do_is_refused_by_name(
    acr: Acr,
    wire: Wire,
) -> None:
    """A missing permission is a 403 that names action and scope; a subscription may be barred from tasks."""
    action = "Microsoft.ContainerRegistry/registries/scheduleRun/action"
    acr.settings.denied = {action}
    denied = wire.arm("POST", "scheduleRun", json=wire.build_request("source/x"))
    acr.settings.denied = set()
    acr.settings.tasks_allowed = False
    barred = wire.arm("POST", "listBuildSourceUploadUrl")
    assert (denied.status_code, denied.json()["error"]["code"]) == (403, "AuthorizationFailed")
    assert f"perform action '{action}' over scope '{acr.registry.id}'" in denied.json()["error"]["message"]
    assert (barred.status_code, barred.json()["error"]["code"]) == (403, "TasksOperationsNotAllowed")


def test_a_storage_url_grants_one_blob_for_a_while(
    acr: Acr,
    wire: Wire,
) -> None:
    """The storage itself refuses another signature, another blob, another permission and another time."""
    good = wire.arm("POST", "listBuildSourceUploadUrl").json()["uploadUrl"]
    acr.settings.upload_seconds = -60
    old = wire.arm("POST", "listBuildSourceUploadUrl").json()["uploadUrl"]
    headers = {"x-ms-blob-type": "BlockBlob"}

    def put(url: str) -> int:
        return wire.session.put(url, data=b"x", headers=headers).status_code

    forged = re.sub("sig=[^&]{8}", "sig=AAAAAAAA", good)
    elsewhere = good.replace(".tar.gz?", "-2.tar.gz?")
    assert [put(forged), put(elsewhere), put(old), put(good)] == [403, 403, 403, 201]
    assert wire.session.get(good).status_code == 403


@pytest.mark.parametrize(
    ("dockerfile", "words"),
    [
        pytest.param(
            "FROM --platform=linux/amd64 BASE\n",
            "unable to understand line FROM --platform=linux/amd64 BASE",
            id="FROM with a platform",
        ),
        pytest.param(
            'FROM BASE\nRUN echo "\\\nfrom x import y"\n',
            'unable to understand line from x import y"',
            id="a continued line that starts with from",
        ),
        pytest.param(
            "FROM ${IMAGE:-BASE}\n",
            "Failed to parse image reference, ensure tags have a valid format: :latest: invalid reference format",
            id="a default inside FROM",
        ),
        pytest.param("RUN true\n", "unexpected dockerfile format", id="no FROM"),
    ],
)
def test_the_scan_refuses_what_docker_would_take(
    wire: Wire,
    tiny_base: str,
    dockerfile: str,
    words: str,
) -> None:
    """The agent reads a Dockerfile line by line before it builds, and fails the run over what it misreads."""
    run = wire.build({"Dockerfile": dockerfile.replace("BASE", tiny_base)})
    assert (run.status, run.error) == ("Failed", "failed during run, err: exit status 1")
    tail = run.text.splitlines()[-4:]
    assert tail[0].endswith(f"Output from dependency scanning: {words.replace('BASE', tiny_base)}")
    assert tail[1] == "failed to run step ID: build: failed to scan dependencies: exit status 1"
    assert "Launching container" not in run.text


def test_quick_builds_have_no_buildkit(wire: Wire, tiny_base: str) -> None:
    """`RUN --mount` fails a quick build with the legacy builder's own words."""
    run = wire.build({"Dockerfile": f"FROM {tiny_base}\nRUN --mount=type=cache,target=/x true\n"})
    assert run.status == "Failed"
    assert "the --mount option requires BuildKit." in run.text


def test_the_scan_stops_at_a_line_of_64_kib(wire: Wire, tiny_base: str) -> None:
    """Behind such a line nothing of a Dockerfile is seen, here its FROM."""
    files = {"Dockerfile": f"# {'x' * 64 * 1024}\nFROM {tiny_base}\n"}
    assert "Output from dependency scanning: unexpected dockerfile format\n" in wire.build(files).text


@pytest.mark.parametrize(
    "member",
    [
        pytest.param(("../word", None), id="a file outside"),
        pytest.param(("/word", None), id="an absolute path"),
        pytest.param(("link", "../../word"), id="a link that leaves"),
        pytest.param(("link", "/etc/passwd"), id="an absolute link"),
    ],
)
def test_archives_that_leave_their_folder_are_refused(
    wire: Wire,
    member: tuple[str, str | None],
) -> None:
    """Such a source ends the run at its download, in the words of the service."""
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w:gz") as archive:
        name, target = member
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = (tarfile.SYMTYPE, target) if target else (tarfile.REGTYPE, "")
        archive.addfile(entry)
    run = wire.run(wire.build_request(wire.upload(into.getvalue())))
    assert (run.status, run.error) == ("Failed", "failed to download source")


def test_agents_keep_layers_only_for_a_quick_test(
    acr: Acr,
    wire: Wire,
    tiny_base: str,
) -> None:
    """Layers of one run speed up the next, unless agents shall be as fresh as Azure's."""
    files = {"Dockerfile": f"FROM {tiny_base}\nENV NAME={unique('layers')}\nRUN echo hello\n"}
    texts = [wire.build(files).text, wire.build(files).text]
    acr.settings.fresh_agents = True
    texts.append(wire.build(files).text)
    assert [" ---> Using cache\n" in text for text in texts] == [False, True, False]


def test_build_arguments_are_split_by_a_shell(wire: Wire, tiny_base: str) -> None:
    """Only a value that is quoted for a shell arrives whole: the agent hands its string to one."""
    dockerfile = f"FROM {tiny_base}\nARG ONE\nARG TWO\nRUN echo one=$ONE two=$TWO end\n"
    arguments = [{"name": "ONE", "value": "'a  b'"}, {"name": "TWO", "value": "$(echo c)", "isSecret": True}]
    run = wire.build({"Dockerfile": dockerfile}, arguments=arguments, noCache=True)
    assert run.status == "Succeeded"
    assert "one=a b two=c end\n" in run.text


_STEPS = """\
version: v1.1.0
volumes:
  - name: secrets
    secret:
      token: '{{.Values.word | b64enc}}'
steps:
  - id: build
    build: -t $Registry/NAME:$ID --secret id=token,src=/run/secrets-of-mine/token .
    env: [DOCKER_BUILDKIT=1]
    volumeMounts: [{ name: secrets, mountPath: /run/secrets-of-mine }]
  - id: speaker
    cmd: $Registry/NAME:$ID sh -c 'echo said by the speaker; sleep 600'
    detach: true
  - id: look
    cmd: $Registry/NAME:$ID sh -c 'id -u; pwd; echo $$HOME; cat /run/x/token; ls; echo $$WORD; stat -c "%U %a" .'
    env: [WORD=word]
    volumeMounts: [{ name: secrets, mountPath: /run/x }]
  - id: elsewhere
    cmd: $Registry/NAME:$ID sh -c pwd
    disableWorkingDirectoryOverride: true
    when: [look]
  - id: speaker-log
    cmd: docker logs speaker
    when: [build, elsewhere]
  - push: ["{{.Run.Registry}}/NAME:{{.Run.ID}}"]
"""


def test_the_steps_of_a_task_are_carried_out(
    acr: Acr,
    wire: Wire,
    docker_client: docker.DockerClient,
    tiny_base: str,
) -> None:
    """A task file builds with BuildKit and a secret, runs what it built beside a container of it, and pushes it.

    The step has a name of its own: on one engine, `server` may be that of another run at the same time.
    """
    name = unique("steps")
    dockerfile = f"FROM {tiny_base}\nENV NAME={name}\nWORKDIR /home\n"
    dockerfile += "RUN --mount=type=secret,id=token,mode=0444 cat /run/secrets/token\n"
    run = wire.run(
        _task(wire, _STEPS.replace("NAME", name), {"Dockerfile": dockerfile}, word="$(echo hid)den")
    )
    assert run.status == "Succeeded", run.text
    said = _said_by(run.text)
    assert re.search(r"#\d [\d.]+ hidden\n", said["build"])
    assert said["look"] == "1000\n/workspace\n/acb/home\nhidden\nDockerfile\nsecrets\nword\nroot 755\n"
    assert said["elsewhere"] == "/home\n"
    assert re.fullmatch("[0-9a-f]{64}\n", said["speaker"])
    assert said["speaker-log"] == "said by the speaker\n"
    assert [image["digest"] for image in run.output_images] == [acr.tags(name)[run.id]]
    assert _left(docker_client, run) == []


def test_containers_of_a_task_find_each_other_by_step(
    wire: Wire,
    tiny_base: str,
    docker_client: docker.DockerClient,
) -> None:
    """The id of a step is its container's name in the network of the run."""
    text = f"steps:\n  - id: sleeper\n    cmd: {tiny_base} sleep 600\n    detach: true\n"
    text += "  - id: show\n    cmd: docker inspect sleeper\n"
    run = wire.run(_task(wire, text, {}))
    networks = json.loads(_said_by(run.text)["show"])[0]["NetworkSettings"]["Networks"]
    assert [value["Aliases"][0] for value in networks.values()] == ["sleeper"]
    assert not docker_client.networks.list(names=list(networks))


def test_steps_without_an_order_go_beside_each_other(wire: Wire, tiny_base: str) -> None:
    """A step that waits for a file is done because the next one, which need not wait for it, writes the file."""
    wait = "sh -c 'until [ -e written ]; do sleep 0.1; done'"
    steps = [
        {"id": "waits", "cmd": f"{tiny_base} {wait}", "user": "root", "timeout": 60},
        {"id": "writes", "cmd": f"{tiny_base} sh -c ': > written'", "user": "root", "when": ["-"]},
    ]
    assert wire.run(_task(wire, json.dumps({"steps": steps}), {})).status == "Succeeded"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(
            "version: v9\nsteps: []\n",
            'failed to unmarshal task before running: invalid version specified: "v9", the current version is '
            '"v1.0.0"',
            id="version",
        ),
        pytest.param(
            "steps:\n  - {id: a, cmd: x, build: .}\n",
            "failed to unmarshal task before running: step must only contain a single build, cmd, or push property",
            id="two in one",
        ),
        pytest.param(
            "steps:\n  - {id: a, cmd: x, when: [b]}\n",
            "failed to unmarshal task before running: b does not exist as a vertex [from: b, to: a]",
            id="an unknown step",
        ),
        pytest.param(
            "steps:\n  - {id: a, cmd: x, volumeMounts: [{name: v, mountPath: /v}]}\n",
            "failed to unmarshal task before running: mount name, v, does not correspond to a volume",
            id="an unknown volume",
        ),
        pytest.param(
            "steps:\n  - {id: a, cmd: '{{.Values.x | shout}}'}\n",
            "unable to render task: error while rendering templates: failed to parse template: function "
            '"shout" not defined',
            id="an unknown function",
        ),
    ],
)
def test_bad_tasks_fail_before_their_first_step(
    wire: Wire,
    text: str,
    words: str,
) -> None:
    """What the agent cannot read ends the run, with the reason in its log."""
    run = wire.run(_task(wire, text, {}))
    assert run.status == "Failed"
    assert words in run.text.splitlines()
    assert "Executing step" not in run.text


def test_a_step_ends_at_its_timeout(wire: Wire, tiny_base: str, docker_client: docker.DockerClient) -> None:
    """A step that takes longer than it may is killed, and the run fails."""
    run = wire.run(_task(wire, f"steps:\n  - {{id: slow, cmd: {tiny_base} sleep 600, timeout: 1}}\n", {}))
    assert run.status == "Failed"
    assert "failed to run step ID: slow: timed out" in run.text.splitlines()
    assert _left(docker_client, run) == []


def test_cancel_kills_a_build(
    acr: Acr,
    wire: Wire,
    tiny_base: str,
    docker_client: docker.DockerClient,
) -> None:
    """A cancelled run ends as Canceled, and nothing of it goes on or stays."""
    begun = unique("begun")
    source = wire.upload(packed({"Dockerfile": f"FROM {tiny_base}\nRUN echo {begun} && sleep 600\n"}))
    run = wire.schedule(wire.build_request(source, imageNames=["cancelled:1"]))
    run.log.wait_for(f"\n{begun}\r\n")
    assert len(_left(docker_client, run, begun)) == 1
    assert wire.arm("POST", f"runs/{run.id}/cancel").status_code == 200
    assert run.done.wait(60)
    assert run.history == ["Queued", "Started", "Running", "Canceled"]
    assert acr.tags("cancelled") == {}
    assert _left(docker_client, run, begun) == []


def test_a_queued_run_waits_or_is_cancelled(
    acr: Acr,
    wire: Wire,
) -> None:
    """A run that no agent takes is Queued until a test lets it go, and can be cancelled there."""
    held = acr.next_run(queued=True, status="Succeeded")
    run = wire.schedule(wire.build_request("source/x"))
    assert held.reached.wait(60)
    assert wire.arm("GET", f"runs/{run.id}").json()["properties"]["status"] == "Queued"
    held.release()
    assert run.done.wait(60)
    assert run.history == ["Queued", "Started", "Running", "Succeeded"]
    acr.next_run(queued=True)
    run = wire.schedule(wire.build_request("source/x"))
    wire.arm("POST", f"runs/{run.id}/cancel")
    assert run.done.wait(60)
    assert run.history == ["Queued", "Canceled"]


def test_a_run_goes_as_a_test_wants_it(
    acr: Acr,
    wire: Wire,
) -> None:
    """A run may end in any way without a build, and its log's metadata says so too."""
    ends = {}
    for status in ("Failed", "Error", "Timeout", "Canceled", "Succeeded"):
        acr.next_run(status=status, error="because", log="said\n")
        run = wire.run(wire.build_request("source/x"))
        link = wire.arm("POST", f"runs/{run.id}/listLogSasUrl").json()["logLink"]
        answer = wire.session.get(link)
        ends[run.status] = answer.headers["x-ms-meta-Complete"]
        assert answer.text.startswith("said\r\n\r\nRun ID: ")
    assert ends == {
        "Failed": "failed",
        "Error": "internalerror",
        "Timeout": "timedout",
        "Canceled": "canceled",
        "Succeeded": "successful",
    }


def test_a_run_without_a_credential_cannot_push(
    acr: Acr,
    wire: Wire,
    tiny_base: str,
) -> None:
    """Where permissions are per repository, a run pushes with the caller's identity or not at all."""
    acr.settings.role_assignment_mode = "AbacRepositoryPermissions"
    acr.settings.caller_actions = {"mine/*": frozenset({"pull", "push"})}
    files = {"Dockerfile": f"FROM {tiny_base}\nLABEL a=c\n"}
    name = f"mine/{unique('abac')}"
    without = wire.build(files, imageNames=[f"{name}:1"])
    caller = {"sourceRegistry": {"identity": "[caller]"}}
    allowed = wire.build(files, imageNames=[f"{name}:1"], credentials=caller)
    other = wire.build(files, imageNames=["other:1"], credentials=caller)
    assert [without.status, allowed.status, other.status] == ["Failed", "Succeeded", "Failed"]
    assert "when specifying push, at least one credential is required" in without.text.splitlines()
    assert "denied: requested access to the resource is denied" in other.text.splitlines()
    assert list(acr.tags(name)) == ["1"]


@pytest.mark.parametrize("kind", ["aad", "identity"])
def test_azures_own_credentials_find_the_way(acr: Acr, kind: str) -> None:
    """`DefaultAzureCredential` gets a token that is good here, by each of the two sets of variables alone."""
    script = "from azure.identity import DefaultAzureCredential as C; "
    script += (
        "print(C(disable_instance_discovery=True).get_token('https://management.azure.com/.default').token)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=acr.environment() if kind == "aad" else acr.managed_identity(),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {one.front for one in acr.requests} == {kind}
    claims = acr.issuer.claims(done.stdout.strip())
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
    given = wire.session.get(env["IDENTITY_ENDPOINT"], params=asked, headers=header)
    assert (refused.status_code, given.status_code) == (401, 200)
    token = given.json()["access_token"]
    assert wire.arm("GET", "/subscriptions", token=token, version="2022-12-01").status_code == 200
    assert "AZURE_CLIENT_SECRET" not in env


def test_faults_strike_as_often_as_they_shall(
    acr: Acr,
    wire: Wire,
) -> None:
    """An answer can be replaced, cut, or held, a request cut, and afterwards all is as before."""
    error = {"error": {"code": "TooManyRequests", "message": "wait"}}
    throttled = faults.Reply(status=429, json=error, headers={"Retry-After": "0"})
    fault = acr.faults.add("POST .*/listBuildSourceUploadUrl", throttled, times=2)
    answers = [wire.arm("POST", "listBuildSourceUploadUrl") for _ in range(3)]
    assert [each.status_code for each in answers] == [429, 429, 200]
    assert (answers[0].json(), answers[0].headers["Retry-After"], fault.hits) == (error, "0", 2)
    url = answers[2].json()["uploadUrl"]
    acr.faults.add("PUT /acrtasks/", faults.CutRequest(after=100_000))
    headers = {"x-ms-blob-type": "BlockBlob"}
    with pytest.raises(requests.ConnectionError):
        wire.session.put(url, data=b"x" * 10_000_000, headers=headers)
    assert wire.session.put(url, data=b"x", headers=headers).status_code == 201
    acr.faults.add(lambda front, _: front == "arm", faults.CutAnswer(after=10))
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        wire.arm("GET", "/subscriptions", version="2022-12-01")
    assert wire.arm("GET", "/subscriptions", version="2022-12-01").status_code == 200


def test_unused_names_are_not_found(wire: Wire) -> None:
    """What is not there is a 404 that says which part is not."""
    main = wire.acr.registry
    paths = {
        "SubscriptionNotFound": main.id.replace(main.subscription, "66666666-ffff-4fff-8fff-666666666666"),
        "ResourceGroupNotFound": main.id.replace(main.resource_group, "nobody"),
        "ResourceNotFound": main.id.replace(main.name, "nothing"),
    }
    found = {code: wire.arm("GET", path, version="2025-04-01") for code, path in paths.items()}
    assert {answer.json()["error"]["code"]: answer.status_code for answer in found.values()} == dict.fromkeys(
        paths, 404
    )


def test_a_workspace_names_its_registry_or_none(
    acr: Acr,
    wire: Wire,
) -> None:
    """A workspace has no registry before its first image is built."""
    path = f"{acr.registry.group_id}/providers/Microsoft.MachineLearningServices/workspaces/{acr.workspace}"
    before = wire.arm("GET", path, version="2024-10-01").json()
    acr.settings.workspace_registry = acr.registry.id
    after = wire.arm("GET", path, version="2024-10-01").json()
    assert before["properties"]["containerRegistry"] is None
    assert after["properties"]["containerRegistry"] == acr.registry.id


def _refresh_token(wire: Wire) -> str:
    sent = {
        "grant_type": "access_token",
        "service": wire.acr.login_server,
        "tenant": TENANT,
        "access_token": wire.token(),
    }
    answer = wire.session.post(f"http://{wire.acr.login_server}/oauth2/exchange", data=sent)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["refresh_token"])


def _claims(token: str) -> Any:
    text = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def _task(wire: Wire, text: str, files: dict[str, str], **values: str) -> dict[str, Any]:
    return {
        "type": "EncodedTaskRunRequest",
        "encodedTaskContent": base64.b64encode(text.encode()).decode(),
        "values": [{"name": name, "value": value, "isSecret": True} for name, value in values.items()],
        "platform": {"os": "linux", "architecture": "amd64"},
        "sourceLocation": wire.upload(packed(files)),
    }


def _said_by(log: str) -> dict[str, str]:
    """Step -> what its command wrote to the log; of steps beside each other that is only true of quiet ones."""
    pattern = r"Launching container with name: (\S+)\n(.*?)^\S+ \S+ Successfully executed container: \1$"
    return dict(re.findall(pattern, log, re.MULTILINE | re.DOTALL))


def _left(client: docker.DockerClient, run: Run, command: str = "") -> list[str]:
    """What of a run is still on the engine, also of a build whose RUN holds *command*; others use the engine too."""
    word = run.text.partition("Using acb_vol_")[2].partition(" ")[0]
    assert word
    server = run.registry.login_server
    containers = client.api.containers(all=True)
    named = [
        one["Id"] for one in containers if word in one["Labels"] or (command and command in one["Command"])
    ]
    networks = [network.name for network in client.networks.list(names=[f"acb_default_network_{word}"])]
    return [
        *named,
        *networks,
        *(tag for image in client.images.list(name=f"{server}/*") for tag in image.tags),
    ]


def _normal(text: str, acr: Acr, name: str) -> str:
    for pattern, word in (
        (re.escape(acr.login_server), "SERVER"),
        (re.escape(name), "NAME"),
        (r"(?m)^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ", "TIME "),
        (r"sha256:[0-9a-f]{64}", "DIGEST"),
        (r"\b[0-9a-f]{12}\b", "ID"),
        (r"Mounted from \S+", "Pushed"),  # Another repository may have it already.
        (r"acb_vol_acb-ID", "acb_vol_WORD"),
        (r"daemon +\S+", "daemon SIZE"),
        (r"size: \d+", "size: N"),
        (r"seconds: [\d.]+", "seconds: N"),
        (r"ca\d+ was successful after \d+s", "caN was successful after Ns"),
    ):
        text = re.sub(pattern, word, text)
    return re.sub(r"\r*\n", "\n", text)
