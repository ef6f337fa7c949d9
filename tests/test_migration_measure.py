"""The measurement of what `image.init` makes of other teams' files, on a small folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cases import lay_out
from tests.consumers import DEAD
from tests.machine import migration_measure

if TYPE_CHECKING:
    from pathlib import Path

BASE = "FROM mcr.microsoft.com/azureml/minimal-py312-inference:latest\n"
FILES = {
    "a/deployment.yml": """\
name: blue
endpoint_name: churn
model: azureml:churn:1
code_configuration:
  code: ../src
  scoring_script: score.py
environment:
  image: mcr.microsoft.com/azureml/minimal-py312-inference:latest
instance_type: <SIZE>
""",
    "b/Dockerfile": f"{BASE}RUN pip install numpy\n",
    "c/Dockerfile": f"{BASE}COPY absent.conf /etc/\n",
    "d/job.yml": "type: command\n",
    "e/serve.dockerfile": f'{BASE}ENTRYPOINT ["sleep"]\n',
    "f/deployment.yml": "endpoint_name: [\n",
    "src/score.py": "def init(): ...\ndef run(data): return data\n",
}


def test_each_file_has_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deployment whose code is above its folder is taken; what is left over, kept or refused says why."""
    monkeypatch.setenv("DOCKER_HOST", DEAD)
    folder = lay_out(FILES, tmp_path / "teams")

    migration_measure.main(folder, "")

    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[:3] for line in lines[:5]] == [
        ["deployments with code", "whole", "a/deployment.yml"],
        ["Dockerfiles on inference images", "whole", "b/Dockerfile"],
        ["Dockerfiles on inference images", "with named rest", "c/Dockerfile"],
        ["Dockerfiles on inference images", "only dockerfile =", "e/serve.dockerfile"],
        ["other deployments", "refused", "f/deployment.yml"],
    ]
    assert all(line.count(": ") > 2 for line in lines[2:5])
    assert lines[5:] == [
        "",
        "deployments with code: 1: 1 whole, 0 with named rest, 0 only dockerfile =, 0 refused",
        "other deployments: 1: 0 whole, 0 with named rest, 0 only dockerfile =, 1 refused",
        "Dockerfiles on inference images: 3: 1 whole, 1 with named rest, 1 only dockerfile =, 0 refused",
    ]
    assert sorted(path.name for path in folder.rglob("pyproject.toml")) == []
