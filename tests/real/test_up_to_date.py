"""A build without any change ends at once, and every other one builds."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from azureml_tasks.planning import plan as planning
from azureml_tasks.project import load as project
from azureml_tasks.state.records import Records
from tests.machine.clients import Client
from tests.real.built_project import NOTHING, Built, built_once, derived
from tests.real.support import environment_of, output_of, removed_after


@pytest.fixture(scope="module")
def original(
    docker_client: docker.DockerClient,
    tiny_base: str,
    clients: Mapping[str, Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Built]:
    """A project that was built once with buildx."""
    scratch = tmp_path_factory.mktemp("fast")
    with built_once(
        docker_client, tiny_base, environment_of(clients["26.1-buildx"], scratch), scratch
    ) as built_project:
        yield built_project


@pytest.fixture
def built(original: Built, tmp_path: Path, docker_client: docker.DockerClient) -> Iterator[Built]:
    """A copy of that project for one test, with its records; its image has its name again, and no other afterwards."""
    docker_client.api.tag(original.id, original.name, "1")
    folder = tmp_path / original.name
    shutil.copytree(original.project.folder, folder)
    with removed_after(docker_client, f"{original.name}:other"):
        yield replace(original, project=replace(original.project, folder=folder))


def test_the_second_build_ends_at_once(built: Built) -> None:
    """It says what it compared, prints the same names, and changes neither image nor record."""
    before = built.project.record("build.json")

    outputs = [built.run("image.build") for _ in range(3)]

    assert ([[NOTHING, "NAME:1"]] * 3, before) == (outputs, built.project.record("build.json"))
    assert f"{built.name}:1\n" == built.first.stdout
    assert {"hashes.json", "builder.json"} <= {*records_of(built)}


def test_a_smoke_test_still_counts_if_nothing_was_built(built: Built) -> None:
    """The image can be pushed without another smoke test."""
    records = Records(folder=built.project.folder / ".azureml-image")
    smoke_test = planning.plan(project.load(built.project.folder)).smoke_test
    records.write_pass(records.read_build(), smoke_test.sha256, {"passed": True})
    before = records.read_pass()

    lines = built.run("image.build")

    then = built.run("image.check")[-1]
    expected = "next       NAME:1 is up to date and passed its smoke test: invoke image.push"
    assert ([NOTHING, "NAME:1"], before, expected) == (lines, records.read_pass(), then)


def test_check_and_dry_write_nothing(built: Built) -> None:
    """They write nothing before and after a change, with and without notes of earlier builds."""
    before = records_of(built)
    for words in (["image.check"], ["--dry", "image.build"]):
        built.run(*words)
    first = records_of(built)
    built.run("image.build")
    remembered = records_of(built)
    built.write("code/new.py", "")
    for words in (["image.check"], ["--dry", "image.build"]):
        built.run(*words)

    assert (before, remembered) == (first, records_of(built))
    assert before != remembered


def records_of(built: Built) -> dict[str, tuple[bytes, int]]:
    """Return each file of `.azureml-image` with its content and its time."""
    paths = (built.project.folder / ".azureml-image").iterdir()
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


def test_each_change_is_built(built: Built, docker_client: docker.DockerClient) -> None:
    """A changed byte, mode, name or variable and a removed image are built; a file with another time only is not."""
    file, rebuilt = built.project.folder / "code/helper.py", []
    for edit in (
        lambda: built.write("code/helper.py", "x = 2\n"),
        lambda: file.chmod(0o755),
        lambda: file.rename(file.with_name("renamed.py")),
        lambda: os.utime(file.with_name("renamed.py"), (1, 1)),
        lambda: built.replaced('"hello"', '"good day"'),
        lambda: docker_client.images.remove(built.id, force=True),
    ):
        edit()
        rebuilt.append(NOTHING not in built.run("image.build"))

    look = "cd /var/azureml-app; ls -F; cat renamed.py; echo $GREETING"
    output = output_of(docker_client, f"{built.name}:1", ["/bin/sh", "-c", look])
    assert [True, True, True, False, True, True] == rebuilt
    assert "azureml-models/\nrenamed.py*\nscore.py\nx = 2\ngood day\n" == output.decode()


def test_a_changed_line_copies_only_the_code(built: Built) -> None:
    """The engine gets only the code, even if the layers below it are small; another folder has layers of its own."""
    built.write("code/helper.py", "x = 4\n")
    built.run("image.build")
    built.write("code/helper.py", "x = 5\n")

    lines = [re.sub("layers:[0-9a-f]{32}", "layers:TAG", line) for line in built.run("image.build")]

    below = "using cached layers: azureml-tasks.invalid/NAME/layers:TAG"
    copied = "2 files to copy"
    assert [below, copied, "built sha256:ID", "NAME:1"] == [
        line for line in lines if not line.startswith("warning: ")
    ]


# What a build would do, as `--dry` prints it

Edit = Callable[[Built], object]
SAME: dict[str, Edit] = {
    "an equal file, written again": lambda built: built.write("code/helper.py", "x = 1\n"),
    "a smoke test": lambda built: built.replaced('model = "model"', 'model = "model"\nsmoke-test.repeat = 1'),
}
OTHER: dict[str, Edit] = {
    "a byte, at the time of before": lambda built: forged(built.project.folder / "code/helper.py"),
    "a file less": lambda built: (built.project.folder / "code/helper.py").unlink(),
    "a system package": lambda built: built.replaced('model = "model"', 'model = "model"\napt = ["sl"]'),
}


def forged(file: Path) -> None:
    """Write another text of the same length and restore the time."""
    status = file.stat()
    file.write_text("y = 1\n", encoding="utf-8")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize(
    ("expected", "change"), [("same", change) for change in SAME] + [("built", change) for change in OTHER]
)
def test_only_changes_of_the_inputs_are_built(expected: str, change: str, built: Built) -> None:
    """A change that gives the same image has nothing to build."""
    {**SAME, **OTHER}[change](built)

    lines = built.run("--dry", "image.build")

    assert expected == ("same" if lines == [NOTHING] else "built")
    assert (expected == "built") == any(" | docker buildx build " in line for line in lines)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--tag", "other"], [NOTHING, "docker tag sha256:ID NAME:other"]),
        (["--registry", "r.example.com"], [NOTHING, "docker tag sha256:ID r.example.com/NAME:1"]),
        (["--no-cache"], ["run", "build"]),
        (["--pull"], ["pull", "build"]),
    ],
    ids=["--tag", "--registry", "--no-cache", "--pull"],
)
def test_flags_that_build_and_flags_that_do_not(flags: list[str], expected: list[str], built: Built) -> None:
    """Another name is given to the existing image; --no-cache and --pull build."""
    lines = built.run("--dry", "image.build", *flags)

    words = [re.sub(r".*?\bdocker (?:buildx )?(pull|run|build) .*", r"\1", line) for line in lines]
    assert expected == [word for word in words if not word.startswith("warning: ")]


# The image and its base change outside


def test_another_tag_is_given_to_the_existing_image(built: Built, docker_client: docker.DockerClient) -> None:
    """With `--tag` nothing is built; image and record have the new name, and the first name stays."""
    lines = built.run("image.build", "--tag", "other")

    image = docker_client.images.get(f"{built.name}:other")
    assert ([NOTHING, "NAME:other"], built.id) == (lines, image.id)
    assert [f"{built.name}:other"] == built.project.record("build.json")["names"]
    assert {f"{built.name}:1", f"{built.name}:other"} <= {*image.tags}


def test_a_tag_that_was_moved_is_moved_back(
    built: Built, docker_client: docker.DockerClient, tiny_base: str
) -> None:
    """Nothing is built: the tag is given to the built image again."""
    docker_client.images.get(tiny_base).tag(built.name, "1")

    lines = built.run("image.build")

    assert ([NOTHING, "NAME:1"], built.id) == (lines, docker_client.images.get(f"{built.name}:1").id)


def test_an_image_that_extends_ours_is_not_taken_for_it(
    built: Built, docker_client: docker.DockerClient
) -> None:
    """It inherits all labels, so labels prove nothing, not even under the same name and without a record."""
    derived(docker_client, f"{built.name}:1", f"FROM {built.name}:1\nENV OTHER=1\n")
    inherited = docker_client.images.get(f"{built.name}:1")
    image = docker_client.images.get(built.id)
    assert image.labels.items() <= inherited.labels.items()

    result = [built.run("image.build"), [docker_client.images.get(f"{built.name}:1").id]]
    inherited.tag(built.name, "1")
    shutil.rmtree(built.project.folder / ".azureml-image")
    unrecorded = built.run("image.build")

    assert [[NOTHING, "NAME:1"], [image.id]] == result
    assert NOTHING not in unrecorded
    assert "OTHER=1" not in docker_client.images.get(f"{built.name}:1").attrs["Config"]["Env"]


def test_a_moved_tag_of_the_base_is_built(
    built: Built, docker_client: docker.DockerClient, tiny_base: str
) -> None:
    """If the tag of the base moves to another image, or back, the next build uses it."""
    first = docker_client.images.get(built.base)
    derived(docker_client, built.base, f"FROM {tiny_base}\nLABEL which=second of={built.name}\n")
    moved = built.run("image.build")
    which = docker_client.images.get(f"{built.name}:1").labels["which"]
    same = built.run("image.build")
    first.tag(*built.base.split(":"))
    back = built.run("--dry", "image.build")

    assert ("second", [NOTHING, "NAME:1"]) == (which, same)
    assert [False, False] == [NOTHING in moved, NOTHING in back]
