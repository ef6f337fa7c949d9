"""A large model that BuildKit gets as a folder: the image holds the present one."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

import docker

from tests.machine.clients import Client
from tests.real.small_project import SCORE, small_table
from tests.real.support import consumer, environment_of, project_removed_after, unique

LARGE = 5_000_000


def inside(client: docker.DockerClient, image: str) -> bytes:
    """Return the model in *image*."""
    container = client.containers.create(image)
    try:
        stream, _ = container.get_archive("/var/azureml-app/azureml-models/weights.bin")
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as packed:
            member = packed.extractfile("weights.bin")
            return member.read() if member else b""
    finally:
        container.remove(force=True)


def test_a_model_of_the_same_size_is_another_one(
    clients: Mapping[str, Client],
    tiny_base: str,
    docker_client: docker.DockerClient,
    tmp_path: Path,
) -> None:
    """A model with the name and the size of the last one is copied, and no second copy of it is kept."""
    name = unique("large")
    files = {"pyproject.toml": small_table(name, tiny_base, 'model = "model"\n'), "code/score.py": SCORE}
    project = consumer(tmp_path / name, files, environment_of(clients["26.1-buildx"], tmp_path))
    (project.folder / "model").mkdir()
    hashes, expected = [], []
    with project_removed_after(docker_client, name):
        for _ in range(2):
            content = os.urandom(LARGE)
            (project.folder / "model" / "weights.bin").write_bytes(content)
            ended = project.invoke("image.build")
            assert ended.code == 0, ended.stderr
            hashes.append(hashlib.sha256(inside(docker_client, f"{name}:1")).hexdigest())
            expected.append(hashlib.sha256(content).hexdigest())

    assert expected == hashes
    assert [] == [path.name for path in (project.folder / ".azureml-image").iterdir() if path.is_dir()]
    assert 0 == project.invoke("image.clean").code
    assert [] == docker_client.images.list(name=f"azureml-tasks.invalid/{name}/layers")
