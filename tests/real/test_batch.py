"""The smoke test of a batch deployment's script: called in the image, on both engines, and pushed only if it passes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping

import docker
import pytest

from tests.machine.clients import Client
from tests.real.built_project import built
from tests.real.small_project import small_table
from tests.real.smoke_image import without_variations
from tests.real.support import Consumer, consumer, environment_of, unique

TABLE = """\
model = "model"

[tool.azureml-image.smoke-test]
mini-batch = ["data/a.csv", "data/more/b.csv"]
"""
SCRIPT = '''\
"""Adds the model's number to the numbers of each file."""

import os
from pathlib import Path


def init():
    global number
    number = int(Path(os.environ["AZUREML_MODEL_DIR"], "number").read_text())


def run(mini_batch):
    if os.environ.get("HOW") == "raises":
        raise ValueError("no such column")
    Path(os.environ["AZUREML_BI_OUTPUT_PATH"], "sums").write_text("written")
    return [f"{Path(path).name}: {number + int(Path(path).read_text())}" for path in mini_batch]
'''
PASSED = """\
NAME:1 passed its smoke test (sha256:ID, called in the image, as by a batch deployment).
    init(): in N s, with the import of the script
    run() with 2 files: a list of 2 items in N s
    peak memory N MiB
Warning: a batch deployment also needs azureml-core in the image: pip = ["azureml-core"]
"""
FAILED = """\
NAME:1 failed its smoke test (sha256:ID, called in the image, as by a batch deployment).
    init(): in N s, with the import of the script
    peak memory N MiB
Warning: a batch deployment also needs azureml-core in the image: pip = ["azureml-core"]
Look inside: invoke image.shell
The container's log is in .azureml-image/smoke-test.log

Failed: run() with 2 files
    ValueError: no such column
"""


@pytest.fixture(scope="module")
def project(
    docker_client: docker.DockerClient,
    amlenv_base: str,
    clients: Mapping[str, Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Consumer]:
    """A project of a batch deployment that is built once."""
    folder, name = tmp_path_factory.mktemp("batch"), unique("batch")
    files = {
        "pyproject.toml": small_table(name, amlenv_base, TABLE),
        "code/score.py": SCRIPT,
        "model/number": "40",
        "data/a.csv": "2",
        "data/more/b.csv": "3",
    }
    project = consumer(folder / name, files, environment_of(clients["20.10"], folder))
    with built(docker_client, project):
        yield project


def shown(text: str, project: Consumer) -> str:
    """Return a report without its times and names."""
    return re.sub(r"\d+\.\d s\b", "N s", without_variations(text, project.folder.name))


def test_a_script_that_passes(project: Consumer) -> None:
    """The record and the report say that a mini-batch passed, and no server was asked."""
    ended = project.invoke("image.smoke-test", "--junit", "report.xml")

    assert (0, PASSED) == (ended.code, shown(ended.stdout, project)), ended.stderr
    assert "mini-batch" == project.record("smoke-test.json")["smoke"]["proven"]
    assert '<property name="proven" value="mini-batch" />' in (project.folder / "report.xml").read_text()


def test_a_script_that_fails(project: Consumer) -> None:
    """The report has the exception and its traceback, and the exit code is that of a failed smoke test."""
    text = (project.folder / "pyproject.toml").read_text(encoding="utf-8")
    table = text + 'env = { HOW = "raises" }\n'
    (project.folder / "pyproject.toml").write_text(table, encoding="utf-8")
    ended = project.invoke("image.smoke-test")
    (project.folder / "pyproject.toml").write_text(text, encoding="utf-8")

    assert ended.code == 5
    assert FAILED in shown(ended.stderr, project)
    assert 'File "/var/azureml-app/score.py", line 14, in run' in ended.stderr


def test_dry(project: Consumer) -> None:
    """The printed command mounts what the smoke test copies into the container."""
    ended = project.invoke("--dry", "image.smoke-test")
    run, remove = ended.stdout.splitlines()

    assert "--entrypoint /bin/sh" in run
    assert sum(word.startswith("type=bind,readonly,") for word in shlex.split(run)) == 4
    assert remove.startswith("docker rm --force --volumes ")
    pasted = project.paste(f"{run.replace(' --detach ', ' ', 1)}\n{remove}\n")
    assert (0, 3) == (pasted.code, len(pasted.stdout.splitlines()) - 1), pasted.stderr
