"""More stand-in bases as text: some without an inference server, and one that serves MLflow models.

They are not in `recipe`, so that a change here rebuilds none of the others.
"""

from __future__ import annotations

from tests.machine import recipe

__all__ = ["FAMILIES", "FILES", "NEEDS", "dockerfile"]

FAMILIES = ("plain", "training", "mlflow")
NEEDS = {"plain": "amlenv", "training": "amlenv", "mlflow": "amlenv"}
"""Family -> the one that it extends, or takes files from."""

_PLAIN = """\
FROM {root}
RUN dpkg --purge python3-venv python3.11-venv python3-pip-whl python3-setuptools-whl
COPY --from={other} /opt/miniconda/envs/amlenv/lib/python3.11/site-packages /usr/local/lib/python3.11/dist-packages
RUN cd /usr/local/lib/python3.11/dist-packages && rm -r pip pip-* setuptools* azureml_inference_server_http*
COPY files /
CMD ["python3"]
"""
"""Python as in a Debian image in which apt has installed python3: without pip, ensurepip and a user.

It has packages of its own, as a company's base does: those that the server needs, so that a build takes less time.
"""

_TRAINING = """\
FROM {other}
USER root
RUN /opt/miniconda/envs/amlenv/bin/pip uninstall --quiet --yes azureml-inference-server-http
ENV CONDA_PREFIX=/opt/miniconda/envs/amlenv AZUREML_CONDA_ENVIRONMENT_PATH="" AZUREML_INFERENCE_SERVER_HTTP_ENABLED=""
ENTRYPOINT ["false"]
CMD ["bash"]
"""
"""As Azure ML's training images: CONDA_PREFIX names an environment with pip and no server (Azure/azureml-assets,
assets/training/general/environments/lightgbm). NVIDIA's images have an ENTRYPOINT."""

_MLFLOW = """\
FROM {other}
COPY files /
ENV AML_APP_ROOT=/var/mlflow_resources AZUREML_ENTRY_SCRIPT=mlflow_score_script.py
"""
"""As Azure/azureml-assets, assets/inference/environments/mlflow-py312-inference, without MLflow, which is large."""

_SCORE = '''\
"""Load the model of MLFLOW_MODEL_FOLDER as MLflow does: its MLmodel names the module that loads it."""

import importlib
import json
import os
import sys

# Both variables must be set, as for the real script.
FOLDER = os.path.join(os.getenv("AZUREML_MODEL_DIR"), os.getenv("MLFLOW_MODEL_FOLDER"))


def flavor():
    """Return the keys of the flavor python_function: the lines below it that are indented by four."""
    with open(os.path.join(FOLDER, "MLmodel")) as file:
        lines = file.read().partition("  python_function:\\n")[2].splitlines()
    pairs = {}
    for line in lines:
        if not line.startswith("    "):
            break
        name, _, value = line.strip().partition(": ")
        pairs[name] = value
    return pairs


def init():
    global model
    keys = flavor()
    sys.path.insert(0, os.path.join(FOLDER, keys["code"]))
    model = importlib.import_module(keys["loader_module"])._load_pyfunc(os.path.join(FOLDER, keys["data"]))


def run(data):
    return model.predict(json.loads(data)["input_data"]["data"])
'''

FILES = {"mlflow": {"files/var/mlflow_resources/mlflow_score_script.py": _SCORE}}


def dockerfile(family: str, other: str) -> str:
    """Return the Dockerfile of *family*.

    Args:
        family: one of `FAMILIES`.
        other: the image of the family that it needs.
    """
    text = {"plain": _PLAIN, "training": _TRAINING, "mlflow": _MLFLOW}[family]
    return text.format(root=recipe.root_tag(), other=other)
