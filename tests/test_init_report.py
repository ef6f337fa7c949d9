"""What the report of `image.init` hides and cuts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from azureml_tasks.cli.init_report import as_text
from azureml_tasks.cli.json_parts import init_parts
from azureml_tasks.commands.init import InitResult
from azureml_tasks.migration.reading import Kind, Outcome, Reading, Source, SourceLine
from azureml_tasks.migration.table.tasks_file import TasksFile
from azureml_tasks.typed_json import text_of


def result(*lines: SourceLine) -> InitResult:
    """Return the result of a command that read a Dockerfile with *lines*."""
    source = Source(path=Path("/Dockerfile"), name="Dockerfile", kind=Kind.DOCKERFILE)
    return InitResult(
        readings=(Reading(source=source, lines=lines),),
        table={},
        differences=None,
        files=(),
        tasks=TasksFile(path=Path("tasks.py"), exists=True),
        next_steps=(),
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:secret@host/simple", "https://***@host/simple"),
        ("https://token@host/simple", "https://***@host/simple"),
        ("https://user:p@ss/w#rd@host/simple x", "https://***@host/simple x"),
        ("git+https://host/a.git@v1", "git+https://host/a.git@v1"),
        ("https://host:8080/a.git@v1", "https://host:8080/a.git@v1"),
        ("azureml:serving@latest", "azureml:serving@latest"),
        ("r.io/a:1@sha256:00", "r.io/a:1@sha256:00"),
    ],
)
def test_passwords_are_not_shown(text: str, shown: str) -> None:
    """Neither on paper nor as JSON: a report goes into logs."""
    line = SourceLine(1, 1, text, Outcome.LEFT_OVER, f"no: {text}")
    report = as_text(result(line), str, dry=False)

    assert report.splitlines()[1] == f"        1  {shown:<36}  LEFT OVER: no: {shown}"
    assert ("secret" in text_of(init_parts(result(line), str, dry=False))) is False
    assert shown in text_of(init_parts(result(line), str, dry=False))


def test_lines_are_made_safe_and_short() -> None:
    """Nothing that a terminal or a CI system obeys; a long line is cut."""
    line = SourceLine(3, 5, f"RUN \x1b[31m::error::x {'y' * 50}\nmore", Outcome.CHANGED, "a\nb ##[error]c")
    report = as_text(result(line), str, dry=False)

    assert report.splitlines() == [
        "Dockerfile, a Dockerfile",
        f"      3-5  RUN : :error::x {'y' * 19}…  CHANGED: a\\nb # #[error]c",
        "",
        "not whole: 1 line left over or changed: Dockerfile:3",
    ]


def test_a_long_list_of_lines_is_cut() -> None:
    """Each of them has its row already."""
    lines = [SourceLine(number, number, "x", Outcome.LEFT_OVER, "y") for number in range(1, 30)]
    last = as_text(result(*lines), str, dry=False).splitlines()[-1]

    assert last.startswith("not whole: 29 lines left over or changed: Dockerfile:1, ")
    assert last.endswith(", Dockerfile:20, …")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("API_KEY: abc secret", "API_KEY: ***"),
        ('"AUTH_TOKEN": "secret"', '"AUTH_TOKEN": ***'),
        ("ENV TOKEN=secret A=1", "ENV TOKEN=*** A=1"),
        ("ENV TOKEN=\"a secret\"'b secret' A=1", "ENV TOKEN=*** A=1"),
        ("ENV DB_PASSWORD a secret", "ENV DB_PASSWORD ***"),
        ("ARG PASSWORD=secret", "ARG PASSWORD=***"),
        ("RUN x --token=secret y", "RUN x --token=*** y"),
        ("curl -H 'Authorization: Bearer secret'", "curl -H 'Authorization: Bearer ***'"),
        ("ENV KEYS=1 MONKEYS=2", "ENV KEYS=1 MONKEYS=2"),
    ],
)
def test_values_that_are_secrets_by_their_names_are_not_shown(text: str, shown: str) -> None:
    """A line says what became of a secret, and not the secret."""
    line = SourceLine(1, 1, text, Outcome.DEPLOYMENT, "a secret, as its name says")
    (entry,) = json.loads(text_of(init_parts(result(line), str, dry=False)))["sources"][0]["lines"]

    assert entry["text"] == shown
    assert shown[:36] in as_text(result(line), str, dry=False)
