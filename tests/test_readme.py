"""The README: its quick start is a project without a mistake, and it opens with the contributors' commands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import azureml_tasks
from azureml_tasks.cli.tasks import TASKS
from tests.cases import lay_out
from tests.documentation import README, ROOT, blocks, commands, quick_start

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

LONGEST = 220
"""Lines that the README may have; more goes to a page of its own."""


def test_the_quick_start_is_a_project_without_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The three files of the quick start make the image that the README shows."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    plan = azureml_tasks.plan(azureml_tasks.load(quick_start(tmp_path)))

    assert (("contoso.azurecr.io/adder:1.0.0",), {"AZUREML_ENTRY_SCRIPT": "score.py"}, ()) == (
        plan.names,
        plan.env,
        plan.warnings,
    )
    assert ["code/", "code/score.py"] == [file.name for file in plan.files]
    assert f"\ninstead    {plan.lighter_way}\n" in README.read_text(encoding="utf-8")


def test_your_own_project_is_as_the_text_says(tmp_path: Path) -> None:
    """The content of `code` and `model` is copied, without the folders themselves."""
    table = blocks(README, "toml")[1].replace(', "{git-sha}"', "")
    files = {
        "pyproject.toml": table,
        "requirements.txt": "numpy==2.1.0\n",
        "sample-request.json": "{}",
        "src/serving/score.py": "def init(): ...\ndef run(data): ...\n",
        "model/iris.joblib": "weights",
    }
    plan = azureml_tasks.plan(azureml_tasks.load(lay_out(files, tmp_path)))

    assert {"code/serving/score.py", "model/iris.joblib"} <= {file.name for file in plan.files}
    assert plan.env == {
        "AZUREML_ENTRY_SCRIPT": "serving/score.py",
        "AZUREML_MODEL_DIR": "/var/azureml-app/azureml-models",
    }


def test_it_opens_with_the_two_commands() -> None:
    """`demo` and `test` come before the first section, and are tasks of the clone."""
    opening = README.read_text(encoding="utf-8").split("\n## ")[0]
    tasks = (ROOT / "tasks.py").read_text(encoding="utf-8")

    names = re.findall(r"^\$ python3 tasks\.py (\w+)", opening, re.MULTILINE)
    assert names == ["demo", "test"]
    assert set(names) <= set(re.findall(r"^def (\w+)", tasks, re.MULTILINE))


def test_a_request_that_waits_for_the_server_prints_no_error_page() -> None:
    """While the server starts, nginx may answer with a page that says 502: with `--fail`, curl does not print it."""
    waiting = [command.line for command in commands(README) if "--retry" in command.line]

    assert waiting == [
        "curl --silent --fail --retry 10 --retry-all-errors http://127.0.0.1:5001/",
    ]


def test_what_differs_in_the_playground_is_said() -> None:
    """Its registry is on this machine and needs no sign-in, so a command that names Azure's cannot be pasted."""
    lines = [command.line for command in commands(README) if not command.line.startswith("az ml ")]
    different = [line for line in lines if line.startswith("az ") or "contoso.azurecr.io" in line]
    paragraph = README.read_text(encoding="utf-8").partition("To try all this")[2].partition("\n\n")[0]

    assert ["docker run", "az login", "az acr"] == [" ".join(line.split()[:2]) for line in different]
    assert "leave out the two\n`az` commands, and in `docker run` write the registry" in paragraph


def test_its_table_has_every_task() -> None:
    """Each is named as it is called."""
    named = re.findall(r"`image\.([a-z-]+)", README.read_text(encoding="utf-8").partition("\n| task |")[2])

    assert {spec.name for spec in TASKS} <= set(named)


def test_it_stays_short() -> None:
    """A newcomer reads the README to its end."""
    assert len(README.read_text(encoding="utf-8").splitlines()) <= LONGEST
