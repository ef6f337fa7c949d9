"""After a build its files are compared with those that were hashed before."""

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


def hashed_context(folder: Path) -> BuildContext:
    """Return the context of four files, a link and a file without source."""
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


def replace(file: Path, text: str) -> None:
    """Put another file with the same time in its place."""
    status, other = file.stat(), file.with_name("other")
    other.write_text(text, encoding="utf-8")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(file)


SAME: dict[str, Callable[[Path], object]] = {
    "nothing": lambda _: None,
    "touched": lambda folder: os.utime(folder / "a", (1, 1)),
    "written again": lambda folder: (folder / "a").write_text("one", encoding="utf-8"),
    "another file of the same bytes": lambda folder: replace(folder / "a", "one"),
    "a mode, as the archive has the one from before": lambda folder: (folder / "a").chmod(0o755),
}
OTHER: dict[str, Callable[[Path], object]] = {
    "the same size": lambda folder: (folder / "a").write_text("two", encoding="utf-8"),
    "longer": lambda folder: (folder / "a").write_text("one more", encoding="utf-8"),
    "gone": lambda folder: (folder / "a").unlink(),
    "another file of the same size": lambda folder: replace(folder / "a", "two"),
}


@pytest.mark.parametrize("change", SAME)
def test_files_with_the_same_content_are_confirmed(change: str, tmp_path: Path) -> None:
    """New times, modes or inodes are no change."""
    context = hashed_context(tmp_path)
    SAME[change](tmp_path)

    confirm(context)


@pytest.mark.parametrize("change", OTHER)
def test_a_changed_file_is_an_error(change: str, tmp_path: Path) -> None:
    """The error names the file and the next step."""
    context = hashed_context(tmp_path)
    OTHER[change](tmp_path)

    with pytest.raises(BuildError) as caught:
        confirm(context)

    expected = "The files changed while the image was built: code/a.\n    Run the same command again."
    assert expected == str(caught.value)


def test_the_error_names_three_files(tmp_path: Path) -> None:
    """If more have changed, it says so."""
    context = hashed_context(tmp_path)
    for name in NAMES:
        (tmp_path / name).write_text("two", encoding="utf-8")

    with pytest.raises(BuildError) as caught:
        confirm(context)

    expected = "The files changed while the image was built: code/a, code/b, code/c and others."
    assert expected == caught.value.what


def test_a_file_that_was_young_when_it_was_hashed_is_read_again(tmp_path: Path) -> None:
    """Its stamp may be the same after a change."""
    context = hashed_context(tmp_path)
    young = new_context(context.files, "", FileHashes(file=tmp_path / "hashes.json", now=lambda: 0))
    confirm(young)
    stamp = (tmp_path / "a").stat()

    (tmp_path / "a").write_text("two", encoding="utf-8")
    os.utime(tmp_path / "a", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))

    with pytest.raises(BuildError, match="The files changed"):
        confirm(young)


def test_only_files_of_the_part_are_confirmed(tmp_path: Path) -> None:
    """Cached layers with the model do not depend on the code."""
    (tmp_path / "weights").write_text("weights", encoding="utf-8")
    context = hashed_context(tmp_path)
    model = (
        ContextFile(name="model/"),
        ContextFile(name="model/w", source=str(tmp_path / "weights"), size=7),
    )
    part = new_context((*context.files, *model), "", context.hashes)._replace(files=model)

    (tmp_path / "a").write_text("two", encoding="utf-8")
    confirm(part)
    (tmp_path / "weights").write_text("WEIGHTS", encoding="utf-8")

    with pytest.raises(BuildError, match=r": model/w\.\n"):
        confirm(part)
