"""After a build it is seen that its files are still those that were hashed before it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from azureml_tasks.context.build_context import BuildContext, confirm, new_context
from azureml_tasks.context.context_file import ContextFile
from azureml_tasks.context.file_hashes import FileHashes
from azureml_tasks.errors import BuildError
from tests.projects import age, later

NAMES = ("a", "b", "c", "d")


def looked_at(folder: Path) -> BuildContext:
    """A build context of four files and two that stand nowhere, whose hashes were taken."""
    for name in NAMES:
        (folder / name).write_text("one", encoding="utf-8")
    age(folder)
    files = (
        ContextFile(name="code/"),
        *(ContextFile(name=f"code/{name}", source=str(folder / name), size=3) for name in NAMES),
        ContextFile(name="code/link", link="a"),
        ContextFile(name="python/requirements.txt", data=b"numpy\n", size=6),
    )
    return new_context(files, "", FileHashes(file=folder / "hashes.json", now=later))


def another(file: Path, text: str) -> None:
    """Another file in its place, with its time."""
    status, other = file.stat(), file.with_name("other")
    other.write_text(text, encoding="utf-8")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(file)


SAME: dict[str, Callable[[Path], object]] = {
    "nothing": lambda _: None,
    "touched": lambda folder: os.utime(folder / "a", (1, 1)),
    "written again": lambda folder: (folder / "a").write_text("one", encoding="utf-8"),
    "another file of the same bytes": lambda folder: another(folder / "a", "one"),
    "a mode, as the archive has the one from before": lambda folder: (folder / "a").chmod(0o755),
}
OTHER: dict[str, Callable[[Path], object]] = {
    "the same size": lambda folder: (folder / "a").write_text("two", encoding="utf-8"),
    "longer": lambda folder: (folder / "a").write_text("one more", encoding="utf-8"),
    "gone": lambda folder: (folder / "a").unlink(),
    "another file of the same size": lambda folder: another(folder / "a", "two"),
}


@pytest.mark.parametrize("change", SAME)
def test_what_holds_the_same_is_confirmed(change: str, tmp_path: Path) -> None:
    """Files whose bytes are those that were hashed are no reason to stop, whatever their stamps say."""
    found = looked_at(tmp_path)
    SAME[change](tmp_path)

    confirm(found)


@pytest.mark.parametrize("change", OTHER)
def test_what_holds_something_else_is_not(change: str, tmp_path: Path) -> None:
    """A file that has changed or gone since it was hashed is named, with what to do."""
    found = looked_at(tmp_path)
    OTHER[change](tmp_path)

    with pytest.raises(BuildError) as caught:
        confirm(found)

    expected = "The files changed while the image was built: code/a.\n    Run the same command again."
    assert expected == str(caught.value)


def test_three_files_are_named(tmp_path: Path) -> None:
    """Of many that have changed the first three are named."""
    found = looked_at(tmp_path)
    for name in NAMES:
        (tmp_path / name).write_text("two", encoding="utf-8")

    with pytest.raises(BuildError) as caught:
        confirm(found)

    expected = "The files changed while the image was built: code/a, code/b, code/c and others."
    assert expected == caught.value.what


def test_what_was_hashed_just_now_is_read_again(tmp_path: Path) -> None:
    """A file that was so young when it was hashed that its stamp tells nothing is looked at by its bytes."""
    found = looked_at(tmp_path)
    young = new_context(found.files, "", FileHashes(file=tmp_path / "hashes.json", now=lambda: 0))
    confirm(young)
    stamp = (tmp_path / "a").stat()

    (tmp_path / "a").write_text("two", encoding="utf-8")
    os.utime(tmp_path / "a", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))

    with pytest.raises(BuildError, match="The files changed"):
        confirm(young)


def test_a_part_has_its_own_files_to_confirm(tmp_path: Path) -> None:
    """What was made of the model alone is what it was whatever becomes of the code, and not where the model changes."""
    (tmp_path / "weights").write_text("weights", encoding="utf-8")
    found = looked_at(tmp_path)
    model = (
        ContextFile(name="model/"),
        ContextFile(name="model/w", source=str(tmp_path / "weights"), size=7),
    )
    part = new_context((*found.files, *model), "", found.hashes)._replace(files=model)

    (tmp_path / "a").write_text("two", encoding="utf-8")
    confirm(part)
    (tmp_path / "weights").write_text("WEIGHTS", encoding="utf-8")

    with pytest.raises(BuildError, match=r": model/w\.\n"):
        confirm(part)
