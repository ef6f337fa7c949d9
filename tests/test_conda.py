"""A conda file: what becomes a requirement, and what is reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import azureml_tasks
from azureml_tasks.config.problems import Override
from azureml_tasks.errors import FileProblem, Problem, SettingsError
from azureml_tasks.notice import Notice
from azureml_tasks.project.base_images import CURRENT
from azureml_tasks.project.load import load as load_project
from azureml_tasks.requirements.conda import (
    CondaFile,
    NumberedLine,
    Substitutes,
    read_conda,
)
from azureml_tasks.requirements.conda_names import GPU_BASE, PYPI_NAMES, advice, pypi_name
from azureml_tasks.requirements.wanted_python import WantedPython, accepts
from tests.cases import lay_out
from tests.consumers import TASKS, invoke, project
from tests.documentation import DOCS, blocks

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "dependencies:\n"
UNLISTED = "is not on the list of conda packages that are the same project on PyPI"


def lines(*pairs: tuple[int, str]) -> tuple[NumberedLine, ...]:
    """Numbered lines."""
    return tuple(NumberedLine(*pair) for pair in pairs)


def problems(text: str, substitutes: Substitutes = Substitutes()) -> list[Problem]:  # noqa: B008 -- a frozen value
    """What is wrong with a conda file."""
    return read_conda("a.yml", text, substitutes)[1]


def refusals(*dependencies: str, substitutes: Substitutes = Substitutes()) -> list[tuple[int, str]]:  # noqa: B008
    """The line and the first words of each problem of a file with these dependencies."""
    text = HEAD + "".join(f"- {dependency}\n" for dependency in dependencies)
    return [(problem.line, problem.what) for problem in problems(text, substitutes)]


def test_a_whole_file() -> None:
    """The packages, the pip part, Python, pip, builds and variables, each with its line."""
    text = """\
name: scoring
channels:
  - conda-forge
  - defaults
dependencies:
  - python=3.12
  - numpy=1.26
  - conda-forge::scikit-learn==1.4.2
  - pytorch>=2,<3
  - pip=23.0.1
  # the rest is not on conda
  - lightgbm=4.3.0=py312_0
  - pip:
      - azureml-inference-server-http
      - --extra-index-url https://example.com/simple
      - ./wheels/ours-1.0-py3-none-any.whl
      - -r more.txt
variables:
  MODE: fast
prefix: /opt/conda/envs/scoring
"""
    expected = CondaFile(
        path="env/conda.yml",
        packages=lines(
            (7, "numpy==1.26.*"), (8, "scikit-learn==1.4.2"), (9, "torch>=2,<3"), (12, "lightgbm==4.3.0")
        ),
        pip=lines(
            (14, "azureml-inference-server-http"),
            (15, "--extra-index-url https://example.com/simple"),
            (16, "./env/wheels/ours-1.0-py3-none-any.whl"),
            (17, "-r more.txt"),
        ),
        pythons=(WantedPython("env/conda.yml", 6, "python=3.12", "==3.12.*"),),
        variables=lines((19, "MODE")),
        warnings=(
            Notice(
                "conda-file",
                "pip knows no builds, so they are left out: lightgbm=4.3.0=py312_0",
                "env/conda.yml",
                12,
            ),
            Notice(
                "conda-file",
                "the base's own pip installs the packages, so this version is left out: pip=23.0.1",
                "env/conda.yml",
                10,
            ),
        ),
    )

    assert (expected, []) == read_conda("env/conda.yml", text)


def test_each_requirement_keeps_its_line() -> None:
    """Pip names a line of the generated file, which is that of the conda file."""
    file, _ = read_conda("a.yml", "name: a\ndependencies:\n\n- numpy\n- pip\n- pip:\n  - joblib\n- scipy=1\n")

    assert ("\n\n\nnumpy\n\n\n\nscipy==1.*\n", "\n" * 6 + "joblib\n") == (file.packages_text, file.pip_text)


def test_requirements_of_one_line_follow_each_other() -> None:
    """A list may be written in one line."""
    file, _ = read_conda("a.yml", "dependencies: [numpy, scipy=1, pip: [joblib]]\n")

    assert ("numpy\nscipy==1.*\n", "joblib\n") == (file.packages_text, file.pip_text)


def test_an_item_of_the_pip_part_may_have_several_lines() -> None:
    """Conda gives the text to pip as it is."""
    file, _ = read_conda("a.yml", "dependencies:\n- pip:\n  - |\n    numpy\n    scipy\n")

    assert lines((4, "numpy"), (5, "scipy")) == file.pip


@pytest.mark.parametrize(
    ("written", "converted"),
    [
        ("./wheels/a-1-py3-none-any.whl", "./env/wheels/a-1-py3-none-any.whl"),
        ("../wheels/a-1-py3-none-any.whl", "./wheels/a-1-py3-none-any.whl"),
        ("../../a-1-py3-none-any.whl", "../a-1-py3-none-any.whl"),
        (
            "/x/a-1-py3-none-any.whl ; python_version > '3'",
            "/x/a-1-py3-none-any.whl ; python_version > '3'",
        ),
        ("a-1-py3-none-any.whl[x]", "./env/a-1-py3-none-any.whl[x]"),
        ("https://example.com/a-1-py3-none-any.whl", "https://example.com/a-1-py3-none-any.whl"),
        ("a @ https://example.com/a-1-py3-none-any.whl", "a @ https://example.com/a-1-py3-none-any.whl"),
    ],
)
def test_a_local_wheel_is_relative_to_the_conda_file(written: str, converted: str) -> None:
    """Pip runs in the project's folder, and for conda in that of the file."""
    file, _ = read_conda("env/conda.yml", f'dependencies:\n- pip:\n  - "{written}"\n')

    assert lines((3, converted)) == file.pip


def test_a_name_that_is_not_on_the_list_has_its_ways_on() -> None:
    """All are reported at once, each with its line."""
    fix = (
        'If PyPI has the same project, name it in the table: pip = ["contoso-lib==2.1.*"]\n'
        'or install it with the base\'s conda: a [[tool.azureml-image.run]] with after = "apt" and\n'
        "command = 'conda install --yes --prefix \"$AZUREML_CONDA_ENVIRONMENT_PATH\" contoso-lib=2.1'\n"
        "or leave this line out"
    )
    what = '"contoso-lib" is not on the list of conda packages that are the same project on PyPI'
    reported = problems(HEAD + "- contoso-lib=2.1\n- numpy\n- other\n")

    assert [FileProblem("a.yml", 2, what, fix), 4] == [reported[0], reported[1].line]


@pytest.mark.parametrize(
    ("dependency", "what"),
    [
        ("contoso::numpy", f'"numpy" of the channel "contoso" {UNLISTED}'),
        ("pytorch::numpy", f'"numpy" of the channel "pytorch" {UNLISTED}'),
        ("https://a.example/a::numpy", f'"numpy" of the channel "https://a.example/a" {UNLISTED}'),
        ("graphviz", '"graphviz" is a package of the system, not of Python'),
        ("nodejs=18", '"nodejs" is a package of the system, not of Python'),
        ("openjdk", '"openjdk" is a package of the system, not of Python'),
        ("cudatoolkit=11.8", '"cudatoolkit" is a part of CUDA, which the base brings'),
        ("cudnn", '"cudnn" is a part of CUDA, which the base brings'),
        ("nvidia::cuda-nvcc", '"cuda-nvcc" is a part of CUDA, which the base brings'),
        ("pytorch-cuda=11.8", '"pytorch-cuda" is a part of CUDA, which the base brings'),
        ("gxx_linux-64", '"gxx_linux-64" is a compiler or a tool of one, not a Python package'),
        ("compilers", '"compilers" is a compiler or a tool of one, not a Python package'),
        ("libgcc", '"libgcc" is a library of a conda environment, not a Python package'),
        ("libgcc-ng=12", '"libgcc-ng" is a library of a conda environment, not a Python package'),
        ("nomkl", '"nomkl" is a library of a conda environment, not a Python package'),
        ("cpuonly", '"cpuonly" chooses among conda\'s builds of PyTorch'),
        ("anaconda=2021.05", '"anaconda" is a collection or a tool of conda, not a package that code imports'),
        ("snappy", '"snappy" is a library of a conda environment, not a Python package'),
        ("libpysal", f'"libpysal" {UNLISTED}'),
    ],
)  # fmt: skip
def test_what_is_no_python_package_has_its_next_step(dependency: str, what: str) -> None:
    """Programs come by apt, CUDA with the base, and libraries with wheels."""
    assert [(2, what)] == refusals(dependency)


@pytest.mark.parametrize(
    "dependency",
    ["numpy", "conda-forge::numpy", "defaults::numpy", "pkgs/main::numpy", "conda-forge/linux-64::numpy",
     "pytorch::pytorch", "pytorch::torchvision=0.15", "huggingface::transformers"],
)  # fmt: skip
def test_channels_whose_packages_are_listed(dependency: str) -> None:
    """Those of conda itself, of conda-forge, and the projects' own for their packages."""
    assert [] == refusals(dependency)


def test_what_the_table_has_in_place_of_a_package() -> None:
    """The conda file may stay as it is: `pip`, `run` and `apt` of the table are ways on, and so is a base with CUDA."""
    have = Substitutes(names={"contoso-lib", "fancy"}, apt={"graphviz", "build-essential"}, has_cuda=True)
    dependencies = ("contoso-lib=2.1", "fancy", "graphviz", "gcc_linux-64", "cudatoolkit=11.8", "other")

    assert [7] == [line for line, _ in refusals(*dependencies, substitutes=have)]
    file, _ = read_conda("a.yml", f"{HEAD}- cudatoolkit=11.8\n- cudnn\n", have)
    warning = "the base's CUDA is used, so this is left out: cudatoolkit=11.8 and 1 more"
    assert [f"a.yml:2: {warning}"] == [*map(str, file.warnings)]


@pytest.mark.parametrize("build", ["=h123_0", ""], ids=["builds", "no builds"])
def test_an_export_of_a_whole_environment_is_one_problem(build: str) -> None:
    """Its libraries are counted, and the command lists what was asked for."""
    libraries = [
        f"lib{name}=1.0{build}" for name in ("gcc", "ffi", "png", "nsl", "uuid", "uv", "ev", "curl", "edit")
    ]
    fix = (
        "conda env export --from-history > a-named.yml\n"
        "It lists what was named when it was installed. Add the pip part, which it leaves out, and name that file."
    )
    what = "is an export of a whole environment: 10 of its packages do not convert (libgcc, libffi, libpng and 7 more)"
    text = HEAD + "".join(
        f"- {each}\n" for each in [*libraries, f"openssl=3.0{build}", "numpy=1.26=py312_0", "other"]
    )

    reported = problems(text)

    assert (FileProblem("a.yml", 1, what, fix), 13) == (reported[0], reported[1].line)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("just text\n", 0, "is not a conda environment file: it has no keys"),
        ("name: a\n", 0, 'is not a conda environment file: it has no "dependencies"'),
        ("dependencys:\n- numpy\n", 0, 'is not a conda environment file: it has no "dependencies"'),
        ("@EXPLICIT\nhttps://example.com/a.conda\n", 0,
         "is a list of conda packages for `conda create --file`, not a conda environment file"),
        ("version: 1\nmetadata: {}\npackage: []\n", 0,
         "is a lock file of conda-lock, not a conda environment file"),
        ("conda_file: conda.yml\nimage: x\n", 0, "is an environment of Azure ML, not a conda environment file"),
        ("dependencies: numpy\n", 1, '"dependencies" is not a list'),
        ("dependencies:\n- 1.5\n", 2, "this item of dependencies is not a text"),
        ("dependencies:\n-\n", 2, "this item of dependencies is not a text"),
        ("dependencies:\n- numpy: 1.26\n", 2, '"numpy:" is not a part of a conda file'),
        ("dependencies:\n- pip: joblib\n", 2, '"pip" is not a list'),
        ("dependencies:\n- pip:\n  - a: b\n", 3, "this item of the pip part is not a text"),
        ("dependencies:\n- numpy\nchanels: []\n", 3, 'has the unknown key "chanels"'),
        ("dependencies:\n- numpy=1|2\n", 2, '"numpy=1|2" has alternatives, which pip does not know'),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_file(text: str, line: int, what: str) -> None:
    """Each mistake has its line; a file of another kind is named."""
    assert [("a.yml", line, what)] == [problem[:3] for problem in problems(text)]


def test_an_environment_of_azure_ml_leads_to_its_conda_file() -> None:
    """The path in it is relative to that file."""
    _, (problem,) = read_conda("env/environment.yml", "conda_file: ../conda.yml\nimage: x\n")

    assert 'Write: conda = "conda.yml"' == problem.fix


def test_a_list_below_pip_without_a_colon() -> None:
    """YAML reads it as one text, which is not what is meant."""
    (problem,) = problems("dependencies:\n- pip\n  - numpy\n")

    assert ('Write "- pip:" with a colon, and the list below it.', 2) == (problem.fix, problem.line)


def test_channels_that_pip_does_not_ask_are_named() -> None:
    """A login and a token of an address are not shown; those of the list need no word."""
    login = "https://me:hunter2@conda.contoso.example/t/tk-123/ours"
    head = f"channels: [conda-forge, conda-forge/linux-64, contoso, https://example.com/pkgs/main, {login}]\n"

    file, _ = read_conda("a.yml", f"{head}dependencies: []\n")

    (warning,) = file.warnings
    assert (
        "a.yml:1: pip does not look for packages in conda's channel contoso, ***@conda.contoso.example/t/****/ours"
        in str(warning)
    )
    assert not any(text in str(warning) for text in ("hunter2", "tk-123", "pkgs/main", "conda-forge"))


def test_another_key_is_a_warning() -> None:
    """Conda does not read it either."""
    file, reported = read_conda("a.yml", "dependencies: []\nplatforms: [linux-64]\n")

    assert ((), ['a.yml:2: "platforms" is not read, and conda does not read it'], []) == (
        file.packages,
        [*map(str, file.warnings)],
        reported,
    )


def test_an_exact_version_with_one_number_more_on_pypi() -> None:
    """OpenCV's wheels number their builds after the version."""
    file, _ = read_conda("a.yml", f"{HEAD}- opencv==4.9.0\n- py-opencv=4.8\n- opencv>=4\n")

    name = "opencv-python-headless"
    assert lines((2, f"{name}==4.9.0.*"), (3, f"{name}==4.8.*"), (4, f"{name}>=4")) == file.packages


@pytest.mark.parametrize(
    ("version", "python", "expected"),
    [
        ("==3.12.*", (3, 12), True),
        ("==3.1.*", (3, 12), False),
        ("==3.9.18", (3, 9), True),
        ("==3.9.18", (3, 12), False),
        (">=3.8,<3.12", (3, 11), True),
        (">=3.8,<3.12", (3, 12), False),
        (">3.9", (3, 9), True),
        ("==3.*", (3, 12), True),
    ],
)
def test_whether_a_python_is_the_one_that_is_wanted(
    version: str, python: tuple[int, int], *, expected: bool
) -> None:
    """Some release of it must fit."""
    assert expected == accepts(WantedPython("a.yml", 1, "", version), python)


def test_the_list_of_names() -> None:
    """Names are as conda compares them, and no listed name is one that has advice instead."""
    assert [name for name in PYPI_NAMES if name != name.lower()] == []
    assert [name for name in PYPI_NAMES if advice(name)] == []
    assert GPU_BASE in CURRENT
    assert ("torch", "graphviz", "", "") == (
        pypi_name("", "pytorch"),
        pypi_name("conda-forge", "python-graphviz"),
        pypi_name("", "graphviz"),
        pypi_name("", "faiss-cpu"),
    )


def load(tmp_path: Path, conda: str, table: str = "", **files: str) -> azureml_tasks.Plan:
    """Plan a project with a conda file."""
    table = f'conda = "env/conda.yml"\n{table}'
    pyproject = {"pyproject.toml": project("demo", table)}
    return azureml_tasks.plan(
        azureml_tasks.load(lay_out({**pyproject, "env/conda.yml": conda, **files}, tmp_path))
    )


def test_equal_requirements_give_equal_bytes(tmp_path: Path) -> None:
    """What is not a requirement is not in the image: name, channels and comments behind it."""
    first = load(tmp_path / "a", "name: a\ndependencies:\n- numpy==1.26.4\n")
    second = load(tmp_path / "b", "name: b\ndependencies:\n- numpy==1.26.4 # as trained\n")

    assert first.files == second.files


@pytest.mark.parametrize(
    ("dependencies", "pinned"),
    [
        ("- numpy==1.26.4\n- scipy=1.11.0=py312_0\n- pip:\n  - joblib==1.4.2\n", True),
        ("- numpy=1.26.4\n", False),
        ("- pip:\n  - joblib\n", False),
    ],
)
def test_exact_versions_count_as_pinned(tmp_path: Path, dependencies: str, *, pinned: bool) -> None:
    """One sign leaves a version open, as in conda."""
    plan = load(tmp_path, HEAD + dependencies)

    assert plan.python
    assert (pinned, pinned) == (plan.pinned, plan.python.pinned)


def test_the_requirements_are_those_that_are_compared(tmp_path: Path) -> None:
    """Added requirements and cached layers go by these lines; `check` shows the file."""
    plan = load(tmp_path, f"{HEAD}- numpy==1.26.4\n- pip:\n  - joblib==1.4.2\n", 'pip = ["six==1.16"]\n')

    assert plan.python
    assert ("joblib==1.4.2", "numpy==1.26.4", "six==1.16") == plan.python.lines
    assert ("env/conda.yml", "six==1.16") == plan.python.names


def test_only_python_and_pip_install_nothing(tmp_path: Path) -> None:
    """The base has both."""
    assert load(tmp_path, f"{HEAD}- python=3.12\n- pip\n").python is None


def test_a_hashed_pip_part_is_installed_on_its_own(tmp_path: Path) -> None:
    """The packages of conda have no hashes, so they are in the other run of pip."""
    hashed = f"alpha==1.0 --hash=sha256:{'a' * 64}\n"
    plan = load(tmp_path, f"{HEAD}- numpy\n- pip:\n  - -r lock.txt\n", **{"env/lock.txt": hashed})

    texts = {file.name: file.data.decode() for file in plan.files if file.data and file.name.endswith(".txt")}
    assert texts == {
        "python/hashed.txt": '-r "project/env/conda.yml"\n',
        "python/pinned.txt": "alpha==1.0\n",
        "python/requirements.txt": '-r "conda/env/conda.yml"\n',
    }


def test_a_pip_part_with_its_own_index_is_a_run_of_its_own(tmp_path: Path) -> None:
    """Conda asks that index for the pip part alone."""
    pip = "- pip:\n  - --index-url https://example.com/cpu\n  - torch==2.5.1\n"
    plan = load(tmp_path, f"{HEAD}- numpy\n{pip}", 'pip = ["six"]\n')

    texts = {file.name: file.data.decode() for file in plan.files if file.data and file.name.endswith(".txt")}
    assert texts == {
        "python/requirements.txt": '-r "project/env/conda.yml"\n',
        "python/requirements-2.txt": '-r "conda/env/conda.yml"\nsix\n',
        "python/held-2.txt": "torch\n",
    }


def error(tmp_path: Path, conda: str, table: str = "", **files: str) -> str:
    """The message for a project with a conda file that is refused."""
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, conda, table, **files)
    return str(caught.value)


def test_the_variables_of_a_conda_file_belong_into_the_table(tmp_path: Path) -> None:
    """Only conda would set them."""
    conda = f"{HEAD}- numpy\nvariables:\n  MODE: fast\n  SIZE: 3\n"
    fix = 'Write in the table: env = { MODE = "…" }, with the value of this line'

    assert error(tmp_path, conda, 'env = { SIZE = "3" }\n').startswith(
        f"env/conda.yml:4: sets the variable MODE, which only conda would set\n    {fix}\n\n1 problem"
    )


def test_a_conda_file_that_is_too_large(tmp_path: Path) -> None:
    """It is not read."""
    assert "env/conda.yml: is larger than 1 MB" in error(tmp_path, "#" * 1_000_001)


def test_a_conda_file_by_powershell(tmp_path: Path) -> None:
    """Text is read by its byte order mark."""
    lay_out({"pyproject.toml": project("demo", 'conda = "conda.yml"\n')}, tmp_path)
    (tmp_path / "conda.yml").write_text(f"{HEAD}- numpy\n", encoding="utf-16")

    plan = azureml_tasks.plan(azureml_tasks.load(tmp_path))

    assert plan.python
    assert ("numpy",) == plan.python.lines


def test_a_link_that_leaves_the_project_is_refused(tmp_path: Path) -> None:
    """Its content would be shown by messages."""
    root = lay_out({"pyproject.toml": project("demo", 'conda = "conda.yml"\n')}, tmp_path / "project")
    (tmp_path / "outside.yml").write_text("secret text\n")
    (root / "conda.yml").symlink_to("../outside.yml")

    with pytest.raises(SettingsError, match="a link that leaves the project") as caught:
        azureml_tasks.load(root)

    assert "secret text" not in str(caught.value)


def test_a_python_that_only_the_base_tells_is_carried_on(tmp_path: Path) -> None:
    """The names of Azure ML's images tell theirs; of any other base, the engine is asked."""
    conda = f"{HEAD}- python=3.7\n- python\n- numpy\n"
    pyproject = project("demo", 'conda = "env/conda.yml"\n')
    elsewhere = pyproject.replace("minimal-py312-inference", "contoso.azurecr.io/bases/serving:4")
    lay_out({"pyproject.toml": elsewhere, "env/conda.yml": conda}, tmp_path)

    plan = azureml_tasks.plan(azureml_tasks.load(tmp_path))

    assert (WantedPython("env/conda.yml", 2, "python=3.7", "==3.7.*"),) == plan.wanted_pythons
    assert () == load(tmp_path / "mcr", f"{HEAD}- python=3.12\n- numpy\n").wanted_pythons


@pytest.mark.parametrize(
    ("python", "fix"),
    [
        (
            "python=3.9",
            (
                'base = "minimal-ubuntu22.04-py39-cpu-inference"\n'
                '    or: base = "minimal-ubuntu22.04-py39-cuda11.8-gpu-inference"\n'
                '    or: server = "azmlinfsrv" in the table, and base = "python:3.9-slim"\n'
                "    or, in env/conda.yml: - python=3.12\n"
            ),
        ),
        (
            "python>=3.10,<3.12",
            (
                'base = "curated/minimal-py311-inference"\n'
                '    or: server = "azmlinfsrv" in the table, and base = "python:3.11-slim"\n'
                "    or, in env/conda.yml: - python=3.12\n"
            ),
        ),
        ("python=3.8", "no documented base has that Python\n    or, in env/conda.yml: - python=3.12\n"),
    ],
)
def test_another_python_than_the_bases_names_the_bases_that_have_it(
    tmp_path: Path, python: str, fix: str
) -> None:
    """Those that Azure ML documents."""
    problem = (
        f'"{python}" is not the Python of the base mcr.microsoft.com/azureml/minimal-py312-inference:latest'
    )

    assert error(tmp_path, f"{HEAD}- {python}\n- numpy\n").startswith(
        f"env/conda.yml:2: {problem}, which has 3.12\n    {fix}\n1 problem"
    )


@pytest.mark.parametrize(
    ("source", "written"),
    [("--base", "--base"), ("INVOKE_AZUREML_IMAGE_BASE", "export INVOKE_AZUREML_IMAGE_BASE=")],
)
def test_the_base_of_another_python_is_written_where_the_base_of_the_run_is(
    source: str, written: str, tmp_path: Path
) -> None:
    """A line for the table would change nothing: the flag or the variable takes precedence."""
    table = project("demo", 'conda = "conda.yml"\n').replace("minimal-py312-inference", "python:3.9-slim")
    lay_out({"pyproject.toml": table, "conda.yml": f"{HEAD}- python=3.11\n- numpy\n"}, tmp_path)
    base = Override(value="minimal-py312-inference", source=source)

    with pytest.raises(SettingsError) as caught:
        load_project(tmp_path, {"base": base})

    (problem,) = caught.value.problems
    start = written if written.endswith("=") else f"{written} "
    assert [
        f"{start}curated/minimal-py311-inference",
        f'or: server = "azmlinfsrv" in the table, and {start}python:3.11-slim',
        "or, in conda.yml: - python=3.12",
    ] == problem.fix.splitlines()


def test_an_engine_that_does_not_have_the_base_leaves_python_open(tmp_path: Path) -> None:
    """`check` says that it could not compare."""
    pyproject = project("demo", 'conda = "conda.yml"\n').replace(
        "minimal-py312-inference", "contoso.azurecr.io/b:4"
    )
    lay_out(
        {"pyproject.toml": pyproject, "conda.yml": f"{HEAD}- python=3.7\n- numpy\n", "tasks.py": TASKS},
        tmp_path,
    )

    checked = invoke(tmp_path, "image.check")

    base = "contoso.azurecr.io/b:4"
    warning = (
        f"was not compared with the Python of {base}, which is not known before the base is on the engine"
    )
    assert f'conda.yml:2: "python=3.7" {warning}' in checked.err


def test_the_example_of_the_page(tmp_path: Path) -> None:
    """The conda file of the page on Python packages becomes what the table below it says."""
    (conda,) = blocks(DOCS / "python-packages.md", "yaml")
    plan = load(tmp_path, conda, **{"env/extra.txt": "six\n"})

    assert plan.python
    assert {
        "numpy==1.26.*",
        "scikit-learn==1.4.2",
        "torch>=2.2,<3",
        "joblib==1.4.2",
        "-r extra.txt",
        "six",
    } == set(plan.python.lines)


def test_the_table_is_a_way_on_for_a_conda_file_that_stays_as_it_is(tmp_path: Path) -> None:
    """The same project may go on training with it: what `pip`, `apt` and `run` name is no error in it."""
    conda = f"{HEAD}- Contoso_Lib=2\n- fancy=1.9\n- graphviz\n- other\n- numpy\n- pip:\n  - other>=2\n"
    table = """\
apt = ["graphviz=2.42"]
pip = ["contoso.lib[x]>=2; python_version > '3'"]
[[tool.azureml-image.run]]
after = "apt"
command = 'conda install --yes --prefix "$AZUREML_CONDA_ENVIRONMENT_PATH" fancy=1.9'
"""
    plan = load(tmp_path, conda, table)

    assert plan.python
    assert ("contoso.lib[x]>=2; python_version > '3'", "numpy", "other>=2") == plan.python.lines


def test_the_page_shows_packages_that_are_not_on_the_list() -> None:
    """Its ways on are those for a name that does not convert."""
    page = (DOCS / "python-packages.md").read_text(encoding="utf-8")

    assert '`pip = ["rtree==1.2.*"]`' in page
    assert "--channel conda-forge gdal=3.8" in page
    assert ("", "") == (pypi_name("", "rtree"), pypi_name("", "gdal"))
