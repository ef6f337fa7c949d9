"""An image as a layer of code on one that the engine has."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import replace
from typing import Any

import pytest

from azureml_tasks.context import Context
from azureml_tasks.context_file import ContextFile
from azureml_tasks.engines.top_layer import Folder, loadable
from azureml_tasks.prefixes import part
from tests.acr_plans import plan

NOW = 1_764_406_800
PLAN = plan()._replace(
    env={"GREETING": 'say "hello"', "PATH": "/mine"}, labels={"title": "b", "kept": "again"}
)
FILES = (
    ContextFile(name="code/"),
    ContextFile(name="code/score.py", data=b"x = 1\n", size=6),
    ContextFile(name="code/tools/"),
    ContextFile(name="code/tools/run", data=b"#!/bin/sh\n", size=10, executable=True),
    ContextFile(name="code/tools/same", link="run"),
    ContextFile(name=f"code/{'é' * 120}.txt"),
)
FOLDERS = (Folder("var", 0o755, 0, 0, 5), Folder("var/azureml-app", 0o2750, 1000, 1001, 7))
BELOW: dict[str, Any] = {
    "Id": "sha256:1",
    "Architecture": "arm64",
    "Variant": "v8",
    "Os": "linux",
    "Config": {
        "Hostname": "",
        "User": "root",
        "Env": ["PATH=/bin", "LANG=C.UTF-8", "EMPTY="],
        "Cmd": ["runsvdir", "/var/runit"],
        "Entrypoint": None,
        "ExposedPorts": {"5001/tcp": {}},
        "Image": "sha256:0",
        "WorkingDir": "/",
        "Labels": {"kept": "before", "of": "base"},
        "OnBuild": None,
        "Volumes": None,
    },
    "RootFS": {"Type": "layers", "Layers": ["sha256:aa", "sha256:bb"]},
}


def step(made_by: str, size: int = 0, comment: str = "") -> dict[str, Any]:
    """What the engine says of a step, made a day before."""
    return {
        "Id": "<missing>",
        "Created": NOW - 86_400,
        "CreatedBy": made_by,
        "Size": size,
        "Comment": comment,
    }


PAST = [
    step("COPY model/ /m # buildkit", 9, "buildkit.dockerfile.v0"),
    step("/bin/sh -c #(nop)  USER root"),
    step("", 12, "Imported from -"),
]
"""The last step first, as the engine has it."""


def context(*more: ContextFile, files: tuple[ContextFile, ...] = FILES) -> Context:
    """The code, and what it takes to build it on a prefix."""
    whole = Context(files=(*files, *more), dockerfile="", sha256="c0" * 32)
    return part(PLAN, whole, "prefix:1", ("code", "labels"), literal=True)


def members(archive: bytes) -> dict[str, tarfile.TarInfo]:
    """Those of an archive, by name."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        return {member.name: member for member in packed}


def content(archive: bytes, name: str) -> bytes:
    """One of its files."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        found = packed.extractfile(name)
        return found.read() if found else b""


@pytest.fixture
def made() -> bytes:
    """The archive of that code on that image."""
    found = loadable(PLAN, context(), BELOW, PAST, FOLDERS, now=NOW)
    assert found is not None
    return found.archive


def test_it_is_called_by_the_hash_of_its_configuration(made: bytes) -> None:
    """Its id is what an engine makes of it, and the same input gives the same bytes."""
    found = loadable(PLAN, context(), BELOW, PAST, FOLDERS, now=NOW)

    assert found == (f"sha256:{hashlib.sha256(content(made, manifest(made)['Config'])).hexdigest()}", made)


def manifest(archive: bytes) -> dict[str, Any]:
    """What an archive says that it holds."""
    (found,) = json.loads(content(archive, "manifest.json"))
    return dict(found)


def test_it_names_the_layers_below_and_holds_the_one_on_top(made: bytes) -> None:
    """Configuration, layer and list are all that is in it, and no name, which would move by itself."""
    top = hashlib.sha256(content(made, manifest(made)["Layers"][-1])).hexdigest()

    expected = {
        "Config": manifest(made)["Config"],
        "RepoTags": None,
        "Layers": ["aa.tar", "bb.tar", f"{top}.tar"],
    }
    assert expected == manifest(made)
    assert [expected["Config"], f"{top}.tar", "manifest.json"] == [*members(made)]


def test_the_layer_is_the_code_where_it_belongs(made: bytes) -> None:
    """The folders above it stay as they are in the image below, and the code is root's, for everybody to read."""
    found = members(content(made, manifest(made)["Layers"][-1]))

    root, fixed = (0, 0), 315_532_800
    assert {
        "var": (tarfile.DIRTYPE, 0o755, 0, 0, 5, ""),
        "var/azureml-app": (tarfile.DIRTYPE, 0o2750, 1000, 1001, 7, ""),
        "var/azureml-app/score.py": (tarfile.REGTYPE, 0o644, *root, fixed, ""),
        "var/azureml-app/tools": (tarfile.DIRTYPE, 0o755, *root, fixed, ""),
        "var/azureml-app/tools/run": (tarfile.REGTYPE, 0o755, *root, fixed, ""),
        "var/azureml-app/tools/same": (tarfile.SYMTYPE, 0o777, *root, fixed, "run"),
        f"var/azureml-app/{'é' * 120}.txt": (tarfile.REGTYPE, 0o644, *root, fixed, ""),
    } == {name: (m.type, m.mode, m.uid, m.gid, m.mtime, m.linkname) for name, m in found.items()}


def test_the_configuration_is_that_of_below_with_what_the_plan_sets(made: bytes) -> None:
    """Variables keep their places, labels their values unless the plan has others; each step is in the history."""
    found = json.loads(content(made, manifest(made)["Config"]))

    today, yesterday = "2025-11-29T09:00:00Z", "2025-11-28T09:00:00Z"
    ours = {"created": today, "comment": "azureml-tasks"}
    assert {
        "architecture": "arm64",
        "variant": "v8",
        "os": "linux",
        "created": today,
        "config": {
            "User": "dockeruser",
            "Env": ["PATH=/mine", "LANG=C.UTF-8", "EMPTY=", 'GREETING=say "hello"'],
            "Cmd": ["runsvdir", "/var/runit"],
            "ExposedPorts": {"5001/tcp": {}},
            "WorkingDir": "/",
            "Labels": {
                "kept": "again",
                "of": "base",
                "title": "b",
                "azureml-tasks.context-sha256": "c0" * 32,
            },
        },
        "rootfs": {"type": "layers", "diff_ids": ["sha256:aa", "sha256:bb", found["rootfs"]["diff_ids"][-1]]},
        "history": [
            {"created": yesterday, "comment": "Imported from -"},
            {"created": yesterday, "created_by": "/bin/sh -c #(nop)  USER root", "empty_layer": True},
            {
                "created": yesterday,
                "created_by": "COPY model/ /m # buildkit",
                "comment": "buildkit.dockerfile.v0",
            },
            {
                **ours,
                "created_by": 'ENV GREETING="say \\"hello\\"" PATH="/mine"',
                "empty_layer": True,
            },
            {**ours, "created_by": "USER dockeruser", "empty_layer": True},
            {**ours, "created_by": "COPY code/ /var/azureml-app/"},
            {
                **ours,
                "created_by": f'LABEL "title"="b" "kept"="again" "azureml-tasks.context-sha256"="{"c0" * 32}"',
                "empty_layer": True,
            },
        ],
    } == found
    layer = content(made, manifest(made)["Layers"][-1])
    assert f"sha256:{hashlib.sha256(layer).hexdigest()}" == found["rootfs"]["diff_ids"][-1]


# Which of the steps below have made a layer, of which the engine says nothing but a size


@pytest.mark.parametrize(
    ("past", "expected"),
    [
        pytest.param([step("COPY a b", 1), step("ADD c d", 1)], [True, True], id="by size"),
        pytest.param([step("WORKDIR /"), step("ADD c d", 1)], [True, True], id="an empty layer"),
        pytest.param(
            [step("/bin/sh -c true"), step("COPY a b", 1), step("ADD c d", 1)],
            [True, True, False],
            id="a command that has changed nothing",
        ),
        pytest.param(
            [step('/bin/sh -c #(nop)  CMD ["a"]'), step("RUN true # buildkit"), step("ADD c d", 1)],
            [True, True, False],
            id="of a command and what it may be run by",
        ),
        pytest.param(
            [step("RUN true"), step("/bin/sh -c #(nop) WORKDIR /"), step("ADD c d", 1)],
            [True, False, True],
            id="a folder that was there",
        ),
        pytest.param([step("RUN true"), step("WORKDIR /"), step("ADD c d", 1)], None, id="not clear"),
        pytest.param([step("ADD c d", 1)], None, id="too few"),
    ],
)
def test_a_layer_belongs_to_a_step(past: list[dict[str, Any]], expected: list[bool] | None) -> None:
    """Sizes tell, or else the words; where neither gives as many as there are layers, nobody can tell."""
    found = loadable(PLAN, context(), BELOW, past, FOLDERS, now=NOW)

    if not found:
        assert expected is None
        return
    config = json.loads(content(found.archive, manifest(found.archive)["Config"]))
    assert expected == ["empty_layer" not in one for one in config["history"][: len(past)]]


# What is more than a layer of code


@pytest.mark.parametrize(
    ("changed", "below"),
    [
        pytest.param(context(ContextFile(name="code/.wh.a")), BELOW, id="a name that removes"),
        pytest.param(context(ContextFile(name="code/.wh.a/b")), BELOW, id="a folder's name that removes"),
        pytest.param(
            replace(context(), dockerfile=context().dockerfile + 'RUN ["a"]\n'), BELOW, id="a command"
        ),
        pytest.param(replace(context(), dockerfile="FROM a\nUSER b\n"), BELOW, id="no code"),
        pytest.param(
            context(), {**BELOW, "Config": {**BELOW["Config"], "OnBuild": ["RUN a"]}}, id="a trigger"
        ),
        pytest.param(
            context(), {**BELOW, "Config": {**BELOW["Config"], "Volumes": {"/var": {}}}}, id="a volume"
        ),
    ],
)
def test_what_is_more_than_a_layer_is_built(changed: Context, below: dict[str, Any]) -> None:
    """Whatever a builder would do beyond copying is left to one."""
    assert loadable(PLAN, changed, below, PAST, FOLDERS, now=NOW) is None
