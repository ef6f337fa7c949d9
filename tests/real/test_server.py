"""The inference server added to bases that have none, and MLflow models on a base with a script of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from azureml_tasks.cli.console import Console
from azureml_tasks.engines.docker.base_python import base_python
from azureml_tasks.engines.docker.client import connect
from tests.machine import bases
from tests.real.small_project import small_table
from tests.real.support import (
    Consumer,
    consumer,
    environment_of,
    environment_without_docker,
    output_of,
    project_removed_after,
    unique,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import docker

    from tests.machine.clients import Client

LOOK = """\
import json
import os
import sys
from importlib import metadata


def init():
    global extra
    extra = any(each.metadata["Name"] == "iniconfig" for each in metadata.distributions())


def run(data):
    return {
        "prefix": sys.prefix, "python": list(sys.version_info[:2]), "uid": os.getuid(), "cwd": os.getcwd(),
        "home": os.path.expanduser("~"), "extra": extra, "heard": json.loads(data),
        "flask": str(metadata.distribution("flask").locate_file("")),
    }
"""
REQUEST = """
[[tool.azureml-image.smoke-test.requests]]
body = { flower = "iris" }
expect = { heard = { flower = "iris" }, EXPECT }
"""
MODEL = {
    "model/MLmodel": """\
artifact_path: model
flavors:
  python_function:
    loader_module: doubling
    code: code
    data: factor.json
  other:
    data: nothing
""",
    "model/factor.json": "2",
    "model/code/doubling.py": """\
import json


class Model:
    def __init__(self, factor):
        self.factor = factor

    def predict(self, rows):
        return [[self.factor * value for value in row] for row in rows]


def _load_pyfunc(path):
    with open(path) as file:
        return Model(json.load(file))
""",
}


def request(**expect: object) -> str:
    """Return a request of the table, and what its answer must contain."""
    pairs = ", ".join(f"{name} = {json.dumps(value)}" for name, value in expect.items())
    return REQUEST.replace("EXPECT", pairs)


def write_project(
    folder: Path, base: str, more: str, files: Mapping[str, str | bytes], env: Mapping[str, str]
) -> Consumer:
    """Return a project of a name of its own on *base*, with *more* lines in its table."""
    name = unique("served")
    return consumer(folder / name, {"pyproject.toml": small_table(name, base, more), **files}, env)


def image_of(project: Consumer) -> str:
    """Return the name of a project's image."""
    return f"{project.folder.name}:1"


def passes(project: Consumer) -> None:
    """Build the project and run its smoke test; both succeed."""
    for task in ("image.build", "image.smoke-test"):
        ended = project.invoke(task)
        assert ended.code == 0, ended.stderr + ended.stdout


def config_of(client: docker.DockerClient, image: str) -> dict[str, Any]:
    """Return the configuration of an image, with its variables as pairs."""
    config: dict[str, Any] = client.images.get(image).attrs["Config"]
    return {**config, "Env": dict(pair.split("=", 1) for pair in config["Env"])}


@pytest.fixture(scope="module")
def on_plain(
    docker_client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Consumer]:
    """A project on Debian's own Python, which has no pip, built by the legacy builder and proven."""
    folder = tmp_path_factory.mktemp("plain")
    base = bases.ensure(docker_client, "plain")
    expect = request(
        prefix="/opt/azureml-env",
        python=[3, 11],
        uid=1000,
        cwd="/var/azureml-app",
        home="/home/dockeruser",
        flask="/usr/local/lib/python3.11/dist-packages",
    )
    project = write_project(
        folder,
        base,
        f'server = "azmlinfsrv"\n{expect}',
        {"code/score.py": LOOK},
        environment_without_docker(folder),
    )
    with project_removed_after(docker_client, project.folder.name):
        passes(project)
        yield project


def test_a_plain_debian_serves(on_plain: Consumer, docker_client: docker.DockerClient) -> None:
    """The image has the variables, the port, the command and the user that an inference image has."""
    config = config_of(docker_client, image_of(on_plain))

    variables = {name: config["Env"].get(name) for name in ("AML_APP_ROOT", "AZUREML_CONDA_ENVIRONMENT_PATH")}
    assert variables == {
        "AML_APP_ROOT": "/var/azureml-app",
        "AZUREML_CONDA_ENVIRONMENT_PATH": "/opt/azureml-env",
    }
    assert config["Env"]["PATH"].startswith("/opt/azureml-env/bin:/")
    assert config["Entrypoint"] in (None, [])
    assert (config["WorkingDir"], list(config["ExposedPorts"]), config["User"]) == (
        "/var/azureml-app",
        ["5001/tcp"],
        "dockeruser",
    )
    assert config["Cmd"][-1].endswith("--port 5001")


def test_nothing_is_built_again(on_plain: Consumer) -> None:
    """The image is up to date."""
    ended = on_plain.invoke("image.build")

    assert "nothing to build" in ended.stderr + ended.stdout


def test_the_python_of_a_plain_base_is_known(docker_client: docker.DockerClient, tmp_path: Path) -> None:
    """It is read from the links of a container that does not run."""
    base = bases.ensure(docker_client, "plain")

    assert base_python(connect(), base, Console(), tmp_path, adds_server=True) == (3, 11)


def test_an_environment_of_the_base_is_used(
    docker_client: docker.DockerClient, clients: Mapping[str, Client], tmp_path: Path
) -> None:
    """CONDA_PREFIX says where; the ENTRYPOINT of the base is gone; a package that is added later is added alone."""
    base = bases.ensure(docker_client, "training")
    more = 'server = "azmlinfsrv"\npip = ["azureml-inference-server-http==1.5.1"]\n'
    project = write_project(
        tmp_path,
        base,
        more + request(extra=True, uid=1000),
        {"code/score.py": LOOK},
        environment_of(clients["20.10"], tmp_path),
    )
    with project_removed_after(docker_client, project.folder.name):
        first = project.invoke("image.build")
        assert first.code == 0, first.stderr
        table = project.folder / "pyproject.toml"
        table.write_text(table.read_text().replace('==1.5.1"', '==1.5.1", "iniconfig==2.0.0"'))
        second = project.invoke("image.build")
        proven = project.invoke("image.smoke-test")
        assert (0, 0) == (second.code, proven.code), second.stderr + proven.stderr + proven.stdout
        config = config_of(docker_client, image_of(project))
        link = output_of(docker_client, image_of(project), ["readlink", "/opt/azureml-env"])

    assert "adding packages to cached layers" in second.stderr
    assert link.decode() == "/opt/miniconda/envs/amlenv\n"
    assert config["Entrypoint"] in (None, [])
    assert config["Env"]["PATH"].count("/opt/azureml-env/bin") == 1


def test_a_base_with_a_server_is_refused(amlenv_base: str, tmp_path: Path) -> None:
    """Before anything is built, since the engine has the base."""
    project = write_project(
        tmp_path,
        amlenv_base,
        'server = "azmlinfsrv"\n',
        {"code/score.py": LOOK},
        environment_without_docker(tmp_path),
    )

    ended = project.invoke("image.build")

    expected = (
        f"The base {amlenv_base} has an inference server.\n"
        '    Remove from pyproject.toml: server = "azmlinfsrv"\n    or name a base that has no server\n'
        "Nothing was built.\n"
    )
    assert (4, expected) == (ended.code, ended.stderr[ended.stderr.index("The base ") :])


def test_an_mlflow_model_is_served_by_the_script_of_the_base(
    docker_client: docker.DockerClient, clients: Mapping[str, Client], tmp_path: Path
) -> None:
    """The base's script finds the model where the image says, and loads it by its MLmodel."""
    base = bases.ensure(docker_client, "mlflow")
    asked = """\
model = "model"

[[tool.azureml-image.smoke-test.requests]]
body = { input_data = { columns = ["a", "b"], index = [0], data = [[1, 2]] } }
expect = [[2, 4]]
"""
    project = write_project(tmp_path, base, asked, MODEL, environment_of(clients["20.10"], tmp_path))
    with project_removed_after(docker_client, project.folder.name):
        passes(project)
        config = config_of(docker_client, image_of(project))

    assert config["Env"]["AZUREML_ENTRY_SCRIPT"] == "mlflow_score_script.py"


def test_a_script_of_the_project_is_put_where_the_base_looks(
    docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    """The legacy builder expands the variable of the base, and the project's own script answers."""
    base = bases.ensure(docker_client, "mlflow")
    project = write_project(
        tmp_path,
        base,
        request(cwd="/var/mlflow_resources"),
        {"code/score.py": LOOK},
        environment_without_docker(tmp_path),
    )
    with project_removed_after(docker_client, project.folder.name):
        passes(project)
