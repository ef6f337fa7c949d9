"""A remembered plan after each single change of the project: it is read anew, or is what a new reading gives."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from azureml_tasks.suspects import LARGE
from tests.remembering import (
    ENTRY,
    MOUNTED,
    age,
    fresh,
    keep,
    linked,
    moved_out,
    project,
    recall,
    replaced,
    set_text,
)

Edit = Callable[[Path], object]

KEY = "-----BEGIN PRIVATE KEY-----\n"
CHANGES: dict[str, dict[str, Edit]] = {
    "as before": {
        "nothing": lambda _: None,
        "an equal but touched file": lambda root: os.utime(root / "code/sub/helper.py", (1, 1)),
        "an equal but touched folder": lambda root: os.utime(root / "code/sub", (1, 1)),
        "an equal but touched table": lambda root: os.utime(root / "pyproject.toml", (1, 1)),
        "what the group may do": lambda root: (root / "code/sub/helper.py").chmod(0o664),
        "another byte of code": lambda root: set_text(root / "code/sub/helper.py", "x = 2\n"),
        "a byte of what is left out": lambda root: set_text(root / "code/sub/left-out.log", "x"),
        "what the secret holds": lambda root: set_text(root.parent / "secret", "machine x"),
    },
    "remembered": {
        "more code": lambda root: set_text(root / "code/sub/helper.py", "x = 1\ny = 2\n"),
        "no code any more": lambda root: set_text(root / "code/sub/helper.py", ""),
        "a program": lambda root: (root / "code/sub/helper.py").chmod(0o755),
        "another entry script": lambda root: set_text(root / "code/score.py", ENTRY + "# longer\n"),
        "another file where a folder's link leads": lambda root: set_text(
            root / "shared/data/points.csv", ""
        ),
        "a larger model": lambda root: os.truncate(root / "model/v1/deep.bin", LARGE + 1),
    },
    "read anew": {
        "a byte of the table": lambda root: replaced(
            root / "pyproject.toml", 'version = "1"', 'version = "2"'
        ),
        "a byte of .dockerignore": lambda root: set_text(root / ".dockerignore", "*.log\nsub\n"),
        "no .dockerignore": lambda root: (root / ".dockerignore").unlink(),
        "a byte of a requirements file": lambda root: set_text(root / "requirements.txt", "numpy==2.0\n"),
        "a byte of an included file": lambda root: set_text(root / "more/base.txt", "numpy==2.1\n"),
        "a byte of what that includes": lambda root: set_text(root / "more/limits.txt", "numpy<4\n"),
        "a byte of a wheel": lambda root: set_text(root / "wheels/a-1-py3-none-any.whl", "other"),
        "a byte of a request": lambda root: set_text(root / "requests/one.json", "[]"),
        "a byte of an answer": lambda root: set_text(root / "requests/wanted.json", "[]"),
        "a new file of code": lambda root: set_text(root / "code/sub/new.py", ""),
        "a new folder of code": lambda root: (root / "code/sub/new").mkdir(),
        "a file of code less": lambda root: (root / "code/sub/other.py").unlink(),
        "a new name in code": lambda root: (root / "code/sub/other.py").rename(root / "code/sub/another.py"),
        "a folder for a file": lambda root: folder_for(root / "code/score.py"),
        "a new file of the model": lambda root: set_text(root / "model/v1/new.bin", ""),
        "a file of the model less": lambda root: (root / "model/v1/deep.bin").unlink(),
        "a new name in the model": lambda root: (root / "model/v1").rename(root / "model/v2"),
        "a link for a file": lambda root: linked(root / "code/sub/helper.py", "../score.py"),
        "a link to what it was for a file": lambda root: moved_out(root / "code/score.py", root / "code/sub"),
        "a file for a link": lambda root: (root / "code/sub/other.py").replace(root / "code/latest"),
        "a link led elsewhere": lambda root: linked(root / "code/latest", "score.py"),
        "a folder's link led elsewhere": lambda root: linked(root / "code/data", "../requests"),
        "a link that says it in other words": lambda root: linked(
            root / "code/latest", "sub/../sub/helper.py"
        ),
        "a link to a link": lambda root: linked(root / "code/latest", "again"),
        "a link for a folder above": lambda root: moved_out(root / "shared", root / "requests"),
        "another entry script where its link leads": lambda root: linked(
            root / "code/main.py", "../shared/other.py"
        ),
        "a byte where the entry script's link leads": lambda root: set_text(
            root / "shared/main.py", ENTRY + "\n"
        ),
        "a virtual environment": lambda root: set_text(root / "code/env/pyvenv.cfg", ""),
        "records in a folder of code": lambda root: set_text(root / "code/.azureml-image/build.json", ""),
        "a new file beside the table": lambda root: set_text(root / "README.md", ""),
    },
    "refused": {
        "no table": lambda root: (root / "pyproject.toml").unlink(),
        "a private key in code": lambda root: set_text(root / "code/sub/helper.py", KEY),
        "a private key in a linked folder": lambda root: set_text(root / "shared/data/points.csv", KEY),
        "a private key in the model": lambda root: set_text(root / "model/weights.bin", KEY),
        "a large file of code": lambda root: os.truncate(root / "code/sub/helper.py", LARGE + 1),
        "no init()": lambda root: set_text(root / "shared/main.py", "def run(data): ...\n"),
        "no Python": lambda root: set_text(root / "shared/main.py", "def init( ...\n"),
        "no entry script": lambda root: (root / "shared/main.py").unlink(),
        "a .env beside the code": lambda root: set_text(root / "code/.env", ""),
        "the server's config.json": lambda root: set_text(root / "code/config.json", "{}"),
        "a link out of the project": lambda root: linked(root / "code/latest", "../../secret"),
        "a link into nothing": lambda root: linked(root / "code/latest", "none"),
        "nothing where a link leads": lambda root: (root / "code/sub/helper.py").unlink(),
        "the code out of the project": lambda root: moved_out(root / "code", root.parent),
        "the model out of the project": lambda root: moved_out(root / "model", root.parent),
        "an included file out of the project": lambda root: moved_out(root / "more/limits.txt", root.parent),
        "a wheel out of the project": lambda root: moved_out(root / "wheels", root.parent),
        "the secret in the context": lambda root: linked(root.parent / "secret", "project/code/score.py"),
        "no request": lambda root: (root / "requests/one.json").unlink(),
        "an answer that is no JSON": lambda root: set_text(root / "requests/wanted.json", "{"),
    },
}
MOUNTED_CHANGES: dict[str, dict[str, Edit]] = {
    "as before": {
        "nothing": lambda _: None,
        "an equal but touched file": lambda root: os.utime(root / "mounted/v1/deep.bin", (1, 1)),
        "a model that is not mounted": lambda root: set_text(root / "model/weights.bin", "other"),
    },
    "read anew": {
        "another byte of the mounted model": lambda root: set_text(root / "mounted/v1/deep.bin", "DEEP\n"),
        "a new file of it": lambda root: set_text(root / "mounted/v1/new.bin", ""),
        "a file of it less": lambda root: (root / "mounted/v1/deep.bin").unlink(),
        "what a link of it leads to": lambda root: set_text(root / "shared/none.bin", ""),
    },
    "refused": {
        "no model to mount": lambda root: shutil.rmtree(root / "mounted"),
        "a model that leaves the project": lambda root: moved_out(root / "mounted", root.parent),
    },
}


@pytest.mark.parametrize(
    ("expected", "change"), [(word, change) for word, changes in CHANGES.items() for change in changes]
)
def test_a_change_is_seen(expected: str, change: str, tmp_path: Path) -> None:
    """After one change the plan is what a new reading gives, or there is none; and each change has its own course."""
    assert expected == after(project(tmp_path), CHANGES[expected][change])


@pytest.mark.parametrize(
    ("expected", "change"),
    [(word, change) for word, changes in MOUNTED_CHANGES.items() for change in changes],
)
def test_a_change_of_what_is_mounted_is_seen(expected: str, change: str, tmp_path: Path) -> None:
    """The same of a model that the smoke test mounts: what it holds is a part of what a pass counts for."""
    assert expected == after(project(tmp_path, model=MOUNTED), MOUNTED_CHANGES[expected][change])


def test_the_code_may_be_a_link(tmp_path: Path) -> None:
    """Where `code` itself is a link, the code is that of the folder to which it leads by now."""
    root = project(tmp_path)
    (root / "code").rename(root / "one")
    shutil.copytree(root / "one", root / "two", symlinks=True)
    linked(root / "code", "one")
    age(tmp_path)

    assert "read anew" == after(root, lambda root: linked(root / "code", "two"))


def test_the_entry_script_may_lie_behind_a_linked_folder(tmp_path: Path) -> None:
    """Where the entry script is named by way of a link, what the server will import is looked at all the same."""
    root = project(tmp_path)
    replaced(root / "pyproject.toml", '"main.py"', '"alias/served.py"')
    set_text(root / "code/sub/served.py", ENTRY)
    linked(root / "code/alias", "sub")
    age(tmp_path)

    assert "refused" == after(root, lambda root: set_text(root / "code/sub/served.py", "run = init\n"))


def folder_for(file: Path) -> None:
    """Make a folder in the place of a file."""
    file.unlink()
    file.mkdir()


def after(root: Path, edit: Edit) -> str:
    """What happens to a plan that is remembered when the project changes by *edit*."""
    before = keep(root)
    assert before == recall(root)
    edit(root)
    age(root.parent)

    recalled, now = recall(root), fresh(root)

    assert recalled is None or recalled == now
    if recalled:
        return "as before" if recalled == before else "remembered"
    return "read anew" if now else "refused"
