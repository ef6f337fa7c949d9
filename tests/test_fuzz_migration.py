"""Any file of another tool ends in a reading that covers each of its lines, or in an error of ours."""

from __future__ import annotations

import contextlib
import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from azureml_tasks.errors import SettingsError
from azureml_tasks.migration.draft import draft
from azureml_tasks.migration.reading import Kind, Reading, Source
from azureml_tasks.migration.sources import read_sources
from azureml_tasks.migration.surroundings import Surroundings
from tests.cases import lay_out
from tests.examples import examples
from tests.random_texts import LINES, PYTHON, YAML, any_of

FILES = {
    "src/score.py": "def init(): ...\ndef run(data): return data\n",
    "model/weights.bin": "w",
    "requirements.txt": "numpy\n",
    "conda.yml": "dependencies:\n- numpy\n- cudatoolkit\n- pip:\n  - joblib\n",
    "Dockerfile.other": "FROM a\nRUN pip install numpy\n",
}
"""What the random texts may name."""
COMMANDS = st.sampled_from(
    ["apt-get update", "apt-get install -y ", "libgomp1", "libgomp1=1.2", "pip install ", "pip3 ",
     "python -m pip install ", "-r ", "requirements.txt", "numpy", "'scipy>=1'", "--no-cache-dir ",
     "--index-url ", "https://u:p@host/simple ", "conda install -y ", "conda env create -f conda.yml",
     "conda env update -n amlenv -f ", "conda.yml", "rm -rf /tmp/x", "&&", "||", ";", "|", " ", "\\\n",
     "\n", "#", "'", '"', "$(", ")", "`", "${A}", "$A", "{", "}", ">", "<", "<<EOF", "EOF", "\\", "\t",
     "set -e", "export A=b", "A=b ", "sudo ", "if true; then ", "fi", "é", "\r", "\u2028", "\f", "*"]
)  # fmt: skip
INSTRUCTIONS = st.sampled_from(
    ["FROM mcr.microsoft.com/azureml/minimal-py312-inference:latest\n", "FROM ", "FROM a AS b\n",
     "FROM scratch\n", "ARG A=b\n", "ARG ", "ENV A=b ", "ENV PATH=/x:$PATH\n", "ENV A b\n", "RUN ",
     'RUN ["a", "b"]\n', "RUN <<EOF\n", "EOF\n", "COPY src /var/azureml-app\n", "COPY ", "COPY --chown=a ",
     "COPY --from=b ", "ADD ", "src ", "model ", "../.. ", ". ", "/var/azureml-app/azureml-models\n",
     "USER root\n", "USER a:b\n", "WORKDIR /x\n", "CMD ", "ENTRYPOINT ", '["a"]\n', "LABEL a=b\n",
     "EXPOSE 5001\n", "HEALTHCHECK NONE\n", "VOLUME /v\n", 'SHELL ["/bin/bash", "-c"]\n', "ONBUILD ",
     "STOPSIGNAL 9\n", "UNKNOWN x\n", "# escape=`\n", "# syntax=x\n", "# c\n", "\n", "\\\n", "`\n",
     "--x=y ", "{{A}}", "<A>"]
)  # fmt: skip
AZURE = st.sampled_from(
    ["name: a\n", "endpoint_name: b\n", "model:\n  path: model\n", "model: azureml:a:1\n",
     "code_configuration:\n  code: src\n", "  scoring_script: score.py\n", "environment:\n  image: a\n",
     "  conda_file: conda.yml\n", "environment: azureml:a@latest\n",
     "  build:\n    path: .\n    dockerfile_path: Dockerfile.other\n", "environment_variables:\n  A: 1\n",
     "  B: {{X}}\n", "request_settings:\n  request_timeout_ms: 3\n", "instance_type: <X>\n",
     "  conda_file:\n    dependencies: [numpy]\n",
     "$schema: https://azuremlschemas.azureedge.net/latest/environment.schema.json\n", "image: {{A}}.b/c\n",
     "settings:\n  mini_batch_size: 2\n",
     "inference_config:\n  scoring_route: {port: 5001, path: /score}\n", "compute: c\n"]
)  # fmt: skip
DOCKERFILES = any_of(INSTRUCTIONS | COMMANDS, most=40) | any_of(INSTRUCTIONS, most=15)
TEXTS = {
    Kind.DOCKERFILE: DOCKERFILES | any_of(COMMANDS).map("FROM a\nRUN {}".format),
    Kind.DEPLOYMENT: any_of(AZURE, most=12, often=300) | any_of(AZURE | YAML, often=300),
    Kind.ENVIRONMENT: any_of(AZURE, most=8, often=300) | any_of(AZURE | YAML, often=300),
    Kind.CONDA: any_of(YAML) | any_of(YAML).map("dependencies:\n- {}".format),
    Kind.REQUIREMENTS: any_of(LINES),
    Kind.PYPROJECT: any_of(LINES).map(lambda text: f"[project]\ndependencies = [{json.dumps(text)}]\n")
    | any_of(LINES),
    Kind.SCRIPT: any_of(PYTHON),
    Kind.REQUEST: any_of(LINES) | st.text(max_size=20).map(json.dumps),
}
"""What a file of each kind may hold."""
NAMES = {
    Kind.DOCKERFILE: "Dockerfile",
    Kind.DEPLOYMENT: "deployment.yml",
    Kind.ENVIRONMENT: "environment.yml",
    Kind.CONDA: "conda-file.yml",
    Kind.REQUIREMENTS: "more.txt",
    Kind.PYPROJECT: "pyproject.toml",
    Kind.SCRIPT: "src/other.py",
    Kind.REQUEST: "request.json",
}
WITH_LINES = (Kind.DOCKERFILE, Kind.DEPLOYMENT, Kind.ENVIRONMENT, Kind.CONDA, Kind.REQUIREMENTS)
"""Kinds of which each line says something for the image."""


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Surroundings:
    """Return a folder with the files that the texts may name."""
    folder = lay_out(FILES, tmp_path_factory.mktemp("team")).resolve()
    return Surroundings(folder=folder, root=folder)


@pytest.mark.parametrize("kind", TEXTS)
@settings(max_examples=examples(50), suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_source(kind: Kind, surroundings: Surroundings, data: st.DataObject) -> None:
    """Each line is covered, each of its words can be printed, and the values make one table or conflicts."""
    text = data.draw(TEXTS[kind])
    source = Source(path=surroundings.folder / NAMES[kind], name=NAMES[kind], kind=kind, text=text)

    readings: tuple[Reading, ...] = ()
    with contextlib.suppress(SettingsError):
        readings = read_sources([source], surroundings)

    for reading in readings:
        assert uncovered(reading) == []
        assert all(line.why for line in reading.lines)
        assert all(1 <= line.line <= line.end for line in reading.lines)
        assert [line.line for line in reading.lines] == sorted(line.line for line in reading.lines)
    draft(readings)


def uncovered(reading: Reading) -> list[tuple[int, str]]:
    """Return the lines of a source that are neither blank nor a comment, and of which nothing is said."""
    if reading.source.kind not in WITH_LINES:
        return []
    covered = {number for line in reading.lines for number in range(line.line, line.end + 1)}
    lines = enumerate(lines_of(reading.source), 1)
    return [(at, line) for at, line in lines if line.strip() and not is_comment(line) and at not in covered]


def lines_of(source: Source) -> list[str]:
    """Return the lines of a source, split as the one that reads it splits them."""
    if source.kind is Kind.DOCKERFILE:
        return source.text.split("\n")
    if source.kind is Kind.REQUIREMENTS:
        return source.text.splitlines()
    return re.split("\r\n|[\n\r\x85\u2028\u2029]", source.text)


def is_comment(line: str) -> bool:
    """Return whether *line* is a comment in each of these languages."""
    return line.lstrip().startswith("#")
