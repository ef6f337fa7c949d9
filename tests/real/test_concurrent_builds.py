"""Clones of a project that are built at once on one engine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import docker
import pytest

from tests.machine.clients import Client
from tests.real.built_project import built_once
from tests.real.support import Consumer, Ended, environment_for, output_of

ROUNDS = int(os.environ.get("AZUREML_TASKS_ROUNDS", "2"))
"""Of each builder; a fault that shows in one of many needs more of them."""
CLONES = 4
MORE = """
[[tool.azureml-image.run]]
after = "pip"
command = "cat /proc/uptime > /tmp/when"
"""


@dataclass(frozen=True, kw_only=True)
class Clones:
    """Clones of one project.

    Args:
        all: of a project that was built once.
        client: of the engine.
    """

    all: tuple[Consumer, ...]
    client: docker.DockerClient

    def build(self) -> list[Ended]:
        """Build all at once."""
        with ThreadPoolExecutor(len(self.all)) as pool:
            return list(pool.map(lambda clone: clone.invoke("image.build"), self.all))

    def shown(self, consumer: Consumer) -> str:
        """What the image has that a clone has recorded: its code and its model."""
        files = ["/var/azureml-app/helper.py", "/var/azureml-app/azureml-models/which.txt"]
        image = consumer.record("build.json")["id"]
        return output_of(self.client, image, ["cat", *files]).decode()


@pytest.fixture(
    scope="module",
    params=[("26.1-buildx", True), ("none", False)],
    ids=["26.1-buildx, one state folder", "none, several state folders"],
)
def clones(
    request: pytest.FixtureRequest,
    docker_client: docker.DockerClient,
    tiny_base: str,
    clients: Mapping[str, Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Clones]:
    """A project with a command and a large model, and its clones, by BuildKit and by the legacy builder."""
    client, share = request.param
    scratch = tmp_path_factory.mktemp("clones")
    env = environment_for(client, clients, scratch)
    files: dict[str, str | bytes] = {"model/weights.bin": os.urandom(5_000_000)}
    with built_once(docker_client, tiny_base, env, scratch, more=MORE, files=files) as built:
        clones = []
        for number in range(CLONES):
            folder, state = scratch / f"clone-{number}" / built.name, scratch / f"state-{share or number}"
            shutil.copytree(built.project.folder, folder, ignore=shutil.ignore_patterns(".azureml-image"))
            clones.append(replace(built.project, folder=folder, env={**env, "XDG_STATE_HOME": str(state)}))
        yield Clones(all=tuple(clones), client=docker_client)


def test_all_are_built(clones: Clones) -> None:
    """Each gets the image of its own files in every round, and none waits, with one state folder and with several."""
    ended, shown, expected = [], [], []
    for number in range(ROUNDS):
        for index, clone in enumerate(clones.all):
            (clone.folder / "code/helper.py").write_text(f"{number} {index}\n", encoding="utf-8")
            (clone.folder / "model/which.txt").write_text(f"{number // 2} {index}\n", encoding="utf-8")
            expected.append(f"{number} {index}\n{number // 2} {index}\n")
        ended += clones.build()
        shown += [clones.shown(clone) for clone in clones.all]

    assert [0] * len(ended) == [build.code for build in ended], "\n".join(
        build.stderr for build in ended if build.code
    )
    assert expected == shown
    assert not [build.stderr for build in ended if "waiting" in build.stderr]
