"""The peers, and how each is asked to build the project."""

from __future__ import annotations

from tests.machine.benchmark.peers import Peer, Ready, Shop

__all__ = ["PEERS"]

_PYTHON = "/opt/miniconda/envs/amlenv/bin/python"
_BENTO_SERVICE = """\
import sys

import bentoml

sys.path.insert(0, "code")


@bentoml.service
class Scoring:
    def __init__(self) -> None:
        import score

        score.init()
        self.score = score

    @bentoml.api
    def run(self, data: str) -> dict:
        return self.score.run(data)
"""
_BENTO_FILE = """\
service: "service:Scoring"
include: ["service.py", "code/", "model/"]
python:
  requirements_txt: requirements.txt
docker:
  base_image: {base}
"""
_MLFLOW = """\
import shutil
import sys

from mlflow import models, pyfunc


class Scoring(pyfunc.PythonModel):
    def load_context(self, context):
        import score

        score.init()

    def predict(self, context, model_input, params=None):
        import score

        return score.run(model_input)


image, base, saved, *change = sys.argv[1:]
if change:
    shutil.rmtree(saved, ignore_errors=True)
    pyfunc.save_model(
        saved,
        python_model=Scoring(),
        artifacts={"model": "model"},
        code_paths=["code"],
        pip_requirements="requirements.txt",
    )
models.build_docker(saved, name=image, base_image=base, env_manager="local")
"""
_TRUSS_MODEL = """\
import json

from . import score


class Model:
    def __init__(self, **kwargs):
        pass

    def load(self):
        score.init()

    def predict(self, model_input):
        return score.run(json.dumps(model_input))
"""
_TRUSS_CONFIG = """\
model_name: scoring
model_module_dir: code
data_dir: model
requirements_file: requirements.txt
base_image:
  image: {base}
  python_executable_path: {python}
"""
_KEDRO_TABLE = """\
[tool.kedro]
package_name = "scoring"
project_name = "scoring"
kedro_init_version = "1.7.0"
source_dir = "."
"""


def _bentoml(shop: Shop) -> Ready:
    """Its two commands; each build is a new entry of its store."""
    shop.write({"service.py": _BENTO_SERVICE, "bentofile.yaml": _BENTO_FILE.format(base=shop.base)})
    commands = [
        shop.command("bentoml", "build", "."),
        shop.command("bentoml", "containerize", "scoring:latest", "--image-tag", shop.image),
    ]
    return shop.ready(commands, (), shop.home / "bentoml" / "bentos")


def _mlflow(shop: Shop) -> Ready:
    """The model is saved where code has changed, and the image is built of what is saved."""
    shop.write({"build.py": _MLFLOW})
    saved = shop.home / "saved"
    words = ("build.py", shop.image, shop.base, str(saved))
    return shop.ready([shop.command("python", *words, "change")], [shop.command("python", *words)])


def _truss(shop: Shop) -> Ready:
    """One command."""
    config = _TRUSS_CONFIG.format(base=shop.base, python=_PYTHON)
    shop.write({"config.yaml": config, "code/model.py": _TRUSS_MODEL, "code/__init__.py": ""})
    return shop.ready([shop.command("truss", "image", "build", ".", "--tag", shop.image)])


def _kedro(shop: Shop) -> Ready:
    """One command; as root its own default, the user of this machine, would be refused."""
    files = {f"scoring/{name}.py": "" for name in ("__init__", "settings", "pipeline_registry")}
    shop.write({"pyproject.toml": _KEDRO_TABLE, ".telemetry": "consent: false\n", **files})
    words = ("--base-image", shop.base, "--uid", "1001", "--gid", "1001", "--image", shop.image)
    return shop.ready([shop.command("kedro", "docker", "build", *words)])


PEERS = (
    Peer(
        name="BentoML",
        mark=0.1,
        packages=("bentoml==1.4.39", "uv"),
        env={"BENTOML_DO_NOT_TRACK": "True"},
        set_up=_bentoml,
    ),
    Peer(
        name="MLflow",
        mark=0.1,
        packages=("mlflow==3.17.2",),
        env={"MLFLOW_DISABLE_TELEMETRY": "true"},
        set_up=_mlflow,
    ),
    Peer(name="Truss", mark=0.1, packages=("truss==0.18.35",), env={}, set_up=_truss),
    Peer(
        name="kedro-docker",
        mark=0.2,
        packages=("kedro-docker==0.6.2", "kedro==1.7.0"),
        env={"KEDRO_DISABLE_TELEMETRY": "1"},
        set_up=_kedro,
    ),
)
