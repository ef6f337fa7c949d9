"""What the container of a smoke test is created with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.engines.docker.client import EngineClient
from azureml_tasks.engines.docker.container import run_container
from azureml_tasks.engines.docker.docker_config import DockerConfig
from azureml_tasks.errors import EngineError
from azureml_tasks.project.model import SmokeTestPlan
from azureml_tasks.state.runs import Run
from tests.fake_engine import json_answer, running_engine


def test_a_container_gets_the_proxies_of_dockers_configuration(tmp_path: Path) -> None:
    """It gets what `docker run` gives; a variable of the table precedes."""
    config = DockerConfig(values={"proxies": {"default": {"httpProxy": "http://p", "noProxy": "x"}}})
    image = BuiltImage(id="sha256:1", names=("demo:1",), engine="docker", context_sha256="", user="u")
    smoke_test = SmokeTestPlan(env={"no_proxy": "y"})
    with running_engine() as engine:
        engine.answers["POST /v1.48/containers/create?name=one"] = json_answer({"message": "no"}, 500)
        client = EngineClient(context="default", host=engine.host, version="1", api="1.48", config=config)
        run = Run(tmp_path, engine.host)
        with (
            pytest.raises(EngineError, match="could not run the image"),
            run_container(client, image, smoke_test, "demo", run, "one"),
        ):
            pass
        client.sdk.close()
        run.close()

    expected = {"HTTP_PROXY=http://p", "http_proxy=http://p", "NO_PROXY=x", "no_proxy=y"}
    assert expected == set(json.loads(engine.bodies[0])["Env"])
