"""Hashes are taken once, and again whenever a file could have changed."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest

from azureml_tasks.context.file_hashes import FileHashes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LATER = 10**12  # nanoseconds after a file was written


def sha256(content: bytes) -> str:
    """What the hash of *content* is."""
    return hashlib.sha256(content).hexdigest()


def hashes(folder: Path, after: int = LATER) -> FileHashes:
    """What is kept in *folder*, read by a clock that stands so many nanoseconds after its files' times."""
    moment = max((path.stat().st_ctime_ns for path in folder.iterdir()), default=0)
    return FileHashes.read(folder / "hashes.json", now=lambda: moment + after)


def taken(folder: Path) -> Path:
    """A file whose hash has been taken and kept."""
    file = folder / "weights.bin"
    file.write_bytes(b"one")
    before = hashes(folder)
    assert sha256(b"one") == before.of(file, file.stat().st_size)
    before.keep()
    return file


def forged(folder: Path) -> FileHashes:
    """The kept hashes with another one in the place of each, which shows whether a file was read again."""
    found = hashes(folder)
    found.known = {path: (stamp, "kept") for path, (stamp, _) in found.known.items()}
    return found


def same_size(file: Path) -> None:
    """Another byte."""
    file.write_bytes(b"two")


def put_back(file: Path) -> None:
    """Another byte, and the time of before."""
    status = file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def renamed_over(file: Path) -> None:
    """Another file of the same size and time under this name."""
    status = file.stat()
    other = file.with_name("other")
    other.write_bytes(b"two")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(file)


def grown(file: Path) -> None:
    """More bytes."""
    file.write_bytes(b"two and more")


def test_what_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    """A file with the stamp of before has the hash of before, whatever it holds."""
    file = taken(tmp_path)

    assert "kept" == forged(tmp_path).of(file, file.stat().st_size)


@pytest.mark.parametrize("change", [same_size, put_back, renamed_over, grown])
def test_what_has_changed_is_read_again(change: Callable[[Path], None], tmp_path: Path) -> None:
    """Every change shows, also one that keeps size and time."""
    file = taken(tmp_path)
    change(file)

    assert sha256(file.read_bytes()) == forged(tmp_path).of(file, file.stat().st_size)


def test_another_size_than_was_seen_before_has_no_hash(tmp_path: Path) -> None:
    """Who has seen another file under this name is not given the hash of this one."""
    file = taken(tmp_path)

    assert hashes(tmp_path).of(file, 4) is None


def test_a_touched_file_is_read_again_and_has_the_same_hash(tmp_path: Path) -> None:
    """Another time on the same bytes costs one reading."""
    file = taken(tmp_path)
    os.utime(file, ns=(1, 1))

    assert sha256(b"one") == forged(tmp_path).of(file, file.stat().st_size)


@pytest.mark.parametrize("after", [0, 4 * 10**7, -LATER])
def test_what_changed_just_now_or_later_is_not_kept(after: int, tmp_path: Path) -> None:
    """A file as young as the clock can tell, or younger since the clock was set back, is read the next time too."""
    file = tmp_path / "weights.bin"
    file.write_bytes(b"one")
    first = hashes(tmp_path, after)

    assert sha256(b"one") == first.of(file, file.stat().st_size)
    assert {} == first.known


def test_what_was_known_of_a_file_before_is_no_longer(tmp_path: Path) -> None:
    """One that has changed just now is not taken for as old as it was."""
    file = tmp_path / "weights.bin"
    file.write_bytes(b"one")
    first = hashes(tmp_path, LATER)
    first.of(file, 3)
    file.write_bytes(b"two")
    first.now = lambda: file.stat().st_mtime_ns

    assert [str(file)] == [*first.known]
    assert (sha256(b"two"), {}) == (first.of(file, 3), first.known)


def test_a_file_that_changes_while_it_is_read_has_no_hash(tmp_path: Path) -> None:
    """Nothing is said of bytes that were not all there at one time."""
    file = tmp_path / "weights.bin"
    file.write_bytes(b"one")
    found = hashes(tmp_path)

    def clock() -> int:
        """It is asked between the first look at the file and its reading."""
        file.write_bytes(b"two and more")
        return LATER

    found.now = clock

    assert found.of(file, file.stat().st_size) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"files": {"a": [1]}}', '{"files": {"a": ["x", 1, 1, 1, "y"]}}']
)
def test_what_cannot_be_read_is_found_out_again(text: str, tmp_path: Path) -> None:
    """A file of hashes that is none of ours counts for nothing."""
    (tmp_path / "hashes.json").write_text(text, encoding="utf-8")

    assert {} == FileHashes.read(tmp_path / "hashes.json").known


def test_nothing_is_written_where_nothing_was_left_before(tmp_path: Path) -> None:
    """Without the folder of records, no file is made; with it, files that are gone are left out."""
    file = taken(tmp_path)
    file.unlink()
    other = tmp_path / "other.bin"
    other.write_bytes(b"x")
    found = hashes(tmp_path)
    found.of(other, other.stat().st_size)
    found.keep()
    homeless = FileHashes(file=tmp_path / "none" / "hashes.json", known=found.known, now=found.now)
    homeless.of(other, other.stat().st_size)
    homeless.keep()

    assert [str(other)] == list(hashes(tmp_path).known)
    assert not (tmp_path / "none").exists()
