"""The log of a build, and the file and line of the requirement or the command that failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from azureml_tasks.cli.console import Console
from azureml_tasks.commands.build_step import build_step, with_lines
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.errors import BuildError
from azureml_tasks.planning.dockerfile import shell_instruction
from azureml_tasks.state.records import BUILD_LOG

PIP_PROBLEM = """\
pip could not install the requirements:
    pyproject.toml: alpha==1
    pyproject.toml: beta
    requirements.txt:3: gamma
    pip said: No matching distribution found for alpha==1"""


def fail(run: RunContext, error: BuildError, *lines: str) -> None:
    """Let a build print *lines* and fail."""
    with build_step(run, "build a:1"):
        for line in lines:
            run.reporter.output(line)
        raise error


def test_a_requirement_of_pyproject_toml_is_named_with_its_line(tmp_path: Path) -> None:
    """It is looked for as it is written there; one that is written in another way has no line."""
    file = tmp_path / "pyproject.toml"
    file.write_text('[project]\ndependencies = [\n  "alpha==1.5",\n  "alpha==1",\n  "beta-two",\n]\n')

    assert PIP_PROBLEM.replace("toml: alpha", "toml:4: alpha") == with_lines(PIP_PROBLEM, file)


def test_a_project_that_is_gone_hides_no_cause(tmp_path: Path) -> None:
    """Without the file, what pip has refused is said without its line."""
    assert with_lines(PIP_PROBLEM, tmp_path / "pyproject.toml") == PIP_PROBLEM


def test_the_whole_log_is_kept_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It has what was printed, cleaned; the error names it, and git ignores it."""
    (tmp_path / "pyproject.toml").write_text('[tool.azureml-image]\npip = ["alpha==1"]\n')
    run = RunContext(folder=tmp_path, reporter=Console())

    error = BuildError(
        "The Python packages cannot be installed.", said=PIP_PROBLEM, state="Nothing was built."
    )
    error.log_says_why = True
    with pytest.raises(BuildError) as caught:
        fail(run, error, "\x1b[31mone\x1b[0m ##[error]two", "three")

    log = tmp_path / ".azureml-image" / BUILD_LOG
    assert capsys.readouterr().err == log.read_text() == "one # #[error]two\nthree\n"
    assert "*\n" == (tmp_path / ".azureml-image/.gitignore").read_text()
    shown = str(caught.value).splitlines()
    assert "        pyproject.toml:2: alpha==1" == shown[2]
    assert "The whole log is in .azureml-image/build.log. Nothing was built." == shown[-1]
    assert ("pyproject.toml", 2) == (caught.value.file, caught.value.line)


def test_each_build_begins_the_log_anew(tmp_path: Path) -> None:
    """A link in its place is replaced, and what it leads to stays as it was."""
    run = RunContext(folder=tmp_path, reporter=Console())
    (tmp_path / "other").write_text("kept")
    (tmp_path / ".azureml-image").mkdir()
    log = tmp_path / ".azureml-image" / BUILD_LOG
    log.symlink_to(tmp_path / "other")

    texts = []
    for word in ("one", "two"):
        with build_step(run, "build a:1"):
            run.reporter.say(word)
        texts.append(log.read_text())

    assert (["one\n", "two\n"], False, "kept") == (texts, log.is_symlink(), (tmp_path / "other").read_text())


def test_a_build_that_prints_nothing_leaves_no_log(tmp_path: Path) -> None:
    """Its error names none."""
    run = RunContext(folder=tmp_path, reporter=Console())

    with pytest.raises(BuildError) as caught:
        fail(run, BuildError("No."))

    assert ("No.", []) == (str(caught.value), list(tmp_path.iterdir()))


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    """The error does not name it."""
    (tmp_path / ".azureml-image").write_text("")
    run = RunContext(folder=tmp_path, reporter=Console())

    with pytest.raises(BuildError) as caught:
        fail(run, BuildError("No.", said="one", said_is_log=True), "one")

    assert "No.\n    Its last lines say why:\n    one" == str(caught.value)


TABLE = """\
[project]
name = "demo"

[tool.azureml-image]
base = "b:1"
run = [{ command = "make" }, { command = "echo \\"$HOME\\"; exit 3" }]

[[tool.azureml-image.images.gpu.run]]
command = "true"
[[tool.azureml-image.images.gpu.run]]
after = "code"
command = '''
echo é
make'''
[[tool.azureml-image.images.gpu.run]]
command = "true"
"""


@pytest.mark.parametrize(
    ("image", "command", "line"),
    [
        ("", 'echo "$HOME"; exit 3', 6),
        ("gpu", "echo é\nmake", 12),
        ("gpu", "make", 0),
        ("gpu", "true", 0),
    ],
)
def test_a_shell_command_that_fails_is_named_with_its_line(
    tmp_path: Path, image: str, command: str, line: int
) -> None:
    """It is looked for in the table of its image; one that is not there, or there twice, has no line."""
    table = TABLE if image else TABLE.partition("[[")[0]
    (tmp_path / "pyproject.toml").write_text(table, encoding="utf-8")
    run = RunContext(folder=tmp_path, reporter=Console(), image=image)
    error = BuildError("A build step failed in run ca1: RUN x: y")
    error.instruction = shell_instruction(command)

    with pytest.raises(BuildError) as caught:
        fail(run, error)

    place = f" (pyproject.toml:{line})" if line else ""
    assert f"A build step failed in run ca1{place}: RUN x: y" == str(caught.value)
    assert ("pyproject.toml" if line else "", line) == (caught.value.file, caught.value.line)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\xff", b"[tool.azureml-image]\nrun = ["])
def test_a_table_that_cannot_be_read_any_more_hides_no_cause(tmp_path: Path, content: bytes | None) -> None:
    """A command that fails is then named without its line."""
    if content is not None:
        (tmp_path / "pyproject.toml").write_bytes(content)
    error = BuildError("A build step failed: RUN x")
    error.instruction = shell_instruction("x")

    with pytest.raises(BuildError) as caught:
        fail(RunContext(folder=tmp_path, reporter=Console()), error)

    assert "A build step failed: RUN x" == str(caught.value)
