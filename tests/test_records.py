"""What one command leaves for the next."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.context.build_context import BuildContext
from azureml_tasks.errors import BuildError
from azureml_tasks.state.records import FOLDER, NOTES, Records

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

IMAGE = BuiltImage(
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

    assert {"id": IMAGE.id, "smoke_test_sha256": "4" * 64, "smoke": {"passed": True}} == passed
    assert ([".gitignore", "build.json"], None) == (names(records), records.read_pass())


def test_what_it_was_made_of_is_read_back(records: Records) -> None:
    """What a build was made of, when, and what it stands on in a registry are recorded where they are known."""
    made = IMAGE._replace(
        fingerprint_parts={"version": "0.1.0", "base": "sha256:3"},
        installed_at=7,
        cached_layers=("r.io/demo/layers@1",),
    )
    records.write_build(made)

    found = json.loads((records.folder / "build.json").read_text(encoding="utf-8"))
    known = {name: found[name] for name in ("fingerprint_parts", "installed_at", "cached_layers")}
    expected = {
        "fingerprint_parts": {"version": "0.1.0", "base": "sha256:3"},
        "installed_at": 7,
        "cached_layers": ["r.io/demo/layers@1"],
    }
    assert (expected, made) == (known, records.read_build())


def test_other_names_leave_a_pass_and_a_push(records: Records) -> None:
    """The same image by other names has passed what it passed, and was pushed as it was pushed."""
    records.write_build(IMAGE)
    records.write_pass(IMAGE, "4" * 64, {})
    records.write_result(RESULT)
    passed = records.read_pass()
    other = IMAGE._replace(names=("demo:2",))

    records.rename_build(other)

    assert (other, passed, RESULT) == (records.read_build(), records.read_pass(), records.read_result())
    assert passed is not None


def test_notes_are_no_records(records: Records) -> None:
    """What is remembered of a project goes with its records, and is named apart from them."""
    records.write_build(IMAGE)

    records.remove()

    assert "hashes.json" in NOTES
    assert ("hashes.json", False) == (records.file_hashes().file.name, records.folder.exists())


def test_the_files_of_another_build_are_not_those_of_this_one(records: Records) -> None:
    """What the files were is known of the context that was recorded, however many they are, and of no other."""
    contents = {f"code/{number}.py": "file 1" for number in range(10_001)}
    context = BuildContext(files=(), dockerfile="", sha256=IMAGE.context_sha256, contents=contents)
    nothing = records.read_files(IMAGE)
    records.write_files(context)

    other = IMAGE._replace(context_sha256="3" * 64)
    assert ({}, contents, {}) == (nothing, records.read_files(IMAGE), records.read_files(other))


def test_a_pass_can_be_forgotten(records: Records) -> None:
    """An image that is being smoke-tested has not passed; forgetting twice is no mistake."""
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


READERS: dict[str, Callable[[Records], object]] = {
    "build.json": Records.read_build,
    "smoke-test.json": Records.read_pass,
    "run.json": Records.read_run,
    "probe-events.json": lambda records: records.read_probe_events(IMAGE, ""),
}


@pytest.mark.parametrize("name", READERS)
def test_a_broken_record_is_named(name: str, records: Records) -> None:
    """A record that is no JSON is an error with the way out."""
    records.folder.mkdir()
    (records.folder / name).write_text("")

    with pytest.raises(BuildError) as caught:
        READERS[name](records)

    expected = f"""\
.azureml-image/{name} is no record that can be read: Expecting value: line 1 column 1 (char 0)
    rm -r .azureml-image
    then: invoke image.build"""
    assert expected == str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "missing"),
    [
        ("build.json", "[]", "id, names, engine, context_sha256, user"),
        ("build.json", json.dumps({"id": "1", "names": [], "engine": "docker"}), "context_sha256, user"),
        ("smoke-test.json", "{}", "id, smoke_test_sha256, smoke"),
        ("run.json", json.dumps({"run": "ca1"}), "registry"),
        ("probe-events.json", json.dumps({"id": "1"}), "smoke_test_sha256, events"),
    ],
)
def test_a_record_of_another_form_is_named(name: str, text: str, missing: str, records: Records) -> None:
    """A record that says less than ours do is an error with the way out, as one that is no JSON."""
    records.folder.mkdir()
    (records.folder / name).write_text(text, encoding="utf-8")

    with pytest.raises(BuildError) as caught:
        READERS[name](records)

    expected = f"""\
.azureml-image/{name} is no record that can be read: it says nothing of {missing}
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


# What waits in a registry

DIGESTS = tuple(f"sha256:{digit * 64}" for digit in "123")
CANDIDATES = tuple(f"r.io/demo/candidate@{digest}" for digest in DIGESTS)
BUILT = tuple(
    BuiltImage(
        id=digest,
        names=("r.io/demo:1.2.3",),
        engine="acr",
        context_sha256="2" * 64,
        user="dockeruser",
        candidate=candidate,
        run=f"ca{number}",
    )
    for number, (digest, candidate) in enumerate(zip(DIGESTS, CANDIDATES, strict=True))
)


def test_a_candidate_is_read_back(records: Records) -> None:
    """build.json says of an image that waits in a registry where it waits and which run built it."""
    records.write_build(BUILT[0])

    expected = {
        "engine": "acr",
        "id": DIGESTS[0],
        "names": ["r.io/demo:1.2.3"],
        "tags": ["1.2.3"],
        "context_sha256": "2" * 64,
        "user": "dockeruser",
        "candidate": CANDIDATES[0],
        "run": "ca0",
        "waiting": [],
    }
    assert expected == json.loads((records.folder / "build.json").read_text(encoding="utf-8"))
    assert (BUILT[0], [CANDIDATES[0]]) == (records.read_build(), records.waiting())


def test_earlier_candidates_wait_on(records: Records) -> None:
    """What an earlier build left in the registry is not forgotten by the next, whichever engine that is of."""
    for image in (*BUILT, BUILT[1], IMAGE):
        records.write_build(image)

    first, second, third = CANDIDATES
    assert (IMAGE, [first, third, second]) == (records.read_build(), records.waiting())


def test_a_candidate_that_is_gone_waits_no_more(records: Records) -> None:
    """One is put away and the others wait on; the image itself, and the run that built it, stay recorded."""
    for image in BUILT:
        records.write_build(image)

    records.candidate_is_gone(BUILT[0])
    earlier_gone = records.waiting()
    records.candidate_is_gone(BUILT[2])

    assert ([CANDIDATES[1], CANDIDATES[2]], [CANDIDATES[1]]) == (earlier_gone, records.waiting())
    assert BUILT[2]._replace(candidate="") == records.read_build()


def test_nothing_waits(records: Records) -> None:
    """Without a record nothing waits, and nothing is made by saying that it is gone; nor does a local image wait."""
    before = records.waiting()
    records.candidate_is_gone(BUILT[0])
    made = records.folder.exists()
    records.write_build(IMAGE)

    assert ([], False, []) == (before, made, records.waiting())


def test_a_run_is_known_until_its_end(records: Records) -> None:
    """The run that builds is recorded with its registry until its end is known; forgetting twice is no mistake."""
    before = records.read_run()
    records.write_run("ca8", "r.io")
    text = (records.folder / "run.json").read_text(encoding="utf-8")
    during = records.read_run()

    records.forget_run()
    records.forget_run()

    assert ("", "ca8", "") == (before, during, records.read_run())
    assert {"run": "ca8", "registry": "r.io"} == json.loads(text)


def test_the_registry_of_the_last_build(records: Records) -> None:
    """It is that of an unfinished remote build, for any engine but docker; else that of the image's name."""
    registries = [records.build_registry("docker")]
    records.write_build(IMAGE)
    registries.append(records.build_registry("docker"))
    records.write_build(BUILT[0])
    registries.append(records.build_registry("docker"))
    records.write_run("ca8", "other.io")
    registries += [records.build_registry("docker"), records.build_registry("acr")]

    assert ["", "r.io", "r.io", "r.io", "other.io"] == registries


def test_probe_events_count_for_one_image_and_one_smoke_test(records: Records) -> None:
    """What a smoke test in the cloud saw is given back for the same image and the same smoke test, and for no other."""
    events = [{"event": "ready", "seconds": 1.5, "tries": 3}]
    before = records.read_probe_events(BUILT[0], "4" * 64)

    records.write_probe_events(BUILT[0], "4" * 64, events)

    assert ([], events) == (before, records.read_probe_events(BUILT[0], "4" * 64))
    assert ([], []) == (
        records.read_probe_events(BUILT[1], "4" * 64),
        records.read_probe_events(BUILT[0], "5" * 64),
    )


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
