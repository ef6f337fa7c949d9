"""Two clones of a project that are built at once on one engine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import docker
import pytest

from tests.machine.clients import Client
from tests.real.built_project import Built, built_once
from tests.real.support import Consumer, Ended, environment_for

ROUNDS = int(os.environ.get("AZUREML_TASKS_ROUNDS", "3"))
"""Of each test; a fault that shows in one of many needs more of them."""
MORE = """
[[tool.azureml-image.run]]
after = "pip"
command = "cat /proc/uptime > /tmp/when"
"""


@dataclass(frozen=True, kw_only=True)
class Clones:
    """Two clones of one project.

    Args:
        built: the project, which was built once.
        both: the project and its clone.
        client: of the engine.
    """

    built: Built
    both: tuple[Consumer, Consumer]
    client: docker.DockerClient

    def build(self, *, states: tuple[Path, Path]) -> list[Ended]:
        """Build both at once, each with a state folder."""

        def build_one(consumer: Consumer, state: Path) -> Ended:
            return consumer.invoke("image.build", env={"XDG_STATE_HOME": str(state)})

        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(build_one, self.both, states))

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
    """A project with a command and a large model, and its clone, by BuildKit and by the legacy builder."""
    scratch = tmp_path_factory.mktemp("clones")
    env = environment_for(str(request.param), clients, scratch)
    files: dict[str, str | bytes] = {"model/weights.bin": os.urandom(5_000_000)}
    with built_once(docker_client, tiny_base, env, scratch, more=MORE, files=files) as built:
        folder = scratch / "clone" / built.name
        shutil.copytree(built.there.folder, folder, ignore=shutil.ignore_patterns(".azureml-image"))
        yield Clones(
            built=built, both=(built.there, replace(built.there, folder=folder)), client=docker_client
        )


@pytest.mark.parametrize("states", [("one", "one"), ("one", "other")], ids=["one lock", "no common lock"])
def test_both_are_built(states: tuple[str, str], clones: Clones, tmp_path: Path) -> None:
    """Each clone gets the image of its own files in every round, whether a lock keeps them apart or not."""
    ended, shown, expected = [], [], []
    for number in range(ROUNDS):
        for index, clone in enumerate(clones.both):
            (clone.folder / "code/helper.py").write_text(f"{states} {number} {index}\n", encoding="utf-8")
            (clone.folder / "model/which.txt").write_text(f"{number // 2} {index}\n", encoding="utf-8")
            expected.append(f"{states} {number} {index}\n{number // 2} {index}\n")
        ended += clones.build(states=(tmp_path / states[0], tmp_path / states[1]))
        shown += [clones.shown(clone) for clone in clones.both]

    assert [0] * len(ended) == [one.code for one in ended], "\n".join(one.stderr for one in ended if one.code)
    assert expected == shown


def test_one_lock_makes_one_wait(clones: Clones, tmp_path: Path) -> None:
    """With one state folder, one of the two builds says that it waits for the other."""
    for index, clone in enumerate(clones.both):
        (clone.folder / "model/which.txt").write_text(f"locked {index}\n", encoding="utf-8")

    ended = clones.build(states=(tmp_path, tmp_path))

    waits = [one.stderr.count("waiting up to ten minutes for another command: process ") for one in ended]
    assert [0, 1] == sorted(waits)
