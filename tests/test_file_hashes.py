"""Files are hashed once, and again as soon as they may have changed."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from azureml_tasks.context import file_hashes
from azureml_tasks.context.file_hashes import FileContent, FileHashes, is_settled, stamp_of
from azureml_tasks.context.own_outputs import GENERATED_HEAD
from azureml_tasks.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

LATER = 10**12  # nanoseconds after a file was written
SECOND = 10**9
TICK = SECOND // 20
NOW = 1_700_000_000 * SECOND
BEFORE = NOW - 3600 * SECOND
KEY = b"-----BEGIN PRIVATE KEY-----\n"


def content_of(content: bytes) -> FileContent:
    """Return what reading *content* shows."""
    return FileContent(sha256=hashlib.sha256(content).hexdigest(), has_private_key=KEY in content)


def hashes(folder: Path, after: int = LATER) -> FileHashes:
    """Read the cache in *folder*, with a clock that is so many nanoseconds ahead of the files' times."""
    moment = max((path.stat().st_ctime_ns for path in folder.iterdir()), default=0)
    return FileHashes.read(folder / "hashes.json", now=lambda: moment + after)


FORGED = "f" * 64


def read(file: Path, by: FileHashes) -> FileContent | None:
    """Return the content of *file* as *by* knows it."""
    return by.content(str(file), file.stat())


def cached(folder: Path) -> Path:
    """Return a file whose content is in the cache."""
    file = folder / "weights.bin"
    file.write_bytes(b"one")
    before = hashes(folder)
    assert content_of(b"one") == read(file, before)
    before.save()
    return file


def forged(folder: Path) -> FileHashes:
    """Read the cache with another hash for each file, which shows whether a file is read again."""
    forgery = hashes(folder)
    forgery.known = {
        path: row.rsplit(" ", 2)[0] + f" {FORGED} private-key" for path, row in forgery.known.items()
    }
    return forgery


def tick(file: Path) -> None:
    """Wait until another change has a later time than *file*: within one tick of the kernel all have the same."""
    other = file.with_name("other")
    while not other.exists() or other.stat().st_ctime_ns <= file.stat().st_ctime_ns:
        other.touch()
    other.unlink()


def same_size(file: Path) -> None:
    """Write other bytes."""
    tick(file)
    file.write_bytes(b"two")


def time_restored(file: Path) -> None:
    """Write other bytes, and set the time back."""
    status = file.stat()
    tick(file)
    file.write_bytes(b"two")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def replaced(file: Path) -> None:
    """Rename another file of the same size and time to this name."""
    status = file.stat()
    other = file.with_name("other")
    other.write_bytes(b"two")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(file)


def longer(file: Path) -> None:
    """Write more bytes."""
    file.write_bytes(b"two and more")


def test_an_unchanged_file_is_not_opened(tmp_path: Path) -> None:
    """Hash and verdict come from the cache while the stamp is the same."""
    file = cached(tmp_path)

    assert FileContent(sha256=FORGED, has_private_key=True) == read(file, forged(tmp_path))


@pytest.mark.parametrize("rest", ["", "1", "one none", f"{FORGED}", f"{FORGED} -", f"{FORGED.upper()} none"])
def test_a_damaged_row_counts_for_nothing(rest: str, tmp_path: Path) -> None:
    """A file whose row has the right stamp and nothing else of its form is read."""
    file = cached(tmp_path)
    damaged = hashes(tmp_path)
    damaged.known = {path: row.rsplit(" ", 2)[0] + f" {rest}" for path, row in damaged.known.items()}

    assert content_of(b"one") == read(file, damaged)


@pytest.mark.parametrize("change", [same_size, time_restored, replaced, longer])
def test_a_changed_file_is_read_again(change: Callable[[Path], None], tmp_path: Path) -> None:
    """Every change is seen, also one that keeps size and mtime."""
    file = cached(tmp_path)
    change(file)

    assert content_of(file.read_bytes()) == read(file, forged(tmp_path))


def test_a_touched_file_is_read_again(tmp_path: Path) -> None:
    """A new time on the same bytes gives the same hash."""
    file = cached(tmp_path)
    os.utime(file, ns=(1, 1))

    assert content_of(b"one") == read(file, forged(tmp_path))


def test_what_a_command_has_written_is_found_and_remembered(tmp_path: Path) -> None:
    """The verdict is kept with the hash, and read from the beginning of a large file too."""
    text = GENERATED_HEAD.encode()
    file, large = tmp_path / "Dockerfile", tmp_path / "large"
    file.write_bytes(text)
    large.write_bytes(text.ljust(2_000_000))
    first = hashes(tmp_path)
    expected = FileContent(hashlib.sha256(text).hexdigest(), has_private_key=False, is_own_output=True)
    assert expected == read(file, first)
    first.save()

    again = hashes(tmp_path)
    (row,) = again.known.values()
    glance = again.glance(str(large), large.stat())

    assert (" own-output", expected) == (row[-11:], read(file, again))
    assert glance == FileContent(sha256="", has_private_key=False, is_own_output=True)


def test_a_private_key_is_found_and_remembered(tmp_path: Path) -> None:
    """The verdict of the secret scan is kept with the hash."""
    file = tmp_path / "key"
    file.write_bytes(KEY)
    first = hashes(tmp_path)
    assert content_of(KEY) == read(file, first)
    first.save()

    again = hashes(tmp_path)
    assert [str(file)] == [*again.known]
    assert content_of(KEY) == read(file, again)


def test_a_glance_at_a_large_file_reads_its_beginning_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells whether there is a key without the hash, which a small or known file has at once."""
    monkeypatch.setattr(file_hashes, "_BLOCK", 100)
    file = tmp_path / "large"
    file.write_bytes(KEY + b"0" * 100)
    by = hashes(tmp_path)
    first = by.glance(str(file), file.stat())
    whole = read(file, by)
    by.save()

    again = hashes(tmp_path).glance(str(file), file.stat())

    assert FileContent(sha256="", has_private_key=True) == first
    assert content_of(file.read_bytes()) == whole == again


def test_a_file_of_another_size_has_no_hash(tmp_path: Path) -> None:
    """The caller saw another file under this name."""
    file = cached(tmp_path)

    assert hashes(tmp_path).sha256(str(file), 4) is None
    assert content_of(b"one").sha256 == hashes(tmp_path).sha256(str(file), 3)


@pytest.mark.parametrize("after", [0, 4 * 10**7, -LATER])
def test_a_file_that_changed_just_now_is_not_cached(after: int, tmp_path: Path) -> None:
    """The clock cannot tell a change right after the reading; it may also have been set back."""
    file = tmp_path / "weights.bin"
    file.write_bytes(b"one")
    first = hashes(tmp_path, after)

    assert content_of(b"one") == read(file, first)
    first.save()
    assert (True, False) == (first.may_have_changed(str(file)), (tmp_path / "hashes.json").exists())


def test_a_file_may_have_changed_once_its_stamp_differs(tmp_path: Path) -> None:
    """A known file has not, until it is written, removed or was never read."""
    file = cached(tmp_path)
    by = hashes(tmp_path)
    read(file, by)

    before = by.may_have_changed(str(file))
    same_size(file)
    written = by.may_have_changed(str(file))
    file.unlink()

    gone = by.may_have_changed(str(file))
    assert [False, True, True, True] == [before, written, gone, by.may_have_changed(str(tmp_path / "never"))]


def test_a_file_that_changes_while_it_is_read_has_no_content(tmp_path: Path) -> None:
    """Its bytes may never have been there together."""
    file = tmp_path / "weights.bin"
    file.write_bytes(b"one")
    by = hashes(tmp_path)

    def clock() -> int:
        """Change the file between the look at its status and its reading."""
        file.write_bytes(b"two and more")
        return LATER

    by.now = clock

    assert read(file, by) is None


@pytest.mark.parametrize(
    "cache",
    [
        "",
        "{",
        "[]",
        '{"files": {}}',
        json.dumps({"version": VERSION, "files": ["a"]}),
        json.dumps(["files", "version"]),
        json.dumps({"version": "of another time", "files": {"a": "1 1 1 1 sha256 -"}}),
    ],
)
def test_a_cache_that_cannot_be_used_is_empty(cache: str, tmp_path: Path) -> None:
    """A damaged cache, and one of another version, which may have known fewer secrets, is ignored."""
    (tmp_path / "hashes.json").write_text(cache, encoding="utf-8")

    assert {} == FileHashes.read(tmp_path / "hashes.json").known


def test_only_files_of_this_command_stay_in_the_cache(tmp_path: Path) -> None:
    """A file that has gone, or is no longer part of the project, is forgotten."""
    cached(tmp_path)
    other = tmp_path / "other.bin"
    other.write_bytes(b"x")
    by = hashes(tmp_path)
    read(other, by)
    by.save()

    assert [str(other)] == [*hashes(tmp_path).known]


def test_without_its_folder_no_cache_is_written(tmp_path: Path) -> None:
    """A command that only looks leaves nothing in a project that was never built."""
    file = tmp_path / "a"
    file.write_bytes(b"x")
    by = FileHashes(file=tmp_path / "none" / "hashes.json", now=lambda: file.stat().st_ctime_ns + LATER)
    read(file, by)
    by.save()

    assert not (tmp_path / "none").exists()


# Stamps


def test_a_stamp_is_size_both_times_and_inode(tmp_path: Path) -> None:
    """Mode and owner do not count, though a change of either changes the ctime."""
    file = tmp_path / "a"
    file.write_bytes(b"four")
    status = file.stat()

    assert f"4 {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino} " == stamp_of(status)


@pytest.mark.parametrize(
    ("mtime", "ctime", "expected"),
    [
        pytest.param(NOW - TICK - 1, BEFORE + 1, True, id="fine, longer ago than a tick"),
        pytest.param(NOW - TICK + 1, BEFORE + 1, False, id="fine, within a tick"),
        pytest.param(BEFORE + 1, NOW - TICK - 1, True, id="fine, its ctime longer ago than a tick"),
        pytest.param(BEFORE + 1, NOW - TICK + 1, False, id="fine, its ctime within a tick"),
        pytest.param(BEFORE, NOW - TICK - 1, True, id="an mtime set back to a whole second, a fine ctime"),
        pytest.param(NOW - 3 * SECOND, BEFORE, True, id="whole seconds, longer ago than FAT's two"),
        pytest.param(NOW - 2 * SECOND, BEFORE, False, id="whole seconds, just FAT's two ago"),
        pytest.param(NOW - SECOND, NOW - SECOND, False, id="whole seconds, one ago"),
        pytest.param(NOW + SECOND + 1, BEFORE, False, id="in the future, since the clock was set back"),
        pytest.param(BEFORE, NOW + 3600 * SECOND, False, id="whole seconds in the future"),
    ],
)
def test_a_file_older_than_the_step_of_its_clock_is_settled(
    mtime: int, ctime: int, *, expected: bool
) -> None:
    """The later of both times counts, in steps of 50 ms, or of two seconds if both are whole seconds."""
    status = SimpleNamespace(st_mtime_ns=mtime, st_ctime_ns=ctime)

    assert expected == is_settled(cast("os.stat_result", status), NOW)


def test_a_cache_that_cannot_be_written_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache only saves time: what cannot be written is read from the files again."""
    monkeypatch.setattr(file_hashes, "is_settled", lambda *_: True)
    cache, file = tmp_path / "hashes.json", tmp_path / "file"
    (cache / "in the way").mkdir(parents=True)
    file.write_bytes(b"x" * 10)
    hashes = FileHashes(file=cache)
    hashes.content(str(file), file.stat())

    hashes.save()

    assert ["in the way"] == [path.name for path in cache.iterdir()]
