"""A deployment of Azure ML: what of it is in the table, and what stays in the deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from azureml_tasks.errors import SettingsError
from azureml_tasks.migration.deployment.deployment_yaml import read_deployment
from azureml_tasks.migration.reading import Outcome, Reading
from tests.cases import lay_out
from tests.readings import lines_of, outline, read, values_of

if TYPE_CHECKING:
    from pathlib import Path

MINIMAL = "mcr.microsoft.com/azureml/minimal-py312-inference:latest"
OPENMPI = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:latest"
NOT_SERVED = (
    "the table needs the script that loads it, which is not here: name the script, and the model, by --from"
)
SCORE = "def init(): ...\ndef run(data): return data\n"


def deployment(folder: Path, text: str, **files: str) -> Reading:
    """Read a deployment with its code in `src`."""
    return read(read_deployment, folder, "deployment.yml", text, src__score_py=SCORE, **files)


def covers(reading: Reading) -> bool:
    """Return whether every line that is neither blank nor a comment has an outcome."""
    covered = {number for line in reading.lines for number in range(line.line, line.end + 1)}
    numbered = enumerate(reading.source.text.splitlines(), 1)
    return {number for number, text in numbered if text.strip() and text.strip()[0] != "#"} <= covered


def test_an_online_deployment(tmp_path: Path) -> None:
    """Code, model, image, packages and variables become keys, and the rest stays in the deployment."""
    text = f"""\
# scoring
$schema: https://azuremlschemas.azureedge.net/latest/managedOnlineDeployment.schema.json
name: blue
endpoint_name: churn
model:
  path: ./models/churn/

code_configuration:
  code: src/
  scoring_script: churn.py
environment:
  image: {MINIMAL}
  conda_file: conda.yml
environment_variables:
  LEVEL: info
  WORKER_COUNT: 2
  PRICE: 5$
request_settings:
  request_timeout_ms: 4000
liveness_probe:
  initial_delay: 30
instance_type: Standard_DS3_v2
instance_count: 1
"""
    files = {"models__churn__weights_json": "[]", "src__churn_py": SCORE}

    reading = deployment(tmp_path, text, conda_yml="dependencies: [python=3.12]", **files)

    assert values_of(reading) == {
        "model": "models/churn",
        "model-name": "churn",
        "code": "src",
        "entry-script": "churn.py",
        "base": "minimal-py312-inference",
        "env": {"LEVEL": "info", "WORKER_COUNT": "2", "PRICE": "5$$"},
    }
    assert outline(reading) == ["conda conda.yml:13"]
    assert reading.flags == (("endpoint", "churn"), ("instance-type", "Standard_DS3_v2"))
    assert reading.is_whole
    assert covers(reading)
    assert lines_of(reading)[3:6] == [
        '5-6 key: model = "models/churn"; model-name = "churn", since Azure ML mounts a folder under its name',
        '8-9 key: code = "src"',
        '10 key: entry-script = "churn.py"',
    ]


def test_a_batch_deployment(tmp_path: Path) -> None:
    """Its settings stay in the deployment, with a word on how a mini-batch is tested."""
    text = f"""\
$schema: https://azuremlschemas.azureedge.net/latest/modelBatchDeployment.schema.json
name: digits
endpoint_name: digits
type: model
model: azureml:digits:1
code_configuration:
  code: src
  scoring_script: score.py
environment:
  image: {OPENMPI}
compute: azureml:cluster
settings:
  mini_batch_size: 10
  retry_settings:
    timeout: 30
  environment_variables:
    LEVEL: info
"""
    reading = deployment(tmp_path, text)

    base = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:latest"
    assert values_of(reading) == {
        "code": "src",
        "base": base,
        "server": "azmlinfsrv",
        "env": {"LEVEL": "info"},
    }
    assert [line.split(":")[0] for line in outline(reading)] == ["9-10 changed"]
    assert covers(reading)
    (why,) = [line.why for line in reading.lines if line.text == "mini_batch_size: 10"]
    assert 'smoke-test.mini-batch = ["FILE"]' in why


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("plumber.R", "it is no Python file, which Azure ML's inference server needs"),
        ("other.py", "src/other.py does not exist"),
        ("../score.py", "it is not below the folder of the code"),
        ("<SCRIPT>", "a placeholder"),
        ("{{SCRIPT}}.py", "a placeholder"),
    ],
)
def test_a_script_that_is_not_known(tmp_path: Path, script: str, expected: str) -> None:
    """Such a script is left over, with the reason. The table is refused without a script, so it names the one there."""
    reading = deployment(
        tmp_path, f"code_configuration:\n  code: src\n  scoring_script: {script}\nmodel: azureml:a:1"
    )

    assert f'3 left-over: entry-script = "score.py"; {expected}; the only script there' in lines_of(reading)
    assert values_of(reading) == {"code": "src", "entry-script": "score.py"}


def test_a_placeholder_for_one_of_two_scripts(tmp_path: Path) -> None:
    """Both are named."""
    text = "code_configuration:\n  code: src\n  scoring_script: <SCRIPT>\nmodel: azureml:a:1\n"

    assert outline(deployment(tmp_path, text, src__other_py=SCORE)) == [
        '3 left-over: entry-script = "other.py"; a placeholder; one of other.py, score.py: name another if it answers'
    ]


def test_code_without_a_script_is_left_over(tmp_path: Path) -> None:
    """A table with code or a model is refused if nothing answers."""
    text = "code_configuration:\n  code: lib\n  scoring_script: score.py\nmodel:\n  path: model\n"

    reading = deployment(tmp_path, text, lib__a_py="", model__a="")

    assert values_of(reading) == {}
    assert outline(reading) == [
        "1-2 left-over: it has no script with init() and run(), and the table needs one",
        "3 left-over: lib/score.py does not exist",
        f"4-5 left-over: {NOT_SERVED}",
    ]


def test_a_script_in_a_folder_of_the_code(tmp_path: Path) -> None:
    """Azure ML starts it in its own folder, and the image does not."""
    text = "code_configuration:\n  code: .\n  scoring_script: src/score.py\nmodel: azureml:a:1\n"

    reading = deployment(tmp_path, text)

    assert values_of(reading) == {"code": ".", "entry-script": "src/score.py", "python-path": ["src"]}
    assert [line.outcome for line in reading.lines if line.line == 3] == [Outcome.CHANGED]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("{path: model/weights.json}", {"model": "model/weights.json"}),
        ("{path: model, type: custom_model, name: a, version: 1}", {"model": "model", "model-name": "model"}),
        ("azureml:churn:1", {}),
        ("azureml://registries/azureml/models/churn/versions/1", {}),
    ],
)
def test_a_model(tmp_path: Path, model: str, expected: dict[str, str]) -> None:
    """A path becomes a key, and a registered model stays in the deployment."""
    code = "code_configuration: {code: src, scoring_script: score.py}"
    text = f"model: {model}\nenvironment: {{image: {MINIMAL}}}\n{code}\n"

    reading = deployment(tmp_path, text, model__weights_json="[]")

    assert values_of(reading) == {"base": "minimal-py312-inference", "code": "src", **expected}
    assert reading.is_whole


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("{path: missing}", "missing does not exist"),
        ("{path: ../model}", "../model is outside the folders that are read: say --root .."),
        ("{path: .}", "its folder has this file or the code in it"),
        ("{path: src}", "its folder has this file or the code in it"),
        ("{path: '{{MODEL}}/x'}", "a placeholder"),
        ("{path: my model}", '"my model" is no name that model-name takes'),
        ("{name: a}", "it names no path"),
        ("{path: model, type: triton_model}", "NVIDIA Triton serves such a model"),
        ("{path: model, shape: 1}", "it is no key of a model that is known here"),
        ("model", "it names no model"),
    ],
)
def test_a_model_that_is_left_over(tmp_path: Path, model: str, expected: str) -> None:
    """The reason says what to do."""
    code = "code_configuration: {code: src, scoring_script: score.py}"
    text = f"model: {model}\nenvironment: {{image: {MINIMAL}}}\n{code}\n"
    files = {"model__weights_json": "[]", "my model__weights_json": "[]"}

    (is_open,) = outline(deployment(tmp_path, text, **files))

    assert is_open.startswith(f"1 left-over: {expected}")


def test_a_model_of_mlflow_without_code(tmp_path: Path) -> None:
    """An image of Azure ML serves it, with the packages that it was saved with."""
    text = "model:\n  path: model\n  type: mlflow_model\n"
    files = {"model__MLmodel": "flavors: {}", "model__requirements_txt": "mlflow==2.1\n"}

    reading = deployment(tmp_path, text, **files)

    assert values_of(reading) == {
        "model": "model",
        "model-name": "model",
        "base": "curated/mlflow-py312-inference",
    }
    changed, refers = outline(reading)
    assert changed.startswith("1-2 changed: ")
    assert "in place of the image that Azure ML makes" in changed
    assert refers == "requirements model/requirements.txt:2"


def test_a_model_of_mlflow_has_the_packages_of_its_conda_file(tmp_path: Path) -> None:
    """Azure ML reads no requirements.txt of a model, which may say something else."""
    files = {
        "model__MLmodel": "",
        "model__requirements_txt": "a==1\n",
        "model__conda_yaml": "dependencies: [numpy]",
    }

    reading = deployment(tmp_path, "model: {path: model}\n", **files)

    assert outline(reading)[-1] == "conda model/conda.yaml:1"


def test_a_model_of_mlflow_for_another_python(tmp_path: Path) -> None:
    """The difference is named."""
    files = {"model__MLmodel": "flavors: {}", "model__conda_yaml": "dependencies: [python=3.8.5]"}

    (is_open,) = outline(deployment(tmp_path, "model:\n  path: model\n", **files))

    assert is_open.startswith("1-2 changed: ")
    assert is_open.endswith(
        "nothing here that names its packages can be installed: write them with the key pip; "
        "model/conda.yaml wants python=3.8.5, and this base has Python 3.12"
    )


MLFLOW_IMAGE = "mcr.microsoft.com/azureml/curated/mlflow-py312-inference:7"
IN_IMAGE = "environment_variables: {AZUREML_ENTRY_SCRIPT: main.py}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("environment: {image: contoso.azurecr.io/a}", "changed: model = "),
        (f"environment: {{image: {MLFLOW_IMAGE}}}", "key: model = "),
        (f"environment: {{image: {MINIMAL}}}", "left-over: the image has no script that loads it"),
        (f"{IN_IMAGE}environment: {{image: {MINIMAL}}}", "changed: model = "),
        ("environment: {image: <IMAGE>}", "changed: model = "),
        ("compute: azureml:cluster", "left-over: Azure ML adds the script that calls the model"),
    ],
)
def test_what_serves_a_model_without_code(tmp_path: Path, text: str, expected: str) -> None:
    """The image, or Azure ML with a script of its own, which the table has not."""
    files = {"model__MLmodel": "", "model__requirements_txt": ""}

    reading = deployment(tmp_path, f"model: {{path: model}}\n{text}\n", **files)

    assert lines_of(reading)[0].startswith(f"1 {expected}")


def test_a_model_that_nothing_serves(tmp_path: Path) -> None:
    """Azure ML serves a model without code only if MLflow saved it."""
    text = "model:\n  path: model\n  type: mlflow_model\n"

    assert outline(deployment(tmp_path, text, model__a="")) == [
        "1-2 left-over: it has no file MLmodel, by which Azure ML serves a model without a script"
    ]


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("A: text", 'key: env.A = "text"'),
        ("A: 5", 'key: env.A = "5"'),
        ("A: 1.10", "left-over: it is a number, which YAML reads as 1.1"),
        ("A: 010", "left-over: it is a number, which YAML reads as 8"),
        ("A: true", "left-over: it is not a text"),
        ("A: [1]", "left-over: it is not a text"),
        ("A B: c", "left-over: its name is not an environment variable name"),
        ("A: $NAME", "left-over: a placeholder"),
        ("A: <NAME>", "left-over: a placeholder"),
        ("A: '{{NAME}}'", "left-over: a placeholder"),
        ("A: ${{azureml://connections/a/credentials/b}}", "deployment: Azure ML replaces it by a secret"),
        ("API_KEY: abc", "deployment: a secret, as its name says"),
        ('A: "a\\nb"', "left-over: its value "),
        ("AZUREML_ENTRY_SCRIPT: score.py", "not-needed: it is the scoring_script"),
        ("AZUREML_ENTRY_SCRIPT: main.py", "left-over: Azure ML sets it to the scoring_script, score.py"),
        ("AZUREML_MODEL_DIR: /var/azureml-app/azureml-models", "not-needed: the key model sets it"),
        ("AZUREML_MODEL_DIR: /models", "left-over: the key model sets it"),
        ("AML_APP_ROOT: /var/azureml-app/src", "not-needed: the code is where the server looks"),
        ("AML_APP_ROOT: /app", "left-over: the code is copied to /var/azureml-app"),
        ("PYTHONPATH: /var/azureml-app/src/lib", 'key: python-path = ["lib"]'),
        ("PYTHONPATH: /var/azureml-app/lib", "left-over: the code is copied to /var/azureml-app"),
        ("PYTHONPATH: /opt/lib", 'key: env.PYTHONPATH = "/opt/lib"'),
        (
            "CONFIG: /var/azureml-app/src/a.json",
            'key: env.CONFIG = "/var/azureml-app/a.json"; the image has the',
        ),
        ("CONFIG: /var/azureml-app/srcs/a.json", 'key: env.CONFIG = "/var/azureml-app/srcs/a.json"'),
        (
            "M: /var/azureml-app/azureml-models/a/1",
            "left-over: in the image the model is /var/azureml-app/azureml-models/model",
        ),
        ("MLFLOW_MODEL_FOLDER: model", 'key: env.MLFLOW_MODEL_FOLDER = "model"'),
        ("AZUREML_EXTRA_REQUIREMENTS_TXT: more.txt", "key: its lines follow: src/more.txt"),
        ("AZUREML_EXTRA_CONDA_YAML: no.yml", "left-over: src/no.yml is no file"),
    ],
)
def test_a_variable(tmp_path: Path, variable: str, expected: str) -> None:
    """A variable becomes one of the image, or is said by a key, or is left over with the reason."""
    text = f"""\
environment_variables:
  {variable}
model: {{path: model}}
code_configuration: {{code: src, scoring_script: score.py}}
environment: {{image: {MINIMAL}}}
"""
    reading = deployment(tmp_path, text, model__a="", src__more_txt="")

    assert lines_of(reading)[0].startswith(f"1-2 {expected}")
    assert covers(reading)


def test_variables_of_an_image_with_code(tmp_path: Path) -> None:
    """Without code in the deployment, the image's own script and folders stay as the variables say."""
    text = f"""\
environment_variables:
  AZUREML_ENTRY_SCRIPT: main.py
  AML_APP_ROOT: /app
  AZUREML_MODEL_DIR: /models
environment: {{image: {MINIMAL}}}
"""
    reading = deployment(tmp_path, text)

    assert reading.is_whole
    assert values_of(reading)["env"] == {
        "AZUREML_ENTRY_SCRIPT": "main.py",
        "AML_APP_ROOT": "/app",
        "AZUREML_MODEL_DIR": "/models",
    }


UNDEFINED = (
    "no file here defines this registered environment: name its file with --from, or its image with --base"
)
ENVIRONMENT = f"name: serving\nversion: 7\nimage: {MINIMAL}\n"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ("environment.yml", ["environment environment.yml:1"]),
        ("file:./environment.yml", ["environment environment.yml:1"]),
        ("azureml:serving:7", ["environment environment.yml:1"]),
        ("azureml:serving@latest", ["environment environment.yml:1"]),
        ("azureml:/subscriptions/a/environments/serving/versions/7", ["environment environment.yml:1"]),
        ("<ENVIRONMENT>", ["1 left-over: a placeholder: name the image with --base"]),
        ("no.yml", ["1 left-over: no.yml does not exist"]),
        (
            "azureml:other:1",
            [f"1 left-over: {UNDEFINED}"],
        ),
    ],
)
def test_an_environment(tmp_path: Path, environment: str, expected: list[str]) -> None:
    """An environment is a file, or the file that defines the registered name."""
    text = f"environment: {environment}\nmodel: azureml:a:1\n"

    assert outline(deployment(tmp_path, text, environment_yml=ENVIRONMENT)) == expected


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("azureml://registries/azureml/environments/sklearn-1.5/versions/3", "curated/sklearn-1.5:3"),
        ("azureml://registries/azureml/environments/AzureML-ACPT/labels/latest", "curated/acpt:latest"),
    ],
)
def test_a_curated_environment(tmp_path: Path, name: str, base: str) -> None:
    """An environment of Microsoft's registry is an image."""
    reading = deployment(tmp_path, f"environment: {name}\nmodel: azureml:a:1\n")

    assert values_of(reading) == {"base": f"mcr.microsoft.com/azureml/{base}", "server": "azmlinfsrv"}
    (changed,) = outline(reading)
    assert "since it starts no inference server; the image runs as dockeruser" in changed


def test_an_environment_that_two_files_define(tmp_path: Path) -> None:
    """The file of the version counts; of two without it a person has to choose."""
    older = ENVIRONMENT.replace("7", "6")
    both = {"environment_yml": ENVIRONMENT, "older_yml": older}

    assert outline(deployment(tmp_path, "environment: azureml:serving:6\nmodel: azureml:a:1", **both)) == [
        "environment older.yml:1"
    ]
    assert outline(
        deployment(tmp_path, "environment: azureml:serving@latest\nmodel: azureml:a:1", **both)
    ) == ["1 left-over: several files define it: environment.yml, older.yml. Name one of them with --from"]


def test_definitions_are_looked_for_inside_the_root(tmp_path: Path) -> None:
    """A link out of the root or in a circle is not followed, and a file that only looks like one is passed over."""
    project = tmp_path / "project"
    lay_out(
        {
            "outside/environment.yml": ENVIRONMENT,
            "project/deep/other.yml": "name: serving\nimage: [",
            "project/x.yml": "",
        },
        tmp_path,
    )
    (project / "outside").symlink_to(tmp_path / "outside")
    (project / "environment.yml").symlink_to(tmp_path / "outside/environment.yml")
    (project / "circle").symlink_to(project)
    (project / "loop.yml").symlink_to("loop.yml")

    reading = deployment(project, "environment: azureml:serving:7\nmodel: azureml:a:1\n")

    assert outline(reading) == [f"1 left-over: {UNDEFINED}"]


def test_what_is_unknown_is_left_over(tmp_path: Path) -> None:
    """A key that the schema does not have, a pipeline, a merge key and a tag."""
    text = f"""\
---
nmae: blue
component: pipeline.yml
environment: {{image: {MINIMAL}}}
request_settings:
  <<: {{request_timeout_ms: 4000}}
tags: !!python/none x
"""
    reading = deployment(tmp_path, text)

    assert [line.line for line in reading.lines if line.outcome is Outcome.LEFT_OVER] == [1, 3, 6, 7]
    assert covers(reading)


def test_anchors_and_line_ends_of_windows(tmp_path: Path) -> None:
    """An alias has the value of its anchor, and each line its outcome."""
    text = f"""\
environment_variables: &variables
  LEVEL: &level info
  OTHER: *level
tags: *variables
environment: {{image: {MINIMAL}}}
""".replace("\n", "\r\n")

    reading = deployment(tmp_path, text)

    assert values_of(reading)["env"] == {"LEVEL": "info", "OTHER": "info"}
    assert [(line.line, line.end) for line in reading.lines] == [(1, 2), (3, 3), (4, 4), (5, 5)]
    assert reading.is_whole


def test_a_deployment_that_names_nothing(tmp_path: Path) -> None:
    """It says nothing of the image, so it is not whole."""
    reading = deployment(tmp_path, "name: blue\ninstance_type: Standard_DS3_v2\n")

    assert outline(reading) == [
        "1 left-over: it names no environment, no model and no code: they are given when it is deployed"
    ]


@pytest.mark.parametrize("text", ["", "[]", "a: b: c", "text"])
def test_what_is_no_deployment(tmp_path: Path, text: str) -> None:
    """A text without keys is a mistake with its file."""
    with pytest.raises(SettingsError, match=r"deployment\.yml"):
        deployment(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        "environment_variables:\n" + "".join(f"  V{number}: x\n" for number in range(2000)),
        "environment_variables: {"
        + ", ".join(f"V{number}: {number}" for number in range(2000))
        + "}"
        + "\n" * 200_000,
        "".join(f"u{number}: [1]\n" for number in range(2000)),
        "environment_variables:\n  V: " + "\ue0f0" * 150_000,
        "environment: azureml:/" + "/environments/a" * 60_000,
    ],
    ids=["variables", "one-line", "keys", "marks", "address"],
)
def test_a_large_deployment_is_read(tmp_path: Path, text: str) -> None:
    """The time grows with the text, not with its square, which would take minutes."""
    assert covers(deployment(tmp_path, text))


@pytest.mark.parametrize(
    "value", ["https://me:secret@host/a", "mongodb://me:p@ss/w@host", "https://abc@host/a"]
)
def test_a_login_stays_in_the_deployment(tmp_path: Path, value: str) -> None:
    """The environment of an image is readable for everybody who has the image, and so is pyproject.toml."""
    reading = deployment(tmp_path, f"environment_variables:\n  URL: {value}\n  REMOTE: ssh://git@host/a\n")

    assert values_of(reading)["env"] == {"REMOTE": "ssh://git@host/a"}
    assert "2 deployment: it has a login, which would stay readable in the image" in lines_of(reading)


@pytest.mark.parametrize(
    ("files", "why"),
    [
        (["src/.gitignore"], "; with what src/.gitignore names, which Azure ML leaves out: write exclude"),
        (["src/.gitignore", "src/.amlignore"], ""),
        (
            [".amlignore"],
            "; without what .amlignore names, which Azure ML reads only in the folder of the code",
        ),
        ([".amlignore", ".dockerignore"], ""),
    ],
)
def test_code_of_which_azure_ml_uploads_other_files(tmp_path: Path, files: list[str], why: str) -> None:
    """Azure ML and the build of an image do not read the same ignore files."""
    lay_out(dict.fromkeys(files, "*.csv\n"), tmp_path)
    reading = deployment(tmp_path, "code_configuration:\n  code: src\n  scoring_script: score.py\n")

    outcome = "changed" if why else "key"
    assert any(each.endswith(f' {outcome}: code = "src"{why}') for each in lines_of(reading))
