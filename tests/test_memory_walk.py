"""A plan that is remembered through many changes, one after the other."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.remembering import BAKED, ENTRY, MOUNTED, age, command, fresh, linked, project, recall, set_text
from tests.test_memory_changes import KEY

FILES = (
    *("code/score.py", "code/sub/helper.py", "code/sub/other.py", "code/data/points.csv", "code/main.py"),
    *("code/new.py", "code/.env", "code/config.json", "code/env/pyvenv.cfg", "code/latest"),
    *("shared/main.py", "shared/none.bin", "model/weights.bin", "model/v1/new.bin", "mounted/v1/deep.bin"),
    *("requirements.txt", "more/limits.txt", "requests/one.json", ".dockerignore"),
)
FOLDERS = (
    *("code", "code/data", "model", "mounted", "shared", "requests"),
    "code/sub",
    "code/env",
    "shared/data",
    "model/v1",
    "mounted/v1",
)
TARGETS = ("code/score.py", "code/sub", "shared/main.py", "shared/data", "../secret", "code/latest")
TEXTS = ("", "x = 1\n", "y = 2\n", ENTRY, ENTRY + "#\n", "{}", KEY, "numpy==2.0\n")


def write(root: Path, name: str, text: str) -> None:
    """Another text, wherever a link leads."""
    set_text(root / name, text)


def link(root: Path, name: str, target: str) -> None:
    """A link in the place of a file."""
    linked(root / name, os.path.relpath(root / target, (root / name).parent))


def rename(root: Path, name: str, other: str) -> None:
    """Another name, maybe one that was taken."""
    (root / name).rename(root / other)


def remove(root: Path, name: str) -> None:
    """Whatever it is, it is gone."""
    if (root / name).is_dir() and not (root / name).is_symlink():
        shutil.rmtree(root / name)
    else:
        (root / name).unlink()


def make(root: Path, name: str) -> None:
    """A folder."""
    (root / name).mkdir()


def allow(root: Path, name: str, mode: int) -> None:
    """Another mode."""
    (root / name).chmod(mode)


def touch(root: Path, name: str, moment: int) -> None:
    """Another time."""
    os.utime(root / name, (moment, moment))


FILE = st.sampled_from(FILES)
ANY = st.sampled_from((*FILES, *FOLDERS))
STEPS: st.SearchStrategy[tuple[Callable[..., None], tuple[Any, ...]]] = st.one_of(
    st.tuples(st.just(write), st.tuples(FILE, st.sampled_from(TEXTS))),
    st.tuples(st.just(link), st.tuples(ANY, st.sampled_from(TARGETS))),
    st.tuples(st.just(rename), st.tuples(ANY, ANY)),
    st.tuples(st.just(remove), st.tuples(ANY)),
    st.tuples(st.just(make), st.tuples(ANY)),
    st.tuples(st.just(allow), st.tuples(FILE, st.sampled_from((0o644, 0o755)))),
    st.tuples(st.just(touch), st.tuples(ANY, st.integers(1, 2))),
)
Steps = list[tuple[tuple[Callable[..., None], tuple[Any, ...]], bool]]


@settings(max_examples=examples(15))
@given(st.sampled_from((BAKED, MOUNTED)), st.lists(st.tuples(STEPS, st.booleans()), min_size=1, max_size=8))
def test_it_is_never_another_than_a_new_reading_gives(model: str, steps: Steps) -> None:
    """Whatever changes, and whenever a command runs in between, what is remembered is what is there."""
    with tempfile.TemporaryDirectory() as folder:
        root = project(Path(folder), model=model)
        command(root)
        for (edit, words), runs in steps:
            with suppress(OSError):  # What is not there cannot be changed.
                edit(root, *words)
            age(Path(folder))
            recalled = recall(root)

            assert recalled is None or recalled == fresh(root)

            if runs:
                command(root)
