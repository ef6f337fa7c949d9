"""What one command leaves for the next."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import subprocess
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from azureml_tasks.atomic_write import write_atomically
from azureml_tasks.built_image import BuiltImage
from azureml_tasks.context.build_context import BuildContext
from azureml_tasks.context.file_hashes import FileHashes
from azureml_tasks.errors import BuildError
from azureml_tasks.state.record_folder import FOLDER
from azureml_tasks.state.record_forms import PassRecord, ResultRecord, StartedRun
from azureml_tasks.state.records import Records

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGE = BuiltImage(
    id="sha256:" + "1" * 64,
    names=("r.io/demo:1.2.3", "r.io/demo:latest"),
    engine="docker",
    context_sha256="2" * 64,
    user="dockeruser",
)
DIGEST = "sha256:" + "3" * 64
SUMMARY = {"passed": True, "started": 1.5, "peak_memory": None}
RESULT = {
    "image": f"other.io/demo@{DIGEST}",
    "id": IMAGE.id,
    "tags": ["1.2.3", "latest"],
    "digest": DIGEST,
    "context_sha256": IMAGE.context_sha256,
    "smoke": SUMMARY,
}

PUSHED = ResultRecord(
    image=f"other.io/demo@{DIGEST}",
    id=IMAGE.id,
    tags=("1.2.3", "latest"),
    digest=DIGEST,
    context_sha256=IMAGE.context_sha256,
    smoke=SUMMARY,
)


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Records:
    """Return the records of the project in the current folder, which has none."""
    monkeypatch.chdir(tmp_path)
    return Records(folder=tmp_path / FOLDER)


def test_images_of_earlier_builds_are_remembered(records: Records) -> None:
    """Each once, the newest last, and not the last one itself; what a registry has is none of the engine's."""
    ids = [f"sha256:{number:064}" for number in range(110)]
    for built in (*ids, ids[50]):
        records.write_build(IMAGE._replace(id=built))
    records.write_build(IMAGE._replace(id=DIGEST, engine="acr"))
    records.write_build(IMAGE._replace(id=ids[109]))

    assert [*ids[10:50], *ids[51:109], ids[50]] == records.replaced_images()


def test_a_built_image_is_read_back(records: Records) -> None:
    """build.json has engine, image ID, names, tags and the hash of the context."""
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


def test_a_newer_image_stays_recorded(records: Records) -> None:
    """A command without the lock that found the image before it up to date gives that no new names."""
    newer = IMAGE._replace(id=DIGEST)
    records.write_build(newer)
    records.write_pass(newer, "4" * 64, SUMMARY)

    records.rename_build(IMAGE._replace(names=("r.io/demo:other",)))

    assert (newer, True) == (records.read_build(), records.read_pass() is not None)


def test_nothing_is_built_yet(records: Records) -> None:
    """Without a record the error names the next step, and reading creates nothing."""
    with pytest.raises(BuildError) as caught:
        records.read_build()

    assert "Nothing is built here yet.\n    invoke image.build" == str(caught.value)
    assert (False, None, False) == (records.has_build(), records.read_pass(), records.folder.exists())


def test_a_new_build_forgets_smoke_test_and_push(records: Records) -> None:
    """Those of the image before do not count for the new one."""
    records.write_build(IMAGE)
    records.write_pass(IMAGE, "4" * 64, SUMMARY)
    passed = records.read_pass()
    records.write_result(RESULT)

    records.write_build(IMAGE)

    assert PassRecord(id=IMAGE.id, smoke_test_sha256="4" * 64, smoke=SUMMARY) == passed
    assert ([".gitignore", "build.json"], None) == (names(records), records.read_pass())


def test_the_inputs_of_a_build_are_read_back(records: Records) -> None:
    """Hashes of the inputs, the time of the installation and shared layers are recorded if they are known."""
    image = IMAGE._replace(
        fingerprint_parts={"version": "0.1.0", "base": "sha256:3"},
        installed_at=7,
        cached_layers=(f"r.io/demo/layers@{DIGEST}",),
    )
    records.write_build(image)

    record = json.loads((records.folder / "build.json").read_text(encoding="utf-8"))
    known = {name: record[name] for name in ("fingerprint_parts", "installed_at", "cached_layers")}
    expected = {
        "fingerprint_parts": {"version": "0.1.0", "base": "sha256:3"},
        "installed_at": 7,
        "cached_layers": [f"r.io/demo/layers@{DIGEST}"],
    }
    assert (expected, image) == (known, records.read_build())


def test_new_names_keep_smoke_test_and_push(records: Records) -> None:
    """The same image under other names has passed the same smoke test."""
    records.write_build(IMAGE)
    records.write_pass(IMAGE, "4" * 64, SUMMARY)
    records.write_result(RESULT)
    passed = records.read_pass()
    other = IMAGE._replace(names=("demo:2",))

    records.rename_build(other)

    assert (other, passed, PUSHED) == (records.read_build(), records.read_pass(), records.read_result())
    assert passed is not None


def test_notes_are_removed_with_the_records(records: Records) -> None:
    """They only save time."""
    records.write_build(IMAGE)

    records.remove()

    assert ("hashes.json", False) == (records.file_hashes().file.name, records.folder.exists())


def test_the_files_of_another_build_are_not_used(records: Records) -> None:
    """The recorded files are those of one context, however many they are."""
    contents = {f"code/{number}.py": "file 1" for number in range(10_001)}
    context = BuildContext(files=(), dockerfile="", sha256=IMAGE.context_sha256, contents=contents)
    before = records.read_files(IMAGE)
    records.write_files(context)

    other = IMAGE._replace(context_sha256="3" * 64)
    assert ({}, contents, {}) == (before, records.read_files(IMAGE), records.read_files(other))


def test_a_pass_can_be_forgotten(records: Records) -> None:
    """An image whose smoke test runs has not passed; forgetting twice is no error."""
    records.write_pass(IMAGE, "4" * 64, SUMMARY)

    records.forget_pass()
    records.forget_pass()

    assert None is records.read_pass()


def test_names_of_a_push_are_names_of_the_image(records: Records) -> None:
    """An image to remove has the names from build and from push, each once."""
    records.write_build(IMAGE)
    alone = records.read_all_names().names
    records.write_result(RESULT)

    assert IMAGE.names == alone
    assert (*IMAGE.names, "other.io/demo:1.2.3", "other.io/demo:latest") == records.read_all_names().names


BUILD: dict[str, Any] = {
    "id": IMAGE.id,
    "names": ["demo:1"],
    "engine": "docker",
    "context_sha256": IMAGE.context_sha256,
    "user": "dockeruser",
}
DEEP: list[Any] = reduce(lambda inside, _: [inside], range(50), [])
"""Values in each other, more than a record has."""
PASS: dict[str, Any] = {"id": IMAGE.id, "smoke_test_sha256": "4" * 64, "smoke": SUMMARY}
WRONG = "missing or not valid"
RUN = {"run": "ca8", "registry": "r.io", "names": ["r.io/demo:1"], "installed_at": 0}
READERS: dict[str, Callable[[Records], object]] = {
    "build.json": Records.read_build,
    "smoke-test.json": Records.read_pass,
    "result.json": Records.read_result,
    "runs.json": Records.started_runs,
    "probe-events.json": lambda records: records.read_probe_events(IMAGE, ""),
}


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_record_is_an_error(name: str, records: Records) -> None:
    """The error names a record that is not JSON and the next step."""
    records.folder.mkdir()
    (records.folder / name).write_text("")

    with pytest.raises(BuildError) as caught:
        READERS[name](records)

    expected = f"""\
The record .azureml-image/{name} cannot be read: Expecting value: line 1 column 1 (char 0).
    rm -r .azureml-image
    then: invoke image.build"""
    assert expected == str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("build.json", "[]", "it is not an object"),
        ("build.json", "{}", f"{WRONG}: engine, id, names, context_sha256, user"),
        ("build.json", json.dumps({**BUILD, "names": "demo:1", "run": 1}), f"{WRONG}: names, run"),
        ("build.json", json.dumps({**BUILD, "id": "someone-else:tag"}), f"{WRONG}: id"),
        ("build.json", json.dumps({**BUILD, "id": "sha256:" + "1" * 63}), f"{WRONG}: id"),
        ("build.json", json.dumps({**BUILD, "names": []}), f"{WRONG}: names"),
        ("build.json", json.dumps({**BUILD, "names": ["demo"]}), f"{WRONG}: names"),
        ("build.json", json.dumps({**BUILD, "engine": "kaniko"}), f"{WRONG}: engine"),
        ("build.json", json.dumps({**BUILD, "user": "a\nb"}), f"{WRONG}: user"),
        ("build.json", json.dumps({**BUILD, "candidate": "r.io/demo:1"}), f"{WRONG}: candidate"),
        ("build.json", json.dumps({**BUILD, "waiting": [1]}), f"{WRONG}: waiting"),
        ("build.json", json.dumps({**BUILD, "cached_layers": [""]}), f"{WRONG}: cached_layers"),
        ("build.json", json.dumps({**BUILD, "installed_at": 10**400}), f"{WRONG}: installed_at"),
        ("build.json", json.dumps({**BUILD, "installed_at": True}), f"{WRONG}: installed_at"),
        (
            "build.json",
            json.dumps({**BUILD, "fingerprint_parts": {"base": 1}}),
            f"{WRONG}: fingerprint_parts",
        ),
        ("build.json", json.dumps({**BUILD, "requirements": ["\ud800"]}), f"{WRONG}: requirements"),
        ("build.json", "[" * 100_000, "it is nested too deeply"),
        ("build.json", "1" * 5_000, "it has a number of too many digits"),
        ("smoke-test.json", json.dumps({**PASS, "smoke": {}}), f"{WRONG}: smoke"),
        ("smoke-test.json", json.dumps({**PASS, "smoke": {**SUMMARY, "x": DEEP}}), f"{WRONG}: smoke"),
        ("smoke-test.json", json.dumps({**PASS, "smoke": {**SUMMARY, "x": "\ud800"}}), f"{WRONG}: smoke"),
        ("smoke-test.json", json.dumps({**PASS, "smoke": {**SUMMARY, "\ud800": 1}}), f"{WRONG}: smoke"),
        ("smoke-test.json", json.dumps({**PASS, "smoke": {**SUMMARY, "started": "1"}}), f"{WRONG}: smoke"),
        (
            "smoke-test.json",
            json.dumps({**PASS, "smoke": {**SUMMARY, "started": float("nan")}}),
            f"{WRONG}: smoke",
        ),
        ("result.json", "{}", f"{WRONG}: image, id, tags, digest, context_sha256, smoke"),
        ("result.json", json.dumps({**RESULT, "image": "demo:1", "tags": ["a b"]}), f"{WRONG}: image, tags"),
        ("runs.json", json.dumps({"runs": [{**RUN, "run": "../x"}]}), f"{WRONG}: runs"),
        ("runs.json", json.dumps({"runs": [{**RUN, "registry": "r.io/x"}]}), f"{WRONG}: runs"),
        ("runs.json", json.dumps({"runs": [{**RUN, "names": []}]}), f"{WRONG}: runs"),
        ("runs.json", json.dumps({"runs": [{**RUN, "installed_at": 1.5}]}), f"{WRONG}: runs"),
        ("smoke-test.json", "{}", f"{WRONG}: id, smoke_test_sha256, smoke"),
        ("runs.json", json.dumps({"run": "ca1"}), f"{WRONG}: runs"),
        ("probe-events.json", json.dumps({"id": "1"}), f"{WRONG}: smoke_test_sha256, events, id"),
        ("probe-events.json", json.dumps({"events": [{}]}), f"{WRONG}: id, smoke_test_sha256, events"),
    ],
)
def test_a_record_with_missing_or_wrong_values_is_an_error(
    name: str, text: str, why: str, records: Records
) -> None:
    """The error names the values."""
    records.folder.mkdir()
    (records.folder / name).write_text(text, encoding="utf-8")

    with pytest.raises(BuildError) as caught:
        READERS[name](records)

    expected = f"""\
The record .azureml-image/{name} cannot be read: {why}.
    rm -r .azureml-image
    then: invoke image.build"""
    assert expected == str(caught.value)


@pytest.mark.parametrize(
    ("place", "why"),
    [
        (Path.mkdir, "cannot be read: Is a directory"),
        (os.mkfifo, "is not a file"),
        (lambda path: path.symlink_to(path), "cannot be read: Too many levels of symbolic links"),
    ],
)
def test_what_is_no_file_is_no_record(place: Callable[[Path], None], why: str, records: Records) -> None:
    """The error says so; a FIFO, into which nobody writes, is not waited for."""
    records.folder.mkdir(parents=True)
    place(records.folder / "build.json")

    with pytest.raises(BuildError) as caught:
        records.read_build()

    assert f"The record .azureml-image/build.json {why}." == caught.value.what


def test_the_record_of_another_user_is_not_damaged(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system says goes on: its next step is about permissions, and removes nothing."""

    def refuse(path: Path, _: int) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(PermissionError) as caught:
            records.read_build()

    assert str(records.folder / "build.json") == caught.value.filename


def test_a_log_that_cannot_be_read_is_an_error(records: Records) -> None:
    """The error says why, once, and what to remove."""
    log = records.folder / "smoke-test.log"
    log.mkdir(parents=True)
    with pytest.raises(BuildError) as folder:
        records.read_log()
    log.rmdir()
    log.write_bytes(b"\xff")
    with pytest.raises(BuildError) as binary:
        records.read_log()

    fix = "    rm -r .azureml-image\n    then: invoke image.build"
    record = "The record .azureml-image/smoke-test.log"
    assert f"{record} cannot be read: Is a directory.\n{fix}" == str(folder.value)
    assert f"{record} is not UTF-8 in line 1: invalid start byte.\n{fix}" == str(binary.value)


def test_a_fifo_is_no_cache_of_hashes(tmp_path: Path) -> None:
    """It counts as empty."""
    os.mkfifo(tmp_path / "hashes.json")

    assert {} == FileHashes.read(tmp_path / "hashes.json").known


def test_damaged_notes_count_as_none(records: Records) -> None:
    """They only save time, and the next build writes them again."""
    records.folder.mkdir()
    for text in (
        "",
        "[]",
        "{}",
        "[" * 100_000,
        json.dumps({"context_sha256": IMAGE.context_sha256, "files": {"a": 1}}),
    ):
        (records.folder / "files.json").write_text(text, encoding="utf-8")
        (records.folder / "hashes.json").write_text(text, encoding="utf-8")

        assert ({}, {}) == (records.read_files(IMAGE), records.file_hashes().known)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=5,
)
VALID: dict[str, dict[str, Any]] = {
    "build.json": {
        **BUILD,
        "candidate": f"r.io/demo/candidate@{DIGEST}",
        "run": "ca1",
        "waiting": [f"r.io/demo/candidate@{DIGEST}"],
        "cached_layers": [f"r.io/demo/layers@{DIGEST}"],
        "fingerprint_parts": {"base": DIGEST},
        "installed_at": 7,
        "requirements": ["a==1"],
    },
    "smoke-test.json": PASS,
    "result.json": RESULT,
    "runs.json": {"runs": [RUN]},
    "probe-events.json": {
        "id": IMAGE.id,
        "smoke_test_sha256": "4" * 64,
        "events": [{"event": "done", "seconds": 1}],
    },
    "files.json": {"context_sha256": IMAGE.context_sha256, "files": {"code/score.py": "file 1"}},
    "pushed.json": {
        **{name: RESULT[name] for name in ("image", "id", "tags")},
        "pushed_at": 1,
        "files": {"code/score.py": "file 1"},
    },
}
USES: list[Callable[[Records], object]] = [
    Records.has_build,
    Records.read_build,
    Records.read_all_names,
    Records.waiting_candidates,
    Records.read_pass,
    Records.read_result,
    Records.read_pushed,
    Records.started_runs,
    lambda records: (records.build_registry("docker"), records.build_registry("acr")),
    lambda records: records.read_files(IMAGE),
    lambda records: records.read_probe_events(IMAGE, "4" * 64),
    lambda records: records.rename_build(IMAGE),
    lambda records: records.forget_candidate(IMAGE),
    lambda records: records.write_build(IMAGE),
]


@given(name=st.sampled_from(sorted(VALID)), data=st.data())
@settings(deadline=None)
def test_any_json_is_a_record_or_an_error_of_ours(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With any content of a record, each use of it ends, and with no other error."""
    records = Records(folder=tmp_path_factory.mktemp("any") / FOLDER)
    records.folder.mkdir()
    key = data.draw(st.sampled_from(sorted(VALID[name])))
    value = data.draw(st.one_of(JSON, st.just({**VALID[name], key: data.draw(JSON)})))
    for other, valid in {**VALID, name: value}.items():
        (records.folder / other).write_text(json.dumps(valid), encoding="utf-8")

    for use in USES:
        with contextlib.suppress(BuildError):
            use(records)


def test_a_record_is_written_completely_or_not_at_all(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If writing fails, the record stays as it was."""
    records.write_build(IMAGE)
    before = (records.folder / "build.json").read_text(encoding="utf-8")
    other: dict[str, Any] = {"id": object()}

    with pytest.raises(TypeError):
        records.write_record("build.json", other)
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
    """build.json has the reference of a candidate and the ID of the run that built it."""
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
    assert (BUILT[0], [CANDIDATES[0]]) == (records.read_build(), records.waiting_candidates())


def test_earlier_candidates_are_not_forgotten(records: Records) -> None:
    """The next build, on any engine, keeps them in the record."""
    for image in (*BUILT, BUILT[1], IMAGE):
        records.write_build(image)

    first, second, third = CANDIDATES
    assert (IMAGE, [first, third, second]) == (records.read_build(), records.waiting_candidates())


def test_a_candidate_can_be_forgotten(records: Records) -> None:
    """The others still wait; the image and the run that built it stay recorded."""
    for image in BUILT:
        records.write_build(image)

    records.forget_candidate(BUILT[0])
    waiting = records.waiting_candidates()
    records.forget_candidate(BUILT[2])

    assert ([CANDIDATES[1], CANDIDATES[2]], [CANDIDATES[1]]) == (waiting, records.waiting_candidates())
    assert BUILT[2]._replace(candidate="") == records.read_build()


def test_a_local_image_is_no_candidate(records: Records) -> None:
    """Without a candidate none waits, and forgetting one creates no record."""
    before = records.waiting_candidates()
    records.forget_candidate(BUILT[0])
    exists = records.folder.exists()
    records.write_build(IMAGE)

    assert ([], False, []) == (before, exists, records.waiting_candidates())


def test_remote_builds_are_recorded_until_their_images_are_taken_over(records: Records) -> None:
    """Each is recorded with its registry and names, the last one last; forgetting twice is no error."""
    before = records.started_runs()
    first = StartedRun(run="ca8", registry="r.io", names=("r.io/demo:1", "r.io/demo:2"), installed_at=5)
    second = StartedRun(run="ca9", registry="r.io", names=("r.io/demo:3",), installed_at=0)
    records.write_run(first)
    records.write_run(second)
    text = (records.folder / "runs.json").read_text(encoding="utf-8")
    both, by_id = records.started_runs(), (records.read_run("ca8"), records.read_run("ca7"))

    records.forget_run("ca8")
    records.forget_run("ca8")
    remaining = records.started_runs()
    records.forget_run("ca9")

    assert ([], [first, second], (first, None)) == (before, both, by_id)
    assert ([second], []) == (remaining, records.started_runs())
    assert {
        "runs": [
            {"run": "ca8", "registry": "r.io", "names": ["r.io/demo:1", "r.io/demo:2"], "installed_at": 5},
            {"run": "ca9", "registry": "r.io", "names": ["r.io/demo:3"], "installed_at": 0},
        ]
    } == json.loads(text)


def test_the_registry_of_the_last_build(records: Records) -> None:
    """It is that of an unfinished remote build, for any engine but docker; else that of the image's name."""
    registries = [records.build_registry("docker")]
    records.write_build(IMAGE)
    registries.append(records.build_registry("docker"))
    records.write_build(BUILT[0])
    registries.append(records.build_registry("docker"))
    records.write_run(StartedRun(run="ca8", registry="other.io", names=("other.io/demo:1",), installed_at=0))
    registries += [records.build_registry("docker"), records.build_registry("acr")]

    assert ["", "r.io", "r.io", "r.io", "other.io"] == registries


def test_probe_events_count_for_one_image_and_one_smoke_test(records: Records) -> None:
    """They are returned for the same image and the same smoke test only."""
    events = [{"event": "ready", "seconds": 1.5, "tries": 3}]
    before = records.read_probe_events(BUILT[0], "4" * 64)

    records.write_probe_events(BUILT[0], "4" * 64, events)

    assert ([], events) == (before, records.read_probe_events(BUILT[0], "4" * 64))
    assert ([], []) == (
        records.read_probe_events(BUILT[1], "4" * 64),
        records.read_probe_events(BUILT[0], "5" * 64),
    )


def test_git_ignores_the_records(records: Records) -> None:
    """The folder has a .gitignore that ignores everything in it."""
    project = records.folder.parent
    subprocess.run(["git", "init", "--quiet", str(project)], check=True)

    records.write_build(IMAGE)

    status = subprocess.run(
        ["git", "-C", str(project), "status", "--porcelain"], capture_output=True, text=True, check=True
    )
    assert "" == status.stdout


def test_remove_removes_only_the_folder(records: Records) -> None:
    """Other files of the project stay; removing twice is no error."""
    records.write_build(IMAGE)
    (records.folder.parent / "pyproject.toml").touch()

    records.remove()
    records.remove()

    assert ["pyproject.toml"] == [path.name for path in records.folder.parent.iterdir()]


def names(records: Records) -> list[str]:
    """Return the names of the files in the folder."""
    return sorted(path.name for path in records.folder.iterdir())


def _no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_request_replaces_a_link(tmp_path: Path) -> None:
    """The body of a request is written as every record is: what a link names stays as it was."""
    other, records = tmp_path / "other", Records(folder=tmp_path / FOLDER)
    other.write_text("mine", encoding="utf-8")
    records.folder.mkdir()
    (records.folder / "first-request").symlink_to(other)

    path = records.write_request(b"\xff\n")

    assert (b"\xff\n", False, "mine") == (
        path.read_bytes(),
        path.is_symlink(),
        other.read_text(encoding="utf-8"),
    )


def test_an_unfinished_file_of_a_killed_process_is_removed(tmp_path: Path) -> None:
    """The next writer of the folder removes it once it is old; another process may be writing a young one."""
    old, young = tmp_path / "a.json.1.unfinished", tmp_path / "b.json.2.unfinished"
    for path in (old, young):
        path.write_text("half", encoding="utf-8")
    os.utime(old, (1, 1))

    write_atomically(tmp_path / "c.json", "{}")

    assert [young, tmp_path / "c.json"] == sorted(tmp_path.iterdir())
