"""What the table says of a Dockerfile, instruction by instruction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from azureml_tasks.migration.dockerfile_source import read_dockerfile
from azureml_tasks.migration.reading import Kind, Source
from azureml_tasks.migration.surroundings import Surroundings
from tests.cases import lay_out

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.migration.reading import Reading

SERVING = "FROM mcr.microsoft.com/azureml/minimal-py312-inference:latest\n"
FILES = {
    "code/score.py": "",
    "code/lib/a.py": "",
    "model/model.pkl": "",
    "requirements.txt": "numpy\n",
    "conda.yaml": "dependencies: []\n",
    "data/one.csv": "",
    "data/two.csv": "",
}


def read(folder: Path, text: str, files: dict[str, str] | None = None, name: str = "Dockerfile") -> Reading:
    """Return the reading of a Dockerfile among *files*."""
    lay_out({**(FILES if files is None else files), name: text}, folder)
    source = Source(path=folder / name, name=name, kind=Kind.DOCKERFILE, text=text)
    return read_dockerfile(source, Surroundings(folder=folder, root=folder))


def outcomes(reading: Reading) -> list[str]:
    """Return each line's outcome with its reason."""
    return [f"{line.line} {line.outcome.value}: {line.why}" for line in reading.lines]


def values(reading: Reading) -> list[str]:
    """Return each value as `key = value`."""
    return [f"{'.'.join(map(str, value.place))} = {json.dumps(value.value)}" for value in reading.values]


def test_a_usual_dockerfile_is_taken_whole(tmp_path: Path) -> None:
    """Packages, code, model, variables and user become keys; what is only installed from is not needed."""
    text = SERVING + (
        "USER root\n"
        "RUN apt-get update \\\n"
        "    # a comment\n"
        "    && apt-get install -y --no-install-recommends libgomp1 curl=7.88.1-10 \\\n"
        "    && rm -rf /var/lib/apt/lists/*\n"
        "\n"
        "COPY requirements.txt /tmp/requirements.txt\n"
        "RUN pip install --no-cache-dir -r /tmp/requirements.txt && rm /tmp/requirements.txt\n"
        "COPY code /var/azureml-app\n"
        "COPY model /var/azureml-app/azureml-models\n"
        "ENV AZUREML_MODEL_DIR=/var/azureml-app/azureml-models AZUREML_ENTRY_SCRIPT=score.py\n"
        "LABEL team=scoring\n"
        "EXPOSE 5001\n"
        "USER dockeruser\n"
        'CMD ["runsvdir", "/var/runit"]\n'
    )

    reading = read(tmp_path, text)

    assert outcomes(reading) == [
        '1 key: base = "minimal-py312-inference"',
        "2 not-needed: apt and pip install as root anyway",
        '3 key: apt = ["libgomp1", "curl=7.88.1-10"]',
        "8 not-needed: only installed from",
        '9 key: requirements = ["requirements.txt"]',
        '10 key: code = "code"',
        '11 key: model = "model"',
        '12 key: model sets it, to /var/azureml-app/azureml-models; entry-script = "score.py" is the default',
        '13 key: labels."team" = "scoring"',
        "14 not-needed: the image serves on port 5001",
        '15 key: user = "dockeruser" is the default',
        "16 not-needed: the base starts so",
    ]
    assert values(reading) == [
        'base = "minimal-py312-inference"',
        'apt = ["libgomp1", "curl=7.88.1-10"]',
        'code = "code"',
        'model = "model"',
        'labels = {"team": "scoring"}',
    ]
    assert [(each.kind, each.name, each.line) for each in reading.references] == [
        (Kind.REQUIREMENTS, "requirements.txt", 9)
    ]
    assert [(line.line, line.end) for line in reading.lines][2] == (3, 6)
    assert reading.is_whole
    assert not reading.keeps_dockerfile


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("RUN pip install numpy 'pandas>=2'", ['2 key: pip = ["numpy", "pandas>=2"]']),
        ("RUN conda env update -n amlenv -f conda.yaml", ["2 left-over: conda.yaml is not one of the copied files"]),
        ("HEALTHCHECK CMD true", ["2 left-over: no key sets it, and Azure ML asks by the probes of the deployment"]),
    ],
)  # fmt: skip
def test_each_line_has_its_outcome(tmp_path: Path, lines: str, expected: list[str]) -> None:
    """Each instruction after FROM says what became of it."""
    assert expected == outcomes(read(tmp_path, f"{SERVING}{lines}\n"))[1:]
