"""The plan that is remembered from one command to the next."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from azureml_tasks import memory
from azureml_tasks.file_hashes import FileHashes
from azureml_tasks.found import Override
from azureml_tasks.git import NoRevision, Revision
from azureml_tasks.memory import asked
from azureml_tasks.witness import Witness, nothing_seen
from tests.remembering import HERE, age, fresh, keep, later, project, question, recall, records, set_text
from tests.test_good_cases import GOOD, planned

REVISION = Revision(
    sha="1" * 40, dirty=False, branch="main", time=1_700_000_000, remote="https://example.org"
)
ALL_NEW = FileHashes(file=Path("none"), now=later)
OVERRIDES = {"tags": Override(value=["a", "b"], source="--tag")}


@pytest.mark.parametrize("case", GOOD, ids=[case.stem for case in GOOD])
def test_the_plan_of_every_table_is_remembered(case: Path, tmp_path: Path) -> None:
    """Right after it was made it is remembered as it was made, by the clock of this machine."""
    planned(case, tmp_path)

    made = keep(tmp_path, now=time.time_ns)

    assert made == recall(tmp_path)


def test_one_file_is_left(tmp_path: Path) -> None:
    """Remembering leaves one file in the folder of records, and nothing where there is no such folder."""
    root = project(tmp_path)
    made = fresh(root)
    assert made is not None
    records(root).memory().keep(question(), HERE, made, nothing_seen())
    before = (root / ".azureml-image").exists()

    keep(root)

    assert (False, ["hashes.json", "plan.json"]) == (before, names(root))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"asked": {}}'])
def test_what_cannot_be_read_is_forgotten(text: str, tmp_path: Path) -> None:
    """A file that is none of ours, or was not written to its end, counts for nothing."""
    root = project(tmp_path)
    keep(root)

    set_text(root / ".azureml-image/plan.json", text)

    assert recall(root) is None


def test_a_plan_that_json_cannot_say_is_not_remembered(tmp_path: Path) -> None:
    """What would come back as something else is read anew each time."""
    root = project(tmp_path)
    made = fresh(root)
    assert made is not None
    records(root).folder.mkdir()
    unspeakable: dict[str, Any] = {"a": date(2026, 1, 1)}

    records(root).memory().keep(question(), HERE, made._replace(labels=unspeakable), nothing_seen())

    assert ([], None) == (names(root), recall(root))


def test_a_copy_of_the_project_is_another_project(tmp_path: Path) -> None:
    """What was remembered of the first is about the files of the first, which may still be as they were."""
    root = project(tmp_path)
    made = keep(root)
    copied = tmp_path / "elsewhere/project"
    shutil.copytree(root, copied, symlinks=True)

    assert (None, made) == (recall(copied), recall(root))


# What is asked beside the project's folder


def test_what_is_asked_is_what_was_written() -> None:
    """Every part of a question comes back from JSON as it was, so that the same question is known again."""
    assert asked(OVERRIDES) == json.loads(json.dumps(asked(OVERRIDES)))


@pytest.mark.parametrize("revision", [REVISION, HERE], ids=["a commit", "none"])
def test_a_revision_is_known_again(revision: Revision | NoRevision, tmp_path: Path) -> None:
    """A plan that was made of a revision is that of the same revision."""
    root = project(tmp_path)
    made = keep(root)
    records(root).memory().keep(question(), revision, made, Witness(hashes=ALL_NEW, now=later))

    assert made == records(root).memory().recall(question(), lambda _: revision, ALL_NEW)


class Tomorrow(datetime):
    """The clock of a day later."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        """A day after now."""
        return datetime.now(tz) + timedelta(days=1)


def patched(patch: pytest.MonkeyPatch, name: str, value: Any) -> dict[str, Any]:
    """What is asked where something of the module is another."""
    patch.setattr(memory, name, value)
    return asked({})


def surrounded(patch: pytest.MonkeyPatch, name: str, value: str) -> dict[str, Any]:
    """What is asked in another environment."""
    patch.setenv(name, value)
    return asked({})


OTHER: dict[str, Callable[[pytest.MonkeyPatch], dict[str, Any]]] = {
    "a newer version": lambda patch: patched(patch, "VERSION", "0.2.0"),
    "code of ours": lambda patch: patched(patch, "_ourselves", lambda: [1, 2, 3, 4]),
    "another day": lambda patch: patched(patch, "datetime", Tomorrow),
    "SOURCE_DATE_EPOCH": lambda patch: surrounded(patch, "SOURCE_DATE_EPOCH", "1"),
    "another home": lambda patch: surrounded(patch, "HOME", "/home/other"),
    "another tag": lambda _: asked(OVERRIDES),
    "another base": lambda _: asked({"base": Override(value="bases/serving:5", source="--base")}),
    "a base from a variable": lambda _: asked({"base": Override(value="bases/serving:5", source="X")}),
    "another registry": lambda _: asked({"registry": Override(value="r.io", source="--registry")}),
}
REVISIONS: dict[str, Revision | NoRevision] = {
    "another commit": REVISION._replace(sha="2" * 40),
    "a dirty tree": REVISION._replace(dirty=True),
    "another branch": REVISION._replace(branch="other"),
    "no branch": REVISION._replace(branch=""),
    "another remote": REVISION._replace(remote=""),
    "another time of the commit": REVISION._replace(time=1),
    "no repository": HERE,
    "a repository that cannot be read": NoRevision(why=HERE.why, unexpected=True),
}


def test_each_other_question_has_another_answer(tmp_path: Path) -> None:
    """Whatever a plan follows from beside the folder is part of the question, and no two of them are the same."""
    root = project(tmp_path)
    keep(root)
    hashes = FileHashes(file=tmp_path / "none", now=later)
    found, remembered = [json.dumps(question())], []

    for ask in OTHER.values():
        with pytest.MonkeyPatch.context() as patch:
            found.append(json.dumps(ask(patch)))
        remembered.append(records(root).memory().recall(json.loads(found[-1]), lambda _: HERE, hashes))

    assert len(OTHER) + 1 == len(set(found))
    assert [None] * len(OTHER) == remembered


@pytest.mark.parametrize("revision", REVISIONS.values(), ids=REVISIONS)
def test_another_revision_has_another_plan(revision: Revision | NoRevision, tmp_path: Path) -> None:
    """Whatever git says counts, since tags and labels may follow from it."""
    root = project(tmp_path)
    records(root).memory().keep(question(), REVISION, keep(root), Witness(hashes=ALL_NEW, now=later))

    of_it, of_another = (
        records(root).memory().recall(question(), answer, ALL_NEW)
        for answer in (lambda _: REVISION, lambda _: revision)
    )

    assert (True, None) == (of_it is not None, of_another)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("memory.py", True), ("inside/install.py", True), ("new.py", True), ("notes.txt", False)],
)
def test_our_own_code_is_part_of_the_question(
    name: str, *, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever edits this package, or adds a module to it, is not given the plan that it made before."""
    here = Path(memory.__file__).parent
    for folder in ("", "inside"):
        (tmp_path / folder).mkdir(exist_ok=True)
        for file in (here / folder).glob("*.py"):
            shutil.copy(file, tmp_path / folder)
    age(tmp_path)
    monkeypatch.setattr(memory, "__file__", str(tmp_path / "memory.py"))
    before = asked({})

    set_text(tmp_path / name, "# other\n")
    age(tmp_path)

    assert expected == (before != asked({}))


# Clocks


@pytest.mark.parametrize(
    ("now", "expected"),
    [pytest.param(later, True, id="long after"), pytest.param(lambda: 0, False, id="set back")],
)
def test_a_folder_that_changed_just_now_is_looked_at(
    now: Callable[[], int], *, expected: bool, tmp_path: Path
) -> None:
    """Its stamp alone tells that it is as it was, unless the clock stood so near, or before, that it may change on."""
    root = project(tmp_path)
    keep(root, now=now)
    file = root / ".azureml-image/plan.json"
    found = json.loads(file.read_text(encoding="utf-8"))
    for row in found["seen"]["folders"].values():
        row[4] = "what it held"  # Whoever looks into it finds another.

    set_text(file, json.dumps(found))

    assert expected == (recall(root) is not None)


def names(root: Path) -> list[str]:
    """The files in the folder of records."""
    return sorted(path.name for path in (root / ".azureml-image").iterdir())
