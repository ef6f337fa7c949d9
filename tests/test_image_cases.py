"""Tables of several images: each image's Dockerfile, names and smoke test are those of the case, to the byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import azureml_tasks
from azureml_tasks.cli.console import Console
from azureml_tasks.commands.check import check_images
from azureml_tasks.commands.run_context import RunContext
from tests.cases import IMAGES, lay_out, sections
from tests.consumers import DEAD
from tests.documentation import DOCS, blocks

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.planning.plan import Plan

OUTCOMES = ("Dockerfile ", "names ", "smoke test ")


@pytest.mark.parametrize("case", IMAGES, ids=[case.stem for case in IMAGES])
def test_each_image_is_as_expected(case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The top table is the default, and the image's own table changes it: in the API, and in `check`."""
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("DOCKER_HOST", DEAD)
    parts = sections(case)
    lay_out({name: text for name, text in parts.items() if not name.startswith(OUTCOMES)}, tmp_path)

    plans = {
        image: azureml_tasks.plan(azureml_tasks.load(tmp_path, image=image))
        for image in azureml_tasks.image_names(tmp_path)
    }
    checked = {
        run.image: report.plan.names
        for run, report in check_images(RunContext(folder=tmp_path, reporter=Console()))
    }

    outcomes = {name: text for image, plan in plans.items() for name, text in _outcomes(image, plan).items()}
    assert {name: text for name, text in parts.items() if name.startswith(OUTCOMES)} == outcomes
    assert {image: plan.names for image, plan in plans.items()} == checked


def _outcomes(image: str, plan: Plan) -> dict[str, str]:
    test = plan.smoke_test
    requests = ", ".join(request.name for request in test.requests)
    return {
        f"Dockerfile {image}": azureml_tasks.render(plan),
        f"names {image}": "".join(f"{name}\n" for name in plan.names),
        f"smoke test {image}": f"{requests}, {test.repeat} times, memory {test.memory or 'none'}\n",
    }


def test_the_example_of_the_page_is_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables merge, everything else is replaced, and the names are those of project and image."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    files = {
        "pyproject.toml": blocks(DOCS / "layouts.md", "toml")[0],
        "requirements.txt": "numpy==2.1.3\n",
        "requirements-gpu.txt": "numpy==1.26.4\n",
        "sample-request.json": "{}",
        "code/score.py": "def init(): ...\ndef run(data): ...\n",
    }
    lay_out(files, tmp_path)
    cpu, gpu = (
        azureml_tasks.plan(azureml_tasks.load(tmp_path, image=image))
        for image in azureml_tasks.image_names(tmp_path)
    )

    assert [("scoring-cpu", "2", "cpu"), ("scoring-gpu", "2", "cuda")] == [
        (plan.repository, plan.env["WORKER_COUNT"], plan.env["DEVICE"]) for plan in (cpu, gpu)
    ]
    names = ("python/project/requirements.txt", "python/project/requirements-gpu.txt")
    assert [[True, False], [False, True]] == [
        [name in {file.name for file in plan.files} for name in names] for plan in (cpu, gpu)
    ]
