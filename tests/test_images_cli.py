"""Several images of one table, as a person types the commands; no engine answers."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.cli.console import Console
from azureml_tasks.cli.json_output import Collected
from azureml_tasks.cli.options import TaskRun
from azureml_tasks.cli.print_results import Steps
from azureml_tasks.commands.image_runs import planned_runs
from azureml_tasks.commands.results import PushResult, SmokeTestResult
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.notice import Notice
from azureml_tasks.smoke.report import Check, Report
from azureml_tasks.state.records import Records
from tests.cases import lay_out
from tests.consumers import TASKS, invoke, project
from tests.projects import replaced

if TYPE_CHECKING:
    from pathlib import Path

IMAGES = """\
registry = "contoso.azurecr.io"

[tool.azureml-image.images.cpu]

[tool.azureml-image.images.gpu]
env = { DEVICE = "cuda" }
"""
SCORE = "def init(): ...\ndef run(data): ...\n"
HASH = "0" * 64
BUILT = BuiltImage(
    id=f"sha256:{'3' * 64}",
    names=("contoso.azurecr.io/demo:1.2.3",),
    engine="docker",
    context_sha256=HASH,
    user="dockeruser",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a project of two images."""
    files = {"pyproject.toml": project("demo", IMAGES), "tasks.py": TASKS, "code/score.py": SCORE}
    return lay_out(files, tmp_path)


def test_check_shows_each_image_below_its_table(folder: Path) -> None:
    """Each report has its next step with `--image`; the engine that does not answer is one error."""
    both = invoke(folder, "image.check")
    gpu = invoke(folder, "image.check", "--image", "gpu")

    lines = both.out.splitlines()
    assert (3, 3) == (both.code, gpu.code)
    assert ["tool.azureml-image.images.cpu", "tool.azureml-image.images.gpu"] == [
        line for line in lines if line.startswith("tool.")
    ]
    assert ["contoso.azurecr.io/demo-cpu:1.2.3", "contoso.azurecr.io/demo-gpu:1.2.3"] == [
        line.split()[1] for line in lines if line.startswith("image ")
    ]
    assert "tool.azureml-image" not in gpu.out
    assert 1 == both.err.count("Docker's engine does not answer")


def test_check_as_json_has_each_image(folder: Path) -> None:
    """A list of images, or of the one that is named; a mistake is in `errors` alone."""
    both = json.loads(invoke(folder, "image.check", "--json").out)
    gpu = json.loads(invoke(folder, "image.check", "--json", "--image", "gpu").out)
    replaced(folder / "pyproject.toml", '"cuda" }', '"cuda" }\napt = ["Vim"]')
    wrong = json.loads(invoke(folder, "image.check", "--json").out)

    assert ["cpu", "gpu"] == [image["name"] for image in both["images"]]
    assert gpu["images"] == both["images"][1:]
    assert [["contoso.azurecr.io/demo-gpu:1.2.3"]] == [image["names"] for image in gpu["images"]]
    assert ([], 2, [13]) == (wrong["images"], wrong["exit_code"], [each["line"] for each in wrong["errors"]])


def test_the_image_is_named_by_a_variable_or_a_collection(folder: Path) -> None:
    """Flag, variable, configuration and `collection(image=…)` say which image, in this order."""
    tasks = """\
from invoke.collection import Collection
import azureml_tasks

ns = Collection(azureml_tasks.collection("gpu", image="gpu"))
"""
    variable = {"INVOKE_AZUREML_IMAGE_IMAGE": "gpu"}
    lay_out({"tasks.py": tasks}, folder)

    bound = invoke(folder, "gpu.dockerfile")
    other = invoke(folder, "gpu.dockerfile", "--image", "cpu", env=variable)
    by_variable = invoke(folder, "gpu.dockerfile", env={"INVOKE_AZUREML_IMAGE_IMAGE": "cpu"})

    assert 'DEVICE="cuda"' in bound.out
    assert 'DEVICE="cuda"' not in other.out + by_variable.out
    assert "tool.azureml-image.images" not in bound.out + other.out


def test_dockerfiles_of_all_images(folder: Path) -> None:
    """Each stands below the name of its table; a file holds one alone."""
    both = invoke(folder, "image.dockerfile")
    refused = invoke(folder, "image.dockerfile", "--output", "Dockerfile")
    gpu = invoke(folder, "image.dockerfile", "--output", "Dockerfile", "--image", "gpu")

    tables = [line for line in both.out.splitlines() if line.startswith("# tool.")]
    assert ["# tool.azureml-image.images.cpu", "# tool.azureml-image.images.gpu"] == tables
    assert (2, 0) == (refused.code, gpu.code)
    expected = "--output: is for one image, and the table has several: cpu, gpu\n    Add: --image cpu\n"
    assert refused.err.startswith(expected)
    assert 'DEVICE="cuda"' in (folder / "Dockerfile").read_text()


def test_a_context_is_that_of_one_image(folder: Path) -> None:
    """An archive cannot hold two."""
    refused = invoke(folder, "image.context", "--output", "context.tar")
    gpu = invoke(folder, "image.context", "--output", "context.tar", "--image", "gpu")

    assert (2, 0) == (refused.code, gpu.code)
    assert refused.err.startswith("context: is for one image, and the table has several: cpu, gpu")
    with tarfile.open(folder / "context.tar") as archive:
        assert ["Dockerfile", "code", "code/score.py"] == archive.getnames()


@pytest.mark.parametrize(
    "words", ["image.build --base other:1", "image.release --tag=x", "image.check --tag=x"]
)
def test_a_base_or_a_tag_is_for_one_image(words: str, folder: Path) -> None:
    """They would make both images the same."""
    refused = invoke(folder, *words.split())

    flag = words.split()[1].partition("=")[0]
    assert (2, "") == (refused.code, refused.out)
    assert refused.err.startswith(f"{flag}: is for one image, and the table has several: cpu, gpu\n")


def test_an_unknown_image(folder: Path) -> None:
    """The message lists those that the table has; a variable is named as itself."""
    flag = invoke(folder, "image.build", "--image", "tpu")
    variable = invoke(folder, "image.clean", env={"INVOKE_AZUREML_IMAGE_IMAGE": "tpu"})

    assert (2, 2) == (flag.code, variable.code)
    assert '--image: is "tpu", which is not an image of the table\n    Images: cpu, gpu.\n' in flag.err
    assert variable.err.startswith('INVOKE_AZUREML_IMAGE_IMAGE: is "tpu", which is not an image of the table')


def test_the_next_step_names_the_image(folder: Path) -> None:
    """What is missing for one image is a command for that image."""
    record(folder, "cpu")

    unpushed = invoke(folder, "image.environment")

    assert (4, "") == (unpushed.code, unpushed.out)
    step = "invoke image.release --image gpu"
    assert unpushed.err.endswith(
        f"The image gpu is not built and pushed yet.\n    {step}\nNothing was written.\n"
    )


def record(folder: Path, image: str) -> None:
    """Record that an image was built and pushed."""
    records = Records(folder=folder / ".azureml-image" / image, image=image)
    name = f"contoso.azurecr.io/demo-{image}"
    records.write_build(BUILT._replace(names=(f"{name}:1.2.3",)))
    digest = "sha256:" + ("1" if image == "cpu" else "2") * 64
    records.write_result({
        "image": f"{name}@{digest}",
        "id": BUILT.id,
        "tags": ["1.2.3"],
        "digest": digest,
        "context_sha256": HASH,
        "smoke": {"passed": True, "started": 1.0, "peak_memory": 1},
    })  # fmt: skip


def test_environments_of_all_images(folder: Path) -> None:
    """One YAML document for each, with `---` between them; a file or a name is for one."""
    record(folder, "cpu")
    record(folder, "gpu")

    both = invoke(folder, "image.environment")
    refused = invoke(folder, "image.environment", "--name", "x", "--output", "x.yml")
    gpu = invoke(folder, "image.environment", "--image", "gpu", "--name", "x", "--output", "x.yml")

    documents = both.out.split("---\n")
    assert ['name: "demo-cpu"', 'name: "demo-gpu"'] == [document.splitlines()[2] for document in documents]
    assert ["--name", "--output"] == [
        line.partition(":")[0] for line in refused.err.splitlines() if line.startswith("--")
    ]
    assert gpu.code == 0, gpu.err
    assert 'name: "x"' in (folder / "x.yml").read_text()


def test_what_is_printed_names_the_image_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A line names the image before its progress; a warning about what all share is printed once."""
    first, second = Console().for_images(["cpu", "gpu"])

    first.warn(Notice("base-outdated", "the base is old"))
    first.say("building: invoke image.build")
    second.warn(Notice("base-outdated", "the base is old"))
    second.say("building: invoke image.build --image gpu, or invoke image.release")
    first.say("done")

    assert capsys.readouterr().err == (
        "image cpu:\nwarning: the base is old\nbuilding: invoke image.build --image cpu\n"
        "image gpu:\nbuilding: invoke image.build --image gpu, or invoke image.release\n"
        "image cpu:\ndone\n"
    )


def steps(tmp_path: Path, collected: Collected | None = None) -> Steps:
    """Return what prints the steps of a release with `--junit`, and for `--json` collects them."""
    run = TaskRun(
        task="release",
        context=RunContext(folder=tmp_path, reporter=Console()),
        console=Console(collected=collected),
        flags={"junit": str(tmp_path / "junit.xml")},
        no_cache=False,
        pull=False,
    )
    return Steps(run)


def test_each_image_is_a_suite(tmp_path: Path) -> None:
    """The file of --junit has a suite for each, and is written after each test."""
    counts = []
    shown = steps(tmp_path)
    for image, outcome in (("cpu", "passed"), ("gpu", "failed")):
        report = Report(
            image=f"demo-{image}:1",
            image_id="sha256:1",
            place="here",
            look_inside="invoke image.shell",
            checks=(Check(name="start-up", outcome=outcome),),  # type: ignore[arg-type]  # one of its words
        )
        shown.show(
            SmokeTestResult(
                status="passed" if report.passed else "failed",
                id=BUILT.id,
                names=BUILT.names,
                report=report,
                image_name=image,
            )
        )
        counts.append(len(ET.parse(tmp_path / "junit.xml").getroot()))

    root = ET.parse(tmp_path / "junit.xml").getroot()
    assert ("testsuites", [1, 2]) == (root.tag, counts)
    assert [("demo-cpu:1", "0"), ("demo-gpu:1", "1")] == [
        (suite.get("name"), suite.get("failures")) for suite in root
    ]


def test_each_image_has_its_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later step of a CI system can use each image that was pushed."""
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "outputs"))
    shown = steps(tmp_path)
    for image in ("cpu", "gpu"):
        shown.show(
            PushResult(
                status="pushed",
                image=f"r.io/demo-{image}@sha256:1",
                repository=f"r.io/demo-{image}",
                tags=("1", "latest"),
                digest="sha256:1",
                id=BUILT.id,
                image_name=image,
            )
        )

    assert (tmp_path / "outputs").read_text().splitlines() == [
        *("image-cpu=r.io/demo-cpu@sha256:1", "digest-cpu=sha256:1", "tags-cpu=1,latest"),
        *("image-gpu=r.io/demo-gpu@sha256:1", "digest-gpu=sha256:1", "tags-gpu=1,latest"),
    ]


def test_the_engine_is_asked_in_the_clouds_only_once(folder: Path) -> None:
    """The engines of two images that one registry builds share what they are signed in with."""
    from azureml_tasks.commands.run_engine import open_engine
    from azureml_tasks.commands.run_plan import plan_image
    from azureml_tasks.engines.acr.engine import AcrEngine

    run = RunContext(folder=folder, reporter=Console(), engine="acr")
    engines = [open_engine(each, plan_image(each)[0]) for each in planned_runs(run)]

    assert all(isinstance(engine, AcrEngine) for engine in engines)
    first, second = engines
    assert isinstance(first, AcrEngine)
    assert isinstance(second, AcrEngine)
    assert first.sessions is second.sessions
    assert [first.plan.repository, second.plan.repository] == ["demo-cpu", "demo-gpu"]
