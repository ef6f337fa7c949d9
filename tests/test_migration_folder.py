"""What a search of the folder leads to: sources, questions, and what is passed over."""

from pathlib import Path

import pytest

from azureml_tasks.azureml.environment_yaml import Pushed, deployment_text, environment_text
from azureml_tasks.errors import SettingsError
from azureml_tasks.migration.search.folder import Search, search
from azureml_tasks.migration.surroundings import Surroundings
from azureml_tasks.planning.dockerfile import render
from tests.cases import lay_out
from tests.plans import plan

_RUN = "def init(): ...\ndef run(data): ...\n"
_BATCH = "def init(): ...\ndef run(mini_batch): ...\n"
_SCHEMA = "$schema: https://azuremlschemas.azureedge.net/latest/"
_ONLINE = f"{_SCHEMA}managedOnlineDeployment.schema.json\nname: blue\n"
_CONDA = "dependencies: [numpy]\n"
_APP = "/var/azureml-app"
_MODELS = "/var/azureml-app/azureml-models"
_ENVIRONMENT = "name: wines\nimage: tiny:1\n"


def _search(folder: Path, files: dict[str, str]) -> Search:
    folder = lay_out(files, folder.resolve())
    return search(Surroundings(folder, folder))


def _sources(result: Search) -> list[str]:
    return [source.name for source in result.sources]


@pytest.mark.parametrize(
    ("files", "sources"),
    [
        (
            {"deployment.yml": _ONLINE, "src/score.py": _RUN, "environment/conda.yaml": _CONDA, "model/m.pkl": ""},
            ["deployment.yml"],
        ),
        (
            {"deployment.yml": _ONLINE, "sample-request.json": "{}", "endpoint.yml": f"{_SCHEMA}managedOnlineEndpoint"
             ".schema.json\n"},
            ["deployment.yml", "sample-request.json"],
        ),
        (
            {"src/score.py": _RUN, "environment/conda.yaml": _CONDA, "model/m.pkl": "", "README.md": "# wines"},
            ["environment/conda.yaml", "src/score.py", "model"],
        ),
        (
            {"score.py": _RUN, "requirements.txt": "numpy\n", "requirements-dev.txt": "pytest\n"},
            ["requirements.txt", "score.py"],
        ),
        (
            {"score.py": _RUN, "requirements.txt": "-r requirements/base.txt\n", "requirements/base.txt": "numpy\n"},
            ["requirements.txt", "score.py"],
        ),
        (
            {"score.py": _RUN, "conda.yml": "dependencies:\n- pip:\n  - -r requirements.txt\n", "requirements.txt": ""},
            ["conda.yml", "score.py"],
        ),
        (
            {"score.py": _RUN, "requirements.in": "numpy\n", "requirements.txt": "numpy==2.1\n"},
            ["requirements.txt", "score.py"],
        ),
        (
            {"score.py": _RUN, "uv.lock": "", "pyproject.toml": '[project]\ndependencies = ["numpy"]\n'},
            ["uv.lock", "score.py"],
        ),
        ({"score.py": _RUN, "pyproject.toml": '[project]\ndependencies = ["numpy"]\n'}, ["pyproject.toml", "score.py"]),
        ({"score.py": _RUN, "pyproject.toml": "[tool.ruff]\n"}, ["score.py"]),
        ({"score.py": _RUN, "tests/score.py": _RUN, "tests/requirements.txt": "pytest"}, ["score.py"]),
        ({"score.py": _RUN, "env/pyvenv.cfg": "", "env/x.py": _RUN, ".cache/y.py": _RUN}, ["score.py"]),
        ({"score.py": _RUN, "old/score.py": _RUN, ".gitignore": "old/\n"}, ["score.py"]),
        ({"score.py": _RUN, "old/score.py": _RUN, ".dockerignore": "old\n"}, ["score.py"]),
        ({"score.py": _RUN, "old/score.py": _RUN, ".amlignore": "old/\n"}, ["score.py"]),
        ({"score.py": _RUN, "models/wines.pkl": "", ".gitignore": "models/\n"}, ["score.py", "models"]),
        ({"score.py": _RUN, "models/__init__.py": "", "models/wines.py": ""}, ["score.py"]),
        ({"score.py": _RUN, "data/wines.pkl": "", "train.npy": ""}, ["score.py"]),
        ({"score.py": _RUN, "wines.onnx": ""}, ["score.py", "wines.onnx"]),
        (
            {"score.py": _RUN, "model/MLmodel": "", "model/conda.yaml": _CONDA, "model/requirements.txt": "x"},
            ["model/requirements.txt", "score.py", "model"],
        ),
        (
            {"requirements.txt": "", "model/MLmodel": "", "model/requirements.txt": "x"},
            ["requirements.txt", "model"],
        ),
        (
            {"d.yml": f"{_ONLINE}code_configuration:\n  scoring_script: <SCRIPT>\n", "a/score.py": _RUN},
            ["d.yml", "a/score.py"],
        ),
        ({"Dockerfile": "FROM tiny:1\n", "score.py": _RUN, "requirements.txt": ""}, ["Dockerfile", "score.py"]),
        ({"Dockerfile": "FROM tiny:1\nCOPY src /app\n", "src/score.py": _RUN}, ["Dockerfile"]),
        ({"Dockerfile": "FROM tiny:1\nCOPY . /app\n", "src/score.py": _RUN, "model/m.pkl": ""}, ["Dockerfile"]),
        (
            {"Dockerfile": f"FROM tiny:1\nCOPY models/m.pkl {_MODELS}/\n", "score.py": _RUN, "models/m.pkl": ""},
            ["Dockerfile", "score.py"],
        ),
        (
            {"Dockerfile": f"FROM tiny:1\nCOPY m.bin {_MODELS}/\n", "m.bin": "", "a.pkl": "", "model/b.pkl": ""},
            ["Dockerfile"],
        ),
        (
            {"Dockerfile": "FROM tiny:1\nCOPY models/m.pkl /app/\n", "models/m.pkl": "", "models/n.pkl": ""},
            ["Dockerfile"],
        ),
        ({"Dockerfile": f"FROM tiny:1\nCOPY src {_APP}\n", "src/x.py": "", "a/score.py": _RUN}, ["Dockerfile"]),
        ({"docker/Dockerfile": "FROM tiny:1\nADD --chown=1 src x /app\n", "src/score.py": _RUN}, ["docker/Dockerfile"]),
        (
            {"env/env.yml": "name: wines\nbuild:\n  path: .\n", "env/Dockerfile": "FROM tiny:1\n", "a/score.py": _RUN},
            ["env/env.yml", "a/score.py"],
        ),
        (
            {"env.yml": "conda_file: conda.yml\nimage: tiny:1\n", "conda.yml": _CONDA, "a/score.py": _RUN},
            ["env.yml", "a/score.py"],
        ),
        ({"batch/score.py": _BATCH, "sample.json": "{}"}, ["batch/score.py"]),
        ({"score.py": _RUN, "tests/sample-request.json": "{}"}, ["score.py", "tests/sample-request.json"]),
        (
            {"a/score.py": _RUN, "a/sample.json": "{}", "input.json": "{}", "b/request.json": "{}"},
            ["a/score.py", "a/sample.json"],
        ),
    ],
)  # fmt: skip
def test_what_fits_together_is_read(tmp_path: Path, files: dict[str, str], sources: list[str]) -> None:
    """A deployment alone, else an environment or a Dockerfile, else the lists of packages; with script and model."""
    result = _search(tmp_path, files)
    assert (_sources(result), result.questions) == (sources, ())


@pytest.mark.parametrize(
    ("files", "subject", "choices"),
    [
        ({"blue.yml": _ONLINE, "green.yml": _ONLINE}, "deployment", ["blue.yml", "green.yml"]),
        (
            {"d.yml": f"{_ONLINE}code_configuration:\n  code: {{{{CODE}}}}\n", "a/score.py": _RUN, "b/score.py": _RUN},
            "entry-script",
            ["a/score.py", "b/score.py"],
        ),
        ({"online/score.py": _RUN, "batch/score.py": _BATCH}, "entry-script", ["batch/score.py", "online/score.py"]),
        ({"conda.yml": _CONDA, "requirements.txt": ""}, "packages", ["conda.yml", "requirements.txt"]),
        (
            {"requirements.txt": "", "pyproject.toml": '[project]\ndependencies = ["numpy"]\n'},
            "packages",
            ["requirements.txt", "pyproject.toml"],
        ),
        ({"env.yml": _ENVIRONMENT, "Dockerfile": "FROM tiny:1\n"}, "image", ["env.yml", "Dockerfile"]),
        ({"cpu.Dockerfile": "FROM tiny:1\n", "gpu.Dockerfile": "FROM tiny:1\n"}, "image", ["cpu.Dockerfile",
         "gpu.Dockerfile"]),
        (
            {"a.pkl": "", "b.pkl": "", "score.py": _RUN},
            "model",
            ["a.pkl", "b.pkl", "none: Azure ML mounts a registered model"],
        ),
    ],
)  # fmt: skip
def test_what_is_ambiguous_is_a_question(
    tmp_path: Path, files: dict[str, str], subject: str, choices: list[str]
) -> None:
    """Each of whose choices a flag gives."""
    result = _search(tmp_path, files)
    assert [question.subject for question in result.questions] == [subject]
    assert [choice.text for choice in result.questions[0].choices] == choices
    named = [choice for choice in result.questions[0].choices if not choice.text.startswith("none")]
    assert all(choice.flags == ("--from", choice.text) for choice in named)


def test_the_script_tells_which_model_it_loads(tmp_path: Path) -> None:
    """By the name that it joins to AZUREML_MODEL_DIR."""
    script = f'import os\n{_RUN}m = os.path.join(os.environ["AZUREML_MODEL_DIR"], "b.pkl")\n'
    result = _search(tmp_path, {"a.pkl": "", "b.pkl": "", "score.py": script})
    assert _sources(result) == ["score.py", "b.pkl"]
    assert not result.questions


def test_what_is_passed_over_is_named(tmp_path: Path) -> None:
    """With the reason, so that nothing is dropped without a word."""
    files = {
        "requirements.txt": "",
        "requirements-dev.txt": "",
        "score.py": _RUN,
        "tests/score.py": _RUN,
        "endpoint.yml": f"{_SCHEMA}managedOnlineEndpoint.schema.json\n",
    }
    assert [each[:2] for each in _search(tmp_path, files).passed_over] == [
        ("requirements-dev.txt", "its name says that it is for another use than requirements.txt"),
        ("endpoint.yml", "is an endpoint of Azure ML, which has no image"),
        ("tests/score.py", "defines init() and run() among tests or docs"),
    ]


def test_what_our_commands_have_written_is_no_source(tmp_path: Path) -> None:
    """To read it would make a table that extends the project's own image. What a team wrote begins otherwise."""
    pushed = Pushed(image=f"contoso.azurecr.io/wines@sha256:{'1' * 64}", tags=("1",))
    deployment = deployment_text(pushed, plan(), endpoint="wines", instance_type="Standard_DS3_v2")
    quoted = f'$schema: "{_SCHEMA.split()[1]}environment.schema.json"\n{_ENVIRONMENT}'
    files = {
        "Dockerfile": render(plan()),
        "deployment.yml": deployment,
        "environment.yml": environment_text(pushed, plan().smoke_test),
        "own.yml": quoted,
        "score.py": _RUN,
    }
    result = _search(tmp_path, files)
    assert _sources(result) == ["own.yml", "score.py"]
    assert not result.questions
    assert [each[:2] for each in result.passed_over] == [
        (name, "was written by azureml-tasks") for name in ("Dockerfile", "deployment.yml", "environment.yml")
    ]


def test_a_guess_yields_to_what_a_dockerfile_copies(tmp_path: Path) -> None:
    """The line that copies another model or other code is named."""
    files = {
        "Dockerfile": f"FROM tiny:1\nCOPY src {_APP}\nCOPY models/m.pkl {_MODELS}/\n",
        "src/x.py": "",
        "old/score.py": _RUN,
        "models/m.pkl": "",
    }
    assert [each[:2] for each in _search(tmp_path, files).passed_over] == [
        ("old/score.py", "Dockerfile:2 copies the code"),
        ("models", "Dockerfile:3 copies the model"),
    ]


def test_a_model_that_is_copied_as_code_is_passed_over(tmp_path: Path) -> None:
    """So is a folder of which the Dockerfile copies a part."""
    files = {"Dockerfile": "FROM tiny:1\nCOPY models/m.pkl /app/\n", "models/m.pkl": "", "models/n.pkl": ""}
    assert [each[:2] for each in _search(tmp_path, files).passed_over] == [
        ("models", "Dockerfile copies it or a part of it"),
    ]


def test_nothing_is_an_error_that_says_what_to_name(tmp_path: Path) -> None:
    """The folder may be the wrong one."""
    files = {"README.md": "", "main.py": "print()\n", "e.yml": f"{_SCHEMA}batchEndpoint.schema.json\n"}
    message = r"tells what the image is made of \(e.yml is an endpoint of Azure ML, which has no image\)"
    with pytest.raises(SettingsError, match=message):
        _search(tmp_path, files)


def test_a_search_is_bounded(tmp_path: Path) -> None:
    """A folder with very many files is not looked at, and that is said."""
    for number in range(5_001):
        (tmp_path / f"{number}.txt").touch()
    (tmp_path / "score.py").write_text(_RUN)
    with pytest.raises(SettingsError):
        search(Surroundings(tmp_path, tmp_path))


def test_no_link_is_followed(tmp_path: Path) -> None:
    """Neither to a folder nor to a file: both may be elsewhere, or in a circle."""
    folder = lay_out({"a/score.py": _RUN, "elsewhere/x.py": _RUN}, tmp_path.resolve())
    (folder / "a/loop").symlink_to(folder / "a")
    (folder / "a/x.py").symlink_to(folder / "elsewhere/x.py")
    result = search(Surroundings(folder / "a", folder))
    assert _sources(result) == ["score.py"]
