"""stdout and stderr as a run may find them: in another encoding, closed, full, or without a reader."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from azureml_tasks.cli.streams import write
from tests.cases import lay_out
from tests.consumers import TASKS, consumer, environment, project
from tests.machine import invoke_cli

LABEL = 'labels = { title = "modèle ≥ 2" }\n'
ENCODINGS = [
    {"PYTHONIOENCODING": "ascii:strict"},
    {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    {"LC_ALL": "C"},
]


def shell(folder: Path, command: str, **env: str) -> tuple[int, bytes, bytes]:
    """Run `invoke COMMAND`, which may redirect, by a shell."""
    line = f"{shlex.quote(sys.executable)} -m invoke {command}"
    ended = subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=folder,
        env=environment(**env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with a word that ASCII does not have."""
    return lay_out({"pyproject.toml": project("demo", LABEL), "tasks.py": TASKS}, tmp_path)


@pytest.mark.parametrize("env", ENCODINGS)
def test_any_encoding(env: dict[str, str], folder: Path) -> None:
    """No report ends in a traceback, and what is the content of a file is UTF-8 all the same."""
    text, written, checked, as_json = (
        invoke_cli.run(words.split(), folder=folder, env=environment(**more))
        for words, more in (
            ("image.dockerfile", {}),
            ("image.dockerfile", env),
            ("image.check", env),
            ("image.check --json", env),
        )
    )

    assert "modèle ≥ 2" in text.out.decode()
    assert text == written
    assert (3, 3) == (checked.code, as_json.code)
    assert b"Traceback" not in checked.err + as_json.err


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("image.check >&-", 3),
        ("image.check >&- 2>&-", 3),
        ("image.check 2>&-", 3),
        ("image.dockerfile >&-", 0),
        ("image.context >&-", 0),
        ("image.check --json >&-", 3),
        ("image.build 2>&-", 3),
    ],
)
def test_closed_streams(command: str, code: int, folder: Path) -> None:
    """If stdout or stderr is closed, a command ends as it does otherwise."""
    ended, _, err = shell(folder, command)

    assert (code, False) == (ended, b"Traceback" in err)


@pytest.mark.parametrize("task", ["check", "dockerfile", "context"])
def test_a_full_disk_for_stdout(task: str, folder: Path) -> None:
    """If stdout cannot be written, the command says so: exit 3."""
    with open("/dev/full", "wb") as full:  # noqa: PTH123 -- a device
        ended = invoke_cli.run([f"image.{task}"], folder=folder, env=environment(), into={1: full.fileno()})

    assert (3, b"The disk of this machine is full.\n    df -h\n") == (ended.code, ended.err)


@pytest.fixture
def unread() -> Iterator[int]:
    """A pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.mark.parametrize("task", ["check", "dockerfile", "context"])
def test_nobody_reads_stdout(task: str, unread: int, folder: Path) -> None:
    """If the reader of stdout has gone, the command ends as SIGPIPE would end it: 141, and no message."""
    ended = invoke_cli.run([f"image.{task}"], folder=folder, env=environment(), into={1: unread})

    assert (141, b"") == (ended.code, ended.err)


def test_nobody_reads_stderr(unread: int, tmp_path: Path) -> None:
    """Progress that nobody reads ends nothing: the result is printed."""
    ended = invoke_cli.run(["image.clean"], folder=consumer(tmp_path), env=environment(), into={2: unread})

    assert 0 == ended.code


def test_a_character_that_the_encoding_lacks() -> None:
    """It becomes an escape sequence, and everything around it stays."""
    stream = io.TextIOWrapper(buffer := io.BytesIO(), encoding="ascii")
    write(stream, "passed: ≥ 2\n")

    assert b"passed: \\u2265 2\n" == buffer.getvalue()
