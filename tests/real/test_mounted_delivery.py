"""A delivery without an image: the base runs with code and packages as Azure ML mounts them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import docker
import pytest

from tests.machine.clients import Client
from tests.real.support import (
    Consumer,
    consumer,
    environment_of,
    environment_without_docker,
    normal,
    removed_after,
    unique,
)

RUN_SCRIPT = """\
#!/bin/bash
exec 2>&1
cd "${AML_APP_ROOT:-/var/azureml-app}"
script="${AZUREML_ENTRY_SCRIPT:-main.py}"
beside="$PWD/$(dirname "$script")"
if [ -n "$AZUREML_EXTRA_PYTHON_LIB_PATH" ]; then
    folder="$beside/$AZUREML_EXTRA_PYTHON_LIB_PATH"
    [ -d "$folder" ] || { echo "Expected folder with pre-installed packages not found: $folder"; exit 97; }
    export PYTHONPATH="$folder:$PYTHONPATH"
elif [ -n "$AZUREML_EXTRA_REQUIREMENTS_TXT" ]; then
    file="$beside/$AZUREML_EXTRA_REQUIREMENTS_TXT"
    [ -f "$file" ] || { echo "expected requirements file not found: $file"; exit 99; }
    pip install -r "$file" || exit 95
fi
exec azmlinfsrv --entry_script "$script" --port 31311
"""
"""What the images of the family `minimal-py312-inference` do at their start, in our words."""
SCORE = """\
import os
import iniconfig

def init():
    global word
    word = open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "weights", "word")).read()

def run(data):
    return {"file": iniconfig.__file__, "word": word, "price": os.environ["PRICE"]}
"""
TABLE = """\
[project]
name = "{name}"

[tool.azureml-image]
delivery = "mount"
base = "{base}"
requirements = "code/requirements.txt"
env = {{ PRICE = "5 $$" }}
{more}
[tool.azureml-image.smoke-test]
model = "weights"

[[tool.azureml-image.smoke-test.requests]]
body = {{}}
expect = {{ file = "{file}", word = "hello", price = "5 $" }}
"""
NOTHING_TO_BUILD = 'nothing to build: delivery = "mount", so Azure ML mounts the code into the base'
NOTHING_TO_PUSH = (
    "nothing to push: Azure ML mounts the code; "
    "invoke image.environment --deployment prints a deployment of the base"
)
DEPLOYMENT = """\
# Generated from [tool.azureml-image] by image.environment.
$schema: "https://azuremlschemas.azureedge.net/latest/managedOnlineDeployment.schema.json"
name: "NAME-SHA"
endpoint_name: "scoring"
# Azure ML mounts this model. Write the name of yours.
model: "azureml:NAME@latest"
code_configuration:
  code: "code"
  scoring_script: "score.py"
environment:
  image: "BASE"
environment_variables:
  VARIABLE
  PRICE: "5 $"
instance_type: "Standard_DS3_v2"
instance_count: 1
request_settings:
  request_timeout_ms: 5000
  max_concurrent_requests_per_instance: 1
"""


@pytest.fixture(scope="module")
def base(docker_client: docker.DockerClient, amlenv_base: str) -> Iterator[str]:
    """A base that adds packages at its start, as Azure ML's images do."""
    name = f"{unique('extensible')}:1"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, text, mode in (
            ("Dockerfile", f"FROM {amlenv_base}\nCOPY run /var/runit/gunicorn/run\n", 0o644),
            ("run", RUN_SCRIPT, 0o755),
        ):
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(text.encode()), mode
            archive.addfile(member, io.BytesIO(text.encode()))
    with removed_after(docker_client, name):
        docker_client.images.build(
            fileobj=io.BytesIO(packed.getvalue()), custom_context=True, tag=name, rm=True, nocache=True
        )
        yield name


def write_project(
    folder: Path, base: str, file: str, more: str = "", env: Mapping[str, str] | None = None
) -> Consumer:
    """A project with one package, a variable, and a model that is mounted."""
    name = unique("mounted")
    files = {
        "pyproject.toml": TABLE.format(name=name, base=base, file=file, more=more),
        "code/score.py": SCORE,
        "code/requirements.txt": "iniconfig==2.0.0\n",
        "weights/word": "hello",
    }
    return consumer(folder / name, files, env or environment_without_docker(folder))


def deployment(project: Consumer) -> str:
    """The YAML of the deployment, which follows a pass."""
    ended = project.invoke(
        "image.environment", "--deployment", "--endpoint", "scoring", "--instance-type", "Standard_DS3_v2"
    )
    assert (0, "") == (ended.code, ended.stderr)
    return ended.stdout


def test_packages_are_installed_at_each_start(base: str, tmp_path: Path) -> None:
    """The base installs the requirements file; nothing is built or pushed, and the deployment names the file."""
    installed = "/opt/miniconda/envs/amlenv/lib/python3.11/site-packages/iniconfig/__init__.py"
    project = write_project(tmp_path, base, installed)

    released = project.invoke("image.release")
    lines = released.stderr.splitlines()

    assert 0 == released.code, released.stderr
    assert (1, 1) == (lines.count(NOTHING_TO_BUILD), lines.count(NOTHING_TO_PUSH))
    text = deployment(project)
    expected = DEPLOYMENT.replace("VARIABLE", 'AZUREML_EXTRA_REQUIREMENTS_TXT: "requirements.txt"')
    name = project.folder.name
    sha = text.partition(f'name: "{name}-')[2][:8]
    assert expected.replace("NAME", name).replace("SHA", sha).replace("BASE", base) == text


def test_a_folder_of_packages_travels_with_the_code(base: str, tmp_path: Path) -> None:
    """It is made in the base's Python, once for the same requirements, and holds what the base does not have."""
    project = write_project(
        tmp_path,
        base,
        "/var/azureml-app/code/packages/iniconfig/__init__.py",
        'packages-folder = "code/packages"\n',
    )
    early = project.invoke(
        "image.environment", "--deployment", "--endpoint", "scoring", "--instance-type", "Standard_DS3_v2"
    )
    tested = project.invoke("image.smoke-test")
    again = project.invoke("--dry", "image.smoke-test")

    assert (2, 0, 0) == (early.code, tested.code, again.code), tested.stderr + again.stderr
    assert "code/packages: is not made yet" in early.stderr
    assert "packages are up to date: code/packages" in again.stderr
    folder = project.folder / "code" / "packages"
    assert [".azureml-image.json", "iniconfig", "iniconfig-2.0.0.dist-info"] == sorted(
        path.name for path in folder.iterdir()
    )
    assert ["made_from"] == list(json.loads((folder / ".azureml-image.json").read_text()))
    text = deployment(project)
    assert 'AZUREML_EXTRA_PYTHON_LIB_PATH: "packages"' in text


def test_the_printed_commands_make_the_same_folder(
    base: str, clients: Mapping[str, Client], tmp_path: Path
) -> None:
    """What --dry prints makes the folder of packages, also in the place of an older one, and mounts what we mount."""
    file, env = (
        "/var/azureml-app/code/lib/packages/iniconfig/__init__.py",
        environment_of(clients["20.10"], tmp_path),
    )
    project = write_project(tmp_path, base, file, 'packages-folder = "code/lib/packages"\n', env)
    folder = project.folder / "code" / "lib" / "packages"

    (project.folder / "code" / "notes.ipynb").touch()
    (project.folder / ".amlignore").write_text("*.ipynb\n")
    *printed, remove = project.invoke("--dry", "image.smoke-test").stdout.splitlines()
    look = f"docker exec {remove.split()[-1]} ls /var/azureml-app/code /var/azureml-app/code/lib"
    first = project.paste("\n".join([*printed, look, remove]))
    (folder / ".azureml-image.json").write_text('{"made_from": "something else"}')
    (folder / "old.py").touch()
    second = project.paste(project.invoke("--dry", "image.smoke-test").stdout)
    tested = project.invoke("image.smoke-test")

    assert (0, 0, 0) == (first.code, second.code, tested.code), first.stderr + second.stderr + tested.stderr
    assert [".azureml-image.json", "iniconfig", "iniconfig-2.0.0.dist-info"] == sorted(
        path.name for path in folder.iterdir()
    )
    assert "packages are up to date: code/lib/packages" in tested.stderr
    listed = (
        "/var/azureml-app/code:\nlib\nrequirements.txt\nscore.py\n\n/var/azureml-app/code/lib:\npackages\n"
    )
    assert listed in first.stdout


def test_a_folder_of_somebody_else_is_not_replaced(base: str, tmp_path: Path) -> None:
    """A folder without our mark stays as it is, and the command says so."""
    project = write_project(tmp_path, base, "any", 'packages-folder = "code/packages"\n')
    own = project.folder / "code" / "packages" / "own.py"
    own.parent.mkdir()
    own.write_text("x = 1\n")

    ended = project.invoke("image.smoke-test")

    assert (2, True) == (ended.code, own.exists())
    assert normal(ended.stderr, {}).endswith(
        "code/packages: is the folder for packages, and holds something else, which would be removed\n"
        "    Name another folder that is not there yet: packages-folder\n\n"
        "1 problem; nothing was tested.\n"
    )


def test_packages_that_cannot_be_installed(base: str, tmp_path: Path) -> None:
    """A refusal by pip ends the command before any container of the smoke test starts, and leaves no folder."""
    project = write_project(tmp_path, base, "any", 'packages-folder = "code/packages"\n')
    (project.folder / "code" / "requirements.txt").write_text("./none-1.0-py3-none-any.whl\n")
    missing = project.invoke("image.smoke-test")
    (project.folder / "code" / "requirements.txt").write_text("iniconfig==99999\n")

    ended = project.invoke("image.smoke-test")

    assert (2, 4) == (missing.code, ended.code)
    assert "No matching distribution found for iniconfig==99999" in ended.stderr
    assert not (project.folder / "code" / "packages").exists()
