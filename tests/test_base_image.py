"""What is refused of a base before any step is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from azureml_tasks.cli.console import Console
from azureml_tasks.engines.docker.base_image import check_base, pull_base
from azureml_tasks.engines.docker.client import EngineClient
from azureml_tasks.errors import BuildError, FileProblem, RegistryError, SettingsError
from azureml_tasks.image_reference import Reference
from azureml_tasks.project.own_dockerfile import OwnDockerfile
from tests.fake_engine import json_answer, running_engine
from tests.plans import plan

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = {"Id": "sha256:1", "Os": "linux", "Architecture": "amd64"}
FIX = """\
    Write: server = "azmlinfsrv", which adds the inference server
    or name an inference image of Azure ML"""


def refusal(folder: Path, config: dict[str, Any], **fields: Any) -> str:
    """Return the error for a base with this configuration; "" for none."""
    with running_engine() as engine:
        engine.answers["GET /v1.48/images/base:1/json"] = json_answer({**IMAGE, "Config": config})
        client = EngineClient(context="default", host=engine.host, version="1", api="1.48")
        try:
            check_base(client, plan(**fields), Console(), folder)
        except (BuildError, SettingsError) as error:
            return str(error)
    return ""


IDLE = {
    "Python's": (["python3"], "and its command, python3, serves nothing"),
    "a version of Python": (["/usr/bin/python3.12"], "and its command, /usr/bin/python3.12, serves nothing"),
    "a shell": (["/bin/bash"], "and its command, /bin/bash, serves nothing"),
    "nothing": (None, "and it has no command"),
}


@pytest.mark.parametrize(("command", "why"), IDLE.values(), ids=IDLE)
def test_a_base_that_serves_nothing(command: list[str] | None, why: str, tmp_path: Path) -> None:
    """It is refused at once, without a smoke test that waits for it."""
    expected = (
        f"The base base:1 is no inference image: it sets no AZUREML_CONDA_ENVIRONMENT_PATH, {why}.\n{FIX}"
    )

    assert refusal(tmp_path, {"Env": ["PATH=/bin"], "Cmd": command}) == expected


@pytest.mark.parametrize(
    "config",
    [
        {"Env": ["AZUREML_CONDA_ENVIRONMENT_PATH=/env"], "Cmd": ["/bin/bash"]},
        {"Cmd": ["serve", "--port", "5001"]},
        {"Cmd": None, "Entrypoint": ["serve"]},
    ],
    ids=["an inference image", "a command that may serve", "an ENTRYPOINT that may serve"],
)
def test_a_base_that_may_serve(config: dict[str, Any], tmp_path: Path) -> None:
    """Whether it does is for the smoke test to find out."""
    assert refusal(tmp_path, config) == ""


def test_the_variable_may_come_from_the_table(tmp_path: Path) -> None:
    """A table that names the environment means an image with a server in it."""
    assert refusal(tmp_path, {"Cmd": ["bash"]}, env={"AZUREML_CONDA_ENVIRONMENT_PATH": "/env"}) == ""


def test_a_base_without_the_entry_script_that_the_table_does_not_name(tmp_path: Path) -> None:
    """The table is wrong before any step is built, also if the base was only just pulled."""
    environment = "AZUREML_CONDA_ENVIRONMENT_PATH=/env"
    missing = FileProblem("pyproject.toml", 3, "code has no score.py", 'Write: entry-script = "a.py"')

    without = refusal(tmp_path, {"Env": [environment]}, missing_code=missing)
    own = refusal(tmp_path, {"Env": [environment, "AZUREML_ENTRY_SCRIPT=a.py"]}, missing_code=missing)

    assert (str(SettingsError([missing])), "") == (without, own)


def test_a_base_that_the_engine_does_not_have(tmp_path: Path) -> None:
    """Nothing is said of it: the build pulls it."""
    with running_engine() as engine:
        client = EngineClient(context="default", host=engine.host, version="1", api="1.48")
        check_base(client, plan(user="server"), Console(), tmp_path)
        assert engine.requests == ["GET /v1.48/images/base:1/json"]


def test_the_base_of_an_own_dockerfile(tmp_path: Path) -> None:
    """Its last FROM need not be an inference image: the Dockerfile decides, and the built image is looked at."""
    own = OwnDockerfile(path="Dockerfile", name="Dockerfile", text="FROM base:1\n")

    assert refusal(tmp_path, {"Cmd": ["python3"]}, own_dockerfile=own, user="") == ""


OFFLINE = 'Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host'
MISSPELT = f"""\
Registry docker.io could not be reached for the pull of stand-in/minimall:1: the engine has no network, or no DNS.
NEAR    Look at the engine's network, DNS and proxies: invoke image.doctor
    or name an image that the engine has: docker images
    the engine said: {OFFLINE}
"""
NEAR = "    Did you mean stand-in/minimal:1, which the engine has?\n"


@pytest.mark.parametrize(
    ("tags", "is_here", "expected"),
    [
        (["base:1", "stand-in/minimal:1"], False, MISSPELT.replace("NEAR", NEAR)),
        (["base:1"], False, MISSPELT.replace("NEAR", "")),
        (["stand-in/minimal:1", "stand-in/minimall:1"], True, MISSPELT.replace("NEAR", "")),
    ],
    ids=["one that is alike", "no such", "the base itself, which is pulled again"],
)
def test_a_misspelt_base(tags: list[str], is_here: bool, expected: str) -> None:
    """The engine's image that is much like it is named first, because no registry has what only the engine has."""
    reference = Reference(host="", repository="stand-in/minimall", tag="1", digest="")
    with running_engine() as engine:
        if is_here:
            engine.answers["GET /v1.48/images/stand-in/minimall:1/json"] = json_answer({"Id": "sha256:1"})
        engine.answers["GET /v1.48/images/json"] = json_answer([{"RepoTags": tags}])
        engine.answers["GET /v1.48/_ping"] = json_answer({})
        query = "tag=1&fromImage=stand-in%2Fminimall&platform=linux%2Famd64"
        engine.answers[f"POST /v1.48/images/create?{query}"] = json_answer({"message": OFFLINE}, 500)
        client = EngineClient(context="default", host=engine.host, version="1", api="1.48")
        with pytest.raises(RegistryError) as caught:
            pull_base(client, reference, "linux/amd64", Console())
        client.sdk.close()

    assert expected == f"{caught.value}\n"
