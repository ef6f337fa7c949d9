"""The configuration of an image that copies files on another one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from azureml_tasks.context import Context
from azureml_tasks.dockerfile import CONTEXT_LABEL, STAGES, render, render_stages
from azureml_tasks.engines.image_config import UnfitError, configuration, copies_of, instructions
from azureml_tasks.engines.llb import Copy
from tests.acr_plans import plan

PLAN = plan()._replace(env={"A": "1", "PATH": "/mine"}, labels={"title": "demo"})
CODE = Context(files=(), dockerfile="", sha256="2" * 64)
BELOW: dict[str, Any] = {
    "architecture": "arm64",
    "variant": "v8",
    "os": "linux",
    "author": "",
    "container": "1f",
    "container_config": {"Cmd": ["/bin/sh"]},
    "created": "2020-01-01T00:00:00Z",
    "config": {
        "Hostname": "1f",
        "User": "",
        "Env": ["PATH=/usr/bin", "B=2=3"],
        "Cmd": ["runsvdir", "/var/runit"],
        "Entrypoint": None,
        "Volumes": {"/data": {}},
        "Labels": {"maintainer": "them", "title": "theirs"},
        "OnBuild": None,
    },
    "rootfs": {"type": "layers", "diff_ids": ["sha256:a"]},
    "history": [{"created": "2020-01-01T00:00:00Z", "created_by": "ADD a b", "comment": "c", "author": "d"}],
}
NOW, MOMENT = 1_800_000_000.9, "2027-01-15T08:00:00Z"


def made(steps: list[str], below: dict[str, Any] | None = None) -> dict[str, Any]:
    """The configuration that *steps* make."""
    return configuration(json.dumps(below or BELOW).encode(), PLAN, CODE, steps, now=NOW)


def test_what_is_said_below_is_kept() -> None:
    """All that is said of containers, and the whole history; nothing of the one it was made in, nor its layers."""
    assert {
        "architecture": "arm64",
        "variant": "v8",
        "os": "linux",
        "created": MOMENT,
        "config": {
            "Env": ["PATH=/usr/bin", "B=2=3"],
            "Cmd": ["runsvdir", "/var/runit"],
            "Volumes": {"/data": {}},
            "Labels": {"maintainer": "them", "title": "theirs"},
        },
        "rootfs": {"type": "layers", "diff_ids": []},
        "history": BELOW["history"],
    } == made([])


def test_what_is_set_is_set() -> None:
    """A variable and a label of ours stand in place of theirs of the same name; the last user counts; each is told."""
    steps = ["USER root", "COPY code/ /var/azureml-app/", "ENV words", "LABEL words", "USER dockeruser"]

    found = made(steps)

    assert ["PATH=/mine", "B=2=3", "A=1"] == found["config"]["Env"]
    labels = {"maintainer": "them", "title": "demo", CONTEXT_LABEL: CODE.sha256}
    assert (labels, "dockeruser") == (found["config"]["Labels"], found["config"]["User"])
    said = {"created": MOMENT, "comment": "buildkit.dockerfile.v0"}
    assert [
        {**said, "created_by": "USER root", "empty_layer": True},
        {**said, "created_by": "COPY code/ /var/azureml-app/ # buildkit"},
        {**said, "created_by": "ENV words", "empty_layer": True},
        {**said, "created_by": "LABEL words", "empty_layer": True},
        {**said, "created_by": "USER dockeruser", "empty_layer": True},
    ] == found["history"][1:]


def test_a_bare_image_gets_what_is_set() -> None:
    """One that says nothing of containers and has no history told is no obstacle."""
    found = made(["ENV words", "LABEL words"], {"architecture": "amd64", "os": "linux", "config": None})

    assert ["A=1", "PATH=/mine"] == found["config"]["Env"]
    assert 2 == len(found["history"])


def test_instructions_for_who_builds_on_it_are_not_left_out() -> None:
    """They are for a reader of Dockerfiles to carry out."""
    below = {**BELOW, "config": {"OnBuild": ["RUN make"]}}

    with pytest.raises(UnfitError, match="the image below has instructions"):
        made([], below)


# Which Dockerfiles are read


def test_what_stands_on_a_prefix_is_read() -> None:
    """Each instruction of code and labels is one line, however it is broken, and what is copied is known."""
    steps = instructions(render_stages(PLAN, "demo/prefix:1", STAGES[3:], sha256=CODE.sha256))

    assert steps is not None
    assert ["ENV", "USER", "COPY", "LABEL"] == [step.split(maxsplit=1)[0] for step in steps]
    assert not [step for step in steps if "\n" in step or "\\" in step]
    assert [Copy("code/", "/var/azureml-app/")] == copies_of(steps)


@pytest.mark.parametrize(
    "dockerfile",
    [
        pytest.param("FROM a\nCOPY a/ /b/\nRUN make\n", id="a command"),
        pytest.param(render(PLAN), id="an argument, by which the hash comes"),
    ],
)
def test_what_does_more_is_not(dockerfile: str) -> None:
    """It is left to who reads Dockerfiles."""
    assert instructions(dockerfile) is None
