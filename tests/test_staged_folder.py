"""A build context as a folder: what its archive would unpack to, with only the differences written."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from azureml_tasks.context.build_context import BuildContext, new_context
from azureml_tasks.context.context_file import ContextFile
from azureml_tasks.context.tar_archive import TIME, archive
from azureml_tasks.engines.docker.staged_folder import FOLDER, stage, staged
from azureml_tasks.errors import BuildError
from azureml_tasks.state.runs import Run

DOCKERFILE = "FROM scratch\n"
SECOND = 10**9


def text(name: str, content: str, *, executable: bool = False, folder: Path) -> ContextFile:
    """Return a member for a file with this content, which is written below *folder*."""
    source = folder / name.replace("/", "-")
    source.write_text(content, encoding="utf-8")
    return ContextFile(name=name, source=str(source), size=len(content), executable=executable)


def every_kind(source: Path) -> BuildContext:
    """Return a context of folders, a program, a private file, a link, an empty file, and a file without source."""
    weights = source / "weights.bin"
    weights.write_bytes(b"\0" * 3_000_000)
    weights.chmod(0o600)
    files = (
        ContextFile(name="code/"),
        ContextFile(name="code/empty"),
        ContextFile(name="code/link", link="run.sh"),
        text("code/run.sh", "#!/bin/sh\n", executable=True, folder=source),
        ContextFile(name="model/"),
        ContextFile(name="model/deep/"),
        ContextFile(name="model/deep/weights.bin", source=str(weights), size=3_000_000),
        ContextFile(name="python/"),
        ContextFile(name="python/requirements.txt", data=b"six\n", size=4),
    )
    return new_context(files, DOCKERFILE)


def described(folder: Path) -> dict[str, tuple[int, int, str, bytes]]:
    """Return mode, second, link and content of everything below *folder*, by name."""
    entries = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        link = str(path.readlink()) if path.is_symlink() else ""
        content = path.read_bytes() if path.is_file() and not link else b""
        second = 0 if link else int(status.st_mtime)  # tarfile leaves a link its own time.
        entries[path.relative_to(folder).as_posix()] = (status.st_mode, second, link, content)
    return entries


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder for the files of the project."""
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to stage into."""
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


def test_it_is_what_the_archive_unpacks_to(source: Path, folder: Path, tmp_path: Path) -> None:
    """Names, kinds, modes, seconds, links and contents are the same, whatever those of the sources are."""
    context = every_kind(source)

    stage(context, folder)

    with tarfile.open(fileobj=io.BytesIO(b"".join(archive(context)))) as packed:
        packed.extraction_filter = staticmethod(lambda member, _: member)  # Newer Pythons would change modes.
        packed.extractall(tmp_path / "unpacked")  # noqa: S202 -- our own archive
    assert described(tmp_path / "unpacked") == described(folder)


def test_the_time_of_a_file_follows_from_its_content(source: Path, tmp_path: Path) -> None:
    """Two contents of one size have different times within one second; the same content always has the same one."""
    times = []
    for number, content in enumerate(("one", "two", "one")):
        (tmp_path / str(number)).mkdir()
        files = (ContextFile(name="code/"), text("code/a", content, folder=source))
        stage(new_context(files, DOCKERFILE), tmp_path / str(number))
        times.append((tmp_path / str(number) / "code/a").stat().st_mtime_ns)

    assert times[0] == times[2] != times[1]
    assert {TIME} == {time // SECOND for time in times}


def test_a_copy_is_no_hard_link(source: Path, folder: Path) -> None:
    """Time and mode of the user's own file stay as they are."""
    context = every_kind(source)
    before = {path: path.stat() for path in source.iterdir()}

    stage(context, folder)

    after = {path: path.stat() for path in source.iterdir()}
    assert [(s.st_mode, s.st_mtime_ns, 1) for s in before.values()] == [
        (s.st_mode, s.st_mtime_ns, s.st_nlink) for s in after.values()
    ]


# The next time


def test_only_changed_files_are_written(source: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with other content or another mode is copied; removed ones go, all others stay untouched."""
    files = {name: text(f"code/{name}", name, folder=source) for name in ("a", "b", "c", "d")}
    stage(new_context((ContextFile(name="code/"), *files.values()), DOCKERFILE), folder)
    written: list[str] = []
    open_file = os.open

    def recorded(path: str, flags: int, mode: int) -> int:
        """Open a file, and note its name."""
        written.append(Path(path).name)
        return open_file(path, flags, mode)

    monkeypatch.setattr(os, "open", recorded)
    files["a"] = text("code/a", "x", folder=source)
    files["b"] = files["b"]._replace(executable=True)
    del files["c"]
    after_change = (ContextFile(name="code/"), *files.values(), ContextFile(name="code/new/"))
    stage(new_context(after_change, DOCKERFILE), folder)

    assert ["a", "b"] == written
    assert [(b"x", 0o644), (b"b", 0o755), (b"d", 0o644)] == [
        ((folder / "code" / name).read_bytes(), stat.S_IMODE((folder / "code" / name).stat().st_mode))
        for name in ("a", "b", "d")
    ]
    assert ["a", "b", "d", "new"] == sorted(path.name for path in (folder / "code").iterdir())


KINDS: dict[str, Callable[[Path], tuple[ContextFile, ...]]] = {
    "file": lambda source: (text("code/x", "x", folder=source),),
    "folder": lambda source: (ContextFile(name="code/x/"), text("code/x/y", "y", folder=source)),
    "link": lambda _: (ContextFile(name="code/x", link="z"),),
    "link elsewhere": lambda _: (ContextFile(name="code/x", link="elsewhere"),),
    "nothing": lambda _: (),
}


@pytest.mark.parametrize("before", KINDS)
@pytest.mark.parametrize("after", KINDS)
def test_one_kind_of_member_replaces_another(before: str, after: str, source: Path, tmp_path: Path) -> None:
    """The folder is the same as a new one, whatever it was before."""
    contexts = [
        new_context((ContextFile(name="code/"), *KINDS[kind](source)), DOCKERFILE) for kind in (before, after)
    ]
    for name in ("used", "new"):
        (tmp_path / name).mkdir()

    for context in contexts:
        stage(context, tmp_path / "used")
    stage(contexts[1], tmp_path / "new")

    assert described(tmp_path / "new") == described(tmp_path / "used")


def test_a_broken_folder_is_repaired(source: Path, folder: Path) -> None:
    """A copy that was changed, truncated or removed, and what does not belong there, are put right."""
    context = every_kind(source)
    stage(context, folder)
    expected = described(folder)
    (folder / "code/run.sh").write_text("#!/bin/no\n", encoding="utf-8")
    (folder / "model/deep/weights.bin").write_bytes(b"")
    (folder / "python/requirements.txt").unlink()
    (folder / "code/link").unlink()
    (folder / "code/link").symlink_to(source)
    (folder / "model").chmod(0o700)
    (folder / "foreign").mkdir()
    (folder / "foreign/file").touch()

    stage(context, folder)

    assert expected == described(folder)


@pytest.mark.parametrize("content", ["longer", "xxx", None])
def test_a_file_that_has_changed_since_it_was_hashed_is_an_error(
    content: str | None, source: Path, folder: Path
) -> None:
    """Its copy would have the time of another content."""
    file = text("code/a", "abc", folder=source)
    context = new_context((ContextFile(name="code/"), file), DOCKERFILE)
    if content is None:
        Path(file.source).unlink()
    else:
        Path(file.source).write_text(content, encoding="utf-8")

    with pytest.raises(BuildError, match=r"code-a changed while it was read"):
        stage(context, folder)


# Where it is


def code(source: Path) -> BuildContext:
    """Return a context with code."""
    return new_context((ContextFile(name="code/"), text("code/a", "a", folder=source)), DOCKERFILE)


def where(context: BuildContext, records: Path) -> Path:
    """Stage *context*, and return the folder that was used."""
    with staged(context, Run(records, "an engine")) as folder:
        assert {"Dockerfile", *(file.name.rstrip("/") for file in context.files)} == set(described(folder))
        return folder


def test_the_code_has_one_folder_that_stays(source: Path, tmp_path: Path) -> None:
    """Two builds of one project use one folder; another project's has another name."""
    others = tmp_path / "others"
    others.mkdir()

    folders = [where(code(source), records) for records in (tmp_path, tmp_path, others)]

    assert folders[0] == folders[1]
    assert folders[0].name != folders[2].name
    assert [True, True] == [folder.is_dir() for folder in folders[1:]]


def test_a_context_without_code_leaves_nothing(source: Path, tmp_path: Path) -> None:
    """A model is not kept twice."""
    context = new_context((ContextFile(name="model/"), text("model/w", "w", folder=source)), DOCKERFILE)

    folders = [where(context, tmp_path) for _ in range(2)]

    assert folders[0].name != folders[1].name
    assert ["source"] == [path.name for path in tmp_path.iterdir()]


def test_a_build_beside_another_one_has_a_folder_of_its_own(source: Path, tmp_path: Path) -> None:
    """The folder that stays belongs to one build at a time."""
    with staged(code(source), Run(tmp_path, "an engine")) as first:
        second = where(code(source), tmp_path)
        assert first.is_dir()

    assert first != second
    assert (False, first) == (second.exists(), where(code(source), tmp_path))


def test_a_file_system_without_locks_or_nanoseconds_gets_a_new_folder_each_time(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With coarse times BuildKit would not see a change that keeps the size."""
    utime = os.utime
    with monkeypatch.context() as patch:
        patch.setattr(
            os,
            "utime",
            lambda path, times=None, **options: utime(
                path, times or tuple(ns // SECOND for ns in options.pop("ns")), **options
            ),
        )
        coarse = where(code(source), tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(FileLock, "acquire", lambda *_, **__: _raise(OSError("no locks")))
        unlocked = where(code(source), tmp_path)

    assert [False, False] == [coarse.exists(), unlocked.exists()]


def _raise(error: Exception) -> None:
    raise error


def copied(home: Path, folder: Path) -> None:
    """Put a copy in place of the folder, as in a copied project."""
    shutil.copytree(folder, home / "copy")
    shutil.rmtree(folder)
    (home / "copy").rename(folder)


def renamed(home: Path, folder: Path) -> None:
    """Give the folder another name."""
    folder.rename(home / "other")


def linked(home: Path, folder: Path) -> None:
    """Put a link in place of the folder."""
    folder.rename(home / "other")
    folder.symlink_to(home / "other")


def damaged(home: Path, folder: Path) -> None:
    """Damage the note of its name."""
    del folder
    (home / "folder.json").write_text("{", encoding="utf-8")


def outside(home: Path, folder: Path) -> None:
    """Name a folder outside in the note."""
    del folder
    inode = home.parent.stat().st_ino
    (home / "folder.json").write_text(json.dumps({"name": "..", "inode": inode}), encoding="utf-8")


@pytest.mark.parametrize("change", [copied, renamed, linked, damaged, outside])
def test_a_foreign_folder_is_replaced(change: object, source: Path, tmp_path: Path) -> None:
    """A folder that is not the recorded one gets a new name, and what was there before goes."""
    records = tmp_path / "records"
    records.mkdir()
    first = where(code(source), records)
    assert callable(change)
    change(records / FOLDER, first)

    second = where(code(source), records)

    assert first.name != second.name
    assert [second] == [
        path for path in (records / FOLDER).iterdir() if path.is_dir() and not path.is_symlink()
    ]
