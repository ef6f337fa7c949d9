"""A table without code or without a script: what is asked, what is left over, and what the image gets all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cases import lay_out
from tests.init_command import run_init_in as run

SCRIPT = "def init(): ...\ndef run(data): ...\n"
DEPLOYMENT = """\
code_configuration:
  code: code
  scoring_script: <SCRIPT>
environment:
  image: mcr.microsoft.com/azureml/minimal-py312-inference
"""
ON_INFERENCE = "FROM mcr.microsoft.com/azureml/minimal-py312-inference\n"


def table(folder: Path) -> str:
    """Return the table without its header."""
    return (folder / "pyproject.toml").read_text().partition("[tool.azureml-image]\n")[2]


@pytest.mark.parametrize(
    "base", ["FROM mcr.microsoft.com/azureml/minimal-py312-inference\n", "FROM python:3.11-slim\n"]
)
def test_a_model_without_code_is_left_over(base: str, tmp_path: Path) -> None:
    """A check would refuse the table."""
    start = (
        'RUN pip install azureml-inference-server-http\nCMD ["azmlinfsrv", "--entry_script", "score.py"]\n'
    )
    copied = f"{base}COPY model /var/azureml-app/azureml-models\n{start if 'python' in base else ''}"
    lay_out({"Dockerfile": copied, "model/m.bin": "x"}, tmp_path)

    ended = run(tmp_path, "--from", "Dockerfile")

    assert "LEFT OVER: the image has no script that loads it: name one, and this, by --from" in ended.report
    assert "model" not in table(tmp_path)


def test_code_that_no_source_names_is_not_whole(tmp_path: Path) -> None:
    """The folder `code` is copied without being named."""
    lay_out({"requirements.txt": "numpy\n", "code/score.py": SCRIPT}, tmp_path)

    ended = run(tmp_path, "--from", "requirements.txt", "--base", "minimal-py312-inference")

    assert ended.report == (
        "requirements.txt, requirements\n"
        '        1  numpy                                 requirements = ["requirements.txt"]\n\n'
        "not whole: the image gets the folder code, which is there, and which no source names\n"
        "written: pyproject.toml, tasks.py\n"
        "next: invoke image.check\n"
    )


def test_the_only_script_of_the_code_answers(tmp_path: Path) -> None:
    """It is a source, too, so that the report says what it became."""
    lay_out({"Dockerfile": ON_INFERENCE, "code/serve.py": SCRIPT}, tmp_path)

    ended = run(tmp_path, "--from", "Dockerfile")

    assert "code/serve.py, an entry script\n      1-2  init() and run()" in ended.report
    assert 'code = "code"\nentry-script = "serve.py"\n' in table(tmp_path)


def test_of_several_scripts_one_is_to_be_named(tmp_path: Path) -> None:
    """The answer stands beside the Dockerfile, and names the script in the code that it copies."""
    files = {
        "Dockerfile": f"{ON_INFERENCE}COPY src /var/azureml-app\n",
        "src/a.py": SCRIPT,
        "src/sub/b.py": SCRIPT,
    }
    lay_out(files, tmp_path)

    assert run(tmp_path, "--from", "Dockerfile").error == (
        "entry-script: 2 scripts of the code define init() and run(), and none is named\n"
        "    Which one answers? Add one of:\n"
        "    --from src/a.py\n"
        "    --from src/sub/b.py\n"
        "    or answer all at once, such as: invoke image.init --from Dockerfile --from src/a.py\n\n"
        "1 problem; nothing was written.\n"
    )
    ended = run(tmp_path, "--from", "Dockerfile", "--from", "src/sub/b.py")
    assert 'init() and run()                      entry-script = "sub/b.py", in src\n' in ended.report
    assert 'code = "src"\nentry-script = "sub/b.py"\n' in table(tmp_path)


def test_a_script_answers_for_a_placeholder(tmp_path: Path) -> None:
    """The line of the deployment is no longer left over."""
    lay_out({"d.yml": DEPLOYMENT, "code/a.py": SCRIPT, "code/sub/b.py": SCRIPT}, tmp_path)

    ended = run(tmp_path, "--from", "d.yml", "--from", "code/sub/b.py")

    assert "        3  scoring_script: <SCRIPT>              code/sub/b.py answers\n" in ended.report
    assert 'code = "code"\nentry-script = "sub/b.py"\n' in table(tmp_path)
