"""The compressed build context."""

from __future__ import annotations

import gzip
import io
import random
import subprocess
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azureml_tasks.context.build_context import BuildContext
from azureml_tasks.context.context_file import ContextFile
from azureml_tasks.context.tar_archive import archive
from azureml_tasks.engines.acr.gzip_archive import BlockReader, gzip_archive
from azureml_tasks.errors import BuildError

KIB, MIB = 1024, 1024 * 1024
FEW_BLOCKS = 12 * MIB


def text_of(size: int) -> bytes:
    """Return bytes that compress well."""
    return (b"weights = [1.0, 2.0]\n" * (size // 21 + 1))[:size]


def noise_of(size: int) -> bytes:
    """Return bytes that do not compress, the same each time."""
    return random.Random(size).randbytes(size)  # noqa: S311 -- test data


def data(name: str, content: bytes, *, executable: bool = False) -> ContextFile:
    """Return a member whose content is in memory."""
    return ContextFile(name=name, data=content, size=len(content), executable=executable)


def on_disk(path: Path, name: str = "model/weights.bin") -> ContextFile:
    """Return a member whose content is a file's."""
    return ContextFile(name=name, source=str(path), size=path.stat().st_size)


def context(*files: ContextFile) -> BuildContext:
    """Return a context of *files*."""
    return BuildContext(files=files, dockerfile="FROM base:1\n", sha256="")


def compressed(*files: ContextFile) -> bytes:
    """Return the compressed archive of a context of *files*."""
    return b"".join(gzip_archive(context(*files).members))


KINDS = (
    ContextFile(name="code/"),
    data("code/score.py", text_of(300)),
    data("code/tool.sh", b"#!/bin/sh\n", executable=True),
    data("code/empty", b""),
    ContextFile(name="code/latest", link="模型/a b.txt"),
    data("code/模型/a b.txt", b"a\n"),
    data("code/" + "long/" * 40 + "name", b"b"),
    data("model/a.bin", noise_of(MIB + 1)),
    data("model/b.json", text_of(3 * MIB - 1)),
    data("model/c.bin", noise_of(2 * MIB)),
    data("python/requirements.txt", b"numpy\n"),
)
CONTENTS = {file.name: file.data for file in KINDS if not file.name.endswith("/") and not file.link}


def test_the_same_files_are_the_same_bytes() -> None:
    """The archive contains no time and no file name of its own."""
    first = compressed(*KINDS)

    assert (first, b"\x1f\x8b\x08\x00" + bytes(4)) == (compressed(*KINDS), first[:8])


@pytest.mark.parametrize("size", [0, 1, 512, 256 * KIB - 1, 256 * KIB, 256 * KIB + 1, MIB, MIB + 1])
@pytest.mark.parametrize("content", [text_of, noise_of])
@pytest.mark.parametrize("around", [(), (data("a", b"a"), data("z", b"z"))])
def test_decompressed_it_is_the_tar_archive(
    size: int, content: Callable[[int], bytes], around: tuple[ContextFile, ...]
) -> None:
    """Decompressed, it is byte for byte the archive of `image.context`."""
    files = (*around[:1], data("model.bin", content(size)), *around[1:])

    assert b"".join(archive(context(*files))) == gzip.decompress(compressed(*files))


def test_python_reads_every_kind_of_member() -> None:
    """Python's tarfile reads types, modes, times, owners and contents."""
    with tarfile.open(fileobj=io.BytesIO(compressed(*KINDS)), mode="r:gz") as archive_file:
        members = {member.name: member for member in archive_file.getmembers()}
        read = {name: archive_file.extractfile(members[name]) for name in CONTENTS}
        contents = {name: stream.read() for name, stream in read.items() if stream}

    common = (315_532_800, 0, 0, "", "")
    assert {common} == {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in members.values()}
    assert ["Dockerfile", *(file.name.rstrip("/") for file in KINDS)] == list(members)
    assert CONTENTS == contents
    assert {"code": 0o755, "code/tool.sh": 0o755, "code/latest": 0o777} == {
        name: member.mode for name, member in members.items() if member.mode != 0o644
    }
    assert ("模型/a b.txt", True) == (members["code/latest"].linkname, members["code"].isdir())


def test_tar_reads_it(tmp_path: Path) -> None:
    """`tar` reads several gzip members as one stream."""
    ended = subprocess.run(
        ["tar", "--extract", "--gzip", "--directory", str(tmp_path)],
        input=compressed(*KINDS),
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        check=True,
    )

    unpacked = {
        path.relative_to(tmp_path).as_posix(): path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file() and not path.is_symlink()
    }
    assert {"Dockerfile": b"FROM base:1\n", **CONTENTS} == unpacked
    assert ("模型/a b.txt", b"") == (str((tmp_path / "code/latest").readlink()), ended.stderr)


def test_incompressible_files_are_stored() -> None:
    """Weights are stored as they are, with less than 0.1 % overhead."""
    weights = noise_of(2 * MIB)

    archived = compressed(data("model.bin", weights))

    assert weights[1000:2000] in archived
    assert len(weights) < len(archived) < len(weights) * 1.001 + KIB


@pytest.mark.parametrize("size", [10 * KIB, 2 * MIB])
def test_compressible_files_are_compressed(size: int) -> None:
    """Text shrinks to less than a tenth, in small files and in large ones."""
    assert len(compressed(data("code/data.json", text_of(size)))) < size / 10


@pytest.mark.parametrize("head", [b"", noise_of(64 * KIB)], ids=["compressed", "stored"])
def test_a_large_file_is_never_whole_in_memory(head: bytes, tmp_path: Path) -> None:
    """Only a few blocks of 200 MB are in memory at a time."""
    path = tmp_path / "weights.bin"
    with path.open("wb") as file:
        file.write(head)
        file.truncate(200_000_000)

    assert peak_of(on_disk(path)) < FEW_BLOCKS


def test_many_small_files_are_never_all_in_memory(tmp_path: Path) -> None:
    """Only a few blocks of 100 MB in small files are in memory at a time."""
    path = tmp_path / "part"
    path.write_bytes(text_of(250 * KIB))

    assert peak_of(*(on_disk(path, f"model/{number}") for number in range(400))) < FEW_BLOCKS


def peak_of(*files: ContextFile) -> int:
    """Return the peak of memory in bytes while *files* are compressed."""
    tracemalloc.start()
    try:
        for _ in gzip_archive(files):
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [10, 2 * MIB])
@pytest.mark.parametrize("change", ["longer", "shorter", "gone"])
def test_a_file_that_changes_meanwhile(size: int, change: str, tmp_path: Path) -> None:
    """A file that changes after its size was read is an error."""
    path = tmp_path / "model.bin"
    path.write_bytes(bytes(size))
    file = on_disk(path)
    if change == "gone":
        path.unlink()
    else:
        path.write_bytes(bytes(size + (1 if change == "longer" else -1)))

    with pytest.raises(BuildError) as caught:
        compressed(file)

    assert f"{path} changed while it was read.\n    Run the same command again." == str(caught.value)


@given(
    blocks=st.lists(st.binary(max_size=20)),
    sizes=st.lists(st.integers(min_value=0, max_value=30)),
)
def test_a_block_reader_reads_the_bytes_of_its_blocks(blocks: list[bytes], sizes: list[int]) -> None:
    """Each read has the requested size until the end, and all reads together are the blocks."""
    reader, whole = BlockReader(iter(blocks)), b"".join(blocks)

    for size in sizes:
        assert whole[:size] == reader.read(size)
        whole = whole[size:]

    assert (whole, b"", b"") == (reader.read(), reader.read(), reader.read(1))
