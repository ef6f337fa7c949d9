"""`image.shell` and `image.logs`: what is refused, what the container is created with, and how words are passed on."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.cli.command_words import words_after_dashes, words_before_dashes
from azureml_tasks.cli.console import Console
from azureml_tasks.commands import pipeline
from azureml_tasks.commands import shell as shell_command
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.context.build_context import BuildContext
from azureml_tasks.engines.acr.engine import AcrEngine
from azureml_tasks.engines.docker import engine as docker_engine
from azureml_tasks.engines.docker import shell
from azureml_tasks.engines.docker.engine import open_docker
from azureml_tasks.engines.docker.shell import Inside, run_inside
from azureml_tasks.engines.docker.shell_before_step import run_before_step
from azureml_tasks.errors import BuildError, EngineError
from azureml_tasks.project.model import SmokeTestPlan
from azureml_tasks.state.failed_step import (
    FailedStep,
    before_step_file,
    forget_failure,
    read_failure,
    write_failure,
)
from azureml_tasks.state.records import Records
from tests.cases import lay_out
from tests.consumers import TASKS, azureml_image, consumer, invoke, project
from tests.fake_engine import json_answer, ready_engine
from tests.plans import plan
from tests.stub_engine import StubEngine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

CODE = {"code/score.py": "def init(): ...\ndef run(data): ...\n"}
REFUSED = """\
--: is followed by a command, which the task {task} does not run
    Leave it out, or run it in the image: {program}shell -- ls 'a b' ''

1 problem; nothing was done.
"""
UNBUILT = "Nothing is built here yet.\n    invoke image.build\nNothing was run.\n"
IMAGES = "\n[tool.azureml-image.images.cpu]\n\n[tool.azureml-image.images.gpu]\n"
SEVERAL = """\
{task}: is for one image, and the table has several: cpu, gpu
    Add: --image cpu

1 problem; nothing was {done}.
"""
OWN = """\
from invoke import Collection, task
from azureml_tasks import image


@task(pre=[image.ns["dockerfile"]])
def mine(c):
    print("mine", c.remainder)


ns = Collection(mine, image)
"""
IMAGE = BuiltImage(
    id=f"sha256:{'3' * 64}", names=("demo:1",), engine="docker", context_sha256="", user="dockeruser"
)


@pytest.mark.parametrize("task", ["check", "build", "dockerfile", "logs", "init"])
def test_another_task_refuses_a_command(task: str, tmp_path: Path) -> None:
    """Exit code 2, with the command that would run it; nothing else is done."""
    folder = consumer(tmp_path, files=CODE)
    ended = invoke(folder, f"image.{task}", "--", "ls", "a b", "")
    program = azureml_image(folder, task, "--", "ls", "a b", "")

    expected = REFUSED.format(task=task, program="invoke image.")
    assert (2, "", expected) == (ended.code, ended.out, ended.err)
    assert (2, expected.replace("invoke image.", "azureml-image ")) == (program.code, program.err)


def test_a_task_of_ones_own_takes_its_command(tmp_path: Path) -> None:
    """What comes after `--` may be for the user's own task, whose pre-task is ours, or which stands beside it."""
    folder = consumer(tmp_path, OWN, CODE)
    for words in (("mine",), ("image.dockerfile", "mine")):
        ended = invoke(folder, *words, "--", "-k", "image.check")
        assert (0, "mine -k image.check") == (ended.code, ended.out.splitlines()[-1]), ended.err


def test_a_build_before_the_shell_refuses_nothing(tmp_path: Path) -> None:
    """Both are typed, and the command is that of the shell."""
    ended = invoke(consumer(tmp_path, files=CODE), "image.dockerfile", "image.shell", "--", "ls")

    assert (4, UNBUILT) == (ended.code, ended.err)


@pytest.mark.parametrize("words", [("shell",), ("shell", "--", "ls")])
def test_nothing_is_built(words: Sequence[str], tmp_path: Path) -> None:
    """Exit code 4, and the next step as it is typed."""
    folder = consumer(tmp_path, files=CODE)
    ended, program = invoke(folder, f"image.{words[0]}", *words[1:]), azureml_image(folder, *words)

    assert (4, "", UNBUILT) == (ended.code, ended.out, ended.err)
    assert (4, UNBUILT.replace("invoke image.", "azureml-image ")) == (program.code, program.err)


def test_several_images(tmp_path: Path) -> None:
    """Both tasks are for one image; a log is that of its image."""
    files = {"pyproject.toml": project("demo", IMAGES), "tasks.py": TASKS, **CODE}
    folder = lay_out(files, tmp_path)
    Records(folder=folder / ".azureml-image" / "gpu", image="gpu").write_log("of gpu\n")
    shell_of_all, logs_of_all = invoke(folder, "image.shell"), invoke(folder, "image.logs")
    gpu, cpu = (invoke(folder, "image.logs", "--image", name) for name in ("gpu", "cpu"))

    assert (2, SEVERAL.format(task="shell", done="run")) == (shell_of_all.code, shell_of_all.err)
    assert (2, SEVERAL.format(task="logs", done="done")) == (logs_of_all.code, logs_of_all.err)
    assert (0, "of gpu\n", "") == (gpu.code, gpu.out, gpu.err)
    no_log = "No container of the image cpu has run to its end here yet, so there is no log.\n"
    assert (4, "", f"{no_log}    invoke image.smoke-test --image cpu\n") == (cpu.code, cpu.out, cpu.err)


def test_a_log_is_printed_as_it_is(tmp_path: Path) -> None:
    """A file that somebody else has put there is cleaned, too; one that is too large is refused."""
    folder = consumer(tmp_path, files=CODE)
    Records(folder=folder / ".azureml-image").write_log("one\n\x1b]0;title\x07\n\n##vso[task] two")
    printed = invoke(folder, "image.logs")
    with (folder / ".azureml-image" / "smoke-test.log").open("wb") as file:
        file.truncate(2**25)
    large = invoke(folder, "image.logs")

    assert (0, "one\n\ufffd]0;title\ufffd\n\n# #vso[task] two", "") == (
        printed.code,
        printed.out,
        printed.err,
    )
    assert (4, "") == (large.code, large.out)
    assert large.err.startswith("The record .azureml-image/smoke-test.log is larger than 17 MB.\n")


@pytest.mark.parametrize(
    ("words", "before", "after"),
    [
        (["image.shell"], ["image.shell"], ()),
        (["image.shell", "--"], ["image.shell"], ()),
        (["a", "--", "b  c", "--", ""], ["a"], ("b  c", "--", "")),
    ],
)
def test_words(
    words: list[str], before: list[str], after: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first `--` divides them."""
    monkeypatch.setattr(sys, "argv", ["invoke", *words])

    assert (before, after) == (words_before_dashes(), words_after_dashes())


def created(
    folder: Path,
    inside: Inside,
    smoke_test: SmokeTestPlan,
    monkeypatch: pytest.MonkeyPatch,
    state: dict[str, Any],
) -> tuple[int, dict[str, Any], list[str]]:
    """Return the exit code, what the container is created with, and the command that it is handed over to."""
    handed: list[Sequence[str]] = []

    def hand_over(argv: Sequence[str], *, env: Mapping[str, str | None]) -> int:
        del env
        handed.append(argv)
        return 1

    monkeypatch.setattr(shell, "hand_over", hand_over)
    monkeypatch.setattr(shell, "find_program", lambda name: f"/bin/{name}")
    monkeypatch.setattr("azureml_tasks.state.runs.secrets.token_hex", lambda _: "0")
    name = "azureml-image-0-1"
    with ready_engine() as engine:
        monkeypatch.setenv("DOCKER_HOST", engine.host)
        engine.answers[f"POST /v1.48/containers/create?name={name}"] = json_answer({"Id": "c1"}, 201)
        engine.answers["GET /v1.48/containers/c1/json"] = json_answer({"Id": "c1", "State": state})
        docker = open_docker(folder, Console(), project=folder, keep=False)
        code = run_inside(docker, IMAGE, smoke_test, inside)
        removed = f"DELETE /v1.48/containers/{name}" in " ".join(engine.requests)
        docker.client.sdk.close()
    assert removed
    return code, json.loads(engine.bodies[0]), list(handed[0])


def test_what_a_container_is_created_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Program and arguments are the whole process, stdin is open once, and no port is published."""
    smoke_test = SmokeTestPlan(env={"HOW": "here"}, memory="1g", default_script=True)
    inside = Inside(command=("printf", "%s", "a  b", ""), as_root=True)
    ended = {"Running": False, "ExitCode": 7}
    code, body, handed = created(tmp_path, inside, smoke_test, monkeypatch, ended)

    expected = {
        "Entrypoint": ["printf"],
        "Cmd": ["%s", "a  b", ""],
        "User": "0",
        "Env": ["HOW=here"],
        "Tty": False,
        "OpenStdin": True,
        "StdinOnce": True,
        "Image": IMAGE.id,
        "Labels": {"azureml-tasks.smoke-test": "1", "azureml-tasks.run": "0"},
    }
    assert (7, expected) == (code, {key: body[key] for key in expected})
    assert "PortBindings" not in body["HostConfig"]
    options = ["--attach", "--interactive", "--detach-keys=ctrl-^,ctrl-^"]
    assert ["docker", "start", *options, "azureml-image-0-1"] == handed


def test_a_shell_is_the_images_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a command it is bash, where there is one; the client's own failure counts if the container has none."""
    ended = {"Running": False, "ExitCode": 0}
    code, body, _ = created(tmp_path, Inside(), SmokeTestPlan(), monkeypatch, ended)

    words = ["-c", "if command -v bash > /dev/null; then exec bash; fi; exec sh"]
    assert (1, ["/bin/sh"], words, None) == (code, body["Entrypoint"], body["Cmd"], body.get("User"))


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (
            {"Status": "created", "ExitCode": 127},
            "no such was not found in the image, or it is a script whose interpreter was not\n",
        ),
        (
            {"Status": "created", "ExitCode": 126},
            "no such in the image is not an executable file, or its user may not run it\n",
        ),
        ({"Status": "exited", "ExitCode": 127}, ""),
    ],
    ids=["not there", "not executable", "the command's own exit code"],
)
def test_a_program_that_is_not_started(
    state: dict[str, Any],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The exit code is that of a shell, and a sentence follows the words of docker's client."""
    inside = Inside(command=("no such",))
    code, _, _ = created(tmp_path, inside, SmokeTestPlan(), monkeypatch, {"Running": False, **state})

    assert (state["ExitCode"], said) == (code, capsys.readouterr().err)


def test_without_dockers_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named before anything is started."""
    monkeypatch.setattr(shell, "find_program", lambda _: None)
    with ready_engine() as engine:
        monkeypatch.setenv("DOCKER_HOST", engine.host)
        docker = open_docker(tmp_path, Console(), project=tmp_path, keep=False)
        with pytest.raises(EngineError) as caught:
            run_inside(docker, IMAGE, SmokeTestPlan(), Inside())

    message = "There is no docker client on PATH, which connects this terminal with the container."
    fix = "Install docker's client: https://docs.docker.com/engine/install/"
    assert f"{message}\n    {fix}" == str(caught.value)
    assert [] == [request for request in engine.requests if "containers" in request]


PULLED = """\
docker pull r.io/train/candidate@sha256:DIGEST
docker create --name azureml-image-0-1 --label azureml-tasks.smoke-test=1 --label azureml-tasks.run=0 \
--interactive --entrypoint ls r.io/train/candidate@sha256:DIGEST 'a b'
docker start --attach --interactive '--detach-keys=ctrl-^,ctrl-^' azureml-image-0-1
docker rm --force --volumes azureml-image-0-1
docker rmi r.io/train/candidate@sha256:DIGEST
"""


def test_a_candidate_is_pulled_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was built in a registry runs on the local engine; without one the message says so."""
    monkeypatch.setattr("azureml_tasks.state.runs.secrets.token_hex", lambda _: "0")
    inside, image = Inside(command=("ls", "a b")), IMAGE._replace(engine="acr")
    records, console = Records(folder=tmp_path / ".azureml-image"), Console(dry=True)
    with ready_engine() as engine:
        monkeypatch.setenv("DOCKER_HOST", engine.host)
        docker = open_docker(records.folder, console, project=tmp_path, keep=False)
        acr = AcrEngine(
            plan=plan(registry="r.io"), records=records, reporter=console, local=docker, project=tmp_path
        )
        code = acr.run_inside(image, SmokeTestPlan(), inside)
    with pytest.raises(EngineError) as caught:
        replace(acr, local=None).run_inside(image, SmokeTestPlan(), inside)

    assert (0, PULLED) == (code, capsys.readouterr().out.replace(IMAGE.id, "sha256:DIGEST"))
    message = "No local engine answers, and a shell needs one: it pulls the image and runs it here."
    assert f"{message}\n    docker context ls" == str(caught.value)


FAILED = FailedStep("docker", "RUN make \x07", "FROM one\nFROM two\n", {"two": f"sha256:{'2' * 64}"})


def test_a_failed_step_is_recorded(tmp_path: Path) -> None:
    """It is read back as it was, but for what would control a terminal; half a record is an error."""
    records = Records(folder=tmp_path / ".azureml-image")
    assert read_failure(records) is None
    write_failure(records, FAILED)

    assert FAILED._replace(step="RUN make \ufffd") == read_failure(records)
    assert FAILED.dockerfile == before_step_file(records).read_text(encoding="utf-8")
    before_step_file(records).unlink()
    with pytest.raises(BuildError, match=r"failed-step\.dockerfile cannot be read"):
        read_failure(records)
    forget_failure(records)
    assert read_failure(records) is None


@pytest.fixture
def run_of_stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[RunContext, StubEngine]:
    """Return a run in a project, and the engine that it finds."""
    files = {"pyproject.toml": project("demo"), **CODE}
    engine = StubEngine(reporter=Console())
    monkeypatch.setattr(docker_engine, "open_docker", lambda *_, **__: engine)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return RunContext(folder=lay_out(files, tmp_path), reporter=Console()), engine


def test_a_failed_step_is_forgotten(run_of_stub: tuple[RunContext, StubEngine]) -> None:
    """By a build that succeeds, and by one that has nothing to build, since the files are again those of the image."""
    run, engine = run_of_stub
    script = run.folder / "code" / "score.py"
    code = script.read_text(encoding="utf-8")
    steps = []
    for text, failing in ((code, True), (code, False), (f"{code}# more\n", True), (code, False)):
        script.write_text(text, encoding="utf-8")
        engine.failing = frozenset({"build demo"} if failing else ())
        with suppress(BuildError):
            pipeline.build(run, no_cache=False, pull=False)
        failure = read_failure(run.records)
        steps.append(failure.step if failure else None)

    assert ["RUN false", None, "RUN false", None] == steps
    assert ["build demo"] * 3 == engine.events


def test_a_remote_build_that_failed(run_of_stub: tuple[RunContext, StubEngine]) -> None:
    """Nothing of its steps is on this machine; a local engine makes them again."""
    run, engine = run_of_stub
    engine.name = "acr"
    write_failure(run.records, FailedStep("acr", "A build step failed in run ca1: RUN make"))
    with pytest.raises(BuildError) as caught:
        shell_command.shell(run, (), as_root=False)

    assert (
        str(caught.value)
        == """\
The last build failed in the registry, and nothing of it is on this machine. A build step failed in run ca1: RUN make
    invoke image.build --engine docker
    then: invoke image.shell
Nothing was run."""
    )


def test_no_client_on_path(
    run_of_stub: tuple[RunContext, StubEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said with what has not happened."""
    run, _ = run_of_stub
    pipeline.build(run, no_cache=False, pull=False)
    monkeypatch.setattr(shell, "find_program", lambda _: None)
    with pytest.raises(EngineError) as caught:
        shell_command.shell(run, (), as_root=False)

    assert (3, "Nothing was run.") == (caught.value.exit_code, str(caught.value).splitlines()[-1])


STEP = "RUN --mount=type=bind,rw,source=python,target=/tmp/azureml-image --mount=type=cache,target=/c install"
BEFORE = """\
docker tag sha256:22 run:1
mkdir --parents FOLDER/run-3-context
invoke image.context | tar --extract --file=- --directory=FOLDER/run-3-context
cp FOLDER/failed-step.dockerfile FOLDER/run-3-context/Dockerfile
docker build --platform linux/amd64 --tag azureml-tasks.invalid/run:run-2 FOLDER/run-3-context
docker create --name azureml-image-run-1 --label azureml-tasks.smoke-test=1 --label azureml-tasks.run=run \
--interactive --entrypoint ls azureml-tasks.invalid/run:run-2
docker cp FOLDER/run-3-context/python/. azureml-image-run-1:/tmp/azureml-image
docker start --attach --interactive '--detach-keys=ctrl-^,ctrl-^' azureml-image-run-1
docker rm --force --volumes azureml-image-run-1
rm -r FOLDER/run-3-context
docker rmi azureml-tasks.invalid/run:run-2 run:1
"""


def test_what_comes_before_a_failed_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--dry prints the commands: the cut Dockerfile is built, and what the step mounts is put into the container."""
    monkeypatch.setattr("azureml_tasks.state.runs.secrets.token_hex", lambda _: "run")
    records, failed = Records(folder=tmp_path / ".azureml-image"), FAILED._replace(step=STEP)
    context = BuildContext(files=(), dockerfile="", sha256="")
    with ready_engine() as engine:
        monkeypatch.setenv("DOCKER_HOST", engine.host)
        docker = open_docker(records.folder, Console(dry=True), project=tmp_path, keep=False)
        docker = replace(docker, builder=docker.builder._replace(kind="legacy"))
        failed = failed._replace(images={"run:1": "sha256:22"})
        inside, file = Inside(command=("ls",)), before_step_file(records)
        code = run_before_step(docker, plan(), context, failed, file, inside)

    assert BEFORE.splitlines() == capsys.readouterr().out.replace(str(records.folder), "FOLDER").splitlines()
    assert code == 0
    assert not records.folder.exists()
