"""Hashes of an image's inputs: equal if and only if a build would give the same image."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from azureml_tasks.incremental import fingerprint as module
from azureml_tasks.incremental.fingerprint import fingerprint
from tests.cases import lay_out
from tests.changed_projects import BASE, CHANGES, FILES, PARTS, parts_of, table
from tests.projects import set_text

NO_CHANGES: dict[str, Callable[[Path], object]] = {
    "nothing": lambda _: None,
    "the tags": table('"one"', '"two"'),
    "the registry": table("r.example.com", "s.example.com"),
    "the smoke test": table("repeat = 1", "repeat = 2"),
    "how long it may be kept": table("cached-layers-max-age = 1", "cached-layers-max-age = 2"),
    "a comment": table("[project]", "# This is ours.\n[project]"),
    "a file beside the code": lambda folder: set_text(folder / "README.md", "It is ours.\n"),
    "what the group may do": lambda folder: (folder / "code/score.py").chmod(0o664),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with all that an image can have."""
    return lay_out(FILES, tmp_path)


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return the names of the parts that differ."""
    return [name for name in PARTS if before[name] != after[name]]


def test_the_parts_are_in_the_order_of_the_build(folder: Path) -> None:
    """Version, platform and base are named, the stages are hashes."""
    parts = parts_of(folder)

    assert (PARTS, ["0.1.0", "linux/amd64", BASE]) == (list(parts), list(parts.values())[:3])
    assert {64} == {len(part) for part in list(parts.values())[3:]}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_an_input_changes_its_part_only(change: str, folder: Path) -> None:
    """A change of the table or of a file changes the hash of the stage that uses it, and no other."""
    before = parts_of(folder)
    parts, edit = CHANGES[change]
    edit(folder)

    after = parts_of(folder)

    assert parts == changed(before, after)
    assert fingerprint(before) != fingerprint(after)


@pytest.mark.parametrize("change", NO_CHANGES)
def test_what_is_no_input_changes_nothing(change: str, folder: Path) -> None:
    """Names, values of secrets, the smoke test and the age of cached layers do not change the image."""
    before = parts_of(folder)
    NO_CHANGES[change](folder)

    after = parts_of(folder)

    assert (before, fingerprint(before)) == (after, fingerprint(after))


def test_base_and_version_are_inputs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The base counts by its ID; another version of this package may write another Dockerfile."""
    before = parts_of(folder)
    monkeypatch.setattr(module, "VERSION", "0.2.0")

    assert ["version", "base"] == changed(before, parts_of(folder, "sha256:" + "2" * 64))


def test_a_fingerprint_covers_names_and_values() -> None:
    """It is the SHA-256 of the parts as JSON, in their order."""
    assert hashlib.sha256(b'[["base", "1"], ["system", "2"]]').hexdigest() == fingerprint(
        {"base": "1", "system": "2"}
    )
