"""Sources are read with bounds, each once, and one that cannot be read is left over where it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from azureml_tasks.migration.reading import Kind, Outcome, Reading
from azureml_tasks.migration.refused_values import without_refused
from azureml_tasks.migration.sources import UnreadableSource, left_over, open_source, read_sources
from azureml_tasks.migration.surroundings import Surroundings
from tests.cases import lay_out
from tests.readings import lines_of, values_of

ENVIRONMENT = "$schema: https://azuremlschemas.azureedge.net/latest/environment.schema.json\n"


def around(folder: Path) -> Surroundings:
    """Return the surroundings of a project without a repository."""
    return Surroundings(folder=folder.resolve(), root=folder.resolve())


def read(folder: Path, *names: str) -> list[Reading]:
    """Read the sources *names* of *folder*."""
    surroundings = around(folder)
    return [*read_sources([open_source(name, surroundings) for name in names], surroundings)]


def test_what_is_named_is_read_too_and_once(tmp_path: Path) -> None:
    """In the order in which it is reached, also if several files name it or a person does."""
    environment = (
        f"{ENVIRONMENT}name: a\nimage: mcr.microsoft.com/azureml/minimal-py312-inference\nconda_file: c.yml\n"
    )
    lay_out({"a.yml": environment, "b.yml": environment, "c.yml": "dependencies:\n  - numpy=2.1\n"}, tmp_path)

    assert [each.source.name for each in read(tmp_path, "a.yml", "c.yml", "b.yml")] == [
        "a.yml",
        "c.yml",
        "b.yml",
    ]
    assert [each.source.name for each in read(tmp_path, "a.yml", "b.yml")] == ["a.yml", "b.yml", "c.yml"]


@pytest.mark.parametrize("content", [b"\xff\xfe\xff", b"dependencies:\n  - \xe9\n"])
def test_a_file_that_cannot_be_read_is_left_over(content: bytes, tmp_path: Path) -> None:
    """The line that names it says why."""
    lay_out({"a.yml": f"{ENVIRONMENT}name: a\nimage: x/y:1\nconda_file: c.yml\n"}, tmp_path)
    (tmp_path / "c.yml").write_bytes(content)

    (reading,) = read(tmp_path, "a.yml")

    assert lines_of(reading)[-1].startswith("4 left-over: c.yml is not UTF")


def test_the_kind_is_told_by_name_and_content(tmp_path: Path) -> None:
    """A folder is a model; a text without a kind is an error with what to name instead."""
    lay_out({"Dockerfile": "FROM x\n", "m/w.bin": "x", "w.onnx": "\0", "x.toml": "a = 1\n"}, tmp_path)
    kinds = [open_source(name, around(tmp_path)).kind for name in ("Dockerfile", "m", "w.onnx")]

    assert kinds == [Kind.DOCKERFILE, Kind.MODEL, Kind.MODEL]
    with pytest.raises(UnreadableSource, match=r"\Ax\.toml: is TOML or JSON, and no requirements file"):
        open_source("x.toml", around(tmp_path))


def test_a_link_out_of_the_root_is_not_followed(tmp_path: Path) -> None:
    """Neither is a path that leads there."""
    lay_out({"secret": "FROM x\n", "team/x": ""}, tmp_path)
    (tmp_path / "team/Dockerfile").symlink_to("../secret")

    for name in ("Dockerfile", "../secret", str(tmp_path / "secret")):
        with pytest.raises(UnreadableSource, match="is outside"):
            open_source(name, around(tmp_path / "team"))


def test_a_reason_is_added_to_the_line_that_has_one(tmp_path: Path) -> None:
    """The innermost entry of the line is meant; a line that no entry has gets one."""
    lay_out(
        {"Dockerfile": "FROM mcr.microsoft.com/azureml/minimal-py312-inference\nSTOPSIGNAL 9\n"}, tmp_path
    )
    (reading,) = read(tmp_path, "Dockerfile")

    assert lines_of(left_over(reading, 1, "first", Outcome.CHANGED))[0] == "1 changed: first"
    twice = left_over(left_over(reading, 2, "again"), 2, "again")
    assert lines_of(twice)[1].count("again") == 1
    assert lines_of(left_over(reading, 9, "no line"))[-1] == "9 left-over: no line"


def test_what_the_table_cannot_hold_is_left_over(tmp_path: Path) -> None:
    """One variable of several, one package of several: the rest stays."""
    lay_out(
        {"Dockerfile": "FROM mcr.microsoft.com/azureml/minimal-py312-inference\nENV A=1 B=2\nLABEL a=1\n"},
        tmp_path,
    )
    (reading,) = read(tmp_path, "Dockerfile")
    (env,) = [value for value in reading.values if value.place == ("env",)][:1]
    bad = (
        *reading.values,
        env._replace(value={"C": "3", "a b": "4", "URL": "https://me:secret@host"}),
        env._replace(place=("apt",), value=["libgomp1", "no package!"]),
        env._replace(place=("run",), value=[{"command": "a"}, {"command": "b", "after": "never"}]),
        env._replace(place=("run",), value=[{"command": "curl https://me:secret@host"}]),
        env._replace(place=("entry-script",), value="https://me:secret@host"),
        env._replace(place=("user",), value="root"),
        env._replace(place=("model",), value="../../x"),
    )
    (judged,) = without_refused([Reading(source=reading.source, values=bad, lines=reading.lines)])

    values = values_of(judged)
    assert values["env"] == {"A": "1", "B": "2", "C": "3"}
    assert (values["apt"], values["run"]) == (["libgomp1"], [{"command": "a"}])
    assert ("user" in values, values["model"]) == (False, "../../x")
    assert lines_of(judged)[1].startswith("2 left-over: ")
