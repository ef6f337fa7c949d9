"""An entry script that this Python cannot read is refused only if the base is here and its Python is no newer."""

from __future__ import annotations

import io
import json
import re
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import docker
import pytest

from tests.machine.clients import Client
from tests.real.support import Consumer, consumer, environment_for, removed_after, unique

FOLDER = "opt/miniconda/envs/amlenv/bin"
SCRIPT = "def init(): ...\ndef run(data): return ==\n"
VERSION = ".".join(map(str, sys.version_info[:2]))
ERROR = "code/score.py:2: syntax error: invalid syntax\n    Correct it: the server imports this file.\n\n1 problem; "
WARNING = (
    f"warning: code/score.py:2: Python {VERSION}, which runs this command, cannot read the entry script: "
    "syntax error: invalid syntax. The smoke test shows whether the image's Python can.\n"
)
WriteProject = Callable[[str], Consumer]


@pytest.fixture
def write_project(
    tiny_base: str, docker_client: docker.DockerClient, clients: Mapping[str, Client], tmp_path: Path
) -> Iterator[WriteProject]:
    """A project whose base has the Python of this name, such as `python3.99`; "" for a base that is not here."""
    with ExitStack() as stack:

        def write(python: str) -> Consumer:
            name = unique("python-base")
            if python:
                stack.enter_context(removed_after(docker_client, f"{name}:1"))
                _link(docker_client, tiny_base, python, f"{name}:1")
            table = (
                f'[project]\nname = "{name}-image"\nversion = "1"\n[tool.azureml-image]\nbase = "{name}:1"\n'
            )
            files = {"pyproject.toml": table, "code/score.py": SCRIPT}
            return consumer(tmp_path / name, files, environment_for("none", clients, tmp_path))

        yield write


def _link(client: docker.DockerClient, base: str, python: str, name: str) -> None:
    """Make an image with a link `bin/python` in its environment."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        link = tarfile.TarInfo(f"{FOLDER}/python")
        link.type, link.linkname = tarfile.SYMTYPE, f"/usr/bin/{python}"
        tar.addfile(link)
    container = client.containers.create(base, ["true"])
    try:
        container.put_archive("/", archive.getvalue())
        container.commit(*name.split(":"))
    finally:
        container.remove(force=True)


@pytest.mark.parametrize("python", [f"python{VERSION}", "python3.4"])
def test_a_mistake_is_refused_if_the_python_of_the_base_is_no_newer(
    python: str, write_project: WriteProject
) -> None:
    """The image's Python cannot read it either; nothing is built, check says the same, and neither warns of it too."""
    project = write_project(python)

    checked, built = project.invoke("image.check", "--json"), project.invoke("image.build")

    assert (2, 2) == (checked.code, built.code)
    assert ["", ERROR + "nothing was built.\n"] == re.split("Docker engine .*\n", built.stderr)
    report, problem = json.loads(checked.stdout), "syntax error: invalid syntax"
    assert (None, [], [problem]) == (
        report["images"][0]["next"],
        report["warnings"],
        [each["what"] for each in report["errors"]],
    )
    assert checked.stderr.endswith(ERROR + "nothing was done.\n")
    assert "warning" not in checked.stderr


@pytest.mark.parametrize("python", ["python3.99", "", "python"])
def test_a_mistake_is_a_warning_if_the_python_of_the_base_may_read_it(
    python: str, write_project: WriteProject
) -> None:
    """A newer Python, a base that is not here, or one whose Python is not known: the smoke test decides."""
    checked = write_project(python).invoke("image.check")

    assert (0, WARNING) == (checked.code, checked.stderr)


def test_a_dry_run_looks_into_no_base(
    write_project: WriteProject, docker_client: docker.DockerClient
) -> None:
    """It prints the command that would look, and warns."""
    project = write_project(f"python{VERSION}")
    ended = project.invoke("--dry", "image.check")

    of_base = docker_client.containers.list(all=True, filters={"ancestor": f"{project.folder.name}:1"})
    assert (0, []) == (ended.code, of_base)
    assert "--entrypoint readlink" in ended.stdout
