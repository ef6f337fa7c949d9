"""The build context as a remote build uploads it."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from azureml_tasks.cli.console import Console
from azureml_tasks.commands.export import context_archive
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.engines.acr.cloud_smoke_test import smoke_test_files
from azureml_tasks.project.model import SmokeTestPlan
from tests.cases import lay_out
from tests.consumers import project


def names(run: RunContext) -> list[str]:
    """Return the names in the archive of the build context."""
    with tarfile.open(fileobj=io.BytesIO(b"".join(context_archive(run).blocks))) as archive:
        return [member.name for member in archive]


def test_the_archive_of_a_remote_build_has_what_its_task_names(tmp_path: Path) -> None:
    """For the engine acr the archive has the files of the smoke test too, with which the commands of --dry work."""
    lay_out({"pyproject.toml": project("demo"), "code/score.py": "init = run = print\n"}, tmp_path)
    run = RunContext(folder=tmp_path, reporter=Console())

    plain, remote = names(run), names(run._replace(engine="acr"))

    assert ["Dockerfile", "code/score.py"] == [name for name in plain if name != "code"]
    added = [name for name in remote if name not in plain]
    assert [".azureml-image", *(f".azureml-image/{name}" for name in FILES)] == added


FILES = ("probe_in_acr.py", "probe.json", "probe.py", "probe.sh")


def test_which_files_the_smoke_test_has() -> None:
    """Its script, the script's parts and its input stand in one folder, which no COPY instruction names."""
    files = smoke_test_files(SmokeTestPlan(sha256="5f" * 32))

    assert [".azureml-image/", *(f".azureml-image/{name}" for name in FILES)] == [file.name for file in files]
