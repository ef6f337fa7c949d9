"""What a known base changes of a conda file's reading."""

from pathlib import Path

from azureml_tasks.migration.packages.conda_for_base import conda_for_base, named_base
from azureml_tasks.migration.packages.conda_source import read_conda_source
from azureml_tasks.migration.reading import Kind, Reading, Source, Value
from azureml_tasks.migration.surroundings import Surroundings


def _conda(folder: Path) -> Reading:
    text = "dependencies:\n  - python=3.10\n  - numpy=1.26\n"
    source = Source(folder / "conda.yml", "conda.yml", Kind.CONDA, text)
    return read_conda_source(source, Surroundings(folder, folder))


def _base(folder: Path, *names: str) -> Reading:
    source = Source(folder / "env.yml", "env.yml", Kind.ENVIRONMENT, "")
    return Reading(source=source, values=tuple(Value(("base",), name, "env.yml", 1) for name in names))


def test_a_known_base_is_compared(tmp_path: Path) -> None:
    """Its Python is another one, so that the table cannot name the file; an unknown base changes nothing."""
    readings = (_conda(tmp_path), _base(tmp_path, "minimal-py312-inference"))
    surroundings = Surroundings(tmp_path, tmp_path)
    fitted = conda_for_base(readings, named_base(readings), surroundings)
    assert [value.place for value in fitted[0].values] == [("pip",)]
    assert fitted[1] == readings[1]
    assert conda_for_base(readings, "", surroundings) == readings
    assert conda_for_base(readings, "python:3.10-slim", surroundings) == readings


def test_the_base_is_known_if_one_is_named(tmp_path: Path) -> None:
    """Not if there are several, of which one is still to be chosen."""
    assert named_base([_base(tmp_path, "a"), _base(tmp_path, "a")]) == "a"
    assert not named_base([_base(tmp_path, "a", "b")])
    assert not named_base([])
