"""The pages' examples for each kind of project: each table is read with its files, and gives what its page says."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

import azureml_tasks
from azureml_tasks.errors import EngineError
from tests import uv_projects
from tests.cases import lay_out
from tests.consumers import TASKS, invoke
from tests.context_members import listing
from tests.documentation import DOCS, blocks
from tests.git_command import git

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from azureml_tasks.planning.plan import Plan

PROJECT = '[project]\nname = "scoring"\nversion = "1.0"\n\n'
SCRIPT = "def init(): ...\ndef run(data): ...\n"
CODE = {"code/score.py": SCRIPT}
PACKAGES = {"requirements.txt": "numpy==2.1.3\n"}


class Example(NamedTuple):
    """An example of a page.

    Args:
        page: its name.
        has: what only this table of the page has.
        files: that the table names.
        expected: lines that the Dockerfile or the build context then has.
        base: added to an example that leaves it out.
    """

    page: str
    has: str
    files: Mapping[str, str]
    expected: tuple[str, ...]
    base: str = ""


EXAMPLES = {
    "a conda file": Example(
        "python-packages.md",
        "conda =",
        {"environment/conda.yaml": "dependencies:\n  - numpy=2.1\n"},
        ("    numpy==2.1.*",),
    ),
    "an index for some packages": Example(
        "python-packages.md",
        "torch-cpu.txt",
        {
            "torch-cpu.txt": next(
                text for text in blocks(DOCS / "python-packages.md", "text") if "torch-cpu" in text
            ),
            **PACKAGES,
        },
        ("file python/project/torch-cpu.txt 78", "file python/project/requirements.txt 13"),
    ),
    "a model in a folder of its own": Example(
        "smoke-test.md",
        "model-name",
        {"weights/iris.joblib": "w", **CODE},
        ("COPY model/ /var/azureml-app/azureml-models/model/", "file model/iris.joblib 1"),
    ),
    "code in several folders": Example(
        "layouts.md",
        'code = ["deploy", "src"]',
        {"deploy/score.py": SCRIPT, "src/features/clean.py": ""},
        (
            '    AZUREML_ENTRY_SCRIPT="deploy/score.py" \\',
            "file code/deploy/score.py 35",
            "file code/src/features/clean.py 0",
            '    PYTHONPATH="/var/azureml-app/src${PYTHONPATH:+:${PYTHONPATH}}"',
        ),
    ),
    "variables that extend others": Example(
        "layouts.md",
        "TOOLS",
        {"model/labels.txt": "", **CODE},
        (
            '    PATH="/opt/tools/bin:${PATH:?the base sets no PATH}" \\',
            '    LABELS="/var/azureml-app/azureml-models/labels.txt" \\',
            '    PRICE="5 \\$"',
        ),
        base='base = "minimal-py312-inference"\nmodel = "model"\n',
    ),
    "any base with Python": Example(
        "base-images.md",
        "python:3.10-slim",
        PACKAGES,
        ("FROM python:3.10-slim", "file python/server_environment.sh"),
    ),
    "a base with CUDA and without Python": Example(
        "base-images.md",
        "nvidia/cuda",
        {},
        ("FROM nvidia/cuda:12.4.1-runtime-ubuntu22.04",),
    ),
    "an MLflow model": Example(
        "base-images.md",
        "mlflow-py312",
        {"model/MLmodel": "flavors: {}\n", "model/requirements.txt": "mlflow==2.9.2\n"},
        (
            "FROM mcr.microsoft.com/azureml/curated/mlflow-py312-inference:latest",
            'MLFLOW_MODEL_FOLDER="mlflow_model_folder"',
        ),
    ),
    "packages beside mounted code": Example(
        "without-an-image.md",
        "packages-folder",
        CODE,
        ("file python/collect_packages.py", "    numpy==2.1.3"),
    ),
    "your own Dockerfile": Example(
        "own-dockerfile.md",
        "dockerfile =",
        {"Dockerfile": blocks(DOCS / "own-dockerfile.md", "dockerfile")[0], "src/serve.py": ""},
        ("COPY --from=build /build/ /app/", "file src/serve.py 0"),
    ),
    "a user that a command makes": Example(
        "settings.md",
        'user = "server"',
        {},
        (
            'RUN ["/bin/sh", "-c", "useradd --create-home server && chown -R server /var/runit ',
            "USER server",
        ),
        base='base = "minimal-py312-inference"\n',
    ),
}


def table(page: str, has: str) -> str:
    """Return the one table of a page that has a text."""
    (text,) = (text for text in blocks(DOCS / page, "toml") if has in text)
    return text


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
def test_an_example_gives_what_its_page_says(example: Example, tmp_path: Path) -> None:
    """It is read without a problem, and the image has what the page promises."""
    text = table(example.page, example.has)
    if example.base and "[tool.azureml-image]\n" in text:
        text = text.replace("[tool.azureml-image]\n", f"[tool.azureml-image]\n{example.base}")
    elif example.base:
        text = f"[tool.azureml-image]\n{example.base}{text}"
    project = "" if text.startswith("[project]") else PROJECT
    lay_out({"pyproject.toml": project + text, **example.files}, tmp_path)

    plan = azureml_tasks.plan(azureml_tasks.load(tmp_path))

    lines = lines_of(plan)
    assert [line for line in example.expected if not any(line in each for each in lines)] == []


def lines_of(plan: Plan) -> list[str]:
    """Return the lines of the Dockerfile, and those of the list of the build context."""
    return [*azureml_tasks.render(plan).splitlines(), *listing(plan.files).splitlines()]


def test_the_example_of_a_monorepo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code and requirements may be anywhere below the root, which git tracks; `check` misses the engine alone."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    text = table("layouts.md", 'root = "../.."')
    files = {
        text.splitlines()[0].removeprefix("# "): PROJECT + text,
        "services/scoring/tasks.py": TASKS,
        "services/scoring/deploy/score.py": SCRIPT,
        "services/scoring/requirements.txt": "six\n",
        "libraries/features/clean.py": "",
        "requirements/common.txt": "idna\n",
    }
    lay_out(files, tmp_path)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")

    project = tmp_path / "services" / "scoring"
    plan, checked = azureml_tasks.plan(azureml_tasks.load(project)), invoke(project, "image.check")

    assert (EngineError.exit_code, "") == (checked.code, checked.err.partition("Docker's engine")[0])
    assert "copy the code to /var/azureml-app, entry script deploy/score.py\n" in checked.out
    names = {file.name for file in plan.files}
    assert {"code/deploy/score.py", "code/features/clean.py"} <= names
    assert plan.python
    assert {"six", "idna"} == set(plan.python.lines)


def test_the_example_of_a_lock_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extras and groups that the table names come from the lock file, with their versions and hashes."""
    uv_projects.put_uv_on_path(monkeypatch)
    before = uv_projects.PYPROJECT.partition("[tool.azureml-image]")[0]
    text = before.replace("serve =", "serving =") + table("python-packages.md", '"uv.lock"')
    lock = uv_projects.LOCK.replace("serve =", "serving =")
    lay_out({**CODE, "pyproject.toml": text, "uv.lock": lock}, tmp_path)

    plan = azureml_tasks.plan(azureml_tasks.load(tmp_path))

    assert plan.python
    assert ["regex", "six", "uvloop"] == [line.partition("==")[0] for line in plan.python.lines]
    assert plan.python.pinned
