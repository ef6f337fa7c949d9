"""What a conda file becomes."""

from pathlib import Path

import pytest

from azureml_tasks.image_reference import Reference, expand_base
from azureml_tasks.migration.packages.conda_source import read_conda_source
from azureml_tasks.migration.reading import Kind, Outcome, Reading, Source
from azureml_tasks.migration.surroundings import Surroundings
from tests.cases import lay_out

_PY312 = expand_base("minimal-py312-inference")


def _read(
    folder: Path, text: str, files: dict[str, str] | None = None, base: Reference | None = None
) -> Reading:
    name = "environment/conda.yaml"
    folder = lay_out({name: text, **(files or {})}, folder.resolve())
    source = Source(folder / name, name, Kind.CONDA, text)
    return read_conda_source(source, Surroundings(folder, folder), base)


def _values(reading: Reading) -> list[tuple[str, object, int]]:
    return [(".".join(map(str, each.place)), each.value, each.line) for each in reading.values]


def _lines(reading: Reading) -> list[tuple[int, int, str, str]]:
    return [(line.line, line.end, line.outcome.value, line.why) for line in reading.lines]


def test_a_file_that_converts_is_named(tmp_path: Path) -> None:
    """Python and pip are those of the base."""
    text = """\
name: serving
channels:
  - conda-forge
dependencies:
  - python=3.12
  - pip=24.0
  - numpy=2.1
  - pip:
      - joblib==1.4.2
      - -r more.txt
"""
    reading = _read(tmp_path, text, {"environment/more.txt": "scipy\n"})
    assert _values(reading) == [("conda", "environment/conda.yaml", 1)]
    key = 'conda = "environment/conda.yaml": 1 package of conda becomes pip\'s'
    assert _lines(reading) == [
        (1, 4, "key", key),
        (5, 5, "not-needed", "the base has its Python, which image.check compares with this line"),
        (6, 6, "not-needed", "the base's own pip installs the packages"),
        (7, 10, "key", key),
    ]
    assert reading.is_whole


def test_what_differs_is_said_and_the_file_is_named(tmp_path: Path) -> None:
    """Builds, channels, and packages of the system; variables become those of the image."""
    text = """\
channels: [conda-forge, nvidia]
dependencies:
  - numpy=2.1=py312_0
  - ffmpeg
variables:
  LEVEL: info
  PRICE: $5
  COUNT: 3
"""
    reading = _read(tmp_path, text)
    assert _values(reading) == [
        ("conda", "environment/conda.yaml", 1),
        ("apt", ["ffmpeg"], 4),
        ("env", {"LEVEL": "info"}, 6),
        ("env", {"PRICE": "$$5"}, 7),
        ("env", {"COUNT": "3"}, 8),
    ]
    assert [(line.line, line.outcome.value) for line in reading.lines] == [
        (1, "key"),
        (3, "changed"),
        (4, "changed"),
        (5, "key"),
        (6, "key"),
        (7, "key"),
        (8, "key"),
    ]


def test_what_converts_remains_where_the_file_cannot_be_named(tmp_path: Path) -> None:
    """In the key pip, and every other line is left over with its reason."""
    text = """\
name: serving
dependencies:
  - python=3.12
  - numpy=2.1
  - r-base
  - cudatoolkit=11.8
  - pip:
      - joblib==1.4.2
      - -e .
"""
    reading = _read(tmp_path, text)
    assert _values(reading) == [("pip", ["numpy==2.1.*"], 4), ("pip", ["joblib==1.4.2"], 8)]
    lines = _lines(reading)
    assert [(first, last, outcome) for first, last, outcome, _ in lines] == [
        (1, 2, "not-needed"),
        (3, 3, "changed"),
        (4, 4, "key"),
        (5, 5, "left-over"),
        (6, 6, "left-over"),
        (7, 7, "not-needed"),
        (8, 8, "key"),
        (9, 9, "left-over"),
    ]
    assert lines[3][3].startswith('"r-base" is not on the list of conda packages')
    assert lines[4][3].startswith('"cudatoolkit" is a part of CUDA')
    assert not reading.is_whole


def test_a_base_with_cuda_brings_what_conda_calls_so(tmp_path: Path) -> None:
    """As for `image.check`."""
    text = "dependencies:\n  - numpy\n  - cudatoolkit=11.8\n"
    base = expand_base("curated/minimal-py312-cuda12.4-inference")
    reading = _read(tmp_path, text, base=base)
    assert _values(reading) == [("conda", "environment/conda.yaml", 1)]
    assert _lines(reading)[1] == (3, 3, "not-needed", "the base brings CUDA")


def test_a_base_with_another_python_keeps_the_file_from_being_named(tmp_path: Path) -> None:
    """Because `image.check` would refuse it; the packages remain, and the line says so."""
    reading = _read(tmp_path, "dependencies:\n  - python=3.10\n  - numpy=1.26\n", base=_PY312)
    assert _values(reading) == [("pip", ["numpy==1.26.*"], 3)]
    first, second, third = _lines(reading)
    assert (first[2], second[2], third[2]) == ("not-needed", "changed", "key")
    assert second[3].startswith('"python=3.10" is not the Python of the base')


def test_an_export_leaves_no_line_without_a_word(tmp_path: Path) -> None:
    """Its libraries are many, and no message lists them all."""
    libraries = [
        "bzip2",
        "expat",
        "icu",
        "jpeg",
        "libpng",
        "libuuid",
        "lz4-c",
        "ncurses",
        "openssl",
        "xz",
        "zlib",
    ]
    text = "dependencies:\n" + "".join(f"  - {name}=1.0=h1\n" for name in [*libraries, "zstd", "numpy"])
    reading = _read(tmp_path, text)
    assert _values(reading) == [("pip", ["numpy==1.0"], 14)]
    covered = {number for line in reading.lines for number in range(line.line, line.end + 1)}
    assert covered == set(range(1, 15))
    outcomes = {line.line: line.outcome for line in reading.lines}
    assert outcomes[1] == Outcome.LEFT_OVER
    assert outcomes[2] == Outcome.LEFT_OVER


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("dependencies: [\n", "is not valid YAML"),
        ("a: 1\n", 'it is not a conda environment file: it has no "dependencies"'),
        ("conda_file: x.yml\n", "it is an environment of Azure ML"),
        ("@EXPLICIT\n", "it is a list of conda packages"),
        ("a" * 1_000_001, "it is larger than 1 MB"),
        ("[" * 1_000, "is nested more than 50 deep"),
    ],
)
def test_a_file_that_is_none_is_left_over(tmp_path: Path, text: str, why: str) -> None:
    """As a whole."""
    reading = _read(tmp_path, text)
    assert not reading.values
    assert [line.outcome for line in reading.lines] == [Outcome.LEFT_OVER]
    assert reading.lines[0].why.startswith(why)


def test_windows_line_ends_and_items_of_one_line(tmp_path: Path) -> None:
    """The worst outcome of a line's items counts."""
    reading = _read(tmp_path, "dependencies: [numpy, r-base]\r\nname: x\r\n")
    assert _values(reading) == [("pip", ["numpy"], 1)]
    assert [(line.line, line.outcome) for line in reading.lines] == [
        (1, Outcome.LEFT_OVER),
        (2, Outcome.NOT_NEEDED),
    ]
    assert 'pip = ["numpy"]' in reading.lines[0].why
