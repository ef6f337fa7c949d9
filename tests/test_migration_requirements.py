"""What requirements files and lock files become."""

from pathlib import Path

import pytest

from azureml_tasks.migration.packages.requirements_source import read_requirements_source
from azureml_tasks.migration.reading import Kind, Outcome, Reading, Source
from azureml_tasks.migration.surroundings import Surroundings
from tests.cases import lay_out


def _read(
    folder: Path, text: str, files: dict[str, str] | None = None, name: str = "requirements.txt"
) -> Reading:
    folder = lay_out({name: text, **(files or {})}, folder.resolve())
    source = Source(folder / name, name, Kind.REQUIREMENTS, text)
    return read_requirements_source(source, Surroundings(folder, folder))


def _values(reading: Reading) -> list[tuple[str, object, int]]:
    return [(".".join(map(str, each.place)), each.value, each.line) for each in reading.values]


def _lines(reading: Reading) -> list[tuple[int, int, str, str]]:
    return [(line.line, line.end, line.outcome.value, line.why) for line in reading.lines]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("requirements.txt", "numpy==2.1.3\n\n# models\njoblib>=1.4 ; python_version > '3.8'\n"),
        ("requirements.txt", "-r base.txt\n-c base.txt\n./wheels/wines-1.0-py3-none-any.whl\n"),
        ("requirements.txt", f"--index-url https://a.example/simple\nnumpy==2.1 \\\n  --hash=sha256:{'0' * 64}"),
        ("deploy/requirements/serving.in", "numpy\n"),
        ("uv.lock", "version = 1\n"),
    ],
)  # fmt: skip
def test_a_file_is_named_as_it_is(tmp_path: Path, name: str, text: str) -> None:
    """Also one with an index or with hashes, which has a run of its own."""
    files = {"base.txt": "scipy\n", "wheels/wines-1.0-py3-none-any.whl": "x"}
    reading = _read(tmp_path, text, files, name)
    assert _values(reading) == [("requirements", [name], 1)]
    assert {(line.outcome, line.why) for line in reading.lines} == {
        (Outcome.KEY, f'requirements = ["{name}"]')
    }
    assert reading.is_whole


def test_the_lines_that_a_build_can_follow_remain(tmp_path: Path) -> None:
    """In the key pip, because the table cannot name a file that `image.check` refuses."""
    text = "numpy==2.1.3 \\\n  # as in training\n--trusted-host packages.example.com\n\n-e ./library\njoblib==1.4.2\n"
    reading = _read(tmp_path, text, {"library/setup.py": ""})
    assert _values(reading) == [("pip", ["numpy==2.1.3"], 1), ("pip", ["joblib==1.4.2"], 6)]
    editable = (
        '"-e ./library" is an editable install, which an image cannot have. '
        "List its dependencies (project-dependencies = true), or build a wheel and list that."
    )
    assert _lines(reading) == [
        (1, 1, "key", 'pip = ["numpy==2.1.3"]'),
        (3, 3, "left-over", "the key pip takes no options"),
        (5, 5, "left-over", editable),
        (6, 6, "key", 'pip = ["joblib==1.4.2"]'),
    ]


def test_a_file_that_is_included_remains(tmp_path: Path) -> None:
    """It is named by itself, unless it decides where packages are from."""
    reading = _read(tmp_path, "-r deploy/base.txt\n-e .\nnumpy\n", {"deploy/base.txt": "scipy\n"})
    assert _values(reading) == [("requirements", ["deploy/base.txt"], 1), ("pip", ["numpy"], 3)]
    text = "--index-url https://packages.example.com/simple\nscipy\n"
    assert not _read(tmp_path, "-r deploy/base.txt\n-e .\nnumpy\n", {"deploy/base.txt": text}).values


@pytest.mark.parametrize(
    "option", ["--extra-index-url https://packages.example.com/simple", "-c limits.txt", "--pre"]
)
def test_no_line_remains_without_the_option_that_decides(tmp_path: Path, option: str) -> None:
    """Without it, pip might install another package of the same name."""
    reading = _read(tmp_path, f"wines==1.0\n{option}\n-e .\n", {"limits.txt": "wines<2\n"})
    assert not reading.values
    why = "requirements.txt cannot be named as a whole, and without line 2 pip may take other packages"
    assert _lines(reading)[0] == (1, 2, "left-over", why)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("-r base.txt\n", 'includes "base.txt", which does not exist. Create base.txt, or correct the path'),
        ("./wheels/wines-1.0-py3-none-any.whl\n", "the wheel wheels/wines-1.0-py3-none-any.whl is not here"),
        (
            "-r ../base.txt\n",
            'includes "../base.txt", which is outside the project. Copy it into the project.',
        ),
        (
            "wines @ file:///home/me/wines\n",
            '"wines @ file:///home/me/wines" names a file of another machine',
        ),
        ("-r bad.txt\n", 'bad.txt:2 "-e ." is an editable install'),
    ],
)
def test_what_is_missing_is_left_over(tmp_path: Path, text: str, why: str) -> None:
    """With the next step."""
    reading = _read(tmp_path, text, {"bad.txt": "numpy\n-e .\n"})
    assert not reading.values
    assert [(line.line, line.outcome) for line in reading.lines] == [(1, Outcome.LEFT_OVER)]
    assert reading.lines[0].why.startswith(why)


def test_a_file_above_the_project_is_named_from_it(tmp_path: Path) -> None:
    """And what it includes lies below the root."""
    root = lay_out(
        {"common/a.txt": "-r b.txt\n", "common/b.txt": "numpy\n", "service/x": ""}, tmp_path.resolve()
    )
    source = Source(root / "common/a.txt", "../common/a.txt", Kind.REQUIREMENTS, "-r b.txt\n")
    reading = read_requirements_source(source, Surroundings(root / "service", root))
    assert _values(reading) == [("requirements", ["../common/a.txt"], 1)]


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        (
            "poetry.lock",
            "[[package]]\n",
            "it is a lock file of Poetry, which pip does not read: poetry export --output requirements.txt, then write",
        ),
        ("pylock.toml", "a = \n", "it is not valid TOML: Invalid value (column 5)"),
        (
            "requirements.txt",
            "#" * 1_000_001,
            "it is larger than 1 MB or 50,000 lines: name it in the table, requirem",
        ),
        ("requirements.txt", '{"numpy": 1}\n', "it is TOML or JSON, and no requirements file"),
    ],
)
def test_a_file_that_cannot_be_installed_is_left_over(tmp_path: Path, name: str, text: str, why: str) -> None:
    """As a whole, with what makes one of it that can be."""
    reading = _read(tmp_path, text, name=name)
    assert not reading.values
    assert [(line.line, line.end, line.outcome) for line in reading.lines] == [(1, 1, Outcome.LEFT_OVER)]
    assert reading.lines[0].why.startswith(why)


def test_what_files_include_is_bounded(tmp_path: Path) -> None:
    """A file that includes very many is not followed."""
    files = {f"{number}.txt": "#" * 300_000 for number in range(5)}
    reading = _read(tmp_path, "".join(f"-r {name}\n" for name in files), files)
    assert not reading.is_whole


def test_an_empty_file_is_named_too(tmp_path: Path) -> None:
    """It may get lines later."""
    assert _values(_read(tmp_path, "# nothing yet\n")) == [("requirements", ["requirements.txt"], 1)]
