"""Packages that are added are installed on what is there already, and nothing else is made anew."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import docker
import pytest

from tests.machine.clients import Client
from tests.real.fast import built_once
from tests.real.offering import installed
from tests.real.support import environment_for
from tests.real.test_fast_prefixes import KEPT, Walk

ASKED = 'pip = ["alpha==1.0"]'
MORE = 'pip = ["alpha==1.0", "gamma==1.0"]'
LESS = 'pip = ["gamma==1.0"]'
GROWN = ["here, but for the packages that were added: NAME/prefix:TAG", KEPT]
PIP = r"Installing only the added|The added packages have what they need|Installing the other requirements"
REMOVED = "removed NAME/prefix:TAG, which is of no use any more"


@dataclass(kw_only=True)
class Steps:
    """What a project on a base with an index of its own was after each step.

    Args:
        walk: the project.
        known: the packages of its base, name -> version.
        layers_of_pip: how many layers its builder makes of the Python step: what it copies is one for some.
        below: step -> the layers of the prefix that it has left.
        added: step -> the packages of its image beyond those of the base, name -> version.
        layers: step -> those of its image.
        pip: step -> what was said of what pip was asked for.
    """

    walk: Walk
    known: dict[str, str]
    layers_of_pip: int
    below: dict[str, list[str]] = field(default_factory=dict)
    added: dict[str, dict[str, str]] = field(default_factory=dict)
    layers: dict[str, list[str]] = field(default_factory=dict)
    pip: dict[str, list[str]] = field(default_factory=dict)

    def note(self, name: str) -> None:
        """Take down what the step of this *name* has made."""
        before = {one for step, kept in self.walk.prefixes.items() if step != name for one in kept.values()}
        (prefix,) = {*self.walk.prefixes[name].values()} - before
        now = installed(self.walk.client, self.walk.ids[name])
        self.below[name] = self._layers(prefix)
        self.layers[name] = self._layers(self.walk.ids[name])
        self.added[name] = {package: text for package, text in now.items() if package not in self.known}

    def _layers(self, image: str) -> list[str]:
        return [*map(str, self.walk.client.images.get(image).attrs["RootFS"]["Layers"])]


@pytest.fixture(scope="module", params=["26.1-buildx", "none"])
def steps(
    request: pytest.FixtureRequest,
    docker_client: docker.DockerClient,
    offering_base: str,
    clients: Mapping[str, Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Steps]:
    """A package is added, and then the first one removed, by BuildKit and by the legacy builder."""
    scratch, client = tmp_path_factory.mktemp("growing"), str(request.param)
    env = environment_for(client, clients, scratch)
    files = {"model/weights.bin": os.urandom(5_000_000)}
    with built_once(docker_client, offering_base, env, scratch, more=ASKED, files=files) as built:
        walk = Walk(built=built, client=docker_client)
        found = Steps(
            walk=walk,
            known=installed(docker_client, offering_base),
            layers_of_pip=1 if client in clients else 2,
        )
        walk.note("first", built.first.stderr.replace(built.name, "NAME"))
        found.note("first")
        for name, old, new in (("more", ASKED, MORE), ("less", MORE, LESS)):
            built.replaced(old, new)
            said = "\n".join(built.said("image.build"))
            walk.note(name, said)
            found.note(name)
            found.pip[name] = re.findall(PIP, said)
        yield found


def test_what_is_added_is_installed_on_what_is_there(steps: Steps) -> None:
    """The prefix of before is below the new one, which pip alone has added to, and the image has what is asked for."""
    before, after = steps.below["first"], steps.below["more"]

    assert ([KEPT], GROWN) == (steps.walk.said["first"], steps.walk.said["more"])
    assert (before, len(before) + steps.layers_of_pip) == (after[: len(before)], len(after))
    assert (after, len(after) + 1) == (steps.layers["more"][:-1], len(steps.layers["more"]))
    assert {"alpha": "1.0", "gamma": "1.0"} == steps.added["more"]
    assert PIP.split("|")[:2] == steps.pip["more"]


def test_what_is_removed_is_not_there(steps: Steps) -> None:
    """Where anything is asked for no more, all of the packages are installed anew on the base."""
    assert [KEPT, REMOVED] == steps.walk.said["less"]
    assert len(steps.below["first"]) == len(steps.below["less"])
    assert {"gamma": "1.0"} == steps.added["less"]
    assert PIP.split("|")[2:] == steps.pip["less"]


def test_the_record_says_what_was_asked_for(steps: Steps) -> None:
    """It is what the next build compares."""
    assert ["gamma==1.0"] == steps.walk.built.there.record("build.json")["requirements"]
