"""The report of what would happen, and what it says to do next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.cli.console import Console
from azureml_tasks.commands import check as checking
from azureml_tasks.commands.run_context import RunContext, prepare
from azureml_tasks.context import build_context
from tests.cases import lay_out
from tests.consumers import project

if TYPE_CHECKING:
    from pathlib import Path

TABLE = """\
apt = ["libpng-tools", "curl"]
pip = ["numpy>=1.26"]
code = "code"
entry-script = "score.py"
model = "model"
registry = "r.io"
tags = ["{version}", "latest"]

[[tool.azureml-image.run]]
command = "ldconfig"
after = "apt"

[tool.azureml-image.smoke-test]
repeat = 3
[[tool.azureml-image.smoke-test.requests]]
body = [1, 2]
"""
FILES = {
    "pyproject.toml": project("demo", TABLE),
    "code/score.py": "def init(): ...\ndef run(data): ...\n",
    "model/weights.bin": "x" * 1500,
}


@pytest.fixture
def job(tmp_path: Path) -> RunContext:
    """A run in a project with everything in its table, for an engine that does not answer."""
    folder = lay_out(FILES, tmp_path)
    return RunContext(folder=folder, overrides={}, engine="none", reporter=Console(tasks="serving."))


def built(job: RunContext) -> BuiltImage:
    """Record a build of the files as they are."""
    plan, found = prepare(job)
    image = BuiltImage(
        id="sha256:1", names=plan.names, engine="docker", context_sha256=found.sha256, user="dockeruser"
    )
    job.records.write_build(image)
    return image


def then(job: RunContext) -> str:
    """The next step that the report names."""
    step: str = json.loads(checking.as_json(job))["then"]
    return step


def test_the_whole_report(job: RunContext) -> None:
    """Base, names, each step in its order, the context with its largest files, smoke test, engine, next step."""
    _, found = prepare(job)
    largest = [f"{in_units(file.size):>9}  {file.name}" for file in build_context.largest(found.files)]

    expected = [
        "base     mcr.microsoft.com/azureml/minimal-py312-inference:latest, linux/amd64",
        "image    r.io/demo:1.2.3",
        "         r.io/demo:latest",
        "steps    apt: libpng-tools, curl",
        "         pip: numpy>=1.26",
        "         model into /var/azureml-app/azureml-models",
        "         code into /var/azureml-app, entry script score.py",
        "         run after apt, as root: ldconfig",
        f"context  {found.file_count} files, {in_units(found.size)}, sha256 {found.sha256}",
        *(f"{'' if index else 'largest':<8} {row}" for index, row in enumerate(largest)),
        "test     start-up, health, /swagger.json and 1 request, each 3 times",
        'engine   There is no engine "none".',
        "then     nothing is built yet: invoke serving.build",
    ]
    assert expected == checking.as_text(job).splitlines()


def in_units(count: int) -> str:
    """Bytes as the report writes them, below a megabyte."""
    return f"{count / 1000:.1f} kB" if count >= 1000 else f"{count} bytes"


def test_the_next_step_follows_the_records(job: RunContext) -> None:
    """From nothing built to a pass, the report names the one next command; a changed file leads back to build."""
    steps = [then(job)]
    image = built(job)
    steps.append(then(job))
    job.records.write_pass(image._replace(id="sha256:other"), "0", {})
    steps.append(then(job))
    job.records.write_pass(image, prepare(job)[0].smoke_test.sha256, {})
    steps.append(then(job))
    (job.folder / "code" / "score.py").write_text("def init(): ...\ndef run(data): return data\n")
    steps.append(then(job))

    assert [
        "nothing is built yet: invoke serving.build",
        "r.io/demo:1.2.3 is built of these files: invoke serving.smoke-test",
        "r.io/demo:1.2.3 is built of these files: invoke serving.smoke-test",
        "r.io/demo:1.2.3 is built of these files and passed a smoke test: invoke serving.push",
        "files have changed since r.io/demo:1.2.3 was built: invoke serving.build",
    ] == steps


def test_a_pass_of_another_test_is_no_pass(job: RunContext) -> None:
    """Where the table asks for another smoke test than the one that passed, that test is the next step."""
    job.records.write_pass(built(job), "another", {})

    assert "r.io/demo:1.2.3 is built of these files: invoke serving.smoke-test" == then(job)


def test_checking_touches_nothing(job: RunContext) -> None:
    """No file of the project is made, changed or removed."""
    before = {path: path.stat().st_mtime_ns for path in job.folder.rglob("*")}

    checking.as_text(job)

    assert before == {path: path.stat().st_mtime_ns for path in job.folder.rglob("*")}
