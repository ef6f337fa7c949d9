"""`--json`: one object on stdout however a task ends, in the shape that the schema says."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft7Validator

from azureml_tasks.azureml.environment_yaml import Pushed, environment_text
from azureml_tasks.built_image import StoredLayers
from azureml_tasks.cli import tasks
from azureml_tasks.cli.collection import BoundTask
from azureml_tasks.cli.console import Console
from azureml_tasks.cli.entry_point import main
from azureml_tasks.cli.exit_handling import Messages
from azureml_tasks.cli.json_output import Collected, printed_as_json
from azureml_tasks.cli.json_shapes import SHAPES, output_schema
from azureml_tasks.cli.options import TaskRun
from azureml_tasks.commands import cache, environment
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.engines.docker import engine as docker_engine
from azureml_tasks.errors import AzuremlTasksError, BuildError, EngineError, Terminated
from azureml_tasks.notice import Notice
from azureml_tasks.project.model import SmokeTestPlan
from tests.cases import lay_out
from tests.codes_page import PAGE, rewritten
from tests.consumers import TWO_IMAGES, consumer, invoke, project
from tests.documentation import blocks
from tests.fake_engine import give_image, ready_engine
from tests.stub_engine import StubEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

VALIDATOR = Draft7Validator(output_schema())
BASE = "mcr.microsoft.com/azureml/minimal-py312-inference:latest"
NUMBERS = {"seconds": 0.0}
TABLE = TWO_IMAGES.replace("DEVICE", "API_KEY")
SCORE = "def init(): ...\ndef run(data): ...\n"


def valid(text: str) -> dict[str, Any]:
    """Return the one object that *text* is, after it was held against the schema."""
    value: dict[str, Any] = json.loads(text)
    assert [] == [error.message for error in VALIDATOR.iter_errors(value)]
    return value


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (("image.build",), 3, "engine"),
        (("image.cache",), 3, "engine"),
        (("image.check",), 3, "engine"),
        (("image.doctor",), 3, "engine"),
        (("image.environment",), 4, "build"),
        (("image.init", "--from", "none.yml"), 2, "settings"),
        (("image.push", "--registry", "r.io"), 4, "build"),
        (("image.release", "--registry", "r.io"), 3, "engine"),
        (("image.resume",), 2, "settings"),
        (("image.smoke-test",), 4, "build"),
    ],
)
def test_a_failure_is_one_object_too(words: tuple[str, ...], code: int, error: str, tmp_path: Path) -> None:
    """The exit code stays, the message is on stderr, and the object says the same in values."""
    ended = invoke(consumer(tmp_path, files={"code/score.py": SCORE}), *words, "--json")
    value = valid(ended.out)

    task = words[0].removeprefix("image.")
    assert (code, code, task, [error]) == (
        ended.code,
        value["exit_code"],
        value["task"],
        [each["code"] for each in value["errors"]],
    )
    assert value["errors"][0]["what"] in ended.err


@pytest.mark.parametrize(
    ("line", "task", "option"),
    [
        ("check --json --frob", "check", "--frob"),
        ("release --dyr --json", "release", "--dyr"),
        ("build push --json biuld", "push", "biuld"),
        ("build --json --base", "build", "--base"),
    ],
)
def test_a_mistyped_command_line_is_an_object_too(
    line: str,
    task: str,
    option: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of the program, for the task that `--json` follows; no task begins."""
    monkeypatch.setattr(sys, "argv", ["azureml-image", *line.split()])
    code = main()
    out, err = capsys.readouterr()
    value = valid(out)

    assert (2, 2, task, [option]) == (
        code,
        value["exit_code"],
        value["task"],
        [each["option"] for each in value["errors"]],
    )
    assert err.startswith(f"{option}: {value['errors'][0]['what']}\n    {value['errors'][0]['fix']}\n")


@pytest.mark.parametrize("line", ["chekc --json", "check --frob", "--frob check -- --json"])
def test_a_mistyped_command_line_without_such_a_task(
    line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no shape for an object then, so nothing is printed on stdout."""
    monkeypatch.setattr(sys, "argv", ["azureml-image", *line.split()])

    assert (2, "") == (main(), capsys.readouterr().out)


def test_every_task_with_the_flag_has_its_shape() -> None:
    """And no other one."""
    assert {spec.name for spec in tasks.TASKS if "json" in spec.flags} == set(SHAPES)


def test_a_mistake_has_its_place(tmp_path: Path) -> None:
    """File and line, or the option; a warning has them, too."""
    table = 'nam = "x"\nconda = "env.yml"\n'
    conda = "dependencies: []\nplatforms: [linux-64]\n"
    folder = consumer(tmp_path, files={"pyproject.toml": project("demo", table), "env.yml": conda})

    wrong = valid(invoke(folder, "image.build", "--json").out)
    (folder / "pyproject.toml").write_text(project("demo", 'conda = "env.yml"\n'))
    flag = valid(invoke(folder, "image.build", "--json", "--engine", "podman").out)
    warned = valid(invoke(folder, "image.check", "--json").out)

    (error,), (option,), (warning,) = wrong["errors"], flag["errors"], warned["warnings"]
    assert ("unknown-key", "pyproject.toml", 7, 'Did you mean "name"?') == (
        error["code"],
        error["file"],
        error["line"],
        error["fix"],
    )
    assert (None, "--engine") == (option["file"], option["option"])
    assert ("conda-file", "env.yml", 2) == (warning["code"], warning["file"], warning["line"])


def test_a_dry_run_lists_its_commands(tmp_path: Path) -> None:
    """Nothing is done, and what would be done is in the object alone."""
    with ready_engine() as engine:
        give_image(engine, BASE, "AML_APP_ROOT=/var/azureml-app")
        folder = consumer(tmp_path, files={"code/score.py": SCORE})
        ended = invoke(folder, "--dry", "image.build", "--json", env={"DOCKER_HOST": engine.host})
    value = valid(ended.out)

    assert (0, True) == (ended.code, value["dry"])
    assert [True] == [" build " in value["commands"][-1]]
    (image,) = value["images"]
    assert ("planned", None, ["demo:1.2.3"]) == (
        image["build"]["status"],
        image["build"]["id"],
        image["build"]["names"],
    )


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Return a function that runs a task of two images with `--json`, on an engine that makes nothing."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    folder = lay_out({"pyproject.toml": TABLE, "code/score.py": SCORE}, tmp_path)

    def run(
        name: str,
        capsys: pytest.CaptureFixture[str],
        *failing: str,
        layers: Sequence[StoredLayers] = (),
        **flags: object,
    ) -> tuple[int, dict[str, Any]]:
        stub = StubEngine(reporter=Console(), failing=frozenset(failing), layers=[*layers])
        monkeypatch.setattr(docker_engine, "open_docker", lambda *_, **__: stub)
        spec = next(each for each in tasks.TASKS if each.name == name)
        code = 0
        try:
            with printed_as_json(name, Messages(spell=str, project=folder)) as collected:
                console = Console(collected=collected)
                context = RunContext(folder=folder, reporter=console)
                spec.body(
                    TaskRun(name, context, console, {"json": True, **flags}, no_cache=False, pull=False)
                )
        except AzuremlTasksError as error:
            code = error.exit_code
        return code, valid(capsys.readouterr().out)

    return run


def test_each_image_has_its_steps(
    run: Callable[..., tuple[int, dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    """With a status, a duration and numbers; a warning says of which image it is."""
    code, value = run("release", capsys)
    again, second = run("release", capsys)

    cpu, gpu = value["images"]
    assert (0, 0, ["cpu", "gpu"]) == (code, again, [cpu["name"], gpu["name"]])
    assert ("built", "passed", "pushed") == tuple(
        cpu[step]["status"] for step in ("build", "smoke_test", "push")
    )
    assert ["up-to-date"] * 2 == [image["build"]["status"] for image in second["images"]]
    assert all(gpu[step]["seconds"] >= 0 for step in ("build", "smoke_test", "push"))
    assert gpu["push"]["image"] == f"contoso.azurecr.io/scoring-gpu@{gpu['push']['digest']}"
    assert gpu["build"]["context"]["files"] == 1
    assert [("secret-readable", "gpu")] == [
        (each["code"], each["image_name"]) for each in value["warnings"] if each["code"] == "secret-readable"
    ]


def test_what_was_done_before_a_failure_is_there(
    run: Callable[..., tuple[int, dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    """The steps that have ended, the report of the test that failed, and what became of the rest."""
    code, value = run("release", capsys, "test scoring-gpu")

    cpu, gpu = value["images"]
    assert (5, 5) == (code, value["exit_code"])
    assert ("passed", "failed", None) == (
        cpu["smoke_test"]["status"],
        gpu["smoke_test"]["status"],
        gpu["push"],
    )
    assert ["failed"] == [check["outcome"] for check in gpu["smoke_test"]["report"]["checks"]]
    assert ["smoke-test"] == [each["code"] for each in value["errors"]]


LAYERS = (
    StoredLayers(name="layers:1", tag="1", id="sha256:11", size=4096, built_at=2.0, grown=True),
    StoredLayers(name="layers:2", tag="2", id="sha256:22", size=0, built_at=1.0),
)


def test_cached_layers(
    run: Callable[..., tuple[int, dict[str, Any]]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All of them are listed, the newest first; with `--prune` the names of those that are removed."""
    monkeypatch.setattr(cache, "days_since", lambda seconds: 3 - seconds)
    monkeypatch.setattr(cache, "current_tags", lambda *_: {"1"})

    _, listed = run("cache", capsys, layers=LAYERS)
    _, pruned = run("cache", capsys, layers=LAYERS, prune=True)

    first = {"name": "layers:1", "id": "sha256:11", "bytes": 4096, "days": 1.0}
    second = {"name": "layers:2", "id": "sha256:22", "bytes": 0, "days": 2.0}
    layers = [
        {**first, "is_current": True, "is_grown": True},
        {**second, "is_current": False, "is_grown": False},
    ]
    assert (layers, []) == (listed["layers"], listed["removed"])
    assert ([], ["layers:2"]) == (pruned["layers"], pruned["removed"])


def test_the_yaml_of_each_image(
    run: Callable[..., tuple[int, dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    """The text is that for `az ml`, and without `--output` no file is written."""
    _, released = run("release", capsys)
    _, value = run("environment", capsys)

    images = [
        {
            "name": image["name"],
            "yaml": environment_text(Pushed(image=image["push"]["image"], tags=("1.0",)), SmokeTestPlan()),
        }
        for image in released["images"]
    ]
    assert (2, images, None) == (len(images), value["images"], value["written"])


def test_a_build_that_is_out_of_date_says_why(
    run: Callable[..., tuple[int, dict[str, Any]]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """What is built again, and the file that has changed."""
    run("build", capsys)
    (tmp_path / "code" / "score.py").write_text(f"{SCORE}# changed\n")

    _, value = run("build", capsys)

    (cpu, _) = value["images"]
    assert ("built", ["code", "labels"]) == (cpu["build"]["status"], cpu["build"]["rebuilt"])
    assert ["code: code/score.py has changed"] == cpu["build"]["because"]


@pytest.mark.parametrize(
    ("error", "code", "exit_code"),
    [
        (KeyboardInterrupt(), "interrupted", 130),
        (Terminated(15), "interrupted", 143),
        (KeyError("x"), "bug", 1),
        (OSError(28, "No space left", "/x"), "machine", 3),
        (EngineError("It stopped.", said="docker said: no", next_step="Start it."), "engine", 3),
    ],
)
def test_each_way_to_end(
    error: BaseException, code: str, exit_code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also a signal, a full disk and a mistake of the package itself."""
    with pytest.raises(type(error)), printed_as_json("build", Messages(spell=str)):
        raise error
    value = valid(capsys.readouterr().out)

    assert ([code], exit_code) == ([each["code"] for each in value["errors"]], value["exit_code"])


def test_a_requirement_that_cannot_be_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A program finds its file and line, and the whole log, where the text for a person names them."""
    monkeypatch.chdir(tmp_path)
    lay_out({"services/a/requirements.txt": "x==9\n"}, tmp_path)
    error = BuildError("The Python packages cannot be installed.")
    error.file, error.line, error.log = "requirements.txt", 1, ".azureml-image/build.log"
    messages = Messages(spell=str, project=tmp_path / "services/a")
    with pytest.raises(BuildError), printed_as_json("build", messages):
        raise error
    (failure,) = valid(capsys.readouterr().out)["errors"]

    expected = ("services/a/requirements.txt", 1, ".azureml-image/build.log")
    assert expected == (failure["file"], failure["line"], failure["log"])


def test_a_file_that_is_not_written_is_not_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The YAML is there all the same."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(environment, "environment_texts", lambda *_, flags: {"": f"# {flags}\n"})
    values = []
    for file in ("/dev/full", "environment.yml"):
        monkeypatch.setattr(sys, "argv", ["azureml-image", "environment", "--json", "--output", file])
        main()
        values.append(valid(capsys.readouterr().out))

    images = [{"name": None, "yaml": "# ['--output']\n"}]
    assert [(3, None, images), (0, "environment.yml", images)] == [
        (value["exit_code"], value["written"], value["images"]) for value in values
    ]


def test_nobody_reads_the_object(capsys: pytest.CaptureFixture[str]) -> None:
    """Then nothing more is written."""
    with pytest.raises(BrokenPipeError), printed_as_json("build", Messages(spell=str)):
        raise BrokenPipeError

    assert "" == capsys.readouterr().out


def test_a_console_of_json_prints_no_result(capsys: pytest.CaptureFixture[str]) -> None:
    """Commands for a CI system go to stderr, which it reads as well."""
    collected = Collected()
    console = Console(dry=True, collected=collected)
    console.result("a result")
    console.step_command("##vso[x]y")
    console.warn(Notice("variable", "w"))
    console.effect(["docker", "build"])

    out, err = capsys.readouterr()
    assert ("", ["docker build"], [("", Notice("variable", "w"))]) == (
        out,
        collected.commands,
        collected.notices,
    )
    assert "##vso[x]y\nwarning: w\n" == err


def test_the_schema_is_valid_and_described() -> None:
    """Each key of each object has a description, so that the schema is a reference."""
    schema = output_schema()
    Draft7Validator.check_schema(schema)

    bare = [
        f"{name}.{key}"
        for name, part in schema["definitions"].items()
        for key, value in part["properties"].items()
        if "description" not in value
    ]
    assert [] == bare
    assert {"StepsOutput", "CheckOutput", "Report", "Latency"} <= set(schema["definitions"])


def test_the_schema_refuses_another_shape() -> None:
    """A missing key, another type, a status that is none."""
    value = {
        "version": 1,
        "task": "build",
        "dry": False,
        "exit_code": 0,
        "seconds": 1.5,
        "errors": [],
        "warnings": [],
        "commands": [],
        "images": [],
    }

    assert VALIDATOR.is_valid(value)
    assert not VALIDATOR.is_valid({**value, "task": "check", "images": [{}]})
    assert not VALIDATOR.is_valid({**value, "seconds": "1"})
    assert not VALIDATOR.is_valid({name: part for name, part in value.items() if name != "errors"})


def test_a_task_without_the_flag_collects_nothing() -> None:
    """`BoundTask` reads it from the flags of the task."""
    assert (
        "json"
        not in BoundTask(next(each for each in tasks.TASKS if each.name == "clean"), "image", {})
        .argspec(tasks.clean)
        .parameters
    )


def test_the_page_has_all_codes() -> None:
    """After a new one, run `python3 tasks.py docs`."""
    text = PAGE.read_text(encoding="utf-8")

    assert rewritten(text) == text


def test_the_examples_of_the_page(tmp_path: Path) -> None:
    """The release is valid, and a real test compares its keys; the mistake is what the command prints."""
    release, mistake = (valid(block) for block in blocks(PAGE, "json"))
    folder = consumer(tmp_path, files={"pyproject.toml": project("demo", 'nam = "x"\n')})

    printed = valid(invoke(folder, "image.build", "--json").out)

    assert ("release", {**mistake, "seconds": 0}) == (release["task"], {**printed, "seconds": 0})
