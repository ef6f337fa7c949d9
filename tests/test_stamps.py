"""What tells, without reading a file, that it has not changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from azureml_tasks.context.file_hashes import settled, stamp_of

if TYPE_CHECKING:
    from pathlib import Path

SECOND = 10**9
TICK = SECOND // 20
NOW = 1_700_000_000 * SECOND
BEFORE = NOW - 3600 * SECOND


def test_a_stamp_is_size_both_times_and_inode(tmp_path: Path) -> None:
    """It is what `stat` says of a file's size, changes and place, and nothing of its mode or owner."""
    file = tmp_path / "a"
    file.write_bytes(b"four")
    found = file.stat()

    assert (4, found.st_mtime_ns, found.st_ctime_ns, found.st_ino) == stamp_of(found)


@pytest.mark.parametrize(
    ("mtime", "ctime", "expected"),
    [
        pytest.param(NOW - TICK - 1, BEFORE + 1, True, id="fine, longer ago than a tick"),
        pytest.param(NOW - TICK + 1, BEFORE + 1, False, id="fine, within a tick"),
        pytest.param(BEFORE + 1, NOW - TICK - 1, True, id="fine, its status longer ago than a tick"),
        pytest.param(BEFORE + 1, NOW - TICK + 1, False, id="fine, its status within a tick"),
        pytest.param(BEFORE, NOW - TICK - 1, True, id="a time put back to a whole second, the other fine"),
        pytest.param(NOW - 3 * SECOND, BEFORE, True, id="whole seconds, longer ago than FAT's two"),
        pytest.param(NOW - 2 * SECOND, BEFORE, False, id="whole seconds, just FAT's two ago"),
        pytest.param(NOW - SECOND, NOW - SECOND, False, id="whole seconds, one ago"),
        pytest.param(NOW + SECOND + 1, BEFORE, False, id="after now, since the clock was set back"),
        pytest.param(BEFORE, NOW + 3600 * SECOND, False, id="whole seconds after now"),
    ],
)
def test_what_is_older_than_the_clock_can_tell_is_settled(mtime: int, ctime: int, *, expected: bool) -> None:
    """The later of both times counts, by a clock of 50 ms, or of two seconds where it shows whole seconds alone."""
    assert expected == settled((4, mtime, ctime, 7), NOW)
