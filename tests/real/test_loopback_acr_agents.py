"""The agents of the loopback of Azure Container Registry."""

from __future__ import annotations

import base64
import io
import json
import re
import tarfile
from typing import Any

import docker
import pytest

from tests.machine.acr.loopback import Acr
from tests.machine.acr.runs import Run
from tests.real.acr import Wire, packed
from tests.real.remote_output import SECONDS
from tests.real.support import unique


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
    keep: true
  - id: look
    cmd: $Registry/NAME:$ID sh -c 'id -u; pwd; echo $$HOME; cat /run/x/token; ls; echo $$WORD; stat -c "%U %a" .'
    env: [WORD=word]
    volumeMounts: [{ name: secrets, mountPath: /run/x }]
  - id: elsewhere
    cmd: $Registry/NAME:$ID sh -c pwd
    disableWorkingDirectoryOverride: true
    when: [look]
  - id: speaker-log
    cmd: docker stop --time 0 speaker >/dev/null && docker logs speaker
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

    The step has a name of its own: on one engine, `server` may be that of another run at the same time. Its log is
    whole once it has been stopped.
    """
    name = unique("steps")
    dockerfile = f"FROM {tiny_base}\nENV NAME={name}\nWORKDIR /home\n"
    dockerfile += "RUN --mount=type=secret,id=token,mode=0444 cat /run/secrets/token\n"
    run = wire.run(
        _task(wire, _STEPS.replace("NAME", name), {"Dockerfile": dockerfile}, word="$(echo hid)den")
    )
    assert run.status == "Succeeded", run.text
    outputs = _outputs(run.text)
    assert re.search(r"#\d [\d.]+ hidden\n", outputs["build"])
    assert outputs["look"] == "1000\n/workspace\n/acb/home\nhidden\nDockerfile\nsecrets\nword\nroot 755\n"
    assert outputs["elsewhere"] == "/home\n"
    assert re.fullmatch("[0-9a-f]{64}\n", outputs["speaker"])
    assert outputs["speaker-log"] == "said by the speaker\n"
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
    networks = json.loads(_outputs(run.text)["show"])[0]["NetworkSettings"]["Networks"]
    assert [value["Aliases"][0] for value in networks.values()] == ["sleeper"]
    assert not docker_client.networks.list(names=list(networks))


def test_steps_without_an_order_go_beside_each_other(wire: Wire, tiny_base: str) -> None:
    """A step that waits for a file is done because the next one, which need not wait for it, writes the file."""
    wait = "sh -c 'until [ -e written ]; do sleep 0.1; done'"
    steps = [
        {"id": "waits", "cmd": f"{tiny_base} {wait}", "user": "root", "timeout": 240},
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
    text = f"steps:\n  - {{id: slow, cmd: {tiny_base} sleep 600, detach: true}}\n"
    text += "  - {id: waits, cmd: docker wait slow, timeout: 1}\n"
    run = wire.run(_task(wire, text, {}))
    assert run.status == "Failed"
    assert "failed to run step ID: waits: timed out" in run.text.splitlines()
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
    assert run.done.wait(SECONDS)
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
    assert held.reached.wait(SECONDS)
    assert wire.arm("GET", f"runs/{run.id}").json()["properties"]["status"] == "Queued"
    held.release()
    assert run.done.wait(SECONDS)
    assert run.history == ["Queued", "Started", "Running", "Succeeded"]
    acr.next_run(queued=True)
    run = wire.schedule(wire.build_request("source/x"))
    wire.arm("POST", f"runs/{run.id}/cancel")
    assert run.done.wait(SECONDS)
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


def _task(wire: Wire, text: str, files: dict[str, str], **values: str) -> dict[str, Any]:
    return {
        "type": "EncodedTaskRunRequest",
        "encodedTaskContent": base64.b64encode(text.encode()).decode(),
        "values": [{"name": name, "value": value, "isSecret": True} for name, value in values.items()],
        "platform": {"os": "linux", "architecture": "amd64"},
        "sourceLocation": wire.upload(packed(files)),
    }


def _outputs(log: str) -> dict[str, str]:
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
        container["Id"]
        for container in containers
        if word in container["Labels"] or (command and command in container["Command"])
    ]
    networks = [network.name for network in client.networks.list(names=[f"acb_default_network_{word}"])]
    return [
        *named,
        *networks,
        *(tag for image in client.images.list(name=f"{server}/*") for tag in image.tags),
    ]
