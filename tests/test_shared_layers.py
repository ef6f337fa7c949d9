"""What can be checked of layers that another machine has pushed: that they can be packages and a model on the base."""

from __future__ import annotations

from typing import Any

import pytest

from azureml_tasks.engines.docker.shared_layers import difference

BASE: dict[str, Any] = {
    "Os": "linux",
    "Architecture": "amd64",
    "RootFS": {"Layers": ["one", "two"]},
    "Config": {
        "User": "dockeruser",
        "Env": ["PATH=/bin"],
        "Cmd": ["runsvdir", "/var/runit"],
        "Entrypoint": None,
        "Labels": {"of": "base"},
        "Volumes": None,
    },
}
GOOD: dict[str, Any] = {
    **BASE,
    "RootFS": {"Layers": ["one", "two", "three"]},
    "Config": {**BASE["Config"], "User": "root", "Volumes": {}, "OnBuild": None},
}


def changed(**config: Any) -> dict[str, Any]:
    """Return layers with another configuration."""
    return {**GOOD, "Config": {**GOOD["Config"], **config}}


def test_layers_on_the_base_are_used() -> None:
    """They add layers and leave root as the user; an absent value is an empty one, as builders write it."""
    assert "" == difference(GOOD, BASE)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, "it is not built on the base"),
        ({**GOOD, "RootFS": {"Layers": ["one"]}}, "it is not built on the base"),
        ({**GOOD, "RootFS": {"Layers": ["other", "one", "two"]}}, "it is not built on the base"),
        ({**GOOD, "Architecture": "arm64"}, "it is made for another platform than the base"),
        (changed(User="dockeruser"), "it changes the configuration of the base: User"),
        (changed(Env=["PATH=/evil:/bin"]), "it changes the configuration of the base: Env"),
        (changed(Entrypoint=["/evil"], Cmd=[]), "it changes the configuration of the base: Cmd, Entrypoint"),
        (changed(OnBuild=["RUN evil"]), "it changes the configuration of the base: OnBuild"),
        (
            changed(Healthcheck={"Test": ["CMD", "evil"]}),
            "it changes the configuration of the base: Healthcheck",
        ),
    ],
)
def test_layers_that_cannot_be_on_the_base_are_not_used(image: dict[str, Any], expected: str) -> None:
    """Something else was pushed with their tag."""
    assert expected == difference(image, BASE)


def test_instructions_of_the_base_may_change_the_configuration() -> None:
    """Those of ONBUILD run in each build on it."""
    base = {**BASE, "Config": {**BASE["Config"], "OnBuild": ["ENV A=1"]}}

    assert "" == difference(changed(Env=["PATH=/bin", "A=1"]), base)
