"""What a CI system is told of a push."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.cli.ci_outputs import set_step_outputs
from azureml_tasks.cli.console import Console

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

OUTPUTS = {"image": "r.io/demo@sha256:1", "digest": "sha256:1", "tags": "1.2.3,latest"}


def test_github_gets_a_line_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In GitHub Actions each output is a line appended to its file, and nothing is printed."""
    file = tmp_path / "outputs"
    file.write_text("earlier=1\n")
    monkeypatch.setenv("GITHUB_OUTPUT", str(file))
    monkeypatch.delenv("TF_BUILD", raising=False)

    set_step_outputs(OUTPUTS, Console())

    expected = "earlier=1\nimage=r.io/demo@sha256:1\ndigest=sha256:1\ntags=1.2.3,latest\n"
    assert (expected, ("", "")) == (file.read_text(), tuple(capsys.readouterr()))


def test_azure_pipelines_gets_its_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In Azure Pipelines each output is a logging command on stdout."""
    monkeypatch.delenv("GITHUB_OUTPUT", raising=False)
    monkeypatch.setenv("TF_BUILD", "True")

    set_step_outputs(OUTPUTS, Console())

    expected = """\
##vso[task.setvariable variable=image;isOutput=true]r.io/demo@sha256:1
##vso[task.setvariable variable=digest;isOutput=true]sha256:1
##vso[task.setvariable variable=tags;isOutput=true]1.2.3,latest
"""
    assert (expected, "") == capsys.readouterr()


def test_a_file_out_of_reach_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in a container that got the runner's environment and not its folder: what has happened still counts."""
    monkeypatch.delenv("TF_BUILD", raising=False)
    file = tmp_path / "file_commands" / "out"
    outputs = []
    for path in (file, tmp_path):
        monkeypatch.setenv("GITHUB_OUTPUT", str(path))
        set_step_outputs(OUTPUTS, Console())
        outputs.append(capsys.readouterr())

    warning = "warning: the outputs of this step could not be set: This machine reported an error: {}: {}.\n"
    assert [
        ("", warning.format(file, "No such file or directory")),
        ("", warning.format(tmp_path, "Is a directory")),
    ] == outputs


def test_elsewhere_nothing_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Outside of both, nothing is printed."""
    monkeypatch.delenv("GITHUB_OUTPUT", raising=False)
    monkeypatch.delenv("TF_BUILD", raising=False)

    set_step_outputs(OUTPUTS, Console())

    assert ("", "") == capsys.readouterr()
