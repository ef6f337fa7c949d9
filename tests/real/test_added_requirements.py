"""Added packages are installed on cached layers, and nothing else is installed again."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import docker
import pytest

from tests.machine.clients import Client
from tests.real.built_project import built_once
from tests.real.layer_walk import SAVED, Walk
from tests.real.offering import installed
from tests.real.support import environment_for

ASKED = 'pip = ["alpha==1.0"]'
MORE = 'pip = ["alpha==1.0", "gamma==1.0"]'
LESS = 'pip = ["gamma==1.0"]'
LAYERS = "azureml-tasks.invalid/NAME/layers:TAG"
GROWN = [f"adding packages to cached layers: {LAYERS}", f"{SAVED}-grown"]
LAYERS_OF_PIP = 2
"""The legacy builder makes them of the Python step; `test_engine_26` adds a package by BuildKit as well."""
PIP = r"Installing only the added|The added packages have what they need|Installing requirements"


@dataclass(kw_only=True)
class Steps:
    """The states of a project on a base with a package index.

    Args:
        walk: the project.
        known: the packages of its base, name -> version.
        below: step -> the layers of the cached layers image that it saved.
        added: step -> the packages of its image beyond those of the base, name -> version.
        layers: step -> the layers of its image.
        pip: step -> messages about what pip installs.
        listed: step -> the lines of `image.cache`, without sizes.
    """

    walk: Walk
    known: dict[str, str]
    below: dict[str, list[str]] = field(default_factory=dict)
    added: dict[str, dict[str, str]] = field(default_factory=dict)
    layers: dict[str, list[str]] = field(default_factory=dict)
    pip: dict[str, list[str]] = field(default_factory=dict)
    listed: dict[str, list[str]] = field(default_factory=dict)

    def note(self, name: str) -> None:
        """Note what the step of this *name* has built."""
        before = {
            image_id
            for step, stored in self.walk.layers.items()
            if step != name
            for image_id in stored.values()
        }
        (cached,) = {*self.walk.layers[name].values()} - before
        now = installed(self.walk.client, self.walk.ids[name])
        self.below[name] = self._layers(cached)
        self.layers[name] = self._layers(self.walk.ids[name])
        self.added[name] = {package: text for package, text in now.items() if package not in self.known}
        lines = "\n".join(self.walk.built.run("image.cache"))
        lines = re.sub(r"layers:[0-9a-f]{32}", "layers:TAG", lines)
        self.listed[name] = re.sub(r"  .* old", " old", lines).splitlines()

    def _layers(self, image: str) -> list[str]:
        return [*map(str, self.walk.client.images.get(image).attrs["RootFS"]["Layers"])]


@pytest.fixture(scope="module")
def steps(
    docker_client: docker.DockerClient,
    offering_base: str,
    clients: Mapping[str, Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Steps]:
    """A package is added, the image is built afresh, and the first package is removed."""
    scratch = tmp_path_factory.mktemp("added")
    env = environment_for("none", clients, scratch)
    files = {"model/weights.bin": os.urandom(5_000_000)}
    with built_once(docker_client, offering_base, env, scratch, more=ASKED, files=files) as built:
        walk = Walk(built=built, client=docker_client)
        states = Steps(walk=walk, known=installed(docker_client, offering_base))
        walk.note("first", built.first.stderr.replace(built.name, "NAME"))
        states.note("first")
        for name, old, new in (("more", ASKED, MORE), ("fresh", MORE, MORE), ("less", MORE, LESS)):
            built.replaced(old, new)
            output = "\n".join(built.run("image.build", *(["--no-cache"] if name == "fresh" else [])))
            walk.note(name, output)
            states.note(name)
            states.pip[name] = re.findall(PIP, output)
        yield states


def test_added_packages_are_installed_on_cached_layers(steps: Steps) -> None:
    """The new cached layers are the old ones and those of pip, and the image has all packages."""
    before, after = steps.below["first"], steps.below["more"]

    assert ([SAVED], GROWN) == (steps.walk.messages["first"], steps.walk.messages["more"])
    assert (before, len(before) + LAYERS_OF_PIP) == (after[: len(before)], len(after))
    assert (after, len(after) + 1) == (steps.layers["more"][:-1], len(steps.layers["more"]))
    assert {"alpha": "1.0", "gamma": "1.0"} == steps.added["more"]
    assert PIP.split("|")[:2] == steps.pip["more"]


def test_a_fresh_build_replaces_grown_layers(steps: Steps) -> None:
    """Grown layers are marked; without a cache all packages are installed in one piece, which is used from then on."""
    used = ", used by the project as it is now"
    grown = f"{LAYERS}-grown old, with packages added later"

    assert [f"{grown}{used}", f"{LAYERS} old"] == steps.listed["more"]
    assert [SAVED] == steps.walk.messages["fresh"]
    assert [f"{LAYERS} old{used}", grown, f"{LAYERS} old"] == steps.listed["fresh"]
    assert (steps.added["more"], len(steps.below["first"])) == (
        steps.added["fresh"],
        len(steps.below["fresh"]),
    )


def test_a_removed_package_is_not_in_the_image(steps: Steps) -> None:
    """Without one of the packages all of them are installed again on the base."""
    assert [SAVED] == steps.walk.messages["less"]
    assert len(steps.below["first"]) == len(steps.below["less"])
    assert {"gamma": "1.0"} == steps.added["less"]
    assert PIP.split("|")[2:] == steps.pip["less"]


def test_the_requirements_are_recorded(steps: Steps) -> None:
    """The next build compares them with its own."""
    assert ["gamma==1.0"] == steps.walk.built.project.record("build.json")["requirements"]
