"""The summary that a CI system shows of a job."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import pytest

from azureml_tasks.cli import job_summary, tasks
from azureml_tasks.cli.console import Console
from azureml_tasks.cli.job_summary import summary_text
from azureml_tasks.cli.options import TaskRun
from azureml_tasks.commands.results import BuildResult, ContextSize, PushResult, SmokeTestResult
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.engines.docker import engine as docker_engine
from azureml_tasks.errors import AzuremlTasksError
from azureml_tasks.smoke.report import Check, Latency, Report
from tests.cases import lay_out
from tests.documentation import DOCS, blocks
from tests.stub_engine import StubEngine

NAMES = ("contoso.azurecr.io/iris:1.0.0",)
ID, DIGEST = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
BUILT = BuildResult(
    status="built",
    id=ID,
    names=NAMES,
    engine="docker",
    context=ContextSize(files=12, bytes=34_000, sha256="3" * 64),
    rebuilt=("packages", "code"),
    because=("packages: requirements.txt has changed",),
    bytes=1_230_000_000,
    seconds=12.34,
)
TESTED = SmokeTestResult(
    status="passed",
    id=ID,
    names=NAMES,
    seconds=4.5,
    report=Report(
        image=NAMES[0],
        image_id=ID,
        place="through 127.0.0.1:49153",
        look_inside="docker run",
        checks=tuple(
            Check(name=name, outcome="passed") for name in ("start-up", "health check", "sample.json")
        ),
        latencies=tuple(
            Latency(name=name, status=200, p50=0.0124, p95=0.0203, repeats=20)
            for name in ("sample.json", "request 2")
        ),
        started=1.21,
        peak_memory=130 * 2**20,
    ),
)
PUSHED = PushResult(
    status="pushed",
    image=f"contoso.azurecr.io/iris@{DIGEST}",
    digest=DIGEST,
    tags=("1.0.0", "latest"),
    repository="contoso.azurecr.io/iris",
    id=ID,
    seconds=3.4,
)
FILES = {
    "pyproject.toml": (
        '[project]\nname = "demo"\nversion = "1.0"\n\n'
        '[tool.azureml-image]\nbase = "minimal-py312-inference"\nregistry = "contoso.azurecr.io"\n'
    ),
    "code/score.py": "def init(): ...\ndef run(data): ...\n",
}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> StubEngine:
    """Return an engine in place of Docker's."""
    stub = StubEngine(reporter=Console())
    monkeypatch.setattr(docker_engine, "open_docker", lambda *_, **__: stub)
    return stub


def do(task: str, folder: Path, *, dry: bool = False, **flags: Any) -> None:
    """Run the body of a task in *folder*."""
    console = Console(dry=dry, task_prefix="invoke ")
    context = RunContext(folder=folder, reporter=console)
    run = TaskRun(task=task, context=context, console=console, flags=flags, no_cache=False, pull=False)
    next(spec for spec in tasks.TASKS if spec.name == task).body(run)


def test_the_page_shows_the_summary_of_a_release() -> None:
    """The summary of a release is the one that docs/ci.md shows."""
    assert blocks(DOCS / "ci.md", "markdown")[0] == summary_text([BUILT, TESTED, PUSHED], task="release")


def test_what_was_not_rebuilt_is_said() -> None:
    """A first build, and one with --no-cache, are compared with none; one without a change has rebuilt nothing."""
    first = BuildResult(status="built", id=ID, names=NAMES, engine="docker")
    again = BuildResult(status="up-to-date", id=ID, names=NAMES, engine="docker")

    shown = [line for each in (first, again) for line in summary_text([each], task="build").splitlines()]

    assert [
        "### contoso.azurecr.io/iris:1.0.0 is built",
        "| rebuilt | everything that no cache had: compared with no earlier build |",
        "### contoso.azurecr.io/iris:1.0.0 is up to date",
        "| rebuilt | nothing: files, Dockerfile, base, platform and version are the same |",
    ] == [line for line in shown if line.startswith(("###", "| rebuilt"))]


def test_names_and_messages_of_others_are_no_markdown() -> None:
    """A name, a reason and an error show as they are: no markup, no cell of their own, no line of their own."""
    hostile = "a|b\n# <img src=x> [x](y) `c` **d** _e_ \\| ##vso[task.complete] \x1b[31m\u202e"
    built = BuildResult(status="built", id=ID, names=(hostile,), engine="docker", because=(hostile,))

    text = summary_text([built], task="build", error=f"first\n{hostile}")

    shown = (
        "a&#124;b\\\\n\\# \\<img src=x\\> \\[x\\](y) \\`c\\` \\*\\*d\\*\\* \\_e\\_ \\\\&#124; "
        "\\# \\#vso\\[task.complete\\] \N{REPLACEMENT CHARACTER}"
    )
    assert f"| because | {shown} |" in text.splitlines()
    assert f"### {shown} is built" in text.splitlines()


def test_each_image_has_its_table_and_an_error_its_section() -> None:
    """Of two images the one whose step failed has what is known of it, and the error is named last."""
    gpu = BuildResult(status="built", id=ID, names=("iris-gpu:1",), engine="docker", image_name="gpu")
    cpu = BuildResult(status="up-to-date", id=ID, names=("iris-cpu:1",), engine="docker", image_name="cpu")

    text = summary_text([gpu, cpu], task="build", error="A step failed.\nIn line 3.")

    headings = [line for line in text.splitlines() if line.startswith("###")]
    assert headings == ["### iris-gpu:1 is built", "### iris-cpu:1 is up to date", "### build failed"]
    assert text.endswith("### build failed\n\n| | |\n|---|---|\n| error | A step failed.<br>In line 3. |\n")


def test_github_gets_the_summary_of_a_release(
    engine: StubEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is appended to what an earlier step wrote; a smoke test that fails is there with its checks."""
    file = tmp_path / "summary.md"
    file.write_text("earlier\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    folder = lay_out(FILES, tmp_path / "project")

    do("release", folder)
    first = file.read_text(encoding="utf-8")
    do("release", folder, dry=True)
    assert first == file.read_text(encoding="utf-8")
    monkeypatch.setattr(docker_engine, "open_docker", lambda *_, **__: failing(engine, "test demo"))
    with pytest.raises(AzuremlTasksError):
        do("smoke-test", folder)

    second = file.read_text(encoding="utf-8").removeprefix(first)
    assert first.startswith(
        "earlier\n### contoso.azurecr.io/demo:1.0 is pushed\n\n| | |\n|---|---|\n| image | "
    )
    labels = re.findall(r"^\| ([^|]+) \| ", first, re.MULTILINE)
    assert labels == [
        *(
            "image",
            "digest",
            "ID",
            "size",
            "build context",
            "rebuilt",
            "build",
            "smoke test",
            "start-up",
            "push",
        ),
    ]
    assert ["### contoso.azurecr.io/demo:1.0 failed its smoke test"] == re.findall(
        "^###.*", second, re.MULTILINE
    )
    assert "\n| smoke test | 0 of 1 checks passed in " in second


def test_azure_pipelines_gets_a_file(
    engine: StubEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command has a file of its own in the agent's folder, which the agent is told of on stderr."""
    del engine
    folder = lay_out(FILES, tmp_path / "project")
    monkeypatch.setenv("TF_BUILD", "True")
    do("build", folder)
    assert "##vso" not in capsys.readouterr().err  # a job without the agent's folder
    monkeypatch.setenv("AGENT_TEMPDIRECTORY", str(tmp_path))

    do("build", folder)
    do("smoke-test", folder)

    shown = capsys.readouterr()
    files = re.findall(r"^##vso\[task\.uploadsummary\](.*)$", shown.err, re.MULTILINE)
    assert "##vso" not in shown.out
    assert [Path(file).read_text(encoding="utf-8").splitlines()[0] for file in files] == [
        "### contoso.azurecr.io/demo:1.0 is up to date",
        "### contoso.azurecr.io/demo:1.0 passed its smoke test",
    ]
    assert {Path(file).name for file in files} == {"azureml-image.md"}


def test_a_summary_out_of_reach_is_a_warning(
    engine: StubEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was built is built."""
    del engine
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))

    do("build", lay_out(FILES, tmp_path / "project"))

    warning = f"warning: the summary of the job was not written: This machine reported an error: {tmp_path}: "
    assert f"{warning}Is a directory.\n" in capsys.readouterr().err


def test_two_writers_do_not_mix(tmp_path: Path) -> None:
    """What several processes append at the same time stays whole."""
    file = str(tmp_path / "summary.md")
    texts = [character * 100_000 for character in "abcdefgh"]
    threads = [threading.Thread(target=job_summary._append, args=(file, text)) for text in texts]  # noqa: SLF001 -- what appends
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(Path(file).read_text(encoding="utf-8").splitlines()) == texts


def failing(engine: StubEngine, *events: str) -> StubEngine:
    """Return the engine with events that fail."""
    return StubEngine(reporter=engine.reporter, failing=frozenset(events))
