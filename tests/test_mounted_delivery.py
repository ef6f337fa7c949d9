"""A delivery without an image, as the table says it."""

from __future__ import annotations

from pathlib import Path

import pytest

import azureml_tasks
from azureml_tasks.planning.plan import Plan
from azureml_tasks.project.mounted_delivery import MountedDelivery
from tests.cases import lay_out

TABLE = (
    '[project]\nname = "scoring"\nversion = "1"\n\n[tool.azureml-image]\nbase = "minimal-py312-inference"\n'
)
SCORE = "def init(): ...\ndef run(data): ...\n"


def planned(folder: Path, more: str, **files: str) -> Plan:
    """The plan of a project with a script, and *more* in its table."""
    return azureml_tasks.plan(
        azureml_tasks.load(lay_out({"pyproject.toml": TABLE + more, "code/score.py": SCORE, **files}, folder))
    )


@pytest.mark.parametrize(
    ("more", "line"),
    {
        "nothing": ("", "no start installs anything"),
        "two packages": ('pip = ["numpy==2.1.3", "pandas"]\n', "each start installs 2 packages again"),
    }.values(),
    ids=["nothing", "two packages"],
)
def test_a_project_that_needs_no_image_is_told_so_with_what_it_costs(
    more: str, line: str, tmp_path: Path
) -> None:
    """One line names the other delivery, and what each start does then."""
    assert planned(tmp_path, more).lighter_way == (
        f'no image is needed: with delivery = "mount" Azure ML mounts the code into the base, and {line}'
    )


@pytest.mark.parametrize(
    "more",
    [
        'apt = ["libgomp1"]\n',
        'run = [{ command = "true" }]\n',
        'secrets = ["netrc"]\npip = ["numpy"]\n',
        'pip = ["a", "b", "c", "d", "e", "f"]\n',
        'delivery = "mount"\n',
    ],
)
def test_nothing_is_said_of_a_project_that_needs_an_image(more: str, tmp_path: Path) -> None:
    """System packages, commands, secrets and many packages need one; mounted code has none."""
    assert not planned(tmp_path, more).lighter_way


def test_paths_of_packages_are_relative_to_the_entry_script(tmp_path: Path) -> None:
    """The base looks for the requirements file beside the script, and nothing is in the build context for pip."""
    plan = planned(
        tmp_path,
        'delivery = "mount"\nentry-script = "serve/main.py"\nrequirements = "code/requirements.txt"\n',
        **{"code/serve/main.py": SCORE, "code/requirements.txt": "numpy==2.1.3\n"},
    )

    assert plan.mounted == MountedDelivery(str(tmp_path), "code", "serve/main.py", "../requirements.txt")
    assert plan.mounted.variables == {"AZUREML_EXTRA_REQUIREMENTS_TXT": "../requirements.txt"}
    assert (None, (), {}) == (plan.python, plan.names, dict(plan.env))
