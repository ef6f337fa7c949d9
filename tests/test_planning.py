"""The plan of a project, which depends on its settings and facts alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import azureml_tasks
from azureml_tasks.config.settings import Run
from azureml_tasks.image_reference import Reference
from azureml_tasks.planning.plan import MODEL_DIR, Plan
from azureml_tasks.project.model import SmokeTestPlan
from tests.cases import lay_out

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = "def init(): ...\ndef run(data): ...\n"


def planned(
    folder: Path, table: str, files: dict[str, str] | None = None, *, base: str = "bases/serving"
) -> Plan:
    """Return the plan of a project with *table*."""
    text = f'[project]\nname = "scoring"\nversion = "1"\n[tool.azureml-image]\nbase = "{base}"\n{table}'
    return azureml_tasks.plan(azureml_tasks.load(lay_out({"pyproject.toml": text, **(files or {})}, folder)))


def test_a_minimal_table_gives_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without code, model, packages and registry, every field has its default."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    plan = planned(tmp_path, "")

    expected = Plan(
        base=Reference(host="", repository="bases/serving", tag="latest", digest=""),
        platform="linux/amd64",
        user="dockeruser",
        registry="",
        repository="scoring",
        tags=("1",),
        apt=(),
        python=None,
        runs=(),
        has_model=False,
        has_code=False,
        env={},
        labels={
            "org.opencontainers.image.title": "scoring",
            "org.opencontainers.image.version": "1",
            "org.opencontainers.image.base.name": "bases/serving:latest",
        },
        files=(),
        smoke_test=SmokeTestPlan()._replace(default_script=True, sha256=plan.smoke_test.sha256),
        app_root="${AML_APP_ROOT:-/var/azureml-app}",
        pinned=True,
        version="1",
    )
    assert expected == plan


@pytest.mark.parametrize(
    ("table", "files", "env"),
    [
        pytest.param("", {}, {}, id="neither"),
        pytest.param("", {"code/score.py": SCRIPT}, {"AZUREML_ENTRY_SCRIPT": "score.py"}, id="code"),
        pytest.param('model = "m"\n', {"m/a": ""}, {"AZUREML_MODEL_DIR": MODEL_DIR}, id="model"),
        pytest.param("", {"code/main.py": ""}, {}, id="code without a script that is named"),
        pytest.param(
            'env = { AZUREML_MODEL_DIR = "/mnt", B = "2", A = "1" }\n',
            {"code/score.py": SCRIPT},
            {"AZUREML_ENTRY_SCRIPT": "score.py", "AZUREML_MODEL_DIR": "/mnt", "B": "2", "A": "1"},
            id="the table's own follow in their order",
        ),
    ],
)
def test_the_variables_of_code_and_model_are_set_if_they_are_in_the_image(
    table: str, files: dict[str, str], env: dict[str, str], tmp_path: Path
) -> None:
    """Without a model in the image, Azure ML mounts one and sets the variable itself."""
    assert list(env.items()) == list(planned(tmp_path, table, files).env.items())


def test_packages_are_unique_and_files_are_sorted(tmp_path: Path) -> None:
    """Each system package is listed once, files are sorted by name, commands keep their order."""
    plan = planned(
        tmp_path,
        'apt = ["zip", "curl", "zip"]\npip = ["numpy"]\nmodel = "m"\n'
        'run = [{ command = "two", after = "code" }, { command = "one", user = "runtime" }]\n',
        {"m/a": "", "code/score.py": SCRIPT, "code/b": ""},
    )

    names = [file.name for file in plan.files]

    assert (("zip", "curl"), sorted(names)) == (plan.apt, names)
    assert plan.runs == (
        Run(command="two", after="code", user="root"),
        Run(command="one", after="pip", user="runtime"),
    )


def test_a_plan_is_immutable(tmp_path: Path) -> None:
    """A field cannot be set."""
    plan = planned(tmp_path, "")

    with pytest.raises(AttributeError):
        plan.user = "root"  # type: ignore[misc]  # which is what this is about


def test_names_contain_the_registry_if_one_is_set(tmp_path: Path) -> None:
    """They are `registry/repository:tag`, in the order of the tags."""
    plan = planned(tmp_path, 'registry = "localhost:5000"\ntags = ["b", "a"]\n')

    assert plan.names == ("localhost:5000/scoring:b", "localhost:5000/scoring:a")


def test_warnings_of_the_base_come_first(tmp_path: Path) -> None:
    """The warnings of reading follow."""
    table = 'env = { MY_KEY = "x" }\napt = ["python3-numpy"]\n'
    plan = planned(tmp_path, table, base="pytorch-1.6-ubuntu18.04-py37-cpu-inference")

    assert [str(warning).split()[0] for warning in plan.warnings] == ["base", "apt", "env.MY_KEY"]
