"""The report of what would happen, and what it says to do next."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.cli import check_report
from azureml_tasks.cli.console import Console
from azureml_tasks.commands.check import check
from azureml_tasks.commands.image_build import up_to_date
from azureml_tasks.commands.prepare import Prepared
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.commands.run_plan import plan_image
from azureml_tasks.context import build_context
from azureml_tasks.errors import EngineError
from azureml_tasks.incremental.fingerprint import fingerprint_parts
from azureml_tasks.sizes import size_text
from tests.cases import lay_out
from tests.consumers import project
from tests.fake_engine import json_answer, ready_engine
from tests.json_reports import report_of
from tests.projects import replaced, set_text
from tests.stub_engine import StubEngine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BASE = "mcr.microsoft.com/azureml/minimal-py312-inference:latest"
IMAGE = {
    "Os": "linux",
    "Architecture": "amd64",
    "Config": {"Env": ["AZUREML_CONDA_ENVIRONMENT_PATH=/env"], "Cmd": ["runsvdir", "/var/runit"]},
}
IMAGE_ID = "sha256:" + "1" * 64
DIGEST = "sha256:" + "3" * 64
PUSH = "r.io/demo:1.2.3 is up to date and passed its smoke test: invoke serving.push"
CONSOLE = Console(task_prefix="invoke serving.")
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
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunContext:
    """A run in a project with everything in its table, for an engine that does not answer."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    return RunContext(folder=lay_out(FILES, tmp_path), reporter=CONSOLE)


@pytest.fixture
def ready_run(run: RunContext, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunContext]:
    """The run with an engine that answers and has the base and what `built` records."""
    with ready_engine() as engine:
        monkeypatch.setenv("DOCKER_HOST", engine.host)
        for name, image_id in ((BASE, "sha256:2"), (IMAGE_ID, IMAGE_ID)):
            engine.answers[f"GET /v1.48/images/{quote(name, safe='/:')}/json"] = json_answer(
                {**IMAGE, "Id": image_id}
            )
        yield run


def built(run: RunContext, *, age: int = 0) -> BuiltImage:
    """Record a build of the files as they are."""
    plan, context = plan_image(run)
    image = BuiltImage(
        id=IMAGE_ID,
        names=plan.names,
        engine="docker",
        context_sha256=context.sha256,
        user="dockeruser",
        fingerprint_parts=fingerprint_parts(plan, context, "sha256:2"),
        installed_at=int(time.time()) - age,
    )
    run.records.write_build(image)
    return image


def next_step(run: RunContext) -> str:
    """The next step that the report names."""
    return CONSOLE.spell(check(run).next_step)


def test_the_whole_report(run: RunContext) -> None:
    """Base, names, each step in its order, the context with its largest files, smoke test, engine, next step."""
    _, context = plan_image(run)
    largest = [f"{size_text(file.size):>9}  {file.name}" for file in build_context.largest(context.files)]
    added = context.size - sum(file.size for file in context.files if file.source)

    expected = [
        "base       mcr.microsoft.com/azureml/minimal-py312-inference:latest, linux/amd64",
        "image      r.io/demo:1.2.3",
        "           r.io/demo:latest",
        "steps      apt: libpng-tools, curl",
        "           pip: numpy>=1.26",
        "           copy the model to /var/azureml-app/azureml-models",
        "           copy the code to /var/azureml-app, entry script score.py",
        "           run after apt, as root: ldconfig",
        f"context    {context.file_count} files, {size_text(context.size)}, sha256 {context.sha256}",
        *(f"{'' if index else 'largest':<10} {row}" for index, row in enumerate(largest)),
        f"           {size_text(added):>9}  4 files that azureml-tasks adds",
        "smoke test start-up, health check, /swagger.json and 1 request, each 3 times",
        "engine     not reachable: Docker's engine does not answer (DOCKER_HOST names unix:///nowhere/docker.sock).",
    ]
    assert expected == check_report.as_text(check(run), CONSOLE.spell).splitlines()


@pytest.mark.parametrize(
    ("base", "step"),
    [
        (
            '"python:3.10-slim"\nserver = "azmlinfsrv"',
            "copy the code to /var/azureml-app, entry script score.py",
        ),
        (
            '"bases/serving:4"',
            "copy the code to the folder that the base's server reads, entry script score.py",
        ),
    ],
)
def test_the_steps_on_a_base_that_azure_does_not_document(run: RunContext, base: str, step: str) -> None:
    """The server is added if the table says so; else the code goes where the base looks."""
    set_text(
        run.folder / "pyproject.toml", FILES["pyproject.toml"].replace('"minimal-py312-inference"', base)
    )

    steps = check(run).steps

    assert (True, "azmlinfsrv" in base) == (step in steps, "add the inference server to the base" in steps)


def test_build_describes_the_context_as_check_does(
    run: RunContext, capsys: pytest.CaptureFixture[str]
) -> None:
    """Count, size and hash are written in one way: a small context is not one of 0.0 MB."""
    ready = Prepared(*plan_image(run), StubEngine(reporter=CONSOLE))  # type: ignore[arg-type]
    up_to_date(run, ready, no_cache=True, pull=False)

    context = capsys.readouterr().err.splitlines()[-1].partition("build context: ")[2]
    assert f"context    {context}" in check_report.as_text(check(run), CONSOLE.spell).splitlines()


def test_the_next_step_follows_the_records(ready_run: RunContext) -> None:
    """From nothing built to a pass, the report names the one next command; a changed file leads back to build."""
    steps = [next_step(ready_run)]
    image = built(ready_run)
    steps.append(next_step(ready_run))
    ready_run.records.write_pass(image._replace(id="sha256:" + "2" * 64), "0" * 64, {"passed": True})
    steps.append(next_step(ready_run))
    ready_run.records.write_pass(image, plan_image(ready_run)[0].smoke_test.sha256, {"passed": True})
    steps.append(next_step(ready_run))
    (ready_run.folder / "code" / "score.py").write_text("def init(): ...\ndef run(data): return data\n")
    steps.append(next_step(ready_run))

    assert [
        "nothing is built yet: invoke serving.build",
        "r.io/demo:1.2.3 is up to date: invoke serving.smoke-test",
        "r.io/demo:1.2.3 is up to date: invoke serving.smoke-test",
        "r.io/demo:1.2.3 is up to date and passed its smoke test: invoke serving.push",
        "files have changed since r.io/demo:1.2.3 was built: invoke serving.build",
    ] == steps


@pytest.mark.parametrize(
    ("differs", "step"),
    [
        ({}, f"r.io/demo:1.2.3 is pushed (r.io/demo@{DIGEST}): invoke serving.environment"),
        ({"id": DIGEST}, PUSH),
        ({"tags": ["1.2.3"]}, PUSH),
        ({"image": f"other.io/demo@{DIGEST}"}, PUSH),
    ],
    ids=["as it is", "another image", "without a tag", "elsewhere"],
)
def test_what_is_pushed_is_not_pushed_again(
    differs: dict[str, object], step: str, ready_run: RunContext
) -> None:
    """After a push of this image, with all its tags to this registry, its environment is the next step."""
    image = built(ready_run)
    ready_run.records.write_pass(image, plan_image(ready_run)[0].smoke_test.sha256, {"passed": True})
    result = {
        "image": f"r.io/demo@{DIGEST}",
        "id": image.id,
        "tags": ["1.2.3", "latest"],
        "digest": DIGEST,
        "context_sha256": image.context_sha256,
        "smoke": None,
    }
    ready_run.records.write_result({**result, **differs})

    assert step == next_step(ready_run)


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ('registry = "r.io"', 'registry = "s.io"', "s.io/demo:1.2.3 and s.io/demo:latest"),
        ('"latest"', '"prod"', "r.io/demo:1.2.3 and r.io/demo:prod"),
    ],
    ids=["registry", "tags"],
)
def test_an_image_with_other_names_than_the_table_has_is_built(
    old: str, new: str, names: str, ready_run: RunContext
) -> None:
    """Also after a pass: a build gives the image the names that the table has now."""
    image = built(ready_run)
    ready_run.records.write_pass(image, plan_image(ready_run)[0].smoke_test.sha256, {"passed": True})
    replaced(ready_run.folder / "pyproject.toml", old, new)

    reason = f"r.io/demo:1.2.3 is out of date (a build would name it {names})"
    assert f"{reason}: invoke serving.build" == next_step(ready_run)


def test_a_pass_of_another_test_is_no_pass(ready_run: RunContext) -> None:
    """Where the table asks for another smoke test than the one that passed, that test is the next step."""
    ready_run.records.write_pass(built(ready_run), "0" * 64, {"passed": True})

    assert "r.io/demo:1.2.3 is up to date: invoke serving.smoke-test" == next_step(ready_run)


def test_checking_touches_nothing(run: RunContext) -> None:
    """No file of the project is made, changed or removed."""
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}

    check(run)

    assert before == {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}


def test_packages_that_are_not_pinned_age(ready_run: RunContext) -> None:
    """What a build would build again because of its age, check calls out of date too."""
    built(ready_run, age=8 * 86_400)

    expected = (
        "r.io/demo:1.2.3 is out of date (its packages are not pinned and were installed 8 days ago): "
        "invoke serving.build"
    )
    assert expected == next_step(ready_run)


def test_the_list_of_files_is_that_of_the_last_build(run: RunContext) -> None:
    """A reason names the file that has changed since the last build, however many files there are."""
    built(run)
    run.records.write_files(plan_image(run)[1])
    (run.folder / "code" / "score.py").write_text("def init(): ...\ndef run(data): return data\n")

    report = check(run)

    assert (("code", "labels"), ("code: code/score.py has changed",)) == (
        report.rebuilt_stages,
        report.reasons,
    )


def test_what_keeps_a_build_from_starting_is_the_error(run: RunContext) -> None:
    """An engine that does not answer is in the report and its error."""
    error = check(run).error

    assert isinstance(error, EngineError)
    assert "Docker's engine does not answer (DOCKER_HOST names unix:///nowhere/docker.sock)." == error.what


@pytest.mark.parametrize("has_base", [False, True])
def test_a_missing_credential_helper(
    run: RunContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_base: bool
) -> None:
    """A helper that is missing keeps a build from starting if the base must be pulled; else it is a warning."""
    config = lay_out({"config.json": '{"credsStore": "gone"}'}, tmp_path / "docker")
    monkeypatch.setenv("DOCKER_CONFIG", str(config))
    warnings: list[str] = []
    monkeypatch.setattr(Console, "warn", lambda _, notice: warnings.append(notice.what))
    with ready_engine() as engine:
        monkeypatch.setenv("DOCKER_HOST", engine.host)
        if has_base:
            base = quote(BASE, safe="/:")
            engine.answers[f"GET /v1.48/images/{base}/json"] = json_answer({**IMAGE, "Id": "sha256:1"})
        report = check(run)

    error = report.error
    what = (
        f'The credential helper docker-credential-gone, which "credsStore" of {config}/config.json names, '
        "is not on PATH. Registry {} was not asked."
    )
    assert (None if has_base else what.format("mcr.microsoft.com")) == (error.what if error else None)
    assert what.format("r.io") in warnings
    assert what.format("r.io") in [notice.what for notice in report.plan.warnings]


def test_all_that_is_missing_is_data(run: RunContext) -> None:
    """A secret that is not given and a registry that is not named are both problems, and there is no next step."""
    table = 'pip = ["numpy==2.1.0"]\nsecrets = ["netrc"]\n'
    (run.folder / "pyproject.toml").write_text(project("demo", table))

    run = run._replace(engine="acr")
    report = report_of(run, check(run))

    problems = [
        "[tool.azureml-image] names no registry to build in",
        "tool.azureml-image.secrets wants netrc, and the run does not say where it is",
    ]
    assert (None, "blocked", {"name": None, "text": "acr, not opened"}, problems) == (
        report["next"],
        report["status"],
        report["engine"],
        [problem["what"] for problem in report["errors"]],
    )
