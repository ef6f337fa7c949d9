"""What the script that installs packages reads of its inputs; no pip runs here."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from azureml_tasks.in_image import conflicts, environment, install
from tests.cases import lay_out

if TYPE_CHECKING:
    from collections.abc import Callable

SERVER = conflicts.SERVER
KEPT = f"{SERVER}==1.5.1"


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], Path]:
    """Return a function that writes inputs of the script."""
    monkeypatch.setattr(environment, "HERE", tmp_path)
    monkeypatch.setattr(install, "HERE", tmp_path)
    for name in ("project", "conda", "locks"):
        monkeypatch.setattr(environment, name.upper(), tmp_path / name)
    return partial(lay_out, folder=tmp_path)


@pytest.mark.parametrize(
    ("file", "text", "line"),
    [
        ("requirements.txt", "a-b\n", "pyproject.toml: a-b"),
        ("requirements-2.txt", "A_b[x] >2 # why\n", "pyproject.toml: A_b[x] >2"),
        ("requirements.txt", "a-b @ https://alice:hunter2@x/a.whl\n", "pyproject.toml: a-b"),
        ("project/deep/a.txt", "# made by a tool\nA.b==1 --hash=sha256:0\n", "deep/a.txt:2: A.b==1"),
        (
            "project/a.txt",
            "./wheels/a_b-2.0-py3-none-any.whl\n",
            "a.txt:1: ./wheels/a_b-2.0-py3-none-any.whl",
        ),
        ("conda/env/conda.yml", "\n\na-b==2.*\n", "env/conda.yml:3: a-b==2.*"),
        ("locks/service/uv.lock.txt", "# service/uv.lock\na-b==1 \\\n", "service/uv.lock: a-b==1"),
    ],
)
def test_where_the_project_requires_a_package(
    file: str, text: str, line: str, inputs: Callable[[dict[str, str]], Path]
) -> None:
    """Each file and line, without a URL. The lines of a lock file's translation are not those of the lock file."""
    inputs(
        {"requirements.txt": "", file: f"{text}a-b-c\n", "project/wheels/a_b-2.0-py3-none-any.whl": "a-b\n"}
    )

    assert [line] == conflicts.requirement_lines("a-b")


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        ("azureml-inference-server-http==1.4.1", SERVER),
        ("AzureML_Inference.Server-HTTP <1.5", SERVER),
        ("azureml-inference-server-http[extra]!=1.5.1 # for the team", SERVER),
        ("azureml-inference-server", KEPT),
    ],
)
def test_a_requirement_names_the_server(
    requirement: str, expected: str, inputs: Callable[[dict[str, str]], Path]
) -> None:
    """The project decides on the version if it names the server, however it is spelled."""
    inputs({"requirements.txt": f"{requirement}\n"})

    assert expected == install.server_requirement("1.5.1")


def test_each_run_keeps_the_server_and_what_earlier_runs_were_about(
    inputs: Callable[[dict[str, str]], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are requirements of the run, so that pip resolves them too; the pins of hashes are constraints."""
    inputs(
        {"requirements.txt": "a\n", "requirements-2.txt": "b\n", "held-2.txt": "a\ngone\n", "pinned.txt": ""}
    )

    runs = [
        install.rest_arguments("1.5.1", number, {"a": "1.0", "c": "2.0"}) for number in install.rest_runs()
    ]

    constraints = ["-c", str(tmp_path / "pinned.txt")]
    assert [
        ["-r", str(tmp_path / "requirements.txt"), KEPT, *constraints],
        ["-r", str(tmp_path / "requirements-2.txt"), KEPT, "a==1.0", *constraints],
    ] == runs
    kept = f"installing requirements. pip must keep {KEPT} of the base image."
    assert [f"Run {number} of 2: {kept}" for number in (1, 2)] == capsys.readouterr().out.splitlines()


def test_an_empty_list_of_added_requirements_leads_to_a_full_install(
    inputs: Callable[[dict[str, str]], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pip is not asked to install nothing."""
    inputs({"added.txt": ""})
    monkeypatch.setattr(install, "install", refuse)

    assert not install.install_added({})


def refuse(*_: str) -> NoReturn:
    """Fail if pip is started."""
    pytest.fail("pip was started")
