"""The example of Azure ML's page on extending an image, built manually as on the page and by `invoke image.build`.

The page: https://learn.microsoft.com/azure/machine-learning/how-to-extend-prebuilt-docker-image-inference.
Four things differ from its text: the base is the stand-in; `python3-opencv` (300 MB) is `sl`; apt uses a repository
with only these two packages; and `pip install -r` has a hyphen, which is an en dash on the page in some languages.
"""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import azureml_tasks
from azureml_tasks.requirements.install_step import SCRIPTS
from tests.machine.documentation_page import dockerfile
from tests.real.support import Consumer, consumer, environment_of, output_of, removed_after, unique
from tests.wheels import wheel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import docker

    from tests.machine.clients import Client

OFFERING = r"""
FROM BASE
USER root
RUN mkdir /srv/apt && cd /srv/apt && for file in libpng-tools/usr/bin/pngfix sl/usr/games/sl; do \
    name=${file%%/*} && mkdir -p $name/DEBIAN ${file%/*} && head -c 2000000 /dev/urandom > $file \
    && printf '%s\n' "Package: $name" 'Version: 1' 'Architecture: all' 'Maintainer: -' 'Description: -' \
        > $name/DEBIAN/control && dpkg-deb --build $name && dpkg-deb --field $name.deb >> Packages \
    && printf '%s\n' "Filename: ./$name.deb" "Size: $(stat -c %s $name.deb)" \
        "SHA256: $(sha256sum $name.deb | cut -c -64)" '' >> Packages; done \
    && echo 'deb [trusted=yes] copy:/srv/apt ./' > /etc/apt/sources.list
USER dockeruser
"""
TABLE = """\
[project]
name = "NAME"
version = "1"

[tool.azureml-image]
base = "BASE"
apt = ["libpng-tools", "sl"]
requirements = "requirements.txt"
code = "code"
entry-script = "score.py"
model = "model"
"""
FILES: dict[str, str | bytes] = {
    "code/score.py": "import helper.words\n\ndef init(): pass\n\ndef run(data): return data\n",
    "code/helper/words.py": "WORDS = 'modèle 模型'\n",
    "model/model.bin": "weights\n",
    "model/1/config.txt": "config\n",
}
_IN_IMAGE = Path(azureml_tasks.__file__).with_name("in_image")
_INSTALL_FILES = sum((_IN_IMAGE / name).stat().st_size for name in SCRIPTS[1:]) + 200
"""Bytes of the install scripts and their small lists, which the legacy builder copies and BuildKit mounts."""
LOOK = """\
import hashlib, json, os, pathlib, stat
from importlib import metadata

root = pathlib.Path("/var/azureml-app")
files = {}
for path in sorted(root.rglob("*")):
    found = path.stat()
    content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
    files[str(path.relative_to(root))] = [stat.filemode(found.st_mode), found.st_uid, found.st_gid, content]
print(json.dumps({
    "files": files,
    "user": [os.getuid(), os.getgid(), os.getcwd()],
    "packages": sorted([d.metadata["Name"], d.version] for d in metadata.distributions()),
    "apt": [os.path.exists("/usr/bin/pngfix"), os.path.exists("/usr/games/sl")],
    "lists": os.listdir("/var/lib/apt/lists"),
    "archives": sorted(str(path) for path in pathlib.Path("/var/cache/apt").rglob("*.*")),
}))
"""


@pytest.fixture(scope="module")
def offering_base(docker_client: docker.DockerClient, amlenv_base: str) -> Iterator[str]:
    """Build a base with a repository of two packages, which apt copies into its archives like downloads."""
    name = f"{unique('offering')}:1"
    lines = OFFERING.replace("BASE", amlenv_base)
    with removed_after(docker_client, name):
        docker_client.images.build(
            fileobj=io.BytesIO(lines.encode()), tag=name, rm=True, nocache=True, forcerm=True
        )
        yield name


def write_project(folder: Path, name: str, base: str, env: Mapping[str, str]) -> Consumer:
    """Write the page's project, with the table and with the page's Dockerfile."""
    alpha = wheel(folder.parent / "wheels", "alpha", "1.0")
    # The manual build has to copy the wheel; the rest is the page's text.
    wheels = "COPY wheels /tmp/wheels\nWORKDIR /tmp\n"
    text = dockerfile(base, apt=("libpng-tools", "sl"))
    files: dict[str, str | bytes] = {
        **FILES,
        "pyproject.toml": TABLE.replace("BASE", base).replace("NAME", name),
        "requirements.txt": f"./wheels/{alpha.name}\n",
        f"wheels/{alpha.name}": alpha.read_bytes(),
        "Dockerfile": text.replace("RUN pip", f"{wheels}RUN pip") + "WORKDIR /\n",
    }
    return consumer(folder, files, env)


@pytest.fixture(scope="module")
def manual(
    offering_base: str,
    docker_client: docker.DockerClient,
    clients: Mapping[str, Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Any]]:
    """Describe the image that was built manually."""
    scratch, name = tmp_path_factory.mktemp("manual"), unique("page")
    env = {**environment_of(clients["20.10"], scratch), "DOCKER_BUILDKIT": "1"}
    project = write_project(scratch / "project", name, offering_base, env)
    command = ["docker", "build", "-f", "Dockerfile", "-t", f"{name}:manual", "."]
    with removed_after(docker_client, f"{name}:manual"):
        completed = subprocess.run(
            command, cwd=project.folder, env=env, capture_output=True, text=True, check=False
        )
        assert completed.returncode == 0, completed.stderr
        yield describe(docker_client, f"{name}:manual")


@pytest.fixture(scope="module", params=["20.10", "26.1"])
def generated(
    request: pytest.FixtureRequest,
    offering_base: str,
    docker_client: docker.DockerClient,
    clients: Mapping[str, Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Any]]:
    """Describe the image of azureml-tasks, with BuildKit and the legacy builder."""
    scratch, name = tmp_path_factory.mktemp("page"), unique("page")
    env = environment_of(clients[request.param], scratch)
    project = write_project(scratch / "project", name, offering_base, env)
    with removed_after(docker_client, f"{name}:1"):
        ended = project.invoke("image.build")
        assert ended.code == 0, ended.stderr
        yield describe(docker_client, f"{name}:1")


def describe(client: docker.DockerClient, image: str) -> dict[str, Any]:
    """Return the image's configuration and what its runtime user sees in a container."""
    attributes = client.images.get(image).attrs
    config = attributes["Config"]
    inside = output_of(client, image, ["python", "-c", LOOK])
    keys = ("Env", "User", "Cmd", "Entrypoint", "ExposedPorts", "WorkingDir")
    return {
        **{key: config.get(key) or None for key in keys},
        "Size": attributes["Size"],
        **json.loads(inside),
    }


def test_our_image_equals_the_pages(manual: dict[str, Any], generated: dict[str, Any]) -> None:
    """Files, variables, user, command, ports and packages are equal, also in their order."""
    assert {**manual, "Size": 0} == {**generated, "Size": 0}


def test_apt_leaves_nothing_that_it_downloaded(manual: dict[str, Any], generated: dict[str, Any]) -> None:
    """On a base where apt keeps its archives, our image has none of them and is not larger than the page's."""
    assert ([], [], True) == (
        generated["archives"],
        generated["lists"],
        generated["Size"] <= manual["Size"] + _INSTALL_FILES,
    ), f"{generated['Size']:,} bytes, the page's {manual['Size']:,}"


def test_the_pages_image_is_what_it_says(manual: dict[str, Any]) -> None:
    """The page's files, variables, user and system packages are in the image that its Dockerfile makes."""
    modes = {name: details[:3] for name, details in manual["files"].items()}
    file, folder = ["-rw-r--r--", 0, 0], ["drwxr-xr-x", 0, 0]
    expected = {
        "score.py": file,
        "helper": folder,
        "helper/words.py": file,
        "azureml-models": folder,
        "azureml-models/model.bin": file,
        "azureml-models/1": folder,
        "azureml-models/1/config.txt": file,
    }
    variables = ["AZUREML_ENTRY_SCRIPT=score.py", "AZUREML_MODEL_DIR=/var/azureml-app/azureml-models"]
    alpha = ["alpha", "1.0"]
    assert (expected, variables, "dockeruser", [1000, 1000, "/"], [True, True], [], True) == (
        modes,
        manual["Env"][-2:],
        manual["User"],
        manual["user"],
        manual["apt"],
        manual["lists"],
        alpha in manual["packages"],
    )
