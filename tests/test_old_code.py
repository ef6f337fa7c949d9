"""The code in two: what has not changed for longest lies below what changes again."""

from __future__ import annotations

from pathlib import Path

import pytest

from azureml_tasks.context import Context, contents_of, summed
from azureml_tasks.context_file import ContextFile
from azureml_tasks.file_hashes import FileHashes
from azureml_tasks.old_code import is_code, parted, tag
from azureml_tasks.prefixes import is_tag

DOCKERFILE = "# Words.\nFROM demo/prefix:1\n\nENV A=b\n\nCOPY code/ /var/azureml-app/\n\nUSER dockeruser\n"
OLD = 10**9
"""Seconds since 1970, long enough ago for a file's times to tell."""


def code(root: Path, *, count: int, more: tuple[ContextFile, ...] = ()) -> Context:
    """A project's code: `count` files in three folders, each changed a second after the one before it."""
    folders = ("code/", "code/a/", "code/a/b/")
    files, hashes = [], FileHashes(file=root / "hashes.json", now=lambda: 2**62)
    for at in range(count):
        path = root / f"{at:03}.py"
        path.write_text(f"x = {at}\n", encoding="utf-8")
        name = f"{folders[at % 3]}{path.name}"
        files.append(ContextFile(name=name, source=path, size=path.stat().st_size))
    members = tuple(sorted((*(ContextFile(name=name) for name in folders), *files, *more)))
    seen = contents_of(members, hashes)
    for at in range(count):
        changed(hashes, root / f"{at:03}.py", OLD + at)
    sha256, parts = summed(seen)
    return Context(files=members, dockerfile=DOCKERFILE, sha256=sha256, parts=parts, seen=seen, known=hashes)


def changed(hashes: FileHashes, path: Path, mtime: int, ctime: int = 0) -> None:
    """Have it that a file was changed then, seconds since 1970."""
    (size, _, _, inode), sha256 = hashes.known[str(path)]
    hashes.known[str(path)] = (size, mtime * 10**9, (ctime or mtime) * 10**9, inode), sha256


def names(context: Context) -> list[str]:
    """Its members."""
    return [file.name for file in context.files]


def test_what_was_changed_last_is_copied_last(tmp_path: Path) -> None:
    """Eight files come on all others, with the folders that they lie in; no file is in both, and none is in neither."""
    whole = code(tmp_path, count=64)

    found = parted(whole)

    assert found is not None
    old, recent = found
    newest = sorted(f"{('code/', 'code/a/', 'code/a/b/')[at % 3]}{at:03}.py" for at in range(56, 64))
    assert sorted(["code/", "code/a/", "code/a/b/", *newest]) == names(recent)
    assert [name for name in names(whole) if name not in newest] == names(old)
    below = "# Code that has not changed for a while.\nFROM demo/prefix:1\n\nCOPY code/ /var/azureml-app/\n"
    assert (below, DOCKERFILE) == (old.dockerfile, recent.dockerfile)


def test_a_file_that_is_changed_leaves_what_is_below(tmp_path: Path) -> None:
    """It comes on top, whether or not its times tell yet; the one that it is in place of is where the others are."""
    whole = code(tmp_path, count=64)
    assert whole.known is not None
    del whole.known.known[str(tmp_path / "003.py")]  # Its times are too new to tell anything.

    found = parted(whole)

    assert found is not None
    old, recent = found
    assert ("code/003.py" in names(recent), "code/003.py" in names(old)) == (True, False)
    assert ("code/a/b/056.py" in names(recent), "code/a/b/056.py" in names(old)) == (False, True)


def test_folders_without_a_changed_file_are_not_touched(tmp_path: Path) -> None:
    """Only those around the files that come on top are among what does; links and made files stay below."""
    more = (ContextFile(name="code/link", link="000.py"), ContextFile(name="code/made", data=b"x", size=1))
    whole = code(tmp_path, count=66, more=more)
    assert whole.known is not None
    for at in range(0, 24, 3):  # all of them in code/ itself
        changed(whole.known, tmp_path / f"{at:03}.py", OLD + 100)

    found = parted(whole)

    assert found is not None
    old, recent = found
    assert ["code/", *(f"code/{at:03}.py" for at in range(0, 24, 3))] == names(recent)
    assert {"code/a/", "code/a/b/", "code/link", "code/made"} <= set(names(old))


def test_a_file_of_another_name_is_new(tmp_path: Path) -> None:
    """What was moved keeps the time of its content, and has changed all the same."""
    whole = code(tmp_path, count=64)
    assert whole.known is not None
    changed(whole.known, tmp_path / "003.py", OLD, OLD + 100)

    found = parted(whole)

    assert found is not None
    assert "code/003.py" in names(found[1])


@pytest.mark.parametrize("count", [0, 1, 63])
def test_little_code_is_one(count: int, tmp_path: Path) -> None:
    """It is copied in the time that it would take to look for another image."""
    assert parted(code(tmp_path, count=count)) is None


def test_the_name_says_what_is_there_and_on_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same code on the same image has one name; another byte, mode, name, image below or version of us another."""
    (tmp_path / "more").mkdir()
    old = code(tmp_path, count=64)
    first, *others = old.files[3:]
    another = code(tmp_path / "more", count=63)

    named = [
        tag("sha256:1", old),
        tag("sha256:1", old._replace(seen={})),
        tag("sha256:2", old),
        tag("sha256:1", another),
        tag("sha256:1", old._replace(seen={}, files=(first._replace(executable=True), *others))),
        tag("sha256:1", old._replace(seen={}, files=(first._replace(name="code/other.py"), *others))),
    ]

    monkeypatch.setattr("azureml_tasks.old_code.VERSION", "another")
    named.append(tag("sha256:1", old))
    assert named[0] == named[1]
    assert 6 == len(set(named))
    assert {(True, False)} == {(is_code(each), is_tag(each)) for each in named}
