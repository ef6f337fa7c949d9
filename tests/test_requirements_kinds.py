"""A file that is no requirements file is one problem, with the one command that helps, whatever its lines are."""

from __future__ import annotations

import pytest

from azureml_tasks.requirements.files import read_tree
from azureml_tasks.requirements.kinds import lock_kind

READ = "which pip does not read"
THEN = '\nthen write: requirements = "requirements.txt"'
POETRY = '# made by a tool\n\n[[package]]\nname = "numpy"\nversion = "2.1.3"\n'
NO_FILE = "is TOML or JSON, and no requirements file"
FORMS = "The table takes requirements files, pylock.toml and uv.lock."


@pytest.mark.parametrize(
    ("name", "text", "message", "fix"),
    [
        (
            "poetry.lock",
            POETRY,
            f"is a lock file of Poetry, {READ}",
            "poetry export --output requirements.txt",
        ),
        ("pdm.lock", POETRY, f"is a lock file of PDM, {READ}", "pdm export --prod --output requirements.txt"),
        (
            "Pipfile.lock",
            "{}",
            f"is a lock file of Pipenv, {READ}",
            "pipenv requirements --hash > requirements.txt",
        ),
        ("renamed.txt", POETRY, NO_FILE, FORMS),
        ("requirements.json", "", NO_FILE, FORMS),
    ],
)
def test_it_is_one_problem(name: str, text: str, message: str, fix: str) -> None:
    """The root, or a file that it includes."""
    fix += THEN if READ in message else ""
    texts = {name: text * 1000, "r.txt": f"-r {name}\n"}

    assert [[(name, 0, message, fix, "settings")]] * 2 == [
        read_tree(root, texts.get)[1] for root in (name, "r.txt")
    ]


@pytest.mark.parametrize("name", ["pylock.toml", "uv.lock"])
def test_a_lock_file_cannot_be_included(name: str) -> None:
    """Only the table names it."""
    _, problems = read_tree("r.txt", {"r.txt": f"-r {name}\n", name: ""}.get)

    assert ["is a lock file, which no other file can include"] == [problem.what for problem in problems]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("pylock.toml", "pylock"),
        ("locks/pylock.gpu.toml", "pylock"),
        ("pylock.a.b.toml", ""),
        ("my-pylock.toml", ""),
        ("service/uv.lock", "uv"),
        ("requirements.txt", ""),
    ],
)
def test_the_name_tells_the_kind(path: str, kind: str) -> None:
    """As the standard and uv name them."""
    assert kind == lock_kind(path)
