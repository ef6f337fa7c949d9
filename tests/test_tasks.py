"""The commands as a person types them, where no engine answers: whole outputs and exit codes."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from azureml_tasks.cli.console import Console, spell_tasks
from azureml_tasks.cli.options import TaskRun
from azureml_tasks.cli.tasks import TASKS
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.state.locks import project_lock
from tests.consumers import consumer, environment, invoke, project
from tests.machine import invoke_cli

if TYPE_CHECKING:
    from pathlib import Path

LIST = """\
Available tasks:

  image.build           Build the image.
  image.cache           List the cached layers that later builds start from.
  image.check (image)   Say what a build would do and what is wrong, without
                        changing anything.
  image.clean           Remove the image that was built last, its cached layers
                        and the records.
  image.context         Write the build context with its Dockerfile as a tar
                        archive, for any builder.
  image.dockerfile      Print the Dockerfile.
  image.doctor          Say what is wrong with this machine and its accounts,
                        and how to put it right.
  image.environment     Print the Azure ML environment of the pushed image as
                        YAML.
  image.init            Write the table from what there is: deployments,
                        Dockerfiles, conda files.
  image.logs            Print what the last container of smoke test or serve
                        printed.
  image.push            Push the image that passed its smoke test.
  image.release         Build, smoke-test and push; stop at the first step that
                        fails.
  image.report          Write a page about the image: its parts, its start and
                        answers, its changes.
  image.resume          Follow a remote build to its end.
  image.serve           Serve the built image here, with each change of the
                        code, until Ctrl-C.
  image.shell           Open a shell in the built image, or run the command
                        after `--` in it.
  image.smoke-test      Run the built image as Azure ML would, and test that it
                        serves.

"""
HELP = """\
Usage: inv[oke] [--core-opts] image.build [--options] [other tasks here ...]

Docstring:
  Build the image.

Options:
  --allow-source-builds   let packages without a wheel be built while secrets
                          are mounted: their code can read the secrets
  --base=STRING           image to extend, instead of the table's
  --engine=STRING         engine that builds: docker, acr (Azure Container
                          Registry) or auto (docker if it answers, else acr)
  --image=STRING          one of the table's images; default: all, in order
  --json                  print one JSON object on stdout, and all else on
                          stderr
  --no-cache              build every step again
  --no-wait               start a remote build and do not wait; the task resume
                          finishes it
  --project=STRING        folder of the project, relative to the current folder
  --pull                  pull a newer base first
  --registry=STRING       login server, instead of the table's
  --root=STRING           folder above the project that its files must be in,
                          relative to the current folder
  --secret                where a secret that the table wants is: netrc=FILE,
                          netrc=env:VARIABLE or netrc=default; may be repeated
  --tag                   tag instead of the table's, as --tag=TAG; may be
                          repeated
  --verbose               say more: all that builders print, and which builder
                          runs the steps and why

"""
SILENT = """\
Docker's engine does not answer (DOCKER_HOST names unix:///nowhere/docker.sock).
    Start it: open Docker Desktop, or on Linux: sudo systemctl start docker
    or, for the engine of docker's current context: unset DOCKER_HOST
    the connection failed: No such file or directory
"""
UNBUILT = "Nothing is built here yet.\n    invoke image.build{}\nNothing was {}.\n"
NO_REGISTRY = """\
pyproject.toml:5: [tool.azureml-image] names no registry to push to
    Write: registry = "contoso.azurecr.io"
    or: invoke image.push --registry contoso.azurecr.io

1 problem; """
NO_HAND_OFF = """\
pyproject.toml:5: [tool.azureml-image] names no registry to build in
    Write: registry = "contoso.azurecr.io"
    or: workspace and resource-group in [tool.azureml-image.acr], for the registry of a workspace

1 problem; """
TURNED = (
    "Docker's engine does not answer (DOCKER_HOST names unix:///nowhere/docker.sock). "
    "Building in Azure Container Registry instead, as --engine auto says.\n"
)
UNKNOWN_ENGINE = """\
--engine: is "acre", which is not an engine
    Engines: docker, acr, auto.

1 problem; nothing was done.
"""
MISSPELT = """\
pyproject.toml:7: unknown key "nam" in [tool.azureml-image]
    Did you mean "name"?

1 problem; """


def test_the_list_reads_well(tmp_path: Path) -> None:
    """`invoke --list` has one sentence for each command."""
    ended = invoke(consumer(tmp_path), "--list")

    assert (0, LIST, "") == (ended.code, ended.out, ended.err)


def test_the_help_reads_well(tmp_path: Path) -> None:
    """`invoke --help image.build` says what each flag is for."""
    ended = invoke(consumer(tmp_path), "--help", "image.build")

    assert (0, HELP, "") == (ended.code, ended.out, ended.err)


def test_the_help_says_where_a_task_writes_without_output() -> None:
    """The page of `image.report` is a file in any case; the others print."""
    helps = {spec.name: spec.help_of("output") for spec in TASKS if "output" in spec.flags}

    stdout = "write to this file instead of stdout"
    assert helps == {
        "dockerfile": stdout,
        "context": stdout,
        "environment": stdout,
        "report": "write to this file; default: .azureml-image/report.html",
    }


def test_the_help_says_which_tasks_take_one_image() -> None:
    """These refuse a table with several images if `--image` names none; the others take all of them."""
    helps = {spec.name: spec.help_of("image") for spec in TASKS}
    for_one_image = {
        name for name, text in helps.items() if text == "one of the table's images; needed if it has several"
    }

    assert {"init", "context", "serve", "shell", "logs"} == for_one_image
    assert {"one of the table's images; default: all, in order"} == {
        text for name, text in helps.items() if name not in for_one_image
    }


@pytest.mark.parametrize(
    ("words", "code", "err"),
    [
        (("image.build",), 3, f"{SILENT}Nothing was built.\n"),
        (("--dry", "image.build"), 3, f"{SILENT}Nothing was built.\n"),
        (("image.release", "--registry=r.io"), 3, f"{SILENT}Nothing was built.\n"),
        (
            ("image.build", "--engine=acre"),
            2,
            UNKNOWN_ENGINE,
        ),
        (("image.build", "--engine=acr"), 2, f"{NO_HAND_OFF}nothing was built.\n"),
        (("image.build", "--engine=auto"), 2, f"{TURNED}{NO_HAND_OFF}nothing was built.\n"),
        (("image.smoke-test",), 4, UNBUILT.format("", "tested")),
        (("image.push", "--registry=r.io"), 4, UNBUILT.format(" --registry r.io", "pushed")),
        (("image.push",), 2, f"{NO_REGISTRY}nothing was pushed.\n"),
        (("image.release",), 2, f"{NO_REGISTRY}nothing was built.\n".replace("image.push", "image.release")),
        (("image.clean",), 0, "nothing to remove: there is no .azureml-image here\n"),
        (("image.build", "image.smoke-test"), 3, f"{SILENT}Nothing was built.\n"),
    ],
)
def test_how_it_ends_without_an_engine(words: tuple[str, ...], code: int, err: str, tmp_path: Path) -> None:
    """Settings come before what is missing, and that before the engine; stdout stays empty."""
    ended = invoke(consumer(tmp_path), *words)

    assert (code, "", err) == (ended.code, ended.out, ended.err)


@pytest.mark.parametrize("task", ["build", "release"])
def test_the_way_on_from_a_release_is_a_release(task: str, tmp_path: Path) -> None:
    """Where a build would be the next step, a release names itself, with the flags of the run."""
    folder = consumer(tmp_path)
    (folder / "pyproject.toml").write_text(
        project("demo", '[tool.azureml-image.acr]\ncloud = "AzureCloud"\n')
    )

    ended = invoke(folder, f"image.{task}", "--registry=r.io", "--tag=x")

    step = (
        f"    or build in Azure Container Registry: invoke image.{task} --registry r.io --tag=x --engine acr"
    )
    assert (3, step) == (ended.code, ended.err.splitlines()[3])


@pytest.mark.parametrize(
    ("words", "state"),
    [
        ("image.check", "nothing was done.\n"),
        ("image.dockerfile", "nothing was done.\n"),
        ("image.context", "nothing was done.\n"),
        ("image.build", "nothing was built.\n"),
        ("image.smoke-test", "nothing was tested.\n"),
        ("image.push", "nothing was pushed.\n"),
        ("image.environment", "nothing was written.\n"),
        ("image.release", "nothing was built.\n"),
    ],
)
def test_every_command_refuses_a_table_that_is_wrong(words: str, state: str, tmp_path: Path) -> None:
    """A mistake in the table is exit 2 before anything else, in each command, without a traceback."""
    folder = consumer(tmp_path)
    (folder / "pyproject.toml").write_text(project("demo", 'nam = "x"\n'))

    ended = invoke(folder, words)

    assert (2, "", MISSPELT + state) == (ended.code, ended.out, ended.err)


def test_a_docker_context_that_is_unknown_is_an_engine_error(tmp_path: Path) -> None:
    """DOCKER_CONTEXT with a name that is not there is exit 3, with where to find the names."""
    ended = invoke(consumer(tmp_path), "image.build", env={"DOCKER_HOST": "", "DOCKER_CONTEXT": "nowhere"})

    expected = """\
The docker context "nowhere" does not exist.
    docker context ls
    then: docker context use NAME
Nothing was built.
"""
    assert (3, "", expected) == (ended.code, ended.out, ended.err)


OF_RELEASE = (
    *(
        "--engine=docker",
        "--base=minimal-py312-inference",
        "--registry=r.io",
        "--tag=a",
        "--no-cache",
        "--pull",
    ),
    *("--secret=netrc=default", "--allow-source-builds", "--junit=report.xml", "--untested", "--verbose"),
)


@pytest.mark.parametrize(
    ("task", "idle"),
    [
        ("smoke-test", "--tag, --secret, --allow-source-builds, --no-cache, --pull, --untested"),
        ("push", "--secret, --allow-source-builds, --no-cache, --pull, --junit"),
    ],
)
def test_the_steps_of_release_take_its_flags(task: str, idle: str, tmp_path: Path) -> None:
    """What was typed for `release` does for each of its steps, which says what changes nothing in it."""
    released = {f"--{flag}" for spec in TASKS if spec.name == "release" for flag in spec.flags}
    assert released == {word.partition("=")[0] for word in OF_RELEASE} | {
        "--image",
        "--json",
        "--project",
        "--root",
    }

    ended = invoke(consumer(tmp_path), f"image.{task}", *OF_RELEASE)

    assert (4, "") == (ended.code, ended.out)
    assert f"{idle}: no effect in {task}" == ended.err.splitlines()[0]
    assert "    invoke image.build" in ended.err


def test_a_flag_without_effect_has_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The body of the task does not see it."""
    flags = {"untested": True, "junit": "report.xml"}
    console, seen = Console(), list[Any]()
    context = RunContext(folder=tmp_path, reporter=console)
    run = TaskRun("smoke-test", context, console, flags, no_cache=False, pull=False)
    (spec,) = (spec for spec in TASKS if spec.name == run.task)

    def smoke_test(run: TaskRun) -> None:
        seen.extend([run.flag("untested"), run.flag("junit")])

    spec._replace(body=smoke_test).run(run)

    assert ["", "report.xml"] == seen
    assert "--untested: no effect in smoke-test\n" == capsys.readouterr().err


def test_a_command_to_paste_has_no_flag_that_changes_nothing() -> None:
    """A build with a secret leads to a smoke test without one."""
    flags = {"secret": "--secret netrc=default", "registry": "--registry r.io"}

    text = spell_tasks("invoke image.smoke-test\ninvoke image.build", "invoke image.", flags)

    expected = "invoke image.smoke-test\ninvoke image.build --secret netrc=default --registry r.io"
    assert expected == text


def test_check_reports_without_an_engine(tmp_path: Path) -> None:
    """An engine that does not answer is a line of the report, and exit 3 with the next step."""
    ended = invoke(consumer(tmp_path), "image.check")

    expected = """\
base       mcr.microsoft.com/azureml/minimal-py312-inference:latest, linux/amd64
image      demo:1.2.3
steps      copy no code: no file in the folder of the key code (default: "code")
context    0 files, 0 bytes, sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
smoke test start-up, health check and /swagger.json; no request is set, so only start-up is proven
engine     not reachable: Docker's engine does not answer (DOCKER_HOST names unix:///nowhere/docker.sock).
"""
    assert (3, expected, SILENT) == (ended.code, ended.out, ended.err)


def test_check_as_json_holds_the_problems_too(tmp_path: Path) -> None:
    """`--json` prints an object in any case: where the table is wrong, its problems, with exit 2."""
    folder = consumer(tmp_path)
    (folder / "pyproject.toml").write_text(project("demo", 'nam = "x"\n'))

    ended = invoke(folder, "image.check", "--json")

    problem = {
        "code": "unknown-key",
        "what": 'unknown key "nam" in [tool.azureml-image]',
        "file": "pyproject.toml",
        "line": 7,
        "option": None,
        "fix": 'Did you mean "name"?',
        "said": None,
        "log": None,
        "state": "Nothing was done.",
        "image_name": None,
    }
    report = json.loads(ended.out)
    assert (2, 2, [problem], []) == (ended.code, report["exit_code"], report["errors"], report["images"])
    assert f"{MISSPELT}nothing was done.\n" == ended.err


def test_check_as_json_holds_what_ends_it(tmp_path: Path) -> None:
    """What keeps a build from starting is data: exit 3, its problem, and no next step that would fail."""
    ended = invoke(consumer(tmp_path), "image.check", "--json")
    report = json.loads(ended.out)

    problem = {
        "code": "engine",
        "what": "Docker's engine does not answer (DOCKER_HOST names unix:///nowhere/docker.sock).",
        "fix": "Start it: open Docker Desktop, or on Linux: sudo systemctl start docker\n"
        "or, for the engine of docker's current context: unset DOCKER_HOST",
    }
    (image,), (error,) = report["images"], report["errors"]
    assert (3, "blocked", None, SILENT) == (ended.code, image["status"], image["next"], ended.err)
    assert problem == {name: error[name] for name in problem}
    assert (None, None, None) == (error["file"], error["line"], error["option"])


def test_check_for_acr_without_a_registry(tmp_path: Path) -> None:
    """The problem is said once, and no next step is named."""
    ended = invoke(consumer(tmp_path), "image.check", "--engine=acr")

    assert "engine     acr, not opened" == ended.out.splitlines()[-1]
    assert (2, f"{NO_HAND_OFF}nothing was done.\n") == (ended.code, ended.err)


def test_results_go_to_stdout_and_warnings_to_stderr(tmp_path: Path) -> None:
    """The Dockerfile is alone on stdout, the same bytes as in a file."""
    folder = consumer(tmp_path)
    (folder / "pyproject.toml").write_text(project("demo", 'apt = ["python3-numpy"]\n'))

    printed = invoke(folder, "image.dockerfile")
    written = invoke(folder, "image.dockerfile", "--output=Dockerfile")
    checked = invoke(folder, "image.check", "--json")

    assert (0, "") == (printed.code, printed.err)
    assert (0, "", "") == (written.code, written.out, written.err)
    assert printed.out == (folder / "Dockerfile").read_text(encoding="utf-8")
    warnings = "".join(f"warning: {each['what']}\n" for each in json.loads(checked.out)["warnings"])
    assert warnings + SILENT == checked.err
    assert warnings


def test_the_context_is_an_archive_on_stdout_or_in_a_file(tmp_path: Path) -> None:
    """Both hold the same bytes: the Dockerfile and the code."""
    code = {"code/score.py": "def init(): ...\ndef run(data): ...\n"}
    folder = consumer(tmp_path, files=code)

    piped = subprocess.run(
        [sys.executable, "-m", "invoke", "image.context"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        check=True,
    )
    written = invoke(folder, "image.context", "--output=context.tar")

    assert (0, "", "") == (written.code, written.out, written.err)
    assert piped.stdout == (folder / "context.tar").read_bytes()
    with tarfile.open(folder / "context.tar") as archive:
        assert ["Dockerfile", "code/score.py"] == [member.name for member in archive if member.isfile()]


def test_the_context_refuses_a_terminal(tmp_path: Path) -> None:
    """An archive is not written to a terminal: exit 2, and two ways to take it."""
    controller, terminal = pty.openpty()

    ended = subprocess.run(
        [sys.executable, "-m", "invoke", "image.context"],
        cwd=consumer(tmp_path),
        env=environment(),
        stdout=terminal,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )

    os.close(terminal)
    os.close(controller)
    expected = """\
stdout: is a terminal, and the build context is an archive
    invoke image.context --output context.tar
    or: invoke image.context | docker build -

1 problem; nothing was done.
"""
    assert (2, expected) == (ended.returncode, ended.stderr)


@pytest.mark.parametrize("command", ["dockerfile", "context"])
def test_a_dry_run_prints_what_to_paste_and_writes_nothing(command: str, tmp_path: Path) -> None:
    """`--dry` with `--output` prints the command, quoted, and leaves the file alone; `--echo` prints it on stderr."""
    folder = consumer(tmp_path)

    dry = invoke(folder, "--dry", f"image.{command}", "--output=a b")
    is_written = (folder / "a b").exists()
    echoed = invoke(folder, "--echo", f"image.{command}", "--output=a b")

    line = f"invoke image.{command} > 'a b'\n"
    assert (0, line, "", False) == (dry.code, dry.out, dry.err, is_written)
    assert (0, "", line, True) == (echoed.code, echoed.out, echoed.err, (folder / "a b").exists())


def test_a_broken_record_says_what_to_remove(tmp_path: Path) -> None:
    """A record that is no JSON is exit 4 with the way out, not a traceback."""
    folder = consumer(tmp_path)
    (folder / ".azureml-image").mkdir()
    (folder / ".azureml-image" / "build.json").write_text("{")

    ended = invoke(folder, "image.smoke-test")

    expected = """\
The record .azureml-image/build.json cannot be read: \
Expecting property name enclosed in double quotes: line 1 column 2 (char 1).
    rm -r .azureml-image
    then: invoke image.build
Nothing was tested.
"""
    assert (4, "", expected) == (ended.code, ended.out, ended.err)


@pytest.mark.parametrize(
    ("current", "project", "record", "removed"),
    [
        ("", "services/a", "services/a/.azureml-image", "services/a/.azureml-image"),
        ("services/b", "../a", ".azureml-image", "{folder}/services/a/.azureml-image"),
    ],
)
def test_a_broken_record_of_a_project_elsewhere(
    current: str, project: str, record: str, removed: str, tmp_path: Path
) -> None:
    """What to remove is not a folder of the current project."""
    folder = consumer(tmp_path)
    for name in ("services/a/.azureml-image", "services/b"):
        (folder / name).mkdir(parents=True)
    shutil.copy(folder / "pyproject.toml", folder / "services/a")
    (folder / "services/a/.azureml-image/build.json").write_text("{")

    words = ("smoke-test", "--project", project)
    ended = invoke_cli.run_program(words, folder=folder / current, env=environment())

    first, second, *_ = ended.err.decode().splitlines()
    assert first.startswith(f"The record {record}/build.json cannot be read: ")
    assert f"    rm -r {removed.format(folder=folder)}" == second


def test_the_table_alone_is_enough(tmp_path: Path) -> None:
    """A folder without pyproject.toml is exit 2, with the lines to write."""
    folder = consumer(tmp_path)
    (folder / "pyproject.toml").unlink()

    ended = invoke(folder, "image.build")

    expected = """\
pyproject.toml: does not exist in FOLDER
    Make it from the files that you have: invoke image.init
    or write it, with:
    [tool.azureml-image]
    base = "minimal-py312-inference"

1 problem; nothing was built.
"""
    assert (2, "", expected) == (ended.code, ended.out, ended.err)


@pytest.mark.parametrize("host", ["nonsense", "ftp://engine", "tcp://"])
def test_docker_host_that_is_not_an_address(host: str, tmp_path: Path) -> None:
    """The value of DOCKER_HOST is shown with the next step."""
    ended = invoke(consumer(tmp_path), "image.build", env=environment(DOCKER_HOST=host))

    expected = [
        f'DOCKER_HOST is "{host}", which is not the address of an engine.',
        "    unset DOCKER_HOST",
        "    or: export DOCKER_HOST=unix:///var/run/docker.sock",
        "Nothing was built.",
    ]
    assert (3, "", expected) == (ended.code, ended.out, ended.err.splitlines())


def test_a_command_to_paste_names_the_same_project_and_base(tmp_path: Path) -> None:
    """`--project` and `--base` stand again in what `--dry` prints, quoted."""
    folder = consumer(tmp_path)
    ended = invoke(folder, "--dry", "image.context", "--project=.", "--base=a/b:1", "--output=x.tar")

    assert (0, "invoke image.context --project . --base a/b:1 > x.tar\n") == (ended.code, ended.out)


def test_a_command_waits_for_another_one_of_its_project(tmp_path: Path) -> None:
    """A command that changes something says whom it waits for, and goes on after it; one that looks never waits."""
    folder = consumer(tmp_path)
    with project_lock(folder, Console()):
        checked = invoke(folder, "image.check")
        dry = invoke(folder, "--dry", "image.clean")
        waiting = subprocess.Popen(
            [sys.executable, "-m", "invoke", "image.clean"],
            cwd=folder,
            env=environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        assert waiting.stderr is not None
        message = waiting.stderr.readline()

    nothing = "nothing to remove: there is no .azureml-image here\n"
    holder = rf"process {os.getpid()} in {re.escape(str(folder))}, since \d\d:\d\d:\d\d"
    assert re.fullmatch(f"waiting up to ten minutes for another command: {holder}\n", message)
    assert (nothing, 0) == (waiting.communicate()[1], waiting.returncode)
    assert (SILENT, nothing) == (checked.err, dry.err)
