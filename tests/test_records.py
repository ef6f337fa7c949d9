"""What one command leaves for the next."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from azureml_tasks.engines.base import Image
from azureml_tasks.errors import BuildError
from azureml_tasks.records import FOLDER, Records

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = Image(
    id="sha256:" + "1" * 64,
    names=("r.io/demo:1.2.3", "r.io/demo:latest"),
    engine="docker",
    context_sha256="2" * 64,
    user="dockeruser",
)
RESULT = {"image": "other.io/demo@sha256:3", "id": IMAGE.id, "tags": ["1.2.3", "latest"]}


@pytest.fixture
def records(tmp_path: Path) -> Records:
    """The records of a project that has none yet."""
    return Records(folder=tmp_path / FOLDER)


def test_what_was_built_is_read_back(records: Records) -> None:
    """build.json holds engine, image id, names, tags and the context's hash, and gives the same image back."""
    records.write_build(IMAGE)

    expected = {
        "engine": "docker",
        "id": IMAGE.id,
        "names": ["r.io/demo:1.2.3", "r.io/demo:latest"],
        "tags": ["1.2.3", "latest"],
        "context_sha256": IMAGE.context_sha256,
        "user": "dockeruser",
    }
    assert expected == json.loads((records.folder / "build.json").read_text(encoding="utf-8"))
    assert (True, IMAGE) == (records.has_build(), records.read_build())


def test_nothing_is_built_yet(records: Records) -> None:
    """Without a record there is no image, and the error names the next step; nothing is made by looking."""
    with pytest.raises(BuildError) as caught:
        records.read_build()

    assert "Nothing is built here yet.\n    invoke image.build" == str(caught.value)
    assert (False, None, False) == (records.has_build(), records.read_pass(), records.folder.exists())


def test_a_new_build_has_passed_nothing(records: Records) -> None:
    """What an earlier image passed or was pushed as is gone with the next build."""
    records.write_build(IMAGE)
    records.write_pass(IMAGE, "4" * 64, {"passed": True})
    passed = records.read_pass()
    records.write_result(RESULT)

    records.write_build(IMAGE)

    assert {"id": IMAGE.id, "proof_sha256": "4" * 64, "smoke": {"passed": True}} == passed
    assert ([".gitignore", "build.json"], None) == (names(records), records.read_pass())


def test_a_pass_can_be_forgotten(records: Records) -> None:
    """An image that is being proven has not passed; forgetting twice is no mistake."""
    records.write_pass(IMAGE, "4" * 64, {})

    records.forget_pass()
    records.forget_pass()

    assert None is records.read_pass()


def test_names_from_a_push_count_too(records: Records) -> None:
    """What is to be removed has the names of the build and those that push gave it, each once."""
    records.write_build(IMAGE)
    alone = records.read_all_names().names
    records.write_result(RESULT)

    assert IMAGE.names == alone
    assert (*IMAGE.names, "other.io/demo:1.2.3", "other.io/demo:latest") == records.read_all_names().names


@pytest.mark.parametrize("name", ["build.json", "smoke-test.json"])
def test_a_broken_record_is_named(name: str, records: Records) -> None:
    """A record that is no JSON is an error with the way out."""
    records.folder.mkdir()
    (records.folder / name).write_text("")

    with pytest.raises(BuildError) as caught:
        records.read_build() if name == "build.json" else records.read_pass()

    expected = f"""\
.azureml-image/{name} is no record that can be read: Expecting value: line 1 column 1 (char 0)
    rm -r .azureml-image
    then: invoke image.build"""
    assert expected == str(caught.value)


def test_a_record_is_whole_or_not_there(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where writing ends half-way, the record from before stays as it was."""
    records.write_build(IMAGE)
    before = (records.folder / "build.json").read_text(encoding="utf-8")
    other: dict[str, Any] = {"id": object()}

    with pytest.raises(TypeError):
        records._write("build.json", other)  # noqa: SLF001 -- no public record can be broken on purpose
    monkeypatch.setattr("pathlib.Path.replace", _no_space)
    with pytest.raises(OSError, match="No space left"):
        records.write_build(IMAGE)

    assert before == (records.folder / "build.json").read_text(encoding="utf-8")
    assert [".gitignore", "build.json"] == names(records)


def test_git_does_not_see_them(records: Records) -> None:
    """The folder ignores itself: git status is as clean with it as without."""
    project = records.folder.parent
    subprocess.run(["git", "init", "--quiet", str(project)], check=True)

    records.write_build(IMAGE)

    status = subprocess.run(
        ["git", "-C", str(project), "status", "--porcelain"], capture_output=True, text=True, check=True
    )
    assert "" == status.stdout


def test_remove_takes_the_folder_alone(records: Records) -> None:
    """The records go; what stands beside them stays; removing nothing is no mistake."""
    records.write_build(IMAGE)
    (records.folder.parent / "pyproject.toml").touch()

    records.remove()
    records.remove()

    assert ["pyproject.toml"] == [path.name for path in records.folder.parent.iterdir()]


def names(records: Records) -> list[str]:
    """The files in the folder."""
    return sorted(path.name for path in records.folder.iterdir())


def _no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")
