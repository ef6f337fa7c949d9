"""A checkout that nobody may write: everything that a run keeps is elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.real.support import consumer, environment_without_docker, removed_after, unique

if TYPE_CHECKING:
    import docker

PROJECT = '[project]\nname = "{name}"\nversion = "1.0"\n\n[tool.azureml-image]\nbase = "{base}"\n'


def test_nothing_is_written_into_the_checkout(
    docker_client: docker.DockerClient, tiny_base: str, tmp_path: Path
) -> None:
    """With INVOKE_AZUREML_IMAGE_STATE a build, the next one and image.clean leave the project's folder as it was."""
    name, state = unique("elsewhere"), tmp_path / "state"
    files = {
        "pyproject.toml": PROJECT.format(name=name, base=tiny_base),
        "code/score.py": "def init(): pass\ndef run(data): return data\n",
    }
    env = {"INVOKE_AZUREML_IMAGE_STATE": str(state)}
    project = consumer(tmp_path / name, files, environment_without_docker(tmp_path))
    before = sorted(project.folder.rglob("*"))
    with removed_after(docker_client, f"{name}:1.0"):
        first, second = project.invoke("image.build", env=env), project.invoke("image.build", env=env)
        records = [path.name for path in state.glob("*/build.json")]
        cleaned = project.invoke("image.clean", env=env)

    assert (0, 0, 0) == (first.code, second.code, cleaned.code), first.stderr + cleaned.stderr
    assert ("nothing to build" in second.stderr, ["build.json"], []) == (True, records, list(state.iterdir()))
    assert before == sorted(project.folder.rglob("*"))
