"""What a pyproject.toml becomes."""

from pathlib import Path

import pytest

from azureml_tasks.migration.packages.pyproject_source import read_pyproject_source
from azureml_tasks.migration.reading import Kind, Outcome, Reading, Source
from azureml_tasks.migration.surroundings import Surroundings


def _read(folder: Path, text: str, name: str = "pyproject.toml") -> Reading:
    source = Source(folder / name, name, Kind.PYPROJECT, text)
    return read_pyproject_source(source, Surroundings(folder, folder))


def _values(reading: Reading) -> list[tuple[str, object, int]]:
    return [(".".join(map(str, each.place)), each.value, each.line) for each in reading.values]


def _lines(reading: Reading) -> list[tuple[int, int, str, str]]:
    return [(line.line, line.end, line.outcome.value, line.why) for line in reading.lines]


_PROJECT = """\
# The service of prices.
[project]
name = "prices"
dependencies = [
  "numpy>=2.1",  # as in training
  "scipy",
]

[project.optional-dependencies]
plots = ["matplotlib"]

[dependency-groups]
test = ["pytest"]

[tool.ruff]
line-length = 100
"""


def test_the_dependencies_of_the_project_are_installed(tmp_path: Path) -> None:
    """Extras and groups are not, unless the table names them."""
    reading = _read(tmp_path, _PROJECT)
    assert _values(reading) == [("project-dependencies", True, 4)]
    other = "it is not about the image"
    assert _lines(reading) == [
        (2, 3, "not-needed", other),
        (4, 7, "key", "project-dependencies = true"),
        (9, 10, "not-needed", 'an extra is installed if it is named: extras = ["plots"]'),
        (12, 13, "not-needed", 'a group is installed if it is named: dependency-groups = ["test"]'),
        (15, 16, "not-needed", other),
    ]
    assert reading.is_whole


def test_those_of_another_project_are_items(tmp_path: Path) -> None:
    """The table has a key for its own project alone."""
    reading = _read(tmp_path, _PROJECT, "library/pyproject.toml")
    assert _values(reading) == [("pip", ["numpy>=2.1"], 5), ("pip", ["scipy"], 6)]


def test_a_wrong_dependency_is_left_over(tmp_path: Path) -> None:
    """And the others remain."""
    reading = _read(tmp_path, '[project]\nname = "x"\ndependencies = [\n  "numpy",\n  "a b",\n]\n')
    assert _values(reading) == [("pip", ["numpy"], 4)]
    assert [(line.line, line.outcome.value) for line in reading.lines] == [
        (1, "not-needed"),
        (3, "not-needed"),
        (4, "key"),
        (5, "left-over"),
        (6, "not-needed"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ('[project]\nname = "x"\ndynamic = ["dependencies"]\n', 3, "only a build of the project knows"),
        (
            '[tool.poetry.dependencies]\npython = "^3.10"\nnumpy = "*"\n',
            1,
            "pip does not read this: poetry export",
        ),
        (
            '[project]\nname = "x"\n[tool.uv.sources]\na = { path = "../a" }\n',
            3,
            "pip does not read this: name the lock file of uv",
        ),
        (
            '[[tool.uv.index]]\nurl = "https://x.example"\n',
            1,
            "pip does not read this: name the lock file of uv",
        ),
        ('[[tool.poetry.source]]\nname = "x"\n', 1, "pip does not read this: name the lock file of poetry"),
        ("[project\n", 1, "it is not valid TOML"),
    ],
)
def test_what_only_a_tool_knows_is_left_over(tmp_path: Path, text: str, line: int, why: str) -> None:
    """With the next step."""
    reading = _read(tmp_path, text)
    assert not reading.values
    open_lines = [each for each in reading.lines if each.outcome is Outcome.LEFT_OVER]
    assert [each.line for each in open_lines] == [line]
    assert open_lines[0].why.startswith(why)


def test_the_items_of_one_line_share_it(tmp_path: Path) -> None:
    """One that is left over counts for the line."""
    reading = _read(tmp_path, '[project]\nname = "x"\ndependencies = ["numpy", "a b", "scipy"]\n')
    assert _values(reading) == [("pip", ["numpy"], 3), ("pip", ["scipy"], 3)]
    assert [(line.line, line.outcome) for line in reading.lines][1] == (3, Outcome.LEFT_OVER)
    assert 'pip = ["scipy"]' in reading.lines[1].why


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    """And is whole."""
    reading = _read(tmp_path, "")
    assert not reading.values
    assert reading.is_whole
