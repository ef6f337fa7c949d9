"""Several images of one table: what is done for which of them, in which order, and what is said if one fails."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from azureml_tasks.cli.console import Console
from azureml_tasks.commands import cache, clean, pipeline, resume, run_engine
from azureml_tasks.commands.environment import EnvironmentRequest, environment_texts
from azureml_tasks.commands.image_runs import image_runs, planned_runs
from azureml_tasks.commands.prepare import prepare_build
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.commands.run_plan import plan_image
from azureml_tasks.config.problems import Override
from azureml_tasks.context import file_hashes
from azureml_tasks.engines.docker import engine as docker_engine
from azureml_tasks.errors import AzuremlTasksError, BuildError, RegistryError, SettingsError, SmokeTestError
from azureml_tasks.incremental.cached_layers import cached_layers_of, kept_name
from azureml_tasks.project import git
from azureml_tasks.state.record_forms import StartedRun
from tests.cases import lay_out
from tests.consumers import SCORING, TWO_IMAGES
from tests.projects import replaced, set_text
from tests.stub_engine import StubEngine

if TYPE_CHECKING:
    from collections.abc import Callable

TABLE = TWO_IMAGES.replace(
    'registry = "contoso.azurecr.io"\n',
    'registry = "contoso.azurecr.io"\npip = ["numpy==2.1.3"]\nmodel = "model"\n',
)
FILES = {
    "pyproject.toml": TABLE,
    "code/score.py": "def init(): ...\ndef run(data): ...\n",
    "model/weights.bin": "weights",
}


class Stubs:
    """The engine that is opened, how often, and with what it fails."""

    def __init__(self) -> None:
        self.opened = 0
        self.engine = StubEngine(reporter=Console())

    def open(self, *_: Any, **__: Any) -> StubEngine:
        """Take the place of `open_docker`."""
        self.opened += 1
        return self.engine

    def fails(self, *events: str) -> None:
        """Let these events fail."""
        self.engine = replace(self.engine, failing=frozenset(events))

    @property
    def events(self) -> list[str]:
        """What the engine was asked for since the last time."""
        events = list(self.engine.events)
        self.engine.events.clear()
        return events


@pytest.fixture
def stubs(monkeypatch: pytest.MonkeyPatch) -> Stubs:
    """Return an engine in place of Docker's."""
    stubs = Stubs()
    monkeypatch.setattr(docker_engine, "open_docker", stubs.open)
    return stubs


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunContext:
    """Return a run in a project of two images."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return RunContext(folder=lay_out(FILES, tmp_path), reporter=Console())


def of(run: RunContext, image: str) -> RunContext:
    """Return the run with `--image`."""
    return run._replace(chosen=Override(value=image, source="--image"))


def release(run: RunContext, *, untested: bool = False) -> list[Any]:
    """Release, without a cache."""
    return list(pipeline.release(run, no_cache=False, pull=False, untested=untested))


def build(run: RunContext) -> list[Any]:
    """Build, with the cache."""
    return list(pipeline.build(run, no_cache=False, pull=False))


def failed(kind: type[AzuremlTasksError], command: Callable[[], object]) -> AzuremlTasksError:
    """Return the error with which *command* ends."""
    with pytest.raises(kind) as caught:
        command()
    return caught.value


def test_all_are_built_then_all_tested_then_all_pushed(run: RunContext, stubs: Stubs) -> None:
    """No image is tested before all are built, and none is pushed before all have passed."""
    results = release(run)

    assert [
        *("check push scoring-cpu", "check push scoring-gpu"),
        *("build scoring-cpu", "build scoring-gpu"),
        *("test scoring-cpu", "test scoring-gpu"),
        *("push scoring-cpu", "push scoring-gpu"),
    ] == stubs.events
    assert [("cpu", "contoso.azurecr.io/scoring-cpu"), ("gpu", "contoso.azurecr.io/scoring-gpu")] == [
        (result.push.image_name, result.push.repository) for result in results
    ]
    assert stubs.opened == 1


MIXED = f"""\
{SCORING}
[tool.azureml-image.images.light]
delivery = "mount"
code = "light"

[tool.azureml-image.images.whole]
model = "model"
"""


def test_one_image_of_a_release_is_mounted(
    run: RunContext, stubs: Stubs, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is tested with the others, neither built nor pushed, and its deployment is printed beside theirs."""
    lay_out({"pyproject.toml": MIXED, "light/score.py": FILES["code/score.py"]}, run.folder)

    light, whole = release(run)
    texts = environment_texts(
        run, EnvironmentRequest(deployment=True, endpoint="scoring", instance_type="Standard_DS3_v2")
    )

    tested = ["test scoring-light", "test scoring-whole"]
    assert ["build scoring-whole", *tested, "push scoring-whole"] == [
        event for event in stubs.events if not event.startswith("check push")
    ]
    assert (None, "whole") == (light.push, whole.push.image_name)
    lines = capsys.readouterr().err.splitlines()
    assert [1, 1] == [
        sum(line.startswith(f"nothing to {action}: ") for line in lines) for action in ("build", "push")
    ]
    assert [True, False] == ["code_configuration:" in text for text in texts.values()]


def test_the_records_are_apart(run: RunContext, stubs: Stubs) -> None:
    """Each image has a folder of its own in `.azureml-image/`, which git ignores as a whole."""
    release(run)

    home = run.folder / ".azureml-image"
    names = sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())
    assert [
        ".gitignore",
        *(f"{image}/{name}" for image in ("cpu", "gpu") for name in RECORDS),
    ] == [name for name in names if name != "hashes.json"]
    assert "contoso.azurecr.io/scoring-gpu@sha256:" in (home / "gpu" / "result.json").read_text()
    assert stubs.events


RECORDS = ("build.json", "files.json", "pushed.json", "result.json", "smoke-test.json", "smoke-test.log")


def test_one_image_alone(run: RunContext, stubs: Stubs) -> None:
    """With `--image`, the other one is neither built nor recorded."""
    build(of(run, "gpu"))

    assert ["build scoring-gpu"] == stubs.events
    assert not (run.folder / ".azureml-image" / "cpu").exists()


def test_what_is_up_to_date_is_not_built_again(run: RunContext, stubs: Stubs) -> None:
    """A change that concerns one image leaves the other one as it is."""
    build(run)
    replaced(run.folder / "pyproject.toml", '"cuda"', '"cuda:0"')
    assert stubs.events

    results = build(run)

    assert ["build scoring-gpu"] == stubs.events
    assert [("cpu", "up-to-date"), ("gpu", "built")] == [(each.image_name, each.status) for each in results]


@pytest.mark.parametrize(
    ("event", "state"),
    [
        ("build scoring-cpu", "Images not built: cpu, gpu."),
        ("build scoring-gpu", "Images built: cpu. Images not built: gpu."),
    ],
)
def test_a_build_that_fails(event: str, state: str, run: RunContext, stubs: Stubs) -> None:
    """The message says which images were built, and nothing is tested or pushed."""
    stubs.fails(event)

    error = failed(BuildError, lambda: release(run))

    assert ("A step failed.", state) == (error.what, error.state)
    assert not [each for each in stubs.events if each.startswith(("test", "push"))]


def test_a_smoke_test_that_fails(run: RunContext, stubs: Stubs) -> None:
    """The others are tested all the same, the message has the reports of those that failed, and nothing is pushed."""
    stubs.fails("test scoring-cpu")

    error = failed(SmokeTestError, lambda: release(run))

    assert ["test scoring-cpu", "test scoring-gpu"] == stubs.events[-2:]
    assert error.what.startswith("contoso.azurecr.io/scoring-cpu:1.0 failed its smoke test")
    assert "scoring-gpu" not in error.what
    assert error.state == "All images were built. Nothing was pushed."


def test_both_reports_are_shown(run: RunContext, stubs: Stubs) -> None:
    """Two failures are two reports in one message; with --untested both are pushed."""
    stubs.fails("test scoring-cpu", "test scoring-gpu")

    error = failed(SmokeTestError, lambda: release(run))
    assert 2 == error.what.count("failed its smoke test")

    release(run, untested=True)
    assert ["push scoring-cpu", "push scoring-gpu"] == stubs.events[-2:]


def test_a_push_that_fails(run: RunContext, stubs: Stubs) -> None:
    """The message says which images are in the registry, and continues with the image that is not."""
    stubs.fails("push scoring-gpu")

    error = failed(RegistryError, lambda: release(run))

    assert error.state == (
        "Image gpu: Nothing was pushed. The image is on the engine as contoso.azurecr.io/scoring-gpu:1.0. "
        "Continue with: invoke image.push --image gpu Images pushed: cpu."
    )


def test_no_image_is_pushed_before_all_have_passed(run: RunContext, stubs: Stubs) -> None:
    """An image without a pass keeps the others from being pushed, and its own command is the next step."""
    build(run)
    pipeline.smoke_test(of(run, "cpu"))
    assert stubs.events

    error = failed(SmokeTestError, lambda: pipeline.push(run, untested=False))

    assert [] == stubs.events
    assert (
        "invoke image.smoke-test --image gpu\nor push it anyway: invoke image.push --image gpu --untested",
        "Nothing was pushed.",
    ) == (error.next_step, error.state)


@pytest.mark.parametrize(
    ("source", "tags"), [("--tag", ("candidate", "blue")), ("INVOKE_AZUREML_IMAGE_TAGS", ("1.0",))]
)
def test_a_push_with_tags_of_its_own(
    run: RunContext, stubs: Stubs, source: str, tags: tuple[str, ...]
) -> None:
    """The flag names the tags of this push; a variable names those of the next build."""
    build(run)
    pipeline.smoke_test(run)
    overrides = {"tags": Override(value=["candidate", "blue"], source=source)}

    (pushed,) = pipeline.push(of(run, "gpu")._replace(overrides=overrides), untested=False)

    assert (tags, "contoso.azurecr.io/scoring-gpu") == (pushed.tags, pushed.repository)
    assert stubs.events[-len(tags) :] == ["push scoring-gpu"] * len(tags)


def test_only_a_verbose_push_names_the_engine(
    run: RunContext, stubs: Stubs, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which builder an engine has does not matter to it; a build says it once for all images, in short."""
    build(run)
    assert stubs.events
    line = "an engine of the tests\n"
    assert 1 == capsys.readouterr().err.count(line)

    pipeline.push(run, untested=True)
    assert line not in capsys.readouterr().err

    pipeline.push(run._replace(reporter=Console(verbose=True)), untested=True)
    assert 1 == capsys.readouterr().err.count(f"{line[:-1]}, and more\n")


def test_a_push_with_tags_of_its_own_that_fails(run: RunContext, stubs: Stubs) -> None:
    """The command that continues names them again."""
    build(run)
    gpu = of(run, "gpu")._replace(overrides={"tags": Override(value=["a", "b"], source="--tag")})
    error = failed(SmokeTestError, lambda: pipeline.push(gpu, untested=False))
    assert "invoke image.push --tag=a --tag=b --untested" in error.next_step

    stubs.fails("push scoring-gpu")
    error = failed(RegistryError, lambda: pipeline.push(gpu, untested=True))
    assert "Continue with: invoke image.push --tag=a --tag=b --untested" in error.state


def test_tags_of_a_push_are_for_one_image(run: RunContext, stubs: Stubs) -> None:
    """Two images under one tag would be no mistake of the registry."""
    build(run)
    overrides = {"tags": Override(value=["candidate"], source="--tag")}

    error = failed(SettingsError, lambda: pipeline.push(run._replace(overrides=overrides), untested=True))

    assert "--tag: is for one image, and the table has several: cpu, gpu" in str(error)
    assert not [each for each in stubs.events if each.startswith("push")]


def test_an_image_that_is_not_built_is_named(run: RunContext, stubs: Stubs) -> None:
    """A smoke test of all names the one that is missing, and how to build it."""
    build(of(run, "cpu"))

    error = failed(BuildError, lambda: pipeline.smoke_test(run))

    assert ("The image gpu is not built yet.", "invoke image.build --image gpu") == (
        error.what,
        error.next_step,
    )
    assert not [each for each in stubs.events if each.startswith("test")]


def test_the_way_on_from_a_release_is_the_whole_release(run: RunContext, stubs: Stubs) -> None:
    """A message of one image that names `image.build` names `image.release` of all images instead."""
    stubs.fails("gone scoring-gpu")
    error = failed(BuildError, lambda: (build(run), pipeline.smoke_test(run)))
    assert error.next_step == "invoke image.build --image gpu"

    console = Console().for_images(["gpu", "cpu"])[0]
    assert "invoke image.release" == console.spell("invoke image.release")


def test_mistakes_of_all_images_are_reported_together(run: RunContext, stubs: Stubs) -> None:
    """A mistake in the top table is reported once, and one of an image at its own line."""
    replaced(run.folder / "pyproject.toml", 'pip = ["numpy==2.1.3"]', 'pip = ["numpy=2"]')
    replaced(run.folder / "pyproject.toml", '"cuda" }', '"cuda" }\napt = ["Vim"]')

    error = failed(SettingsError, lambda: build(run))

    assert isinstance(error, SettingsError)
    assert [(8, "tool.azureml-image.pip[1]"), (15, "tool.azureml-image.images.gpu.apt[1]")] == [
        (problem.line, problem.what.partition(":")[0]) for problem in error.problems
    ]
    assert (error.state, stubs.opened) == ("Nothing was built.", 0)


def test_what_is_for_one_image_needs_its_name(run: RunContext) -> None:
    """`--base`, `--tag` and `--output` are refused for several images, together, and taken for one."""
    overrides = {
        "base": Override(value="contoso.azurecr.io/base:1", source="--base"),
        "tags": Override(value=["x"], source="INVOKE_AZUREML_IMAGE_TAGS"),
        "registry": Override(value="r.io", source="--registry"),
    }
    run = run._replace(overrides=overrides)

    with pytest.raises(SettingsError) as caught:
        image_runs(run, uses=("base", "tags"), flags=["--output"])
    (gpu_run,) = image_runs(of(run, "gpu"), uses=("base", "tags"), flags=["--output"])
    unused = [sorted(each.overrides) for each in image_runs(run)]

    fix = "Add: --image cpu"
    what = "is for one image, and the table has several: cpu, gpu"
    assert [
        ("--base", what, fix),
        ("--output", what, fix),
        ("INVOKE_AZUREML_IMAGE_TAGS", what, f"{fix}\nor: unset INVOKE_AZUREML_IMAGE_TAGS"),
    ] == [(problem.file, problem.what, problem.fix) for problem in caught.value.problems]
    assert sorted(overrides) == sorted(gpu_run.overrides)
    assert [["registry"], ["registry"]] == unused


def test_an_image_that_the_table_does_not_have(run: RunContext) -> None:
    """The message lists the images; a table without any says so."""
    with pytest.raises(SettingsError) as unknown:
        image_runs(of(run, "tpu"))
    set_text(run.folder / "pyproject.toml", TABLE.partition("[tool.azureml-image.images")[0])
    with pytest.raises(SettingsError) as none:
        image_runs(of(run, "tpu"))

    assert '--image: is "tpu", which is not an image of the table\n    Images: cpu, gpu.' in str(
        unknown.value
    )
    assert '--image: is "tpu", but the table has no images: it is the image itself' in str(none.value)


def test_a_file_of_both_images_is_read_once(run: RunContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are hashed once for all images, and the commit is read once."""
    read: list[str] = []
    commits: list[Path] = []
    reading_file, reading_commit = file_hashes._read, git.start_reading  # noqa: SLF001 -- what reads

    def read_file(path: str) -> Any:
        read.append(Path(path).name)
        return reading_file(path)

    def read_commit(folder: Path) -> Any:
        commits.append(folder)
        return reading_commit(folder)

    monkeypatch.setattr(file_hashes, "_read", read_file)
    monkeypatch.setattr(file_hashes, "is_settled", lambda *_: True)  # as if the files were old
    monkeypatch.setattr(git, "start_reading", read_commit)
    for each in planned_runs(run):
        plan_image(each)

    assert ["score.py", "weights.bin"] == sorted(read)
    assert len(commits) == 1


def test_the_hashes_of_other_images_stay(
    run: RunContext, stubs: Stubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of one image keeps what is known of files that only the other one has."""
    set_text(run.folder / "large" / "weights.bin", "larger")
    replaced(run.folder / "pyproject.toml", '"cuda" }', '"cuda" }\nmodel = "large"')
    monkeypatch.setattr(file_hashes, "is_settled", lambda *_: True)  # as if the files were old
    build(run)
    build(of(run, "cpu"))

    known = json.loads((run.folder / ".azureml-image" / "hashes.json").read_text())["files"]
    names = {Path(path).parent.name for path in known}
    assert {"code", "model", "large"} == names
    assert stubs.events


def test_cached_layers_are_shared(run: RunContext) -> None:
    """Equal packages and model are the same cached layers, under one name; the code is each image's own."""
    plans = [plan_image(each)[0] for each in planned_runs(run)]
    parts = {
        "version": "1",
        "platform": "linux/amd64",
        "base": "sha256:1",
        "system": "",
        "python": "2",
        "model": "3",
    }
    layers = [cached_layers_of(plan, parts) for plan in plans]

    assert layers[0] == layers[1] != ()
    assert kept_name(plans[0], layers[0][-1].tag) == kept_name(plans[1], layers[1][-1].tag)
    assert "/scoring/layers:" in kept_name(plans[0], layers[0][-1].tag)


def test_a_build_keeps_the_cached_layers_of_the_other_image(run: RunContext, stubs: Stubs) -> None:
    """What the other image was built on is not removed as unused."""
    build(run)
    (gpu,) = planned_runs(of(run, "gpu"))
    kept = prepare_build(gpu).plan.kept_layers
    (cpu,) = planned_runs(of(run, "cpu"))

    plan, _ = plan_image(cpu)
    parts = cpu.records.read_build().fingerprint_parts
    assert {layers.tag for layers in cached_layers_of(plan, parts)} < kept
    assert stubs.events
    (cpu.records.folder / "build.json").write_text("{")
    assert prepare_build(gpu).plan.kept_layers == frozenset()


def test_from_one_table_to_images_and_back(run: RunContext, stubs: Stubs) -> None:
    """Records of another kind of table are not mistaken for those of this one, and `clean` removes them all."""
    images = (run.folder / "pyproject.toml").read_text()
    set_text(run.folder / "pyproject.toml", TABLE.partition("[tool.azureml-image.images")[0])
    build(run)
    set_text(run.folder / "pyproject.toml", images)
    error = failed(BuildError, lambda: pipeline.smoke_test(run))
    assert error.what == "The image cpu is not built yet."
    build(run)
    replaced(run.folder / "pyproject.toml", "images.gpu]", "images.cuda]")
    build(run)
    assert ["build scoring", "build scoring-cpu", "build scoring-gpu", "build scoring-cuda"] == [
        event for event in stubs.events if event.startswith("build")
    ]
    removed: list[str] = []

    clean.clean(run, on_removed=removed.append)

    names = ("scoring", "scoring-cpu", "scoring-cuda", "scoring-gpu")
    assert [*(f"contoso.azurecr.io/{name}:1.0" for name in names), ".azureml-image"] == removed
    assert not (run.folder / ".azureml-image").exists()


def test_a_clean_of_one_image(run: RunContext, stubs: Stubs) -> None:
    """Its names and its records go; the other image and the cached layers stay."""
    build(run)
    stubs.engine.layers.append(stored("a" * 32))
    removed: list[str] = []

    clean.clean(of(run, "gpu"), on_removed=removed.append)

    assert ["contoso.azurecr.io/scoring-gpu:1.0", ".azureml-image/gpu"] == removed
    assert (run.folder / ".azureml-image" / "cpu" / "build.json").is_file()
    assert len(stubs.engine.layers) == 1


def stored(tag: str) -> Any:
    """Return cached layers with a tag."""
    from azureml_tasks.built_image import StoredLayers

    return StoredLayers(name=f"layers:{tag}", tag=tag, id=f"sha256:{tag * 2}", size=1, built_at=1.0)


def test_the_cache_is_that_of_all_images(run: RunContext, stubs: Stubs) -> None:
    """Layers that any image uses are kept; `--image` lists those that it uses."""
    replaced(run.folder / "pyproject.toml", '"cuda" }', '"cuda" }\npip = ["numpy==2.2.0"]')
    tags = {}
    for each in planned_runs(run):
        plan, context = plan_image(each)
        from azureml_tasks.incremental.fingerprint import fingerprint_parts

        parts = fingerprint_parts(plan, context, stubs.engine.base_id(plan))
        tags[each.image] = cached_layers_of(plan, parts)[-1].tag
    stubs.engine.layers += [stored(tags["cpu"]), stored(tags["gpu"]), stored("f" * 32)]

    listed = {entry.name.rpartition(":")[2]: entry.is_current for entry in cache.list_layers(run)}
    of_gpu = [entry.name.rpartition(":")[2] for entry in cache.list_layers(of(run, "gpu"))]
    removed: list[str] = []
    unused = [cache.prune(of(run, "gpu"), on_removed=removed.append) for _ in range(2)]

    assert [1, 0] == unused
    assert {tags["cpu"]: True, tags["gpu"]: True, "f" * 32: False} == listed
    assert [tags["gpu"]] == of_gpu
    assert [f"layers:{'f' * 32}"] == removed


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_records_that_are_a_link_are_refused(
    name: str, run: RunContext, tmp_path: Path, stubs: Stubs
) -> None:
    """The folder of an image is never anywhere else."""
    (tmp_path / "elsewhere").mkdir()
    (run.folder / ".azureml-image").mkdir()
    (run.folder / ".azureml-image" / name).symlink_to(tmp_path / "elsewhere")

    error = failed(SettingsError, lambda: build(run))

    assert str(error).startswith(f".azureml-image/{name}: is a link; records stay in the folder itself")
    assert stubs.opened == 0


def test_a_secret_that_one_image_uses_is_used(run: RunContext, capsys: pytest.CaptureFixture[str]) -> None:
    """A warning says that a flag is of no use only if it is of use to no image."""
    from azureml_tasks.project.build_secrets import SecretSource

    secrets = {"netrc": SecretSource(source="default", option="--secret")}
    planned_runs(run._replace(secrets=secrets))
    unused = capsys.readouterr().err
    replaced(run.folder / "pyproject.toml", '"cuda" }', '"cuda" }\nsecrets = ["netrc"]')
    planned_runs(run._replace(secrets=secrets))

    assert unused.startswith("warning: --secret netrc is not used")
    assert capsys.readouterr().err == ""


@pytest.fixture
def remote(run: RunContext, stubs: Stubs, monkeypatch: pytest.MonkeyPatch) -> RunContext:
    """Return a run whose engine is remote."""
    stubs.engine = replace(stubs.engine, name="acr")
    monkeypatch.setattr(run_engine, "_open_acr", stubs.open)
    return run._replace(engine="acr")


def test_remote_builds_of_all_images_are_started(remote: RunContext, stubs: Stubs) -> None:
    """Each has a run of its own; one that cannot be started says which were."""
    assert ["run-of-scoring-cpu", "run-of-scoring-gpu"] == [
        each.run for each in resume.start(remote, no_cache=False)
    ]
    stubs.fails("start scoring-gpu")

    error = failed(BuildError, lambda: resume.start(remote, no_cache=False))

    assert error.state == "Images started: cpu. Images not started: gpu."


def test_a_remote_build_is_resumed_for_its_image(remote: RunContext, stubs: Stubs) -> None:
    """The records know of which image a run is; of a run that was started elsewhere the image must be named."""
    for image in ("cpu", "gpu"):
        records = remote._replace(image=image).records
        started = StartedRun(
            run=f"ca-{image}", registry="contoso.azurecr.io", names=(f"r.io/{image}:1",), installed_at=0
        )
        records.write_run(started)
    assert ["cpu", "gpu"] == [each.image_name for each in resume.resume(remote, "")]
    assert ["gpu"] == [each.image_name for each in resume.resume(remote, "ca-gpu")]
    assert ["cpu"] == [each.image_name for each in resume.resume(of(remote, "cpu"), "ca9")]
    assert ["resume ca-cpu", "resume ca-gpu", "resume ca-gpu", "resume ca9"] == stubs.events

    error = failed(SettingsError, lambda: resume.resume(remote, "ca9"))
    assert str(error).startswith('--run: is "ca9", which was not started here')
