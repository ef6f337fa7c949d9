"""Five clones of a project that are built at once on one engine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import docker
import pytest

from tests.machine.clients import Client
from tests.real.built_project import Built, built_once
from tests.real.support import Consumer, Ended, environment_for

ROUNDS = int(os.environ.get("AZUREML_TASKS_ROUNDS", "2"))
"""Of each test; a fault that shows in one of many needs more of them."""
CLONES = 5
MORE = """
[[tool.azureml-image.run]]
after = "pip"
command = "cat /proc/uptime > /tmp/when"
"""


@dataclass(frozen=True, kw_only=True)
class Clones:
    """Five clones of one project.

    Args:
        built: the project, which was built once.
        all: the project and its clones.
        client: of the engine.
    """

    built: Built
    all: tuple[Consumer, ...]
    client: docker.DockerClient

    def build(self, *, states: Sequence[Path]) -> list[Ended]:
        """Build all at once, each with a state folder."""

        def build_one(consumer: Consumer, state: Path) -> Ended:
            return consumer.invoke("image.build", env={"XDG_STATE_HOME": str(state)})

        with ThreadPoolExecutor(len(self.all)) as pool:
            return list(pool.map(build_one, self.all, states))

    def shown(self, consumer: Consumer) -> str:
        """What the image has that a clone has recorded: its code and its model."""
        files = ["/var/azureml-app/helper.py", "/var/azureml-app/azureml-models/which.txt"]
        image = consumer.record("build.json")["id"]
        return bytes(self.client.containers.run(image, ["cat", *files], remove=True)).decode()


@pytest.fixture(scope="module", params=["26.1-buildx", "none"])
def clones(
    request: pytest.FixtureRequest,
    docker_client: docker.DockerClient,
    tiny_base: str,
    clients: Mapping[str, Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Clones]:
    """A project with a command and a large model, and its clones, by BuildKit and by the legacy builder."""
    scratch = tmp_path_factory.mktemp("clones")
    env = environment_for(str(request.param), clients, scratch)
    files: dict[str, str | bytes] = {"model/weights.bin": os.urandom(5_000_000)}
    with built_once(docker_client, tiny_base, env, scratch, more=MORE, files=files) as built:
        clones = [built.there]
        for number in range(CLONES - 1):
            folder = scratch / f"clone-{number}" / built.name
            shutil.copytree(built.there.folder, folder, ignore=shutil.ignore_patterns(".azureml-image"))
            clones.append(replace(built.there, folder=folder))
        yield Clones(built=built, all=tuple(clones), client=docker_client)


@pytest.mark.parametrize("states", ["one", "of each"])
def test_all_are_built(states: str, clones: Clones, tmp_path: Path) -> None:
    """Each gets the image of its own files in every round, and none waits, with one state folder and with several."""
    ended, shown, expected = [], [], []
    folders = [tmp_path / (states if states == "one" else str(number)) for number in range(CLONES)]
    for number in range(ROUNDS):
        for index, clone in enumerate(clones.all):
            (clone.folder / "code/helper.py").write_text(f"{states} {number} {index}\n", encoding="utf-8")
            (clone.folder / "model/which.txt").write_text(f"{number // 2} {index}\n", encoding="utf-8")
            expected.append(f"{states} {number} {index}\n{number // 2} {index}\n")
        ended += clones.build(states=folders)
        shown += [clones.shown(clone) for clone in clones.all]

    assert [0] * len(ended) == [one.code for one in ended], "\n".join(one.stderr for one in ended if one.code)
    assert expected == shown
    assert not [one.stderr for one in ended if "waiting" in one.stderr]
