"""What copies files, in BuildKit's own language; what an engine makes of it, the real tests show."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from azureml_tasks.archive import TIME
from azureml_tasks.context_file import ContextFile
from azureml_tasks.engines.llb import Copy, definition, platform_of, size
from azureml_tasks.engines.protobuf import field
from azureml_tasks.errors import BuildError

NOTHING = 2**64 - 1
"""-1 as a number without a sign."""
WHEN = TIME * 10**9


def made(name: str, data: bytes = b"", *, executable: bool = False, link: str = "") -> ContextFile:
    """A member with *data*."""
    return ContextFile(name=name, data=data, size=len(data), executable=executable, link=link)


def said(message: bytes) -> list[tuple[int, int | bytes]]:
    """The fields of a message, as a reader of numbers and bytes has them."""
    found: list[tuple[int, int | bytes]] = []
    stream = io.BytesIO(message)
    while (tag := number(stream)) is not None:
        value = number(stream)
        assert value is not None
        found.append((tag >> 3, stream.read(value) if tag & 7 else value))
    return found


def number(stream: io.BytesIO) -> int | None:
    """The next number; None at the end."""
    value = shift = 0
    while byte := stream.read(1):
        value |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            return value
    return None


def inner(message: int | bytes, *path: int) -> bytes:
    """The message at a path of fields, the first of each."""
    for wanted in path:
        assert isinstance(message, bytes)
        message = dict(reversed(said(message)))[wanted]
    assert isinstance(message, bytes)
    return message


def written(*files: ContextFile, no_cache: bool = False) -> bytes:
    """The definition of an image to which the files of a folder are copied."""
    return definition(BASE, "linux/amd64", files, [Copy("code/", "/var/app/")], no_cache=no_cache)


def operations(definition: bytes) -> list[bytes]:
    """What is to be done, each after what it is done on."""
    return [value for at, value in said(definition) if at == 1 and isinstance(value, bytes)]


def actions(definition: bytes) -> list[list[tuple[int, int | bytes]]]:
    """How the build context is made, action by action."""
    return [
        said(action) for _, action in said(inner(operations(definition)[1], 4)) if isinstance(action, bytes)
    ]


def digest(operation: bytes) -> str:
    """The name of an operation."""
    return f"sha256:{hashlib.sha256(operation).hexdigest()}"


def on(operation: bytes) -> bytes:
    """What makes an operation the input of another."""
    return field(1, field(1, digest(operation)))


BASE = "docker.io/library/base:1"
LINUX = field(10, field(1, "amd64") + field(2, "linux"))


def test_files_are_copied_to_the_base() -> None:
    """The base by its name, the folder, COPY's own way of copying it, and which of these is the result."""
    base, context, copied, result = operations(written(made("code/"), made("code/a.py", b"x")))

    copy = field(1, "/code") + field(2, "/var/app/") + field(4, -1) + field(5, 1) + field(6, 1) + field(8, 1)
    action = field(1, 0) + field(2, 1) + field(3, 0) + field(4, copy + field(11, -1))
    assert field(3, field(1, f"docker-image://{BASE}")) + LINUX == base
    assert on(base) + on(context) + field(4, field(2, action)) + LINUX == copied
    assert on(copied) == result


def test_each_copy_is_a_layer_on_the_one_before() -> None:
    """Both take from one build context; where nothing is copied the base is the result."""
    files, copies = [made("code/"), made("model/")], [Copy("model/", "/m/"), Copy("code/", "/c/")]

    base, context, model, code, result = operations(
        definition(BASE, "linux/amd64", files, copies, no_cache=False)
    )

    assert (True, True) == (
        model.startswith(on(base) + on(context)),
        code.startswith(on(model) + on(context)),
    )
    assert on(code) == result
    nothing = operations(definition(BASE, "linux/amd64", files, [], no_cache=False))
    assert [base, on(base)] == nothing


@pytest.mark.parametrize(("no_cache", "expected"), [(False, b""), (True, field(1, 1))])
def test_each_operation_has_its_metadata(no_cache: bool, expected: bytes) -> None:
    """Without it some engines do not take it; it says whether a cache counts."""
    found = written(made("code/"), no_cache=no_cache)

    metadata = [said(value) for at, value in said(found) if at == 2 and isinstance(value, bytes)]
    assert [[(1, digest(each).encode()), (2, expected)] for each in operations(found)] == metadata


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("linux/amd64", field(1, "amd64") + field(2, "linux")),
        ("linux/arm/v7", field(1, "arm") + field(2, "linux") + field(3, "v7")),
    ],
)
def test_a_platform_is_its_parts(platform: str, expected: bytes) -> None:
    """System, architecture and, where it has one, variant."""
    assert expected == platform_of(platform)


def test_few_files_are_made_one_by_one() -> None:
    """Each stands on the one before it, with our modes, our time and no owner; the last one's outcome is the result."""
    found = written(made("code/"), made("code/a.py", b"x"), made("code/run", b"y", executable=True))

    folder = field(1, "/code") + field(2, 0o755) + field(3, 1) + field(5, WHEN)
    file = field(1, "/code/a.py") + field(2, 0o644) + field(3, b"x") + field(5, WHEN)
    program = field(1, "/code/run") + field(2, 0o755) + field(3, b"y") + field(5, WHEN)
    assert [
        [(1, NOTHING), (2, NOTHING), (3, NOTHING), (6, folder)],
        [(1, 0), (2, NOTHING), (3, NOTHING), (5, file)],
        [(1, 1), (2, NOTHING), (3, 0), (5, program)],
    ] == actions(found)


@pytest.mark.parametrize(
    "files",
    [
        pytest.param([made(f"{at:04}", b"x") for at in range(301)], id="many files"),
        pytest.param([made("a", b"x"), made("b", link="a")], id="a link"),
    ],
)
def test_others_are_unpacked(files: list[ContextFile]) -> None:
    """An archive is written, and then unpacked into an empty folder, so that itself is none of it."""
    first, second = actions(written(*files))

    packed = inner(dict(first)[5], 3)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        found = [(member.name, member.linkname, member.mtime) for member in archive]
    assert [(file.name, file.link, TIME) for file in files] == found
    assert [(1, NOTHING), (2, NOTHING), (3, NOTHING)] == first[:3]
    copy = field(1, "/context.tar") + field(2, "/") + field(4, -1) + field(7, 1) + field(11, -1)
    assert [(1, NOTHING), (2, 0), (3, 0), (4, copy)] == second


@pytest.mark.parametrize("count", [1, 300, 301, 2000])
def test_its_size_is_known_before(count: int) -> None:
    """It is never much larger than what is said, by which it is decided whether it is sent at all."""
    files = [made(f"code/package/module_{at}.py", b"x" * 100) for at in range(count)]

    assert len(written(*files)) <= size(files) + 20_480


def test_a_file_that_changes_is_an_error(tmp_path: Path) -> None:
    """What is in it is read here, and is what was hashed or nothing."""
    path = tmp_path / "a.py"
    path.write_text("longer than before", encoding="utf-8")

    with pytest.raises(BuildError, match=r"a\.py changed while it was read"):
        written(ContextFile(name="a.py", source=path, size=3))
