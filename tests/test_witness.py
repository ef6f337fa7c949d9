"""What is noted while a project is read: everything that was looked at."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from azureml_tasks.file_hashes import FileHashes
from azureml_tasks.unchanged import unchanged
from azureml_tasks.witness import Witness
from tests.remembering import MOUNTED, later, linked, project, set_text
from tests.test_good_cases import GOOD, planned

WATCHED = """\
import json, os, sys
from pathlib import Path
from azureml_tasks.file_hashes import FileHashes
from azureml_tasks.git import NoRevision
from azureml_tasks.planning import plan
from azureml_tasks.project import read_project
from azureml_tasks.witness import Witness

opened, scanned = set(), set()

def hook(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        opened.add(os.path.abspath(arguments[0]))
    elif event in ("os.scandir", "os.listdir") and isinstance(arguments[0], str):
        scanned.add(os.path.abspath(arguments[0]))

sys.addaudithook(hook)
for name in sys.argv[1:]:
    root = Path(name).resolve()
    opened.clear()
    scanned.clear()
    witness = Witness(hashes=FileHashes(file=Path(os.devnull)))
    made = plan(read_project(root, {}, NoRevision(why=""), witness))
    inside = lambda paths: {path for path in paths if Path(path).is_relative_to(root)}
    noted = witness.text()
    known = {*noted["files"], *(str(file.source) for file in made.files)}
    unseen = [*inside(opened) - known, *inside(scanned) - {*noted["folders"]}]
    print(json.dumps([len(inside(opened)), len(inside(scanned)), sorted(unseen)]))
"""


def test_whatever_reading_opens_is_noted(tmp_path: Path) -> None:
    """Each file that is opened is noted or copied into the context, each folder that is listed is noted."""
    roots = [project(tmp_path / "baked"), project(tmp_path / "mounted", model=MOUNTED)]
    for case in GOOD:
        roots.append(tmp_path / case.stem)
        roots[-1].mkdir()
        planned(case, roots[-1])

    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *map(str, roots)], capture_output=True, text=True, check=True
    )

    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [[]] * len(roots) == [unseen for _, _, unseen in found]
    assert [(True, True)] * 2 == [(files > 10, folders > 5) for files, folders, _ in found[:2]]


def noted(folder: Path) -> tuple[Witness, FileHashes]:
    """A witness of files, folders and links that are there, and of some that are not."""
    hashes = FileHashes(file=folder / "hashes.json", now=later)
    witness = Witness(hashes=hashes, now=later)
    set_text(folder / "seen/a", "a")
    set_text(folder / "seen/b", "b")
    linked(folder / "seen/to-b", "b")
    linked(folder / "seen/to-none", "../none")
    for name in ("a", "none"):
        witness.file(folder / "seen" / name)
    held = witness.folder(folder / "seen")
    for name in ("a", "to-b", "to-none", "none"):
        witness.link(folder / "seen" / name)
    assert ["a", "b", "to-b", "to-none"] == [entry.name for entry in held]
    return witness, hashes


def test_notes_say_what_was_there(tmp_path: Path) -> None:
    """A file by its hash or as missing; a folder by stamp and names; a link by its words, its end and its kind."""
    found = noted(tmp_path)[0].text()

    seen = f"{tmp_path}/seen"
    status = (tmp_path / "seen").stat()
    assert found["files"] == {
        f"{seen}/a": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
        f"{seen}/none": None,
    }
    assert [[status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]] == [
        row[:4] for row in found["folders"].values()
    ]
    assert found["links"] == {
        f"{seen}/a": ["", f"{seen}/a", "file"],
        f"{seen}/to-b": ["b", f"{seen}/b", "file"],
        f"{seen}/to-none": ["../none", f"{tmp_path}/none", ""],
        f"{seen}/none": ["", f"{seen}/none", ""],
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [("seen/a", "other"), ("seen/none", ""), ("seen/new", ""), ("none", ""), ("none/folder", "")],
)
def test_what_came_or_changed_is_seen(name: str, text: str, tmp_path: Path) -> None:
    """As long as all is as it was it is unchanged, also by notes that were JSON; any file more or other is a change."""
    witness, hashes = noted(tmp_path)
    found = json.loads(json.dumps(witness.text()))
    before = unchanged(found, hashes)

    set_text(tmp_path / name, text)

    assert (True, False) == (before, unchanged(found, hashes))


def test_a_file_is_noted_as_it_was_first_read(tmp_path: Path) -> None:
    """What was read before a change and noted again after it counts as it was read."""
    witness, hashes = noted(tmp_path)
    set_text(tmp_path / "seen/a", "other")
    witness.file(tmp_path / "seen/a")

    assert not unchanged(witness.text(), hashes)
