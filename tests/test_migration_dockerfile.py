"""What the table says of a Dockerfile, instruction by instruction."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from azureml_tasks.migration.dockerfile.source import read_dockerfile
from azureml_tasks.migration.reading import Kind, Outcome, Reading, Source
from azureml_tasks.migration.surroundings import Surroundings
from tests.cases import lay_out, sections
from tests.dockerfile_values import PIECES
from tests.examples import examples

CASES = sorted((Path(__file__).parent / "cases" / "dockerfiles").glob("*.txt"))
"""Dockerfiles, each with what becomes of it."""
SERVING = "FROM mcr.microsoft.com/azureml/minimal-py312-inference:latest\n"
FILES = {
    "code/lib/a.py": "",
    "code/score.py": "",
    "conda.yaml": "name: x\ndependencies:\n- numpy\n",
    "data/one.csv": "",
    "data/two.csv": "",
    "lib/b.py": "",
    "model/model.pkl": "",
    "old.yaml": "dependencies:\n- python=3.11\n",
    "requirements.txt": "numpy\n",
    "setup.sh": "",
    "src/main.py": "",
    "weights.bin": "",
    "wheels/a-1-py3-none-any.whl": "",
}
"""The files beside each Dockerfile."""


def read(folder: Path, text: str, files: dict[str, str] | None = None, name: str = "Dockerfile") -> Reading:
    """Return the reading of a Dockerfile among *files*."""
    lay_out({**(FILES if files is None else files), name: text}, folder)
    source = Source(path=folder / name, name=name, kind=Kind.DOCKERFILE, text=text)
    return read_dockerfile(source, Surroundings(folder=folder, root=folder))


def compact(reading: Reading) -> str:
    """Return what a reading says as a text: lines, values, further sources, and why the Dockerfile is kept."""
    return "".join(
        f"{line}\n"
        for line in (
            *(f"{each.line} {each.outcome.value}: {each.why}" for each in reading.lines),
            *(f"{'.'.join(map(str, each.place))} = {json.dumps(each.value)}" for each in reading.values),
            *(f"reads {each.kind.value}: {each.name}" for each in reading.references),
            *(f"keeps: {why}" for why in reading.keeps_dockerfile),
        )
    )


@pytest.mark.parametrize("case", CASES, ids=[case.stem for case in CASES])
def test_each_instruction_has_its_outcome(case: Path, tmp_path: Path) -> None:
    """Each instruction says what became of it, and the values are those of the table."""
    parts = sections(case)

    assert parts["reading"] == compact(read(tmp_path, parts["Dockerfile"]))


def test_each_line_is_covered(tmp_path: Path) -> None:
    """An instruction covers its continued lines and its here-documents, and not the comments after it."""
    text = SERVING + "RUN true \\\n  # why\n  && true\n\n# next\nCOPY <<A /a\n# in it\nA\n# end\n"

    assert [(1, 1), (2, 4), (7, 9)] == [(line.line, line.end) for line in read(tmp_path, text).lines]


@pytest.mark.parametrize(
    ("name", "dockerfile"),
    [
        ("team/docker/Dockerfile", "team"),
        ("team/src/Dockerfile", "team/src"),
        ("Dockerfile", "team"),
    ],
)
def test_the_build_context_has_what_is_copied(tmp_path: Path, name: str, dockerfile: str) -> None:
    """It is the folder of the Dockerfile, or the folder of the project or one above that has the copied files."""
    folder = tmp_path.resolve()
    lay_out({"team/src/score.py": "", "team/src/src/score.py": "", "src/score.py": ""}, folder)
    text = SERVING + "COPY src /var/azureml-app\n"
    source = Source(path=folder / name, name=f"../{name}", kind=Kind.DOCKERFILE, text=text)
    (folder / dockerfile).mkdir(exist_ok=True)

    reading = read_dockerfile(source, Surroundings(folder=folder / "team", root=folder))

    expected = {"team/docker/Dockerfile": "src", "team/src/Dockerfile": "src/src", "Dockerfile": "../src"}
    assert [value.value for value in reading.values if value.place == ("code",)] == [expected[name]]


@pytest.mark.parametrize(
    ("files", "outcome", "why"),
    [
        ({"code/score.py": ""}, Outcome.KEY, 'code = "code"'),
        ({"code/score.py": "", "code/.git/config": ""}, Outcome.CHANGED, 'code = "code"; without .git'),
        (
            {"code/score.py": "", "code/a/__pycache__/a.pyc": "", "code/tasks.py": "", "code/a/tasks.py": ""},
            Outcome.CHANGED,
            'code = "code"; without a/__pycache__, tasks.py',
        ),
        ({"code/score.py": "", "code/a/.env": ""}, Outcome.CHANGED, 'code = "code"; without a/.env'),
        (
            {"code/score.py": "", "code/.git/a": "", ".dockerignore": "**/.git\n"},
            Outcome.KEY,
            'code = "code"',
        ),
        ({"code/score.py": "", ".dockerignore": "x", ".amlignore": "y"}, Outcome.KEY, 'code = "code"'),
        (
            {"code/score.py": "", "code/.amlignore": "y"},
            Outcome.CHANGED,
            'code = "code"; without what .amlignore leaves out',
        ),
        (
            {"code/score.py": "", "Dockerfile.dockerignore": "x"},
            Outcome.CHANGED,
            'code = "code"; without the rules of Dockerfile.dockerignore: write exclude',
        ),
    ],
)
def test_the_ignore_rules_of_the_table_are_not_always_those_of_the_build(
    tmp_path: Path, files: dict[str, str], outcome: Outcome, why: str
) -> None:
    """What the one leaves out and the other does not is named."""
    text = SERVING + "COPY code /var/azureml-app\nENV AZUREML_ENTRY_SCRIPT=score.py\n"

    line = read(tmp_path, text, files).lines[1]

    assert (outcome, why) == (line.outcome, line.why)


def test_lock_files_of_the_project_are_not_copied_with_it(tmp_path: Path) -> None:
    """One that lies deeper is, so it is not named."""
    files = {"score.py": "", "uv.lock": "", "lib/poetry.lock": ""}
    text = SERVING + "COPY . /var/azureml-app\nENV AZUREML_ENTRY_SCRIPT=score.py\n"

    line = read(tmp_path, text, files).lines[1]

    assert (line.outcome, line.why) == (Outcome.CHANGED, 'code = "."; without uv.lock')


@settings(max_examples=examples(100), deadline=None, suppress_health_check=list(HealthCheck))
@given(text=st.lists(PIECES, max_size=25).map("".join))
def test_any_text(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """It has a reading, in which each instruction has an outcome and a reason."""
    folder = tmp_path_factory.getbasetemp()
    source = Source(path=folder / "Dockerfile", name="Dockerfile", kind=Kind.DOCKERFILE, text=text)

    reading = read_dockerfile(source, Surroundings(folder=folder, root=folder))

    assert all(line.why and line.line <= line.end for line in reading.lines)
    assert [line.line for line in reading.lines] == sorted({line.line for line in reading.lines})


LARGE = {
    "variables that double": "".join(f"ENV A{n}=$A{n - 1}$A{n - 1}\n" for n in range(1, 400)),
    "many variables": "ENV " + " ".join(f"A{n}=1" for n in range(20_000)) + "\nRUN ./x\n" * 200,
    "long variables": "".join(f"ENV A{n}=$A{n - 1}$A{n - 1}b\n" for n in range(400)) + "RUN ./x\n" * 100,
    "many labels": "LABEL " + " ".join(f"A{n}=1" for n in range(20_000)) + "\n",
    "many commands": "RUN " + "pip install a && " * 20_000 + "true\n",
    "many copies": "COPY lib /opt/lib\n" * 900 + "RUN ./x\n" * 900,
    "many sources": "COPY " + "lib " * 50_000 + "/opt/\n",
    "many instructions": "RUN ./x\n" * 10_000,
    "many requirements": "RUN pip install " + " ".join(f"a{n}" for n in range(10_000)) + "\n",
    "long words": "RUN " + "$(" * 100_000 + "\n" + "ENV A=" + '"' * 100_001 + "\n",
    "too large": "RUN ./x\n" * 200_000,
    "many flags": "COPY " + "--chown=a " * 100_000 + "a b\n",
}


@pytest.mark.parametrize("name", LARGE)
def test_a_large_dockerfile_is_read_in_bounds(tmp_path: Path, name: str) -> None:
    """Neither time nor values grow faster than the text."""
    reading = read(tmp_path, SERVING + LARGE[name])

    assert reading.lines
    assert sum(len(str(value.value)) for value in reading.values) < 50_000_000
