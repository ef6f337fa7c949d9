"""What stands below the code outlives the machine that has built it: in ACR, and by `shared-layers` anywhere."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Mapping
from typing import Any

import docker
import pytest

from tests.machine import registry as plain_registry
from tests.machine.acr.faults import Reply
from tests.real.hand_off import HandedOff, Step, step
from tests.real.support import Consumer, consumer, normal, tags_of, unique

ACR = ("--engine", "acr")
SCORE = "def init(): pass\ndef run(data): return data\n"
MODEL = "model/weights.bin"
MORE = """
model = "model"
cached-layers-max-age = {days}

[[tool.azureml-image.run]]
after = "apt"
command = ": > /etc/{word}"
"""
LARGE = 5_000_000


def files() -> dict[str, str | bytes]:
    """Code, and a model that is large enough to be worth a prefix of its own."""
    return {"code/score.py": SCORE, MODEL: b"\0" * LARGE}


def changed(project: Consumer, path: str) -> None:
    """One more line, or byte, in a file."""
    with (project.folder / path).open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")


def sent(done: Step) -> list[str]:
    """The members of the archive that the run was made from."""
    assert done.the_run.archive
    with tarfile.open(fileobj=io.BytesIO(done.the_run.archive)) as archive:
        return archive.getnames()


def layers(done: Step, repository: str, digest: str) -> list[str]:
    """The layers of an image in the registry."""
    found: Any = json.loads(done.acr.manifest(repository, digest))
    return [layer["digest"] for layer in found["layers"]]


Walk = Mapping[str, Step]
STANDING: list[str] = []
"""The layers of the prefix that a changed line is built on, which is pruned before the walk ends."""


@pytest.fixture(scope="module")
def walk(handed_off_session: HandedOff, tiny_base: str) -> Walk:
    """A project that is built again and again, each time with one thing changed."""
    project = handed_off_session(tiny_base, MORE.format(days=7, word=unique("below")), files=files())
    found: dict[str, Step] = {}

    def build(name: str, *words: str) -> None:
        found[name] = well(handed_off_session, project, "image.build", *words)

    build("first")
    changed(project, "code/score.py")
    build("code")
    below = found["code"].records["build.json"]["cached_layers"][0].rpartition("@")[2]
    STANDING[:] = layers(found["code"], f"{project.folder.name}/layers", below)
    changed(project, MODEL)
    build("model")
    found["list"] = well(handed_off_session, project, "image.cache")
    found["prune"] = well(handed_off_session, project, "image.cache", "--prune")
    build("no cache", "--no-cache")
    project.folder.joinpath("pyproject.toml").write_text(
        project.folder.joinpath("pyproject.toml").read_text("utf-8").replace("max-age = 7", "max-age = 0"),
        encoding="utf-8",
    )
    build("too old")
    return found


def well(write: HandedOff, project: Consumer, *words: str) -> Step:
    """A command that does what it shall."""
    done = step(write.acr, project, *words, *ACR)
    assert done.ended.code == 0, done.ended.stderr
    return done


WHOLE = ["Dockerfile", "Dockerfile.model", "Dockerfile.system", "code", "code/score.py", "model", MODEL]


def test_the_first_hand_off_keeps_each_prefix(walk: Walk) -> None:
    """It sends everything, and leaves a prefix with the commands and one with the model in the registry."""
    done, name = walk["first"], walk["first"].project.folder.name

    images = [image for image in done.the_run.output_images if image["repository"] == f"{name}/layers"]
    kept = [f"{done.acr.login_server}/{name}/layers@{image['digest']}" for image in images]
    assert (WHOLE, 2, kept) == (sent(done), len(kept), done.records["build.json"]["cached_layers"])


def test_a_changed_line_sends_the_code_alone(walk: Walk) -> None:
    """The next one is a quick build from the last prefix by its digest; no layer below the code is made or sent."""
    done, name = walk["code"], walk["code"].project.folder.name
    (on,) = done.records["build.json"]["cached_layers"]

    assert on == walk["first"].records["build.json"]["cached_layers"][-1]
    assert ["Dockerfile", "code", "code/score.py"] == sent(done)
    assert f" : FROM {on}\n" in done.the_run.text
    assert STANDING == layers(done, f"{name}/candidate", done.records["build.json"]["id"])[:-1]
    assert "as before, and in the registry: system + python + model, NAME/layers:HASH" in done.told


def test_a_changed_model_starts_above_what_stands_below_it(walk: Walk) -> None:
    """The prefix with the commands is used, the one with the model is made anew."""
    done = walk["model"]

    expected = ["Dockerfile", "Dockerfile.model", "code", "code/score.py", "model", MODEL]
    assert expected == sent(done)
    assert "as before, and in the registry: system, NAME/layers:HASH" in done.told


def test_prefixes_are_listed_and_pruned(walk: Walk) -> None:
    """Three were left, of which the project has use for two; the third is removed."""
    rows = walk["list"].out[1].splitlines()

    ends = sorted(row.rpartition("days old")[2] for row in rows)
    now = ", used by the project as it is now"
    assert (["", now, now], "removed REGISTRY/NAME/layers:HASH\n") == (ends, walk["prune"].out[1])


TOO_OLD = "NAME/layers:HASH is too old: what it holds is not pinned, and newer may be there"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no cache", []),
        ("too old", ["NAME/layers:HASH is too old: what it holds is not pinned, and newer may be there"] * 2),
    ],
)
def test_what_may_not_be_used_is_made_anew(name: str, words: list[str], walk: Walk) -> None:
    """Where --no-cache says so, or what is not pinned has become too old, everything is sent and built."""
    done = walk[name]

    assert (WHOLE, words) == (sent(done), [line for line in done.told if "too old" in line])


def test_where_nobody_can_tell_everything_is_built(handed_off: HandedOff, tiny_base: str) -> None:
    """A registry that refuses the question is no reason to fail, and is named in a warning."""
    project = handed_off(tiny_base, MORE.format(days=7, word=unique("below")), files=files())
    refused = Reply(status=403, json={"errors": [{"code": "DENIED"}]})
    handed_off.acr.faults.add(r"GET /v2/.*/layers/manifests/", refused, times=None)
    done = step(handed_off.acr, project, "image.build", *ACR)

    said = "warning: whether NAME/layers:HASH is there cannot be told, so it is built anew: "
    assert (0, WHOLE) == (done.out[0], sent(done)), done.ended.stderr
    assert [True] == [line.startswith(said) for line in done.told if line.startswith("warning: ")]


# By `shared-layers`, with the local engine


@pytest.fixture
def shared(tiny_base: str, registry: plain_registry.Registry, tmp_path: Any) -> Consumer:
    """A project whose machines share what stands below the code."""
    name = unique("shared")
    more = f'shared-layers = "{registry.host}/{name}/layers"\n{MORE.format(days=7, word=name)}'
    table = f'[project]\nname = "{name}"\nversion = "1"\n\n[tool.azureml-image]\nbase = "{tiny_base}"\n{more}'
    return consumer(tmp_path / name, {"pyproject.toml": table, **files()})


def forget(client: docker.DockerClient, project: Consumer) -> None:
    """Take every name of the project's prefixes from the engine, as on a machine that has never built it."""
    name = project.folder.name
    for tag in tags_of(client, f"{name}/layers:"):
        client.images.remove(tag, force=True)


def test_an_empty_machine_pulls_what_another_one_has_built(
    shared: Consumer, registry: plain_registry.Registry, docker_client: docker.DockerClient
) -> None:
    """The first build pushes each prefix; another machine pulls the last one, and builds what comes after it alone."""
    first = shared.invoke("image.build")
    forget(docker_client, shared)
    changed(shared, "code/score.py")
    second = shared.invoke("image.build")

    name = shared.folder.name
    assert (0, 0) == (first.code, second.code), first.stderr + second.stderr
    assert 2 == normal(first.stderr, {}).count("pushing shared layers: ")
    assert ("COPY model/" in first.stderr, "COPY model/" in second.stderr) == (True, False)
    (on,) = shared.record("build.json")["cached_layers"]
    listed = shared.invoke("image.cache").stdout
    assert (1, 1) == (
        listed.count(f"azureml-tasks.invalid/{name}/layers:"),
        listed.count(f"{registry.host}/{name}/layers:"),
    )
    below = docker_client.images.get(on).attrs["RootFS"]["Layers"]
    image = docker_client.images.get(f"{name}:1").attrs["RootFS"]["Layers"]
    assert (below, len(below) + 1) == (image[: len(below)], len(image))
    assert 0 == shared.invoke("image.clean").code
    assert [] == tags_of(docker_client, name)


def test_a_registry_that_does_not_take_them_is_named(
    shared: Consumer, docker_client: docker.DockerClient
) -> None:
    """Where nobody answers at the shared repository, that is said, and the image is built all the same."""
    table = shared.folder / "pyproject.toml"
    text = re.sub(r'(?m)^shared-layers = "[^/]*', 'shared-layers = "127.0.0.1:9', table.read_text("utf-8"))
    table.write_text(text.replace('model = "model"\n', ""), encoding="utf-8")
    done = shared.invoke("image.build")

    said = [
        done.stderr.count(words) for words in (" cannot be told, so it is built anew: ", " is not shared: ")
    ]
    assert (0, [1, 1]) == (done.code, said), done.stderr
    forget(docker_client, shared)
