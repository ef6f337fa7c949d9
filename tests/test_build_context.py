"""The build context: its hash, and its archive."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import tarfile
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import azureml_tasks
from azureml_tasks.context.build_context import BuildContext, digest, largest
from azureml_tasks.context.context_file import ContextFile
from azureml_tasks.context.tar_archive import archive
from azureml_tasks.errors import BuildError
from azureml_tasks.requirements.install_step import SCRIPTS

if TYPE_CHECKING:
    from collections.abc import Callable

PINNED_DIGEST = "3895e98f17dba0391a5805031ac56f16ab0bba535e03669be96eb57fb6adf7a2"
PINNED_ARCHIVE = "1cd2b480ce5b9b993506ac2492f38d9347a3ad44268e5f784b0b0f9cc391a420"


def member(path: Path, name: str = "code/a.txt") -> ContextFile:
    """Return the member of the context for a file."""
    status = path.stat()
    return ContextFile(
        name=name, source=str(path), size=status.st_size, executable=bool(status.st_mode & 0o100)
    )


def project(folder: Path, *, mode: int = 0o644) -> Path:
    """Return a project with every kind of member; its files have *mode*."""
    files = {
        "pyproject.toml": '[project]\nname = "scoring"\nversion = "1.0"\n[tool.azureml-image]\n'
        'base = "bases/serving:4"\npip = ["numpy"]\nmodel = "model"\n',
        "code/score.py": "def init(): ...\ndef run(data): ...\n",
        "code/模型/a b.txt": "a\n",
        "code/" + "long/" * 30 + "name.txt": "b\n",
        "model/model.bin": "weights\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(mode)
    (folder / "code/tool.sh").write_text("#!/bin/sh\n", encoding="utf-8")
    (folder / "code/tool.sh").chmod(mode | 0o100)
    (folder / "code/latest").symlink_to("模型/a b.txt")
    return folder


def context(folder: Path, *, scripts: bool = True) -> BuildContext:
    """Return the context of the project in *folder*; without our scripts if *scripts* is false."""
    plan = azureml_tasks.plan(azureml_tasks.load(folder))
    left_out = () if scripts else tuple(f"python/{name}" for name in SCRIPTS)
    files = tuple(file for file in plan.files if file.name not in left_out)
    return BuildContext(files=files, dockerfile="FROM bases/serving:4\n", sha256=digest(files))


def packed(build_context: BuildContext) -> bytes:
    """Return the whole archive."""
    return b"".join(archive(build_context))


def test_its_members_are_the_dockerfile_and_the_files(tmp_path: Path) -> None:
    """An archive holds the Dockerfile, then the files in their order."""
    text = "FROM bases/serving:4\n# é\n"
    build_context = BuildContext(files=context(project(tmp_path)).files, dockerfile=text, sha256="")

    dockerfile = ContextFile(name="Dockerfile", data=text.encode(), size=len(text.encode()))
    assert (dockerfile, *build_context.files) == build_context.members
    with tarfile.open(fileobj=io.BytesIO(packed(build_context))) as archived:
        assert [file.name.rstrip("/") for file in build_context.members] == archived.getnames()


# The hash


def test_the_digest_is_over_names_executable_bits_and_contents(tmp_path: Path) -> None:
    """It is the SHA-256 over one line for each member: kind, SHA-256 of the content, and name."""
    source = tmp_path / "a"
    source.write_bytes(b"a\n")
    files = [
        ContextFile(name="code/"),
        ContextFile(name="code/a", source=str(source), size=2),
        ContextFile(name="code/b", data=b"b", size=1, executable=True),
        ContextFile(name="code/模型", link="a"),
    ]

    actual = digest(files)

    lines = (
        b"folder - code/\0",
        b"file " + hashlib.sha256(b"a\n").hexdigest().encode() + b" code/a\0",
        b"program " + hashlib.sha256(b"b").hexdigest().encode() + b" code/b\0",
        b"link " + hashlib.sha256(b"a").hexdigest().encode() + " code/模型\0".encode(),
    )
    assert (hashlib.sha256(b"".join(lines)).hexdigest(), PINNED_DIGEST) == (actual, actual)


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda folder: (folder / "code/score.py").write_text("def init(): ...\ndef run(date): ...\n"),
    "name": lambda folder: (folder / "model/model.bin").rename(folder / "model/model.bim"),
    "executable bit": lambda folder: (folder / "model/model.bin").chmod(0o744),
    "a new file": lambda folder: (folder / "code/empty").touch(),
    "a new folder": lambda folder: (folder / "code/empty").mkdir(),
    "a file less": lambda folder: (folder / "code/tool.sh").unlink(),
    "a link's target": lambda folder: _relink(folder / "code/latest", "score.py"),
    "a link made a file": lambda folder: _unlink(folder / "code/latest"),
    "a requirement": lambda folder: _replace(folder / "pyproject.toml", "numpy", "pandas"),
}
NO_CHANGES: dict[str, Callable[[Path], object]] = {
    "nothing": lambda _: None,
    "time": lambda folder: os.utime(folder / "code/score.py", (1, 1)),
    "mode of the group": lambda folder: (folder / "code/score.py").chmod(0o660),
    "mode of others": lambda folder: (folder / "code/score.py").chmod(0o646),
    "executable by others alone": lambda folder: (folder / "code/score.py").chmod(0o655),
    "mode of a folder": lambda folder: (folder / "code/模型").chmod(0o700),
    "a file outside": lambda folder: (folder / "README.md").touch(),
    "a variable": lambda folder: _replace(folder / "pyproject.toml", "pip =", "env = { A = '1' }\npip ="),
}


def _relink(link: Path, target: str) -> None:
    link.unlink()
    link.symlink_to(target)


def _unlink(link: Path) -> None:
    content = link.read_bytes()
    link.unlink()
    link.write_bytes(content)


def _replace(file: Path, old: str, new: str) -> None:
    file.write_text(file.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_content_changes_the_digest(change: str, tmp_path: Path) -> None:
    """Names, contents and executable bits count."""
    before = context(project(tmp_path)).sha256
    CHANGES[change](tmp_path)

    assert before != context(tmp_path).sha256


@pytest.mark.parametrize("change", NO_CHANGES)
def test_nothing_else_changes_the_digest_or_the_archive(change: str, tmp_path: Path) -> None:
    """Times, owners, other bits and files that are not copied do not count."""
    before = context(project(tmp_path))
    bytes_before = packed(before)
    NO_CHANGES[change](tmp_path)

    after = context(tmp_path)

    assert (before.sha256, bytes_before) == (after.sha256, packed(after))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_changes_nothing(tmp_path: Path) -> None:
    """It is not in the archive."""
    before = context(project(tmp_path))
    bytes_before = packed(before)
    os.chown(tmp_path / "code/score.py", 4711, 4712)

    after = context(tmp_path)

    assert (before.sha256, bytes_before) == (after.sha256, packed(after))


# The archive


def test_the_same_files_give_the_same_bytes_everywhere(tmp_path: Path) -> None:
    """Two checkouts give the same archive, whose hash is pinned."""
    contexts = [context(project(tmp_path / name), scripts=False) for name in ("a", "b")]

    hashes = [hashlib.sha256(packed(each)).hexdigest() for each in contexts]

    assert [PINNED_ARCHIVE, PINNED_ARCHIVE] == hashes


def test_members_have_nothing_of_the_machine(tmp_path: Path) -> None:
    """Owner and time are fixed, modes are 0644 or 0755, and the Dockerfile is first."""
    build_context = context(project(tmp_path, mode=0o600))
    (tmp_path / "code/模型").chmod(0o700)

    with tarfile.open(fileobj=io.BytesIO(packed(build_context))) as tar:
        members = [(m.name, m.type, m.mode, m.uid, m.gid, m.uname, m.gname, m.mtime, m.linkname) for m in tar]

    def entry(name: str, kind: bytes, mode: int, link: str = "") -> tuple[Any, ...]:
        return (name, kind, mode, 0, 0, "", "", 315_532_800, link)

    deep = [entry("code/" + "/".join(["long"] * count), tarfile.DIRTYPE, 0o755) for count in range(1, 31)]
    expected = [
        entry("Dockerfile", tarfile.REGTYPE, 0o644),
        entry("code", tarfile.DIRTYPE, 0o755),
        entry("code/latest", tarfile.SYMTYPE, 0o777, "模型/a b.txt"),
        *deep,
        entry("code/" + "long/" * 30 + "name.txt", tarfile.REGTYPE, 0o644),
        entry("code/score.py", tarfile.REGTYPE, 0o644),
        entry("code/tool.sh", tarfile.REGTYPE, 0o755),
        entry("code/模型", tarfile.DIRTYPE, 0o755),
        entry("code/模型/a b.txt", tarfile.REGTYPE, 0o644),
        entry("model", tarfile.DIRTYPE, 0o755),
        entry("model/model.bin", tarfile.REGTYPE, 0o644),
        entry("python", tarfile.DIRTYPE, 0o755),
        entry("python/conflicts.py", tarfile.REGTYPE, 0o644),
        entry("python/environment.py", tarfile.REGTYPE, 0o644),
        entry("python/install.py", tarfile.REGTYPE, 0o644),
        entry("python/requirements.txt", tarfile.REGTYPE, 0o644),
    ]
    assert expected == members


def test_contents_are_the_files_own(tmp_path: Path) -> None:
    """Every member has its content, ours and the user's."""
    build_context = context(project(tmp_path), scripts=False)

    with tarfile.open(fileobj=io.BytesIO(packed(build_context))) as tar:
        contents = {m.name: tar.extractfile(m).read() for m in tar if m.isreg()}  # type: ignore[union-attr]  # regular files have content

    assert contents == {
        "Dockerfile": b"FROM bases/serving:4\n",
        "code/" + "long/" * 30 + "name.txt": b"b\n",
        "code/score.py": b"def init(): ...\ndef run(data): ...\n",
        "code/tool.sh": b"#!/bin/sh\n",
        "code/模型/a b.txt": b"a\n",
        "model/model.bin": b"weights\n",
        "python/requirements.txt": b"numpy\n",
    }


def test_a_private_file_becomes_readable_as_a_copy(tmp_path: Path) -> None:
    """It is 0644 in the archive; the user's own file keeps its mode."""
    build_context = context(project(tmp_path, mode=0o600))
    packed(build_context)

    modes = {name: oct((tmp_path / name).stat().st_mode) for name in ("code/score.py", "code/tool.sh")}

    assert modes == {"code/score.py": "0o100600", "code/tool.sh": "0o100700"}


def test_memory_stays_at_a_few_blocks(tmp_path: Path) -> None:
    """A file of 300 MB is hashed and packed in less than 16 MB of memory."""
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(300_000_000)
    files = (member(big, "model/big"),)
    tracemalloc.start()

    named = digest(files)
    length = sum(len(block) for block in archive(BuildContext(files=files, dockerfile="", sha256=named)))

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (300_000_000 + (-300_000_000 % 512) + 4 * 512, True) == (length, peak < 16_000_000), peak


@pytest.mark.parametrize("change", ["longer", "shorter", "gone"])
@pytest.mark.parametrize("read", ["digest", "archive"])
def test_a_file_that_changes_while_it_is_read_is_an_error(change: str, read: str, tmp_path: Path) -> None:
    """The header in the archive already has the size of before."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"12345")
    files = (member(path),)
    if change == "gone":
        path.unlink()
    else:
        path.write_bytes(b"123456" if change == "longer" else b"1234")

    build_context = BuildContext(files=files, dockerfile="", sha256="")

    with pytest.raises(BuildError) as caught:
        digest(files) if read == "digest" else packed(build_context)

    assert f"{path} changed while it was read.\n    Run the same command again." == str(caught.value)


def test_a_context_counts_its_files_and_their_bytes(tmp_path: Path) -> None:
    """Links count, folders do not."""
    build_context = context(project(tmp_path), scripts=False)

    assert (7, 63) == (build_context.file_count, build_context.size)


def test_the_largest_files_are_those_of_the_project(tmp_path: Path) -> None:
    """They come by size, those of one size by name; what azureml-tasks writes is left out, however large."""
    build_context = context(project(tmp_path))

    top = [(file.name, file.size) for file in largest(build_context.files)]

    expected = [
        ("code/score.py", 35),
        ("code/tool.sh", 10),
        ("model/model.bin", 8),
        ("code/" + "long/" * 30 + "name.txt", 2),
        ("code/模型/a b.txt", 2),
        ("code/latest", 0),
    ]
    assert expected == top


def test_ten_are_the_largest(tmp_path: Path) -> None:
    """Ten is the default."""
    files = [ContextFile(name=f"code/{n:02}", source=str(tmp_path), size=n) for n in range(20)]

    assert [f"code/{n:02}" for n in range(19, 9, -1)] == [file.name for file in largest(files)]


def test_a_socket_is_no_file(tmp_path: Path) -> None:
    """Only files, folders and links can be copied."""
    folder = project(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        before = Path.cwd()
        os.chdir(folder / "code")  # a socket's path may have about 100 characters
        try:
            listener.bind("s")
        finally:
            os.chdir(before)

        with pytest.raises(azureml_tasks.AzuremlTasksError) as caught:
            azureml_tasks.load(folder)

    expected = (
        "pyproject.toml:4: code/s is neither a file nor a folder nor a link\n"
        '    Leave it out: exclude = ["code/s"]\n\n1 problem; nothing was done.'
    )
    assert expected == str(caught.value)
