"""Errors and warnings as GitHub Actions and Azure Pipelines show them beside a file and line."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azureml_tasks.cli import ci_annotations
from azureml_tasks.cli.ci_annotations import Annotation, annotate, annotations_of
from azureml_tasks.cli.console import Console
from azureml_tasks.cli.options import TaskRun
from azureml_tasks.cli.print_results import Steps
from azureml_tasks.commands.results import SmokeTestResult
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.engines.build_log import BuildLog
from azureml_tasks.engines.step_error import failed_step
from azureml_tasks.errors import EngineError, SmokeTestError
from azureml_tasks.notice import Notice
from azureml_tasks.plain_text import clean
from azureml_tasks.smoke.report import Check, Report, failure_text
from tests.cases import lay_out
from tests.consumers import TASKS, azureml_image, consumer, invoke, project
from tests.documentation import DOCS, blocks
from tests.random_texts import any_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

INSTALLED = """\
Step 1/1 : RUN "$P/bin/python" /tmp/azureml-image/install.py
pip could not install the requirements:
    requirements.txt:3: lerning
    pip said: setup.py:7: No matching distribution found for lerning
The image was not built.
"""
GITHUB = {"GITHUB_ACTIONS": "true"}
AZURE = {"TF_BUILD": "True"}
TEXTS = any_of(
    st.sampled_from(
        ["::", "error", "##vso[", "]", "%", "25", "AZP25", "0A", "\n", "\r", ";", ",", "=", "é", " ", "\x1b"]
    )
)
BOTH = pytest.mark.parametrize("system", [GITHUB, AZURE], ids=["github", "azure"])


@pytest.fixture(autouse=True)
def _nothing_printed_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test is a process of its own, as far as annotations go."""
    monkeypatch.setattr(ci_annotations, "_printed", set())


def mistaken(folder: Path) -> Path:
    """A project in a folder of a repository, with a mistake in its table and one in its requirements."""
    table = 'bass = "x"\nrequirements = "requirements.txt"\n'
    return (
        lay_out(
            {
                ".git/HEAD": "ref: refs/heads/main\n",
                "serving, iris/pyproject.toml": project("demo", table),
                "serving, iris/requirements.txt": "numpy==1.26\n-r gone.txt\n",
                "serving, iris/tasks.py": TASKS,
            },
            folder,
        )
        / "serving, iris"
    )


def commands_in(text: str) -> list[str]:
    """Return the lines that a CI system obeys."""
    return [line for line in text.splitlines() if re.match(r"\s*::|.*##\w*\[", line)]


def test_github_shows_a_mistake_at_its_line(tmp_path: Path) -> None:
    """Each mistake is one command with its path from the root of the repository; the plain message stays."""
    folder = mistaken(tmp_path)

    ended, plain = invoke(folder, "image.check", env=GITHUB), invoke(folder, "image.check")

    expected = [
        (
            "::error file=serving%2C iris/pyproject.toml,line=7,title=azureml-image (unknown-key)::"
            'pyproject.toml:7: unknown key "bass" in [tool.azureml-image]%0A    Did you mean "base"?'
        ),
        (
            "::error file=serving%2C iris/requirements.txt,line=2,title=azureml-image (settings)::"
            'requirements.txt:2: includes "gone.txt", which does not exist%0A'
            "    Create gone.txt, or correct the path: it is relative to requirements.txt."
        ),
    ]
    assert (expected, 2) == (commands_in(ended.err), ended.code)
    assert plain.err == "".join(line for line in ended.err.splitlines(keepends=True) if "::" not in line)


def test_azure_pipelines_shows_a_mistake_at_its_line(tmp_path: Path) -> None:
    """The same as a logging command, from another folder than the project's, by the console script."""
    folder = mistaken(tmp_path)

    ended = azureml_image(folder.parent, "check", "--project", folder.name, env=AZURE)

    expected = [
        (
            "##vso[task.logissue type=error;sourcepath=serving, iris/pyproject.toml;linenumber=7;code=unknown-key]"
            'serving, iris/pyproject.toml:7: unknown key "bass" in [tool.azureml-image]%0A    Did you mean "base"?'
        ),
        (
            "##vso[task.logissue type=error;sourcepath=serving, iris/requirements.txt;linenumber=2;code=settings]"
            'serving, iris/requirements.txt:2: includes "gone.txt", which does not exist%0A'
            "    Create gone.txt, or correct the path: it is relative to requirements.txt."
        ),
    ]
    assert (expected, 2) == (commands_in(ended.err), ended.code)


def test_the_page_shows_what_is_printed(tmp_path: Path) -> None:
    """The example of docs/ci.md gives the lines that the page shows."""
    table, shown = blocks(DOCS / "ci.md", "toml")[0], blocks(DOCS / "ci.md", "text")[0]
    files = {
        ".git/HEAD": "ref: refs/heads/main\n",
        "serving/pyproject.toml": table,
        "serving/tasks.py": TASKS,
    }
    folder = lay_out(files, tmp_path) / "serving"

    printed = [commands_in(invoke(folder, "image.check", env=system).err) for system in (GITHUB, AZURE)]

    assert shown.splitlines() == [line for lines in printed for line in lines]


def test_a_warning_is_shown_once(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tasks of one run may warn of the same: it is said in plain words each time, and has one annotation."""
    monkeypatch.setenv(*next(iter(GITHUB.items())))

    for _ in range(2):
        Console(task_prefix="invoke ").warn(Notice("base-outdated", "100% of it is old: image.build"))

    plain, command = (
        "warning: 100% of it is old: build\n",
        "::warning title=azureml-image (base-outdated)::100%25 of it is old: build\n",
    )
    assert ("", plain + command + plain) == capsys.readouterr()


def test_a_warning_of_a_file_is_shown_at_its_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The file of a warning is relative to the project, and that of its annotation to the repository."""
    monkeypatch.setenv(*next(iter(AZURE.items())))
    folder = mistaken(tmp_path)

    Console(project=folder).warn(Notice("conda-file", "is not used", file="conda.yml", line=3))

    command = (
        "##vso[task.logissue type=warning;sourcepath=serving, iris/conda.yml;linenumber=3;code=conda-file]"
    )
    expected = f"warning: conda.yml:3: is not used\n{command}conda.yml:3: is not used\n"
    assert ("", expected) == capsys.readouterr()


def test_results_stay_what_another_program_reads(tmp_path: Path) -> None:
    """Annotations of a warning and an error are on stderr: stdout is the report alone."""
    folder = consumer(tmp_path, files={"pyproject.toml": project("demo", 'secrets = ["netrc"]\n')})

    ended, plain = (invoke(folder, "image.check", env=system) for system in (AZURE, {}))

    warning = (
        "##vso[task.logissue type=warning;code=secret-unused]pip installs nothing, so `secrets` are not used"
    )
    assert warning == commands_in(ended.err)[0]
    assert (plain.out, 2) == (ended.out, len(commands_in(ended.err)))
    as_json = invoke(folder, "image.check", "--json", env=AZURE)
    assert ["secret-unused"] == [each["code"] for each in json.loads(as_json.out)["warnings"]]
    assert commands_in(ended.err) == commands_in(as_json.err)


def test_a_mistake_of_no_file_has_no_place(tmp_path: Path) -> None:
    """A flag is in no file, and a project outside of every repository has no path that the runner knows."""
    folder = consumer(tmp_path / "demo", files={"requirements.txt": ""})

    flag = invoke(folder, "image.check", "--engine", "dokcer", env=GITHUB)
    (folder / "pyproject.toml").write_text(project("demo", "pull = 1\n"), encoding="utf-8")
    outside = invoke(folder, "image.check", env=GITHUB)
    inside = invoke(folder, "image.check", env={**GITHUB, "GITHUB_WORKSPACE": str(tmp_path)})

    message = 'pyproject.toml:7: unknown key "pull" in [tool.azureml-image]'
    assert [
        (
            "::error title=azureml-image (settings)::"
            '--engine: is "dokcer", which is not an engine%0A    Engines: docker, acr, auto.'
        )
    ] == commands_in(flag.err)
    assert f"::error title=azureml-image (unknown-key)::{message}" in outside.err
    assert (
        f"::error file=demo/pyproject.toml,line=7,title=azureml-image (unknown-key)::{message}" in inside.err
    )


@BOTH
@given(text=st.one_of(TEXTS, st.text()))
def test_a_text_of_others_commands_nothing(system: Mapping[str, str], text: str) -> None:
    """Any text is one command, whose message the runner reads as the text that the log shows."""
    with pytest.MonkeyPatch.context() as patch:
        written: list[str] = []
        patch.setattr(ci_annotations, "write", lambda _stream, line: written.append(line))
        patch.setattr(ci_annotations, "_printed", set())
        for name, value in {**system, "GITHUB_WORKSPACE": "/nowhere"}.items():
            patch.setenv(name, value)
        annotate([Annotation("warning", text, code=text, file=f"/nowhere/{text.replace('/', '')}x")])

    command = written[0].removesuffix("\n")
    assert "\n" not in command
    assert clean(text)[:4000] == _message_of(command)[:4000]


def test_errors_without_a_file_say_what_and_next() -> None:
    """An error of the machine has its next step and what was said last, a failed smoke test what failed."""
    report = Report(
        image="demo:1",
        image_id="sha256:1",
        place="here",
        look_inside="docker run",
        checks=(Check(name="add.json", outcome="failed", details=("status 500", "not 200")),),
        log="line\n" * 50,
    )
    engine = EngineError(
        "No engine answers.", next_step="invoke image.doctor", said="log\n" * 20 + "the cause\n"
    )
    smoke = SmokeTestError("the whole report", brief=failure_text(report))

    texts = [each.text for error in (engine, smoke) for each in annotations_of(error)]

    failed = "demo:1 failed its smoke test (sha256:1, here).\nFailed: add.json\n    status 500\n    not 200"
    last_lines = "log\n" * 9 + "the cause"
    assert [f"No engine answers.\ninvoke image.doctor\n{last_lines}", failed] == texts


def test_a_package_that_cannot_be_installed_is_shown_at_its_requirement(tmp_path: Path) -> None:
    """The script that installs says where the project requires it; what pip itself says names no place."""
    folder = lay_out({"requirements.txt": "numpy\n\nlerning\n"}, tmp_path)
    log = BuildLog()
    for line in INSTALLED.splitlines():
        log.add_legacy_line(line)
    error = failed_step(log)

    annotations = annotations_of(error, folder)

    text = """\
The Python packages cannot be installed.
pip could not install the requirements:
    requirements.txt:3: lerning
    pip said: setup.py:7: No matching distribution found for lerning"""
    assert [Annotation("error", text, "build", str(folder / "requirements.txt"), 3)] == annotations
    error.file = "gone.txt"
    assert "" == annotations_of(error, folder)[0].file


def test_warnings_of_a_smoke_test_are_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The report has them on stdout; the annotation is on stderr."""
    monkeypatch.setenv(*next(iter(GITHUB.items())))
    report = Report(
        image="demo:1",
        image_id="sha256:1",
        place="here",
        look_inside="docker run",
        checks=(Check(name="start-up", outcome="passed"),),
        warnings=(Notice("slow-stop", "it stops slowly"),),
    )
    console = Console()
    context = RunContext(folder=tmp_path, reporter=console)
    run = TaskRun(task="smoke-test", context=context, console=console, flags={}, no_cache=False, pull=False)

    Steps(run).show(SmokeTestResult(status="passed", id="sha256:1", names=("demo:1",), report=report))

    shown = capsys.readouterr()
    assert "Warning: it stops slowly\n" in shown.out
    assert shown.err == "::warning title=azureml-image (slow-stop)::it stops slowly\n"


def test_elsewhere_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a CI system there are no annotations."""
    annotate([Annotation("error", "x", "engine")])

    assert ("", "") == capsys.readouterr()


def _message_of(command: str) -> str:
    """Read the message of a command as the runners do; the percent sign is read last."""
    if command.startswith("::"):
        data, percent = command.split("::", 2)[2], "%25"
    else:
        data, percent = command.split("]", 1)[1], "%AZP25"
    return data.replace("%0D", "\r").replace("%0A", "\n").replace(percent, "%")
