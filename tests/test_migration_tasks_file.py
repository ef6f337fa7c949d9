"""The file that gives Invoke the tasks: where it is, and what to add to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from azureml_tasks.migration.table.tasks_file import TEXT, tasks_file
from tests.cases import lay_out
from tests.documentation import README, blocks

OWN_NAMESPACE = "from invoke import Collection\nns = Collection()\n"
OWN_TASKS = "from invoke import task\n@task\ndef lint(c): ...\n"


def test_the_text_is_that_of_the_readme() -> None:
    """A newcomer sees the same two lines."""
    assert TEXT in blocks(README, "python")


def test_a_folder_without_one_gets_one(tmp_path: Path) -> None:
    """It lies beside pyproject.toml."""
    file = tasks_file(tmp_path, tmp_path)

    assert (file.path, file.exists, file.advice) == (tmp_path / "tasks.py", False, "")


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        (TEXT, ""),
        ("import azureml_tasks as a\n", ""),
        (OWN_NAMESPACE, "from azureml_tasks import image\nns.add_collection(image)"),
        ("namespace: object = 1\n", "from azureml_tasks import image\nnamespace.add_collection(image)"),
        (
            OWN_TASKS,
            (
                "import sys\nfrom invoke.collection import Collection\nfrom azureml_tasks import image\n"
                "ns = Collection.from_module(sys.modules[__name__])\nns.add_collection(image)"
            ),
        ),
        (
            "def broken(:\n",
            (
                "import sys\nfrom invoke.collection import Collection\nfrom azureml_tasks import image\n"
                "ns = Collection.from_module(sys.modules[__name__])\nns.add_collection(image)"
            ),
        ),
    ],
)
def test_one_that_exists_is_left_alone(text: str, advice: str, tmp_path: Path) -> None:
    """What to add depends on whether it has a namespace."""
    lay_out({"tasks.py": text}, tmp_path)
    file = tasks_file(tmp_path, tmp_path)

    assert (file.exists, file.advice) == (True, advice)


@pytest.mark.parametrize("name", ["tasks.py", "tasks/__init__.py"])
def test_one_above_the_project_counts(name: str, tmp_path: Path) -> None:
    """Invoke looks in the folders above, too, and the tasks then need the project's folder."""
    lay_out({name: OWN_NAMESPACE, "services/a/x": ""}, tmp_path)
    file = tasks_file(tmp_path / "services" / "a", tmp_path)

    assert (file.path, file.advice) == (
        tmp_path / name,
        'from azureml_tasks import collection\nns.add_collection(collection(project="services/a"))',
    )


def test_one_above_the_root_does_not_count(tmp_path: Path) -> None:
    """What is outside of the repository is another team's."""
    lay_out({"tasks.py": OWN_NAMESPACE, "repository/a/x": ""}, tmp_path)

    assert not tasks_file(tmp_path / "repository" / "a", tmp_path / "repository").exists


def test_a_folder_in_its_place_exists(tmp_path: Path) -> None:
    """Nothing can be written there: what to add is said, and the table is written without it."""
    (tmp_path / "tasks.py").mkdir()
    tasks = tasks_file(tmp_path, tmp_path)

    assert (tasks.path, tasks.exists) == (tmp_path / "tasks.py", True)
    assert "add_collection" in tasks.advice


def test_a_link_to_nothing_exists(tmp_path: Path) -> None:
    """Nothing is written through it."""
    (tmp_path / "tasks.py").symlink_to("nothing")

    assert tasks_file(tmp_path, tmp_path).exists


@pytest.mark.parametrize("text", [OWN_NAMESPACE, OWN_TASKS])
def test_the_advice_works(text: str, tmp_path: Path) -> None:
    """With the lines at its end, the file has our tasks."""
    lay_out({"tasks.py": text}, tmp_path)
    program = f"{text}\n{tasks_file(tmp_path, tmp_path).advice}\nnames = [*ns.task_names]\n"
    module: dict[str, object] = {"__name__": "tests.test_migration_tasks_file"}
    exec(compile(program, "tasks.py", "exec"), module)  # noqa: S102 -- it is what a person would add

    assert "image.check" in str(module["names"])
