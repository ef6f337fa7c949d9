"""What the container of a smoke test is created with."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.config import validators
from azureml_tasks.engines.docker.client import EngineClient
from azureml_tasks.engines.docker.container import DockerContainer, printed_blocks, run_container
from azureml_tasks.engines.docker.container_arguments import start_commands, variables_for
from azureml_tasks.engines.docker.docker_config import DockerConfig
from azureml_tasks.errors import EngineError
from azureml_tasks.project.model import SmokeTestPlan
from azureml_tasks.state.runs import Run
from tests.cases import lay_out
from tests.consumers import project
from tests.fake_engine import json_answer, running_engine
from tests.projects import read


def test_a_container_gets_the_proxies_of_dockers_configuration(tmp_path: Path) -> None:
    """It gets what `docker run` gives; a variable of the table precedes."""
    config = DockerConfig(values={"proxies": {"default": {"httpProxy": "http://p", "noProxy": "x"}}})
    image = BuiltImage(id="sha256:1", names=("demo:1",), engine="docker", context_sha256="", user="u")
    smoke_test = SmokeTestPlan(env={"no_proxy": "y"})
    with running_engine() as engine:
        engine.answers["POST /v1.48/containers/create?name=one"] = json_answer({"message": "no"}, 500)
        client = EngineClient(context="default", host=engine.host, version="1", api="1.48", config=config)
        run = Run(tmp_path, engine.host)
        with (
            pytest.raises(EngineError, match="could not run the image"),
            run_container(client, image, smoke_test, run, "one"),
        ):
            pass
        client.sdk.close()
        run.close()

    expected = {"HTTP_PROXY=http://p", "http_proxy=http://p", "NO_PROXY=x", "no_proxy=y"}
    assert expected == set(json.loads(engine.bodies[0])["Env"])


@pytest.mark.parametrize(
    ("memory", "is_valid"),
    [
        ("6m", True),
        ("6144k", True),
        ("8589934591g", True),
        ("6143k", False),
        ("8589934592g", False),
        ("9" * 5000 + "g", False),
        ("6", False),
    ],
)
def test_a_memory_limit_that_docker_refuses_is_a_mistake_of_the_table(memory: str, *, is_valid: bool) -> None:
    """So it is named with its line before anything is built."""
    assert is_valid == (not validators.MEMORY.error(memory))


def start(
    folder: Path, smoke_test: SmokeTestPlan, info: dict[str, Any] | None, *, is_podman: bool = False
) -> tuple[str, dict[str, Any]]:
    """Return the error of a container that cannot start, and what it was created with; *info* is of the engine."""
    image = BuiltImage(id="sha256:1", names=("demo:1",), engine="docker", context_sha256="", user="u")
    with running_engine() as engine:
        engine.answers["POST /v1.48/containers/create?name=one"] = json_answer({"Id": "c1"}, 201)
        engine.answers["GET /v1.48/containers/c1/json"] = json_answer({"Id": "c1"})
        engine.answers["POST /v1.48/containers/c1/start"] = json_answer({"message": "no such driver"}, 500)
        engine.answers["GET /v1.48/info"] = json_answer(info or {})
        client = EngineClient(
            context="default", host=engine.host, version="1", api="1.48", is_podman=is_podman
        )
        run = Run(folder, engine.host)
        with pytest.raises(EngineError) as caught, run_container(client, image, smoke_test, run, "one"):
            pass
        client.sdk.close()
        run.close()
        bodies = [json.loads(body) for body in engine.bodies if body]
    return str(caught.value).replace(engine.host, "HOST"), bodies[0] if bodies else {}


@pytest.mark.parametrize(
    ("gpus", "count", "devices"),
    [("all", -1, []), ("2", 2, []), ("device=0,GPU-1", 0, ["0", "GPU-1"])],
)
def test_a_container_gets_gpus_as_docker_run_gives_them(
    gpus: str, count: int, devices: list[str], tmp_path: Path
) -> None:
    """The request for devices is that of `docker run --gpus`."""
    _, created = start(tmp_path, SmokeTestPlan(gpus=gpus), {})

    (request,) = created["HostConfig"]["DeviceRequests"]
    assert (count, devices, [["gpu"]]) == (
        request["Count"],
        request["DeviceIDs"] or [],
        request["Capabilities"],
    )


TOOLKIT = """\
The engine at HOST has no GPU for containers.
    Install the NVIDIA Container Toolkit on the engine's machine:
    https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html
    then: sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker
    or, to test without a GPU, remove smoke-test.gpus
    docker said: no such driver"""
OTHER = """\
The engine at HOST could not run the image with gpus = "all".
    Look at its GPUs: nvidia-smi
    docker said: no such driver"""


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({"Runtimes": {"runc": {}}}, TOOLKIT),
        ({}, TOOLKIT),
        ({"Runtimes": {"runc": {}, "nvidia": {}}}, OTHER),
        ({"Runtimes": None, "DiscoveredDevices": [{"ID": "nvidia.com/gpu=0"}]}, OTHER),
    ],
    ids=["no runtime", "an old engine", "the toolkit's runtime", "devices of a specification"],
)
def test_an_engine_without_gpus_is_named(info: dict[str, Any], message: str, tmp_path: Path) -> None:
    """What the engine says of itself decides which fix is named, and not its words."""
    assert message == start(tmp_path, SmokeTestPlan(gpus="all"), info)[0]


def test_podman_is_refused_before_a_container_is_made(tmp_path: Path) -> None:
    """Its API takes a request for GPUs and gives none, so that a test would prove nothing."""
    expected = """\
Podman's engine at HOST gives containers no GPU by the API that this command uses.
    Run the smoke test on a Docker engine
    or, to test without a GPU, remove smoke-test.gpus"""
    assert (expected, {}) == start(tmp_path, SmokeTestPlan(gpus="all"), {}, is_podman=True)


def test_a_container_without_gpus_asks_for_none(tmp_path: Path) -> None:
    """Old engines know no such request."""
    message, created = start(tmp_path, SmokeTestPlan(), None)

    assert "could not run the image" in message
    assert not created["HostConfig"].get("DeviceRequests")


@pytest.mark.parametrize(("gpus", "option"), [("all", "all"), ("device=0,1", '"device=0,1"')])
def test_the_command_that_asks_for_gpus(gpus: str, option: str, tmp_path: Path) -> None:
    """Docker's command reads the option as CSV."""
    image = BuiltImage(id="sha256:1", names=("demo:1",), engine="docker", context_sha256="", user="u")
    client = EngineClient(context="default", host="unix:///s", version="1", api="1.48")
    (words,) = start_commands(client, image, SmokeTestPlan(gpus=gpus), Run(tmp_path, client.host), "one")

    assert option == words[words.index("--gpus") + 1]


@pytest.mark.parametrize(
    ("host", "ports", "address"),
    [
        ("unix:///s", {"5001/tcp": [{"HostPort": "49153"}]}, "http://127.0.0.1:49153"),
        ("unix:///s", {}, "http://127.0.0.1:0"),
        ("tcp://builder:2375", {"5001/tcp": [{"HostPort": "49153"}]}, ""),
    ],
    ids=["running", "it has ended", "on another machine"],
)
def test_the_address_of_a_container(host: str, ports: dict[str, Any], address: str) -> None:
    """A container that has ended has no port, and is not taken for one on another machine."""
    client = EngineClient(context="default", host=host, version="1", api="1.48")
    sdk = SimpleNamespace(reload=lambda: None, attrs={"Id": "c1", "NetworkSettings": {"Ports": ports}})

    assert address == DockerContainer(container=sdk, client=client).address()


@pytest.mark.parametrize(
    ("table", "folder"),
    [
        ('smoke-test.model = "iris.d/weights.pkl"\n', "weights/1"),
        ('smoke-test.model = "iris.d"\n', "iris/1"),
        ('smoke-test.model = "iris.d"\nmodel-name = "flowers"\n', "flowers/1"),
    ],
)
def test_the_name_of_a_mounted_model(table: str, folder: str, tmp_path: Path) -> None:
    """Without `model-name` it is the path's name without its suffix, for a file and for a folder."""
    score = "def init(): ...\ndef run(data): ...\n"
    files = {"iris.d/weights.pkl": "w", "code/score.py": score, "pyproject.toml": project("demo", table)}
    lay_out(files, tmp_path)

    variables = variables_for(read(tmp_path).smoke_test)

    assert {"AZUREML_MODEL_DIR": f"/var/azureml-app/azureml-models/{folder}"} == variables


def test_a_model_is_mounted_as_azure_ml_does(tmp_path: Path) -> None:
    """A file or folder has its own name in the folder of version 1, which AZUREML_MODEL_DIR names."""
    model = SmokeTestPlan(model=str(tmp_path / "weights.d"), model_name="iris")
    _, created = start(tmp_path, model, None)

    folder = "/var/azureml-app/azureml-models/iris/1"
    (mount,) = created["HostConfig"]["Mounts"]
    assert (f"{folder}/weights.d", model.model, True) == (mount["Target"], mount["Source"], mount["ReadOnly"])
    assert [f"AZUREML_MODEL_DIR={folder}"] == created["Env"]


def test_the_command_mounts_a_model_of_any_name(tmp_path: Path) -> None:
    """The option is a line of CSV, so a comma in a path needs quotation marks."""
    image = BuiltImage(id="sha256:1", names=("demo:1",), engine="docker", context_sha256="", user="u")
    client = EngineClient(context="default", host="unix:///s", version="1", api="1.48")
    model = SmokeTestPlan(model='/models/a "b",c', model_name="iris")
    (words,) = start_commands(client, image, model, Run(tmp_path, client.host), "one")

    source = '"source=/models/a ""b"",c"'
    target = '"target=/var/azureml-app/azureml-models/iris/1/a ""b"",c"'
    assert f"type=bind,readonly,{source},{target}" == words[words.index("--mount") + 1]


@pytest.mark.parametrize("followed", [b"", b"one\n", b"one\ntwo", b"one\ntwo\n"])
def test_what_an_engine_leaves_out_of_a_log_that_is_followed_is_read_afterwards(followed: bytes) -> None:
    """Docker 20.10 may close it before the last lines; nothing is there twice."""

    def pieces(text: bytes) -> tuple[int, bytes]:
        lines = text.splitlines(keepends=True)
        return 200, b"".join(b"\1\0\0\0" + len(line).to_bytes(4, "big") + line for line in lines)

    with running_engine() as engine:
        logs = "GET /v1.48/containers/c1/logs?stdout=1&stderr=1&follow="
        engine.answers = {f"{logs}1": pieces(followed), f"{logs}0": pieces(b"one\ntwo\n")}
        engine.answers["POST /v1.48/containers/c1/wait"] = json_answer({"StatusCode": 0})
        client = EngineClient(context="default", host=engine.host, version="1", api="1.48")
        printed = b"".join(printed_blocks(client, "c1", 60, stderr=True))
        client.sdk.close()

    assert (b"one\ntwo\n", "POST") == (printed, engine.requests[1].partition(" ")[0])
