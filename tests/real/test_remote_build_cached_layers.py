"""Cached layers of remote builds."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.machine.acr.faults import Reply
from tests.real.in_process import put_image
from tests.real.remote_output import ACR
from tests.real.remote_projects import CommandResult, RemoteProjects, run_command
from tests.real.support import Consumer, unique

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
    """Return code, and a model that is large enough for cached layers of its own."""
    return {"code/score.py": SCORE, MODEL: b"\0" * LARGE}


def change(project: Consumer, path: str) -> None:
    """Append to a file."""
    with (project.folder / path).open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")


def uploaded(result: CommandResult) -> list[str]:
    """Return the names of the members of the uploaded archive."""
    assert result.the_run.archive
    with tarfile.open(fileobj=io.BytesIO(result.the_run.archive)) as archive:
        return archive.getnames()


def layers(result: CommandResult, repository: str, digest: str) -> list[str]:
    """Return the layers of an image in the registry."""
    manifest: Any = json.loads(result.acr.manifest(repository, digest))
    return [layer["digest"] for layer in manifest["layers"]]


Builds = Mapping[str, CommandResult]
REUSED: list[str] = []
"""The layers that a changed line is built on; they are pruned later."""


@pytest.fixture(scope="module", name="builds")
def builds_fixture(shared_remote_projects: RemoteProjects, tiny_base: str) -> Builds:
    """Build a project several times, each time with one change."""
    project = shared_remote_projects(tiny_base, MORE.format(days=7, word=unique("below")), files=files())
    results: dict[str, CommandResult] = {}

    def build(name: str, *words: str) -> None:
        results[name] = succeed(shared_remote_projects, project, "image.build", *words)

    def set_age(old: int, new: int) -> None:
        table = project.folder / "pyproject.toml"
        text = table.read_text("utf-8").replace(f"max-age = {old}", f"max-age = {new}")
        table.write_text(text, encoding="utf-8")

    build("first")
    change(project, "code/score.py")
    build("code")
    base = results["code"].records["build.json"]["cached_layers"][0].rpartition("@")[2]
    REUSED[:] = layers(results["code"], f"{project.folder.name}/layers", base)
    change(project, MODEL)
    build("model")
    results["list"] = succeed(shared_remote_projects, project, "image.cache")
    results["prune"] = succeed(shared_remote_projects, project, "image.cache", "--prune")
    build("no cache", "--no-cache")
    set_age(7, 0)
    build("too old")
    set_age(0, 7)
    acr = shared_remote_projects.acr
    change(project, "code/score.py")
    refused = Reply(status=403, json={"errors": [{"code": "DENIED"}]})
    acr.faults.add(r"GET /v2/.*/layers/manifests/", refused, times=None)
    build("refused")
    acr.faults.clear()
    repository = f"{project.folder.name}/layers"
    for tag in acr.tags(repository):
        put_image(acr, repository, tag, b'{"config": {"User": "somebody else"}}')
    change(project, "code/score.py")
    build("moved")
    change(project, "code/score.py")
    state = {"XDG_STATE_HOME": str(project.folder / "other state")}
    project = replace(project, env={**project.env, **state})
    build("elsewhere")
    return results


def succeed(writer: RemoteProjects, project: Consumer, *words: str) -> CommandResult:
    """Run a command that must succeed."""
    result = run_command(writer.acr, project, *words, *ACR)
    assert result.ended.code == 0, result.ended.stderr
    return result


EVERYTHING = ["Dockerfile", "Dockerfile.model", "Dockerfile.system", "code", "code/score.py", "model", MODEL]


def test_the_first_build_pushes_cached_layers(builds: Builds) -> None:
    """The first build uploads everything, and pushes cached layers with the commands and with the model."""
    result, name = builds["first"], builds["first"].project.folder.name

    images = [image for image in result.the_run.output_images if image["repository"] == f"{name}/layers"]
    pushed = [f"{result.acr.login_server}/{name}/layers@{image['digest']}" for image in images]
    assert (EVERYTHING, 2, pushed) == (
        uploaded(result),
        len(pushed),
        result.records["build.json"]["cached_layers"],
    )


def test_a_changed_line_uploads_only_code(builds: Builds) -> None:
    """A changed line is a quick build on top of the largest cached layers, by their digest."""
    result, name = builds["code"], builds["code"].project.folder.name
    (base,) = result.records["build.json"]["cached_layers"]

    assert base == builds["first"].records["build.json"]["cached_layers"][-1]
    assert ["Dockerfile", "code", "code/score.py"] == uploaded(result)
    assert f" : FROM {base}\n" in result.the_run.text
    assert REUSED == layers(result, f"{name}/candidate", result.records["build.json"]["id"])[:-1]
    assert "using cached layers: system + python + model, NAME/layers:HASH" in result.messages


def test_a_changed_model_reuses_the_layers_below(builds: Builds) -> None:
    """The cached layers with the commands are reused, those with the model are built."""
    result = builds["model"]

    expected = ["Dockerfile", "Dockerfile.model", "code", "code/score.py", "model", MODEL]
    assert expected == uploaded(result)
    assert "using cached layers: system, NAME/layers:HASH" in result.messages


def test_cached_layers_are_listed_and_pruned(builds: Builds) -> None:
    """Of three cached layers the project uses two; the third is pruned."""
    rows = builds["list"].out[1].splitlines()

    ends = sorted(row.rpartition("days old")[2] for row in rows)
    now = ", used by the project as it is now"
    assert (["", now, now], "removed REGISTRY/NAME/layers:HASH\n") == (ends, builds["prune"].out[1])


EXPIRED = (
    "not using cached layers NAME/layers:HASH: they are older than cached-layers-max-age = 0 days, "
    "and not everything in them is pinned"
)


@pytest.mark.parametrize(
    ("name", "messages"),
    [
        ("no cache", []),
        ("too old", [EXPIRED] * 2),
    ],
)
def test_cached_layers_that_are_not_used(name: str, messages: list[str], builds: Builds) -> None:
    """With --no-cache, or if the cached layers have expired, everything is uploaded and built."""
    result = builds[name]

    assert (EVERYTHING, messages) == (
        uploaded(result),
        [line for line in result.messages if "not using" in line],
    )


def test_a_registry_that_refuses_to_look_up_layers(builds: Builds) -> None:
    """If cached layers cannot be looked up, everything is built, with a warning."""
    result = builds["refused"]

    warning = "warning: cannot look up the cached layers NAME/layers:HASH, so they are built again: "
    assert EVERYTHING == uploaded(result)
    assert [True] == [line.startswith(warning) for line in result.messages if line.startswith("warning: ")]


def test_a_tag_that_somebody_else_has_moved_is_not_used(builds: Builds) -> None:
    """The digest that was recorded counts; without a record, as on another machine, everything is built."""
    pushed = builds["refused"].records["build.json"]["cached_layers"][-1]

    assert [pushed] == builds["moved"].records["build.json"]["cached_layers"]
    assert EVERYTHING == uploaded(builds["elsewhere"])
