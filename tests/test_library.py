"""The commands as functions: what they return, report and raise, and that they touch nothing of their caller."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import azureml_tasks
from azureml_tasks import FailedSmokeTest, Progress, SettingsError, SmokeTestError
from azureml_tasks.library.progress import CallbackReporter
from azureml_tasks.notice import Notice
from tests.cases import lay_out
from tests.consumers import TWO_IMAGES
from tests.stub_engine import StubEngine, stub_engine

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(azureml_tasks, name) for name in ("build", "smoke_test", "push", "release")
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two images, in the current folder as `services/b`."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    files = {"pyproject.toml": TWO_IMAGES, "code/score.py": "def init(): ...\ndef run(data): ...\n"}
    return lay_out(files, tmp_path / "services" / "b")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> StubEngine:
    """An engine in place of Docker's."""
    return stub_engine(monkeypatch)


def test_a_release_in_three_steps(folder: Path, engine: StubEngine) -> None:
    """Each function returns a result for each image, in order; a path and a text name the same folder."""
    built = azureml_tasks.build(folder)
    again = azureml_tasks.build("services/b", image="gpu")
    tested = azureml_tasks.smoke_test(folder)
    pushed = azureml_tasks.push(folder, image="cpu", registry="other.azurecr.io", tags=["1.1"])
    released = azureml_tasks.release(folder, tags=["2.0"], image="gpu", no_cache=True)

    assert [("cpu", "built"), ("gpu", "built")] == [(each.image_name, each.status) for each in built]
    assert (built[1].id, "up-to-date") == (again[0].id, again[0].status)
    assert [each.id for each in built] == [each.id for each in tested]
    assert [("other.azurecr.io/scoring-cpu", ("1.1",))] == [(each.repository, each.tags) for each in pushed]
    (gpu,) = released
    assert gpu.push
    assert ("contoso.azurecr.io/scoring-gpu", ("2.0",)) == (gpu.push.repository, gpu.push.tags)
    assert 3 == len([event for event in engine.events if event.startswith("build")])


def test_nothing_is_printed_and_no_signal_is_handled(
    folder: Path, engine: StubEngine, capfd: pytest.CaptureFixture[str]
) -> None:
    """What a task would print goes to the callback, while the caller's handlers of signals stay."""
    del engine
    events: list[Progress] = []
    handlers = [signal.getsignal(number) for number in SIGNALS]
    during: list[Any] = []

    def take(event: Progress) -> None:
        events.append(event)
        during.append([signal.getsignal(number) for number in SIGNALS])

    results = azureml_tasks.build(folder, progress=take)

    assert ("", "") == tuple(capfd.readouterr())
    assert [handlers] * len(during) == during
    assert {"text", "result"} == {event.kind for event in events}
    assert results == tuple(event.result for event in events if event.kind == "result")
    assert ["cpu", "gpu"] == [event.image_name for event in events if event.kind == "result"]
    assert "an engine of the tests" == events[0].text
    assert all(event.text for event in events if event.kind == "text")


def test_the_name_of_a_branch_as_a_tag(folder: Path, engine: StubEngine) -> None:
    """What replaces the key `tags` is read as the key is: what a tag cannot contain becomes a dash."""
    del engine
    (built,) = azureml_tasks.build(folder, image="gpu", tags=["feature/a", "{version} b"])

    repository = "contoso.azurecr.io/scoring-gpu"
    assert (f"{repository}:feature-a", f"{repository}:1.0-b") == built.names


def test_nobody_has_to_take_events(folder: Path, engine: StubEngine) -> None:
    """Without a callback they are dropped."""
    del engine

    assert 2 == len(azureml_tasks.build(folder))


def test_a_failed_smoke_test(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the results of all images, and its text is the report of the one that failed."""
    stub_engine(monkeypatch, "test scoring-gpu")
    azureml_tasks.build(folder)

    with pytest.raises(FailedSmokeTest, match=r"scoring-gpu:1\.0 failed its smoke test") as raised:
        azureml_tasks.smoke_test(folder)

    reports = [result.report for result in raised.value.results]
    assert [True, False] == [report.passed for report in reports if report]
    assert [f"azureml-image shell --project services/b --image {name}" for name in ("cpu", "gpu")] == [
        report.look_inside for report in reports if report
    ]
    assert 5 == raised.value.exit_code
    assert "" == raised.value.state


def test_the_next_step_can_be_pasted(folder: Path, engine: StubEngine) -> None:
    """It names the program, which needs no tasks.py, with the project and the arguments of the call."""
    del engine
    azureml_tasks.build(folder, base="r.io/base:1", image="cpu")

    with pytest.raises(SmokeTestError) as raised:
        azureml_tasks.push("services/b", base="r.io/base:1", image="cpu")

    options = "--project services/b --image=cpu --base=r.io/base:1"
    assert (
        f"azureml-image smoke-test {options}\nor push it anyway: azureml-image push {options} --untested"
        == (raised.value.next_step)
    )


@pytest.mark.parametrize("read", [azureml_tasks.load, azureml_tasks.image_names])
def test_reading_names_the_program_too(read: Callable[[str], object], folder: Path) -> None:
    """A folder without a table is told how to get one, by a command that needs no tasks.py."""
    (folder / "pyproject.toml").unlink()

    with pytest.raises(SettingsError) as raised:
        read("services/b")

    assert raised.value.problems[0].fix.startswith(
        "Make it from the files that you have: azureml-image init --project services/b\n"
    )


@pytest.mark.parametrize("read", [azureml_tasks.load, azureml_tasks.image_names, azureml_tasks.build])
def test_a_folder_that_does_not_exist(read: Callable[[str], object], folder: Path) -> None:
    """There is nothing to make a table of, so only the name of another folder helps."""
    with pytest.raises(SettingsError) as raised:
        read("services/c")

    assert f"""\
--project: {folder.parent / "c"} is not a folder
    Name the folder of the project's pyproject.toml.

1 problem; nothing was done.""" == str(raised.value)


def test_a_table_in_a_folder_above_is_named_as_an_argument(folder: Path) -> None:
    """A function has no flags."""
    with pytest.raises(SettingsError) as raised:
        azureml_tasks.load("services/b/code")

    assert raised.value.problems[0].fix.startswith(
        f"For the table in a folder above, name it as the project: {folder}\nor make it from"
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_wrong_arguments_are_all_reported(name: str, folder: Path) -> None:
    """Nothing is read before they are right."""
    wrong: dict[str, Any] = {"engine": "podman", "base": "", "image": "", "root": "nowhere"}
    wrong |= {"tags": "1.0"} if name != "smoke_test" else {}
    wrong |= {"secrets": {"token": "x"}} if name in {"build", "release"} else {}

    with pytest.raises(SettingsError) as raised:
        FUNCTIONS[name](folder, **wrong)

    problems = {problem.file: problem.what for problem in raised.value.problems}
    more = {
        "secrets": ("--secret", "must begin with pip-conf= or netrc="),
        "tags": ("--tag", 'must be an array of strings, got "1.0"'),
    }
    assert {
        "--base": "is empty",
        "--engine": 'is "podman", which is not an engine',
        "--image": "is empty",
        "--root": f'is "nowhere", but {Path.cwd()}/nowhere is not a folder',
        **dict(more[argument] for argument in wrong if argument in more),
    } == problems


def test_an_empty_path(folder: Path, engine: StubEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a project it is the current folder, as for `Path`; as a root it is a mistake."""
    monkeypatch.chdir(folder)
    (built,) = azureml_tasks.build("", image="gpu")
    with pytest.raises(SettingsError) as raised:
        azureml_tasks.build("", root="")

    assert ("built", ["build scoring-gpu"]) == (
        built.status,
        [each for each in engine.events if "build" in each],
    )
    assert [("--root", "is empty")] == [(each.file, each.what) for each in raised.value.problems]


def test_a_value_of_the_call_that_is_wrong(folder: Path, engine: StubEngine) -> None:
    """It is named as the flag that it is for a task."""
    with pytest.raises(SettingsError) as unknown:
        azureml_tasks.build(folder, image="tpu")
    with pytest.raises(SettingsError) as several:
        azureml_tasks.build(folder, base="minimal-py312-inference")

    assert [("--image", 0), ("--base", 0)] == [error.value.problems[0][:2] for error in (unknown, several)]
    assert [] == engine.events


def test_variables_of_options_do_not_count(
    folder: Path, engine: StubEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An argument or the table decides; a variable that has no option of its name would be a mistake for a task."""
    del engine
    for name in ("REGISTRY", "IMAGE", "TAGS", "ENGINE", "NO_SUCH_OPTION"):
        monkeypatch.setenv(f"INVOKE_AZUREML_IMAGE_{name}", "other")

    names = [result.names for result in azureml_tasks.build(folder)]

    assert [("contoso.azurecr.io/scoring-cpu:1.0",), ("contoso.azurecr.io/scoring-gpu:1.0",)] == names


def test_what_only_the_environment_decides_counts(
    folder: Path, engine: StubEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The folder for records is the one of the tasks, and a registry that is not allowed is refused."""
    monkeypatch.setenv("INVOKE_AZUREML_IMAGE_STATE", str(tmp_path / "state"))
    azureml_tasks.build(folder)
    monkeypatch.setenv("INVOKE_AZUREML_IMAGE_ALLOWED_REGISTRIES", "fabrikam.azurecr.io")
    engine.events.clear()

    with pytest.raises(SettingsError, match=r"contoso\.azurecr\.io is not one of the registries"):
        azureml_tasks.release(folder)

    assert [] == engine.events
    assert (False, True) == ((folder / ".azureml-image").exists(), any((tmp_path / "state").iterdir()))


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError("of the caller"), BrokenPipeError])
def test_an_exception_of_the_callback_goes_on_to_the_caller(
    error: BaseException | type[BaseException], folder: Path, engine: StubEngine
) -> None:
    """It ends the function; the lock of the project is free afterwards."""
    del engine

    def fail(event: Progress) -> None:
        if event.kind == "result":
            raise error

    with pytest.raises(error if isinstance(error, type) else type(error)):
        azureml_tasks.build(folder, progress=fail)

    events: list[str] = []
    azureml_tasks.build(folder, progress=lambda event: events.append(event.text))
    assert not any("waiting" in text for text in events)


def test_an_error_of_the_machine_is_ours(
    folder: Path, engine: StubEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that cannot be written is a MachineError, as it is for a task."""
    del engine

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("azureml_tasks.commands.run_plan.load", full)

    with pytest.raises(azureml_tasks.MachineError, match="The disk of this machine is full"):
        azureml_tasks.build(folder)


def test_a_transfer_is_reported_by_the_hundredth() -> None:
    """However small its blocks are, there are no more events than that; the blocks are passed on."""
    events: list[Progress] = []
    reporter = CallbackReporter(callback=events.append, warnings=set(), logs=[])

    blocks = list(reporter.progress([b"x"] * 1000, 1000, "sending the build context"))
    empty = list(reporter.progress([b""], 0, "sending nothing"))

    assert (1000, [b""], 100) == (len(blocks), empty, len(events) - 1)
    assert Progress(kind="bytes", text="sending the build context", done=1000, total=1000) == events[-1]


def test_words_of_other_programs_stay_as_they_are() -> None:
    """A module with the name of a task is not one; our own words name it as a person types it."""
    events: list[Progress] = []
    reporter = CallbackReporter(callback=events.append, warnings=set(), logs=[])

    reporter.output("No module named 'image.cache'")
    reporter.output("To allow it: invoke image.build --allow-source-builds")
    reporter.say("see image.cache")

    assert [each.text for each in events] == [
        "No module named 'image.cache'",
        "To allow it: azureml-image build --allow-source-builds",
        "see azureml-image cache",
    ]


def test_a_warning_about_all_images_is_reported_once() -> None:
    """The reporters of several images share what they have reported."""
    events: list[Progress] = []
    cpu, gpu = CallbackReporter(callback=events.append, warnings=set(), logs=[]).for_images(["cpu", "gpu"])
    for reporter in (cpu, gpu):
        reporter.warn(Notice("base-outdated", "the base is old\x1b[2J: invoke image.build --pull"))
        reporter.say("waiting")

    text = "the base is old: azureml-image build --image cpu --pull"
    assert ["warning", "text", "text"] == [event.kind for event in events]
    assert (text, "cpu") == (events[0].text, events[0].image_name)
