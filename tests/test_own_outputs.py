"""What our own commands write, and the lock files of the project, are no part of the code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from azureml_tasks.azureml.environment_yaml import Pushed, deployment_text, environment_text
from azureml_tasks.azureml.mounted_yaml import mounted_deployment_text
from azureml_tasks.cli.console import Console
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.commands.run_plan import plan_image
from azureml_tasks.context.own_outputs import is_own_output
from azureml_tasks.context.tar_archive import archive
from azureml_tasks.planning.dockerfile import render
from azureml_tasks.project.mounted_delivery import MountedDelivery
from azureml_tasks.report.facts import ImageFacts
from azureml_tasks.report.page import render as report_page
from azureml_tasks.smoke.report import Report, junit_xml, junit_xml_of_images
from tests.cases import lay_out
from tests.consumers import TASKS, invoke
from tests.context_members import SCRIPT, members, project_with, refusal
from tests.plans import plan

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.context.build_context import BuildContext

PUSHED = Pushed(image=f"contoso.azurecr.io/iris@sha256:{'1' * 64}", tags=("1.0.0",), started=1.5)
REPORT = Report(image="iris:1.0.0", image_id="", place="", look_inside="", checks=())
IMAGE = ImageFacts(
    repository="iris",
    references=("iris:1.0.0",),
    id="sha256:1",
    base="",
    platform="linux/amd64",
    user="dockeruser",
    next_step="",
    table="[tool.azureml-image]",
)
MOUNTED = plan(mounted=MountedDelivery(root="/project", code="code", script="score.py"))
OUTPUTS = {
    "environment.yml": environment_text(PUSHED, plan().smoke_test),
    "two environments": "---\n".join([environment_text(PUSHED, plan().smoke_test)] * 2),
    "deploy/blue.yaml": deployment_text(PUSHED, plan(), endpoint="iris", instance_type="Standard_DS3_v2"),
    "deploy/mounted.yaml": mounted_deployment_text(
        MOUNTED, sha256="1" * 64, code="code", endpoint="iris", instance_type="Standard_DS3_v2", started=None
    ),
    "reports/smoke-test.xml": junit_xml(REPORT),
    "images.xml": junit_xml_of_images([REPORT, REPORT]),
    "report.html": report_page([IMAGE], now=1_790_000_000),
    "Dockerfile": render(plan()),
    "dockerfiles.txt": f"# tool.azureml-image.images.cpu\n{render(plan())}",
}
LOCKS = (
    *("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pylock.toml", "pylock.gpu.toml"),
    *("conda-lock.yml", "pixi.lock"),
)
WHOLE = 'code = "."\n'


def context_of(folder: Path) -> BuildContext:
    """The build context."""
    return plan_image(RunContext(folder=folder, reporter=Console()))[1]


def project(folder: Path, table: str = "", files: dict[str, str] | None = None) -> Path:
    """A project whose folder itself is the code, with more *files*."""
    project_with(folder, table=WHOLE + table, files={"score.py": SCRIPT, **(files or {})})
    (folder / "code/score.py").unlink()
    (folder / "code").rmdir()
    return folder


@pytest.mark.parametrize("name", OUTPUTS)
def test_what_a_command_has_written_is_left_out(name: str, tmp_path: Path) -> None:
    """Under any name; the same text with another first line is a file of the team."""
    files = {name: OUTPUTS[name], "own.txt": f"one\n{OUTPUTS[name]}"}
    folder = project(tmp_path, files=files)

    copied = [each for each in members(folder) if each.startswith("file ")]

    assert [f"file code/own.txt {len(files['own.txt'])}"] == copied


def test_lock_files_of_the_project_are_left_out(tmp_path: Path) -> None:
    """A folder of the code with a lock file of its own is copied as it is."""
    folder = project(tmp_path, files={**dict.fromkeys(LOCKS, ""), "vendored/uv.lock": "", "my.lock": ""})

    expected = ["file code/my.lock 0", "folder code/vendored/", "file code/vendored/uv.lock 0"]
    assert expected == members(folder)


def test_a_pattern_brings_them_back(tmp_path: Path) -> None:
    """`exclude` says what is copied all the same."""
    text = OUTPUTS["environment.yml"]
    table = 'exclude = ["!uv.lock", "!environment.yml"]\n'
    folder = project(tmp_path, table, {"uv.lock": "", "environment.yml": text, "poetry.lock": ""})

    expected = [f"file code/environment.yml {len(text)}", "file code/uv.lock 0"]
    assert expected == members(folder)


def test_a_model_is_copied_as_it_is(tmp_path: Path) -> None:
    """Nobody makes a model by accident."""
    text = OUTPUTS["environment.yml"]
    folder = project(tmp_path, 'model = "model"\n', {"model/uv.lock": "", "model/environment.yml": text})

    expected = ["folder model/", f"file model/environment.yml {len(text)}", "file model/uv.lock 0"]
    assert expected == members(folder)


def test_the_context_of_an_own_dockerfile_has_them(tmp_path: Path) -> None:
    """Its instructions may copy a lock file, and so may they what a command has written."""
    files = {
        "pyproject.toml": '[project]\nname = "a"\nversion = "1"\n[tool.azureml-image]\ndockerfile = "Dockerfile"\n',
        "Dockerfile": "FROM python:3.12-slim\nCOPY uv.lock environment.yml /\n",
        "uv.lock": "",
        "environment.yml": OUTPUTS["environment.yml"],
    }
    folder = lay_out(files, tmp_path)

    names = {each.split()[1] for each in members(folder)}

    assert {"uv.lock", "environment.yml"} <= names


@pytest.mark.parametrize("target", ["uv.lock", "environment.yml"])
def test_a_link_to_one_would_lead_nowhere(target: str, tmp_path: Path) -> None:
    """The message says how to copy both, or neither."""
    folder = project(tmp_path, files={target: OUTPUTS["environment.yml"]})
    (folder / "latest").symlink_to(target)

    refused = refusal(folder)

    assert f"latest is a link to {target}, which is left out" in refused
    assert f'exclude = ["latest"]\n    or copy both: exclude = ["!{target}"]' in refused


def test_a_build_context_as_an_archive_is_left_out(tmp_path: Path) -> None:
    """`image.context --output context.tar` in the code leads to the same context again."""
    folder = project(tmp_path)
    context = context_of(folder)

    (folder / "context.tar").write_bytes(b"".join(archive(context)))

    assert context.sha256 == context_of(folder).sha256


def test_an_archive_of_the_team_is_copied() -> None:
    """A Dockerfile in it that nobody generated is no sign."""
    header = b"Dockerfile".ljust(512, b"\0")
    assert is_own_output(header + render(plan()).encode())
    assert not is_own_output(header + b"FROM scratch\n")
    assert not is_own_output(b"")


def test_commands_do_not_change_the_next_build(tmp_path: Path) -> None:
    """Files that flags name lie beside the code, and the hash stays, also in a clone without the records."""
    folder = project(tmp_path, files={"tasks.py": TASKS})
    before = context_of(folder).sha256

    for words in (
        ("image.dockerfile", "--output", "Dockerfile"),
        ("image.context", "--output", "context.tar"),
    ):
        assert invoke(folder, *words).code == 0
    (folder / "report.xml").write_text(junit_xml(REPORT))
    (folder / "environment.yml").write_text(OUTPUTS["environment.yml"])
    (folder / "uv.lock").write_text("version = 1\n")

    assert before == context_of(folder).sha256
