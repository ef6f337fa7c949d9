"""Build secrets: where they are, what is wrong with them, and that no message shows a value."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from azureml_tasks.errors import SettingsError
from azureml_tasks.project import build_secrets
from azureml_tasks.project.model import BuildSecret
from tests.consumers import consumer, invoke, project

if TYPE_CHECKING:
    from pathlib import Path

CONF = "[global]\nindex-url = https://alice:hunter2@pypi.contoso.example/simple\n"
LOGIN = "machine pypi.contoso.example login alice password hunter2\n"
TABLE = """\
pip = ["contoso-features"]

[tool.azureml-image.secrets]
pip-conf = { env = "CONTOSO_PIP_CONF" }
netrc = { file = "login/netrc" }
"""
EXAMPLE = {
    "pip-conf": "It holds, for example:\n[global]\nindex-url = https://pypi.contoso.example/simple",
    "netrc": "It holds, for example:\nmachine pypi.contoso.example login NAME password PASSWORD",
}
NEITHER = """\
pyproject.toml:10: tool.azureml-image.secrets.pip-conf: the variable CONTOSO_PIP_CONF is not set
    export CONTOSO_PIP_CONF="$(cat FILE)"

pyproject.toml:11: tool.azureml-image.secrets.netrc: FOLDER/login/netrc does not exist
    It holds, for example:
    machine pypi.contoso.example login NAME password PASSWORD

2 problems; nothing was built.
"""


def in_variable(name: str = "CONTOSO_PIP_CONF", *, key: str = "pip-conf") -> BuildSecret:
    """A secret that a variable holds."""
    return BuildSecret(id=key, variable="PIP_CONFIG_FILE", env=name, line=7)


def in_file(path: Path | str, *, key: str = "netrc") -> BuildSecret:
    """A secret that a file holds."""
    return BuildSecret(id=key, variable="NETRC", file=str(path), line=8)


def test_each_value_is_read_to_the_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line breaks, and bytes that are not UTF-8, stay as they are."""
    monkeypatch.setenv("CONTOSO_PIP_CONF", "[global]\r\nindex-url = https://x/é\n")
    (tmp_path / "netrc").write_bytes(b"machine a login b password \xff\n")

    values = build_secrets.read_secrets([in_variable(), in_file(tmp_path / "netrc")])

    conf = "[global]\r\nindex-url = https://x/é\n".encode()
    assert {"pip-conf": conf, "netrc": b"machine a login b password \xff\n"} == values


def test_one_error_names_every_missing_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has the line of its key; `missing_secrets` returns the same without an error."""
    monkeypatch.delenv("CONTOSO_PIP_CONF", raising=False)
    secrets = [in_variable(), in_file(tmp_path / "netrc")]

    with pytest.raises(SettingsError) as caught:
        build_secrets.read_secrets(secrets)

    assert (tuple(build_secrets.missing_secrets(secrets)), [7, 8]) == (
        caught.value.problems,
        [problem.line for problem in caught.value.problems],
    )


VARIABLES = {
    "empty": ("", "is empty", 'export CONTOSO_PIP_CONF="$(cat FILE)"'),
    "a path": ("~/pip.conf", "is not a valid pip.conf: pip cannot parse line 1", EXAMPLE["pip-conf"]),
    "an address": (
        "https://alice:hunter2@x/",
        "is not a valid pip.conf: pip cannot parse line 1",
        EXAMPLE["pip-conf"],
    ),
    "no option": (CONF + "hunter2", "is not a valid pip.conf: pip cannot parse line 3", EXAMPLE["pip-conf"]),
    "an option twice": (
        CONF + "index-url = hunter2",
        "is not a valid pip.conf: pip cannot parse line 3",
        EXAMPLE["pip-conf"],
    ),
    "not UTF-8": (
        CONF + "# \udcff",
        "is not a valid pip.conf: pip cannot parse line 3",
        EXAMPLE["pip-conf"],
    ),
    "large": (
        CONF + "#" * 600_000,
        "is larger than 500 KiB, the limit of BuildKit",
        EXAMPLE["pip-conf"],
    ),
}


@pytest.mark.parametrize("what", VARIABLES)
def test_a_problem_of_a_variable_does_not_show_its_value(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pip prints the line of a pip.conf that it cannot parse, so such a file never reaches pip."""
    value, problem_text, fix = VARIABLES[what]
    if len(value) < 100_000:
        monkeypatch.setenv("CONTOSO_PIP_CONF", value)
    else:  # Linux starts no program with a variable as large as this.
        monkeypatch.setitem(os.environ, "CONTOSO_PIP_CONF", value)

    [problem] = build_secrets.missing_secrets([in_variable()])

    what = f"tool.azureml-image.secrets.pip-conf: the variable CONTOSO_PIP_CONF {problem_text}"
    assert (7, what, fix) == (problem.line, problem.what, problem.fix)
    assert problem_text == build_secrets.problem_of(in_variable())


def test_a_problem_of_a_file_names_its_path(tmp_path: Path) -> None:
    """The file is missing, a folder, empty, too large or not readable."""
    (tmp_path / "empty").write_text("")
    (tmp_path / "large").write_bytes(b"#" * 600_000)
    # Even root cannot read the first page of a process's memory.
    files: list[Path | str] = [
        tmp_path / "none",
        tmp_path,
        tmp_path / "empty",
        tmp_path / "large",
        "/proc/self/mem",
    ]

    problems = build_secrets.missing_secrets([in_file(file) for file in files])

    key, example = "tool.azureml-image.secrets.netrc", EXAMPLE["netrc"]
    assert [
        (f"{key}: {tmp_path}/none does not exist", example),
        (f"{key}: {tmp_path} is not a file", example),
        (f"{key}: {tmp_path}/empty is empty", example),
        (f"{key}: {tmp_path}/large is larger than 500 KiB, the limit of BuildKit", example),
        (f"{key}: /proc/self/mem cannot be read: Input/output error", "ls -l /proc/self/mem"),
    ] == [(problem.what, problem.fix) for problem in problems]


@pytest.mark.parametrize("words", [("image.build",), ("image.release", "--registry", "r.io")])
def test_nothing_is_built_without_them(words: tuple[str, ...], tmp_path: Path) -> None:
    """`build` and `release` report missing secrets before they need the engine, which is not there either."""
    folder = consumer(tmp_path, files={"pyproject.toml": project("demo", TABLE)})

    done = invoke(folder, *words)

    assert (2, "", NEITHER) == (done.code, done.out, done.err)


@pytest.mark.parametrize("task", ["smoke-test", "push"])
def test_tasks_that_build_nothing_need_no_secret(task: str, tmp_path: Path) -> None:
    """An image that is built has no use for them."""
    folder = consumer(tmp_path, files={"pyproject.toml": project("demo", f'registry = "r.io"\n{TABLE}')})

    done = invoke(folder, f"image.{task}")

    assert (4, "Nothing is built here yet.\n    invoke image.build\nNothing was pushed.\n") == (
        done.code,
        done.err,
    )


def test_check_shows_where_they_are_and_no_value(tmp_path: Path) -> None:
    """The report has a row for each, in text and in JSON, and a missing one is exit 2."""
    files = {"pyproject.toml": project("demo", TABLE), "login/netrc": LOGIN}
    folder = consumer(tmp_path, files=files)

    there = invoke(folder, "image.check", env={"CONTOSO_PIP_CONF": CONF})
    missing = invoke(folder, "image.check", "--json")

    rows = re.findall(r"^secrets .*\n +.*$", there.out, re.MULTILINE)
    assert [
        "secrets    pip-conf: the variable CONTOSO_PIP_CONF is set\n           netrc: FOLDER/login/netrc is set"
    ] == rows
    expected = """\
  "secrets": [
    {
      "id": "pip-conf",
      "from": "the variable CONTOSO_PIP_CONF",
      "problem": "is not set"
    },
    {
      "id": "netrc",
      "from": "FOLDER/login/netrc",
      "problem": null
    }
  ],
"""
    assert expected in missing.out
    # No engine answers, which is exit 3; a missing secret is a problem of the settings.
    assert (3, 2, False) == (there.code, missing.code, "hunter2" in there.out + there.err + missing.out)
