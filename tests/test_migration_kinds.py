"""What a file is, by its name and its content."""

import pytest

from azureml_tasks.migration.kinds import NoSource, kind_of_name, kind_of_text
from azureml_tasks.migration.reading import Kind

_SCHEMA = "$schema: https://azuremlschemas.azureedge.net/latest/"
_RUN = "def init():\n    pass\n\n\ndef run(data):\n    return data\n"


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("blue.yml", f"{_SCHEMA}managedOnlineDeployment.schema.json\nname: blue\n", Kind.DEPLOYMENT),
        ("k8s.yaml", f"{_SCHEMA}kubernetesOnlineDeployment.schema.json\n", Kind.DEPLOYMENT),
        ("batch.yml", f"{_SCHEMA}modelBatchDeployment.schema.json\n", Kind.DEPLOYMENT),
        ("quoted.yml", f'"$schema": "{_SCHEMA[9:]}batchDeployment.schema.json"\n', Kind.DEPLOYMENT),
        ("no-schema.yml", "name: blue\nendpoint_name: wines\nmodel: azureml:wines:1\n", Kind.DEPLOYMENT),
        ("template.yml", "code_configuration:\n  code: {{CODE}}\n", Kind.DEPLOYMENT),
        ("env.yml", f"{_SCHEMA}environment.schema.json\nimage: tiny:1\n", Kind.ENVIRONMENT),
        ("env.yaml", "name: wines\nimage: tiny:1\n", Kind.ENVIRONMENT),
        ("env.yml", "conda_file: conda.yaml\nimage: tiny:1\n", Kind.ENVIRONMENT),
        ("conda.yml", "name: wines\ndependencies:\n  - numpy\n", Kind.CONDA),
        ("environment/any.yaml", "channels: [conda-forge]\ndependencies: [numpy]\n", Kind.CONDA),
        ("Dockerfile", "FROM tiny:1\n", Kind.DOCKERFILE),
        ("docker/Dockerfile.gpu", "# a comment\nFROM tiny:1\n", Kind.DOCKERFILE),
        ("wines.dockerfile", "FROM tiny:1\n", Kind.DOCKERFILE),
        ("wines.Dockerfile", "", Kind.DOCKERFILE),
        ("Containerfile", "FROM tiny:1\n", Kind.DOCKERFILE),
        ("image/build", "ARG VERSION=1\nFROM tiny:$VERSION\n", Kind.DOCKERFILE),
        ("requirements.txt", "numpy==1.26.4\n", Kind.REQUIREMENTS),
        ("requirements/serving.in", "numpy\n", Kind.REQUIREMENTS),
        (
            "deps.txt",
            "# what the model needs\nscikit-learn>=1.4 ; python_version > '3.8'\n",
            Kind.REQUIREMENTS,
        ),
        ("deps.txt", "--index-url https://pypi.org/simple\n", Kind.REQUIREMENTS),
        ("requirements.txt", "", Kind.REQUIREMENTS),
        ("uv.lock", "version = 1\n", Kind.REQUIREMENTS),
        ("pylock.serving.toml", 'lock-version = "1.0"\n', Kind.REQUIREMENTS),
        ("poetry.lock", "", Kind.REQUIREMENTS),
        ("pyproject.toml", "", Kind.PYPROJECT),
        ("src/score.py", _RUN, Kind.SCRIPT),
        ("src/score.py", "from service import *\n", Kind.SCRIPT),
        ("old.py", 'print "hello"\ndef init():\n    pass\ndef run(data):\n    pass\n', Kind.SCRIPT),
        ("models/wines.pkl", "", Kind.MODEL),
        ("wines.ONNX", "", Kind.MODEL),
        ("sample.json", '{"data": [[1]]}', Kind.REQUEST),
        ("sample.json", "[1, 2]", Kind.REQUEST),
    ],
)
def test_a_file_has_a_kind(name: str, text: str, kind: Kind) -> None:
    """By its name, else by its content."""
    assert kind_of_text(name, text) == kind


@pytest.mark.parametrize(
    ("name", "text", "description"),
    [
        ("e.yml", f"{_SCHEMA}managedOnlineEndpoint.schema.json\n", "is an endpoint of Azure ML, which has no image"),
        ("e.yml", "name: wines\nauth_mode: key\n", "is an endpoint of Azure ML, which has no image"),
        ("e.yml", f"{_SCHEMA}batchEndpoint.schema.json\n", "is an endpoint of Azure ML, which has no image"),
        ("j.yml", f"{_SCHEMA}commandJob.schema.json\n", "is a job of Azure ML"),
        ("j.yml", f"{_SCHEMA}pipelineComponent.schema.json\n", "is a component of Azure ML"),
        ("m.yml", f"{_SCHEMA}model.schema.json\n", "is a model of Azure ML as YAML"),
        (
            "p.yml",
            f"{_SCHEMA}pipelineComponentBatchDeployment.schema.json\n",
            "is a batch deployment of a pipeline, whose steps have images of their own",
        ),
        (
            "d.yml",
            f"{_SCHEMA}data.schema.json\n",
            'has the schema "data.schema.json" of Azure ML, which describes no image',
        ),
        ("ci.yml", "on: push\njobs: {}\n", "is a pipeline"),
        ("azure-pipelines.yml", "trigger: [main]\nsteps: []\n", "is a pipeline"),
        ("compose.yaml", "services: {}\n", "is a file of Docker Compose"),
        ("k.yaml", "apiVersion: v1\nkind: Pod\n", "is a manifest of Kubernetes"),
        ("conda-lock.yml", "package: []\nmetadata: {}\n", "is a lock file of conda-lock"),
        ("x.yml", "- a\n", "is YAML without keys"),
        ("x.yml", "", "is YAML without keys"),
        ("x.yml", "a: 1\n", "is YAML of no kind that is read here"),
        ("x.yml", "a: [\n", "cannot be read: it is not valid YAML: expected the node content, but found"),
        ("x.ipynb", "{}", "is a notebook"),
        ("x.json", '{"cells": [], "nbformat": 4}', "is a notebook"),
        ("x.json", "{", "is not valid JSON: Expecting property name"),
        ("x.json", "[" * 100_000, "is not valid JSON"),
        ("inferenceconfig.json", '{"entryScript": "score.py"}', "is a configuration of Azure ML's first SDK"),
        ("model/MLmodel", "flavors: {}\n", "describes an MLflow model"),
        ("large.yml", "a: 1\n" * 200_001, "is larger than 1 MB"),
        ("large.py", "a = 1\n" * 200_000, "is larger than 1 MB"),
        ("large.json", " " * 10_000_001, "is larger than 10 MB"),
        ("train.py", "def main():\n    pass\n", "defines no init() and no run()"),
        ("train.py", "def run(data):\n    pass\n", "defines no init()"),
        ("x.py", "return 1\ndef", "cannot be read as Python: invalid syntax (line 2)"),
        ("setup.py", "", "describes a project"),
        ("setup.cfg", "[metadata]\n", "describes a project and is no requirements file"),
        ("explicit.txt", "@EXPLICIT\n", "is a list of conda packages for `conda create --file`"),
        ("notes.txt", "How to train this model.\n", "is no kind of file that is read here"),
        ("LICENSE", "MIT License\n", "is no kind of file that is read here"),
        ("deploy.sh", "az ml\n", "is a shell script"),
        (".dockerignore", "*\n", "is an ignore file, which counts without being named"),
        ("Dockerfile.dockerignore", "*\n", "is an ignore file, which counts without being named"),
        ("README.md", "", "is a text for people"),
    ],
)  # fmt: skip
def test_another_file_is_named(name: str, text: str, description: str) -> None:
    """With what it is, and with what to name instead."""
    kind = kind_of_text(name, text)
    assert isinstance(kind, NoSource)
    assert kind.what.startswith(description)
    assert kind.fix


def test_the_name_of_a_model_is_enough() -> None:
    """It may have many gigabytes, and is not read."""
    assert kind_of_name("models/wines.safetensors") == Kind.MODEL
    assert kind_of_name("models/wines") is None
