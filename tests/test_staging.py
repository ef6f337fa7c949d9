"""A build context laid out as a folder is what its archive would unpack to."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from azureml_tasks.context.build_context import BuildContext
from azureml_tasks.context.context_file import ContextFile
from azureml_tasks.context.tar_archive import archive
from azureml_tasks.engines.docker.staged_folder import stage
from azureml_tasks.errors import BuildError

if TYPE_CHECKING:
    from pathlib import Path


def context(source: Path) -> BuildContext:
    """Folders, a program, a file that nobody else may read, a link, an empty file, and what stands in no file."""
    (source / "run.sh").write_text("#!/bin/sh\n", encoding="utf-8")
    (source / "weights.bin").write_bytes(b"\0" * 3_000_000)
    (source / "weights.bin").chmod(0o600)
    members = (
        ContextFile(name="code/"),
        ContextFile(name="code/empty"),
        ContextFile(name="code/link", link="run.sh"),
        ContextFile(name="code/run.sh", source=str(source / "run.sh"), size=10, executable=True),
        ContextFile(name="model/"),
        ContextFile(name="model/deep/"),
        ContextFile(name="model/deep/weights.bin", source=str(source / "weights.bin"), size=3_000_000),
        ContextFile(name="python/requirements.txt", data=b"six\n", size=4),
    )
    return BuildContext(files=(ContextFile(name="python/"), *members), dockerfile="FROM scratch\n", sha256="")


def described(folder: Path) -> dict[str, tuple[int, int, str, bytes]]:
    """Mode, time, link and content of everything below *folder*, by name."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        link = str(path.readlink()) if path.is_symlink() else ""
        content = path.read_bytes() if path.is_file() and not link else b""
        moment = 0 if link else int(status.st_mtime)  # An archive's reader leaves a link its own time.
        found[path.relative_to(folder).as_posix()] = (status.st_mode, moment, link, content)
    return found


def test_it_is_what_the_archive_unpacks_to(tmp_path: Path) -> None:
    """Names, kinds, modes, times, links and contents are the same, whatever the sources' own are."""
    source, staged, unpacked = (tmp_path / name for name in ("source", "staged", "unpacked"))
    for folder in (source, staged, unpacked):
        folder.mkdir()
    made = context(source)

    stage(made, staged)

    with tarfile.open(fileobj=io.BytesIO(b"".join(archive(made)))) as packed:
        packed.extraction_filter = staticmethod(lambda member, _: member)  # Newer Pythons would change modes.
        packed.extractall(unpacked)  # noqa: S202 -- our own archive
    assert described(unpacked) == described(staged)


def test_a_file_that_has_changed_ends_it(tmp_path: Path) -> None:
    """What is not as large as it was looked at is not what was looked at."""
    (tmp_path / "staged").mkdir()
    (tmp_path / "weights.bin").write_bytes(b"longer")
    file = ContextFile(name="weights.bin", source=str(tmp_path / "weights.bin"), size=3)

    with pytest.raises(BuildError, match=r"weights\.bin changed while it was read"):
        stage(BuildContext(files=(file,), dockerfile="", sha256=""), tmp_path / "staged")
