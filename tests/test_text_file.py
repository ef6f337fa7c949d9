"""Files of the project, whatever stands in their place."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

import pytest

import azureml_tasks
from azureml_tasks.errors import SettingsError
from azureml_tasks.in_image import conflicts
from azureml_tasks.requirements.files import read_tree
from azureml_tasks.text_file import UnreadableFile, decode, read_bytes

TABLE = '[tool.azureml-image]\nname = "scoring"\nbase = "bases/serving:1"\ntags = ["1"]\n'
ENCODINGS = [
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
]
TEXT = "numpy==2.0 # é\r\nidna\n"


def problems(folder: Path) -> str:
    """Return the message about what is wrong in *folder*."""
    with pytest.raises(SettingsError) as caught:
        azureml_tasks.load(folder)
    return str(caught.value)


@pytest.mark.parametrize(("mark", "encoding"), [(b"", "utf-8"), *ENCODINGS])
def test_the_byte_order_mark_tells_the_encoding(mark: bytes, encoding: str, tmp_path: Path) -> None:
    """The table, requirements with what they include, and ignore rules are read in every encoding that has a mark."""
    files = {
        "pyproject.toml": f'{TABLE}requirements = "r.txt"\ncode = "code"\n',
        "r.txt": "-r more.txt\n",
        "more.txt": "numpy==2.0\n",
        ".dockerignore": "code/*.csv\n",
        "code/score.py": "def init(): ...\ndef run(data): ...\n",
        "code/data.csv": "1",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        of_pythons = name.startswith("code/")
        (tmp_path / name).write_bytes(text.encode() if of_pythons else mark + text.encode(encoding))

    project = azureml_tasks.load(tmp_path)

    assert project.facts.python is not None
    assert ("-r more.txt", "numpy==2.0") == project.facts.python.lines
    assert ["code/", "code/score.py"] == [file.name for file in project.facts.files]


def test_a_coding_line_tells_the_encoding_of_requirements() -> None:
    """As for pip: in a comment among the first two lines, and only without a byte order mark."""
    latin = f"# a\n# -*- coding: latin-1 -*-\n{TEXT}"

    assert latin == decode(latin.encode("latin-1"), coding_lines=True)
    with pytest.raises(UnreadableFile, match="is not UTF-8 in line 3: invalid continuation byte"):
        decode(latin.encode("latin-1"))


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        *(mark + TEXT.encode(encoding) for mark, encoding in ENCODINGS),
        b"# coding: latin-1\n# \xe9",
        b"\n#a coding=latin-1\n# \xe9",
    ],
)
def test_the_script_in_the_image_reads_the_same(data: bytes) -> None:
    """It names the line of a requirement whose package breaks another one."""
    assert decode(data, coding_lines=True) == conflicts.decoded(data)


@pytest.mark.parametrize("name", ["hex", "rot13", "undefined", "no-such", "\udcff"])
def test_an_encoding_that_is_none(name: str) -> None:
    """A made-up encoding, and one of bytes to bytes, is named in a sentence."""
    data = f"# coding: {name}\na".encode("utf-8", "surrogateescape")

    def read(_path: str) -> str:
        return decode(data, coding_lines=True)

    _, file_problems = read_tree("r.txt", read)
    assert [("r.txt", 0, "Save it as UTF-8.")] == [(each.file, each.line, each.fix) for each in file_problems]


@pytest.mark.parametrize("name", ["pyproject.toml", ".dockerignore", "r.txt", "body.json", "code/score.py"])
def test_a_fifo_in_place_of_a_file_does_not_hang(name: str, tmp_path: Path) -> None:
    """Nobody writes into it, so that to read it would wait for ever."""
    table = f'{TABLE}requirements = "r.txt"\nsmoke-test.request = "body.json"\n'
    (tmp_path / "pyproject.toml").write_text(table, encoding="utf-8")
    (tmp_path / "r.txt").write_text("", encoding="utf-8")
    (tmp_path / "body.json").write_text("1", encoding="utf-8")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "score.py").write_text("def init(): ...\ndef run(data): ...\n", encoding="utf-8")
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)

    assert "file" in problems(tmp_path)


def test_what_is_not_utf_8_is_named_by_its_line(tmp_path: Path) -> None:
    """Also an ignore file: read otherwise, its rules would leave out nothing without a word."""
    (tmp_path / "pyproject.toml").write_text(TABLE, encoding="utf-8")
    (tmp_path / ".dockerignore").write_bytes(b"# first\n*.\xe9\n")

    expected = """\
.dockerignore: is not UTF-8 in line 2: invalid continuation byte
    Save it as UTF-8.

1 problem; nothing was done."""
    assert expected == problems(tmp_path)


def test_a_file_is_bounded(tmp_path: Path) -> None:
    """A file that grows without end, such as a link to a device, is refused without being read."""
    (tmp_path / "zero").symlink_to("/dev/zero")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1_000_001)

    with pytest.raises(UnreadableFile, match="is not a file"):
        read_bytes(tmp_path / "zero", 1_000_000)
    with pytest.raises(UnreadableFile, match="is larger than 1 MB"):
        read_bytes(tmp_path / "large", 1_000_000)
