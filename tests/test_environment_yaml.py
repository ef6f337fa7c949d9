"""The YAML for Azure ML of a pushed image, as whole texts, and the command that writes it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from azureml_tasks.azureml import environment_yaml
from azureml_tasks.azureml.environment_yaml import Pushed, deployment_text, environment_text
from azureml_tasks.config import azure_validators
from azureml_tasks.config.fields import UNSET
from azureml_tasks.plain_text import clean
from azureml_tasks.project.model import SmokeTestPlan, SmokeTestRequest
from tests.consumers import consumer, invoke
from tests.plans import plan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DIGEST = "1234567890ab" + "0" * 52
PUSHED = Pushed(image=f"contoso.azurecr.io/team/iris@sha256:{DIGEST}", tags=("1.0.0", "latest"), started=1.5)
ENVIRONMENT = f"""\
# Generated from [tool.azureml-image] by image.environment.
$schema: "https://azuremlschemas.azureedge.net/latest/environment.schema.json"
name: "team-iris"
version: "sha256-1234567890ab"
description: "contoso.azurecr.io/team/iris:1.0.0, contoso.azurecr.io/team/iris:latest"
image: "contoso.azurecr.io/team/iris@sha256:{DIGEST}"
os_type: "linux"
inference_config:
  liveness_route:
    port: 5001
    path: "/"
  readiness_route:
    port: 5001
    path: "/"
  scoring_route:
    port: 5001
    path: "/score"
"""
BAKED = """\
# Generated from [tool.azureml-image] by image.environment.
$schema: "https://azuremlschemas.azureedge.net/latest/managedOnlineDeployment.schema.json"
name: "team-iris-12345678"
endpoint_name: "scoring"
environment: "azureml:team-iris:sha256-1234567890ab"
instance_type: "Standard_DS3_v2"
instance_count: 1
request_settings:
  request_timeout_ms: 5000
  max_concurrent_requests_per_instance: 1
"""
BARE = """\
# Generated from [tool.azureml-image] by image.environment.
$schema: "https://azuremlschemas.azureedge.net/latest/managedOnlineDeployment.schema.json"
name: "other-12345678"
endpoint_name: "scoring"
# The image contains no model, so Azure ML mounts this one. Write the name of your model.
model: "azureml:other@latest"
# The image contains no code, so Azure ML mounts this. Write your folder, relative to this file, and script.
code_configuration:
  code: "./code"
  scoring_script: "score.py"
environment: "azureml:other:sha256-1234567890ab"
instance_type: "Standard_DS3_v2"
instance_count: 1
request_settings:
  request_timeout_ms: 30000
  max_concurrent_requests_per_instance: 4
# The start took 200 s in the smoke test; Azure ML's default probes wait 310 s.
liveness_probe:
  initial_delay: 401
readiness_probe:
  failure_threshold: 41
"""
WITHOUT_A_MODEL = """\
# The image contains no model. If its code loads one, add a line with its name:
# model: "azureml:team-iris@latest"
environment: "azureml:team-iris:sha256-1234567890ab"
"""
SCORING = {"endpoint": "scoring", "instance_type": "Standard_DS3_v2"}


def request(timeout: float) -> SmokeTestRequest:
    """Return a request that may take *timeout* seconds."""
    return SmokeTestRequest(
        name="r", path="/score", body=b"", status=200, expect=UNSET, tolerance=0, timeout=timeout
    )


def deployment(pushed: Pushed = PUSHED, **changes: Any) -> str:
    """Return the deployment of an image with code and model, unless *changes* changes its plan."""
    baked = plan(
        **{"registry": "contoso.azurecr.io", "repository": "team/iris", "has_model": True, **changes}
    )
    return deployment_text(pushed, baked, **SCORING)


def test_an_environment_names_the_image_by_its_digest() -> None:
    """The whole text is the same for the same image."""
    assert ENVIRONMENT == environment_text(PUSHED, SmokeTestPlan())
    assert ENVIRONMENT.replace('"team-iris"', '"iris"') == environment_text(
        PUSHED, SmokeTestPlan(), name="iris"
    )


def test_a_deployment_of_an_image_with_model_and_code() -> None:
    """Neither model nor code is mounted, and Azure ML's default probes suffice."""
    assert deployment() == BAKED


def test_a_deployment_of_an_image_that_the_script_of_its_base_serves() -> None:
    """An MLflow model in such an image needs no code that Azure ML mounts."""
    assert deployment(has_code=False, served_by_base=True) == BAKED


def test_a_deployment_of_an_image_without_model_and_code_that_starts_slowly() -> None:
    """What is mounted is named, with a comment on what to write; timeout and probes follow from the smoke test."""
    slow = Pushed(image=PUSHED.image, tags=PUSHED.tags, started=200.4)
    bare = plan(
        has_model=False,
        has_code=False,
        env={"WORKER_COUNT": "4"},
        smoke_test=SmokeTestPlan(requests=(request(7.25), request(30))),
    )

    assert deployment_text(slow, bare, name="other", **SCORING) == BARE


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"smoke_test": SmokeTestPlan(model="/m")}, 'model: "azureml:team-iris@latest"\nenvironment: '),
        ({}, WITHOUT_A_MODEL),
        ({"env": {"AZUREML_MODEL_DIR": "/opt/model"}}, 'endpoint_name: "scoring"\nenvironment: '),
        (
            {"has_code": False, "env": {"AZUREML_ENTRY_SCRIPT": "score.py"}},
            WITHOUT_A_MODEL,
        ),
    ],
)
def test_a_model_is_mounted_if_the_smoke_test_mounted_one(changes: dict[str, Any], text: str) -> None:
    """Code that was tested without a model needs none; the base may have its own model or code."""
    assert text in deployment(**{"has_model": False, **changes})
    assert "code_configuration" not in deployment(**{"has_model": False, **changes})


@pytest.mark.parametrize(
    ("timeouts", "milliseconds"),
    [((), 5000), ((0.5,), 5000), ((5.0, 7.25), 7250), ((4.35, 8.1234), 8123), ((180,), 180_000)],
)
def test_a_request_may_take_as_long_as_in_the_smoke_test(
    timeouts: tuple[float, ...], milliseconds: int
) -> None:
    """But never less than Azure ML's default."""
    deployed = yaml.safe_load(deployment(smoke_test=SmokeTestPlan(requests=tuple(map(request, timeouts)))))

    assert milliseconds == deployed["request_settings"]["request_timeout_ms"]


@pytest.mark.parametrize(
    ("count", "workers"), [("1", 1), ("12", 12), ("0", 1), ("", 1), ("auto", 1), ("-3", 1), ("9" * 5000, 1)]
)
def test_the_concurrency_is_that_of_the_server(count: str, workers: int) -> None:
    """It is WORKER_COUNT if the server can read it, else the server's default."""
    deployed = yaml.safe_load(deployment(env={"WORKER_COUNT": count}))

    assert workers == deployed["request_settings"]["max_concurrent_requests_per_instance"]


@pytest.mark.parametrize(
    ("started", "probes"),
    [
        (None, [None, None]),
        (155.0, [None, None]),
        (155.1, [{"initial_delay": 311}, {"failure_threshold": 32}]),
        (3600.0, [{"initial_delay": 7200}, {"failure_threshold": 720}]),
    ],
)
def test_probes_wait_for_twice_the_start_that_was_measured(started: float | None, probes: list[Any]) -> None:
    """Azure ML's default probes wait 310 s, which is enough for a faster start."""
    deployed = yaml.safe_load(deployment(Pushed(image=PUSHED.image, tags=PUSHED.tags, started=started)))

    assert probes == [deployed.get("liveness_probe"), deployed.get("readiness_probe")]


@pytest.mark.parametrize(
    ("repository", "environment", "name"),
    [
        ("adder", "adder", "adder-12345678"),
        ("a/b.c__d", "a-b-c__d", "a-b-c-d-12345678"),
        ("azureml/adder", "image-azureml-adder", "image-azureml-adder-12345678"),
        ("microsoft", "image-microsoft", "image-microsoft-12345678"),
        ("2fast", "2fast", "image-2fast-12345678"),
        ("a" * 40, "a" * 40, "a" * 23 + "-12345678"),
        ("a" * 22 + "-b", "a" * 22 + "-b", "a" * 22 + "-12345678"),
    ],
)
def test_names_follow_from_the_repository(repository: str, environment: str, name: str) -> None:
    """Azure ML accepts each name."""
    pushed = Pushed(image=f"r.io:5000/{repository}@sha256:{DIGEST}", tags=("1",))

    assert environment == yaml.safe_load(environment_text(pushed, SmokeTestPlan()))["name"]
    assert name == yaml.safe_load(deployment(pushed))["name"]
    assert ["", ""] == [
        azure_validators.ENVIRONMENT.error(environment),
        azure_validators.ENDPOINT.error(name),
    ]


@given(
    digest=st.text("0123456789abcdef", min_size=64, max_size=64),
    repository=st.from_regex(r"[a-z0-9]+(?:(?:\.|_|__|-+|/)[a-z0-9]+)*", fullmatch=True),
)
def test_any_image_gets_names_that_azure_ml_accepts(digest: str, repository: str) -> None:
    """The version stays a string in YAML, for any digest."""
    pushed = Pushed(image=f"r.io/{repository[:200].rstrip('._-/')}@sha256:{digest}", tags=("1",))
    environment, deployed = (
        yaml.safe_load(environment_text(pushed, SmokeTestPlan())),
        yaml.safe_load(deployment(pushed)),
    )

    assert f"sha256-{digest[:12]}" == environment["version"]
    assert f"azureml:{environment['name']}:{environment['version']}" == deployed["environment"]
    assert ["", ""] == [
        azure_validators.ENVIRONMENT.error(environment["name"]),
        azure_validators.ENDPOINT.error(deployed["name"]),
    ]


KEYS = st.from_regex(r"k_[a-z]{1,4}", fullmatch=True)
HOSTILE = st.one_of(
    st.text(st.characters(), max_size=12),
    st.from_regex(r"[-+]?[0-9_]{1,9}(\.[0-9]{0,3})?(e[-+]?[0-9]{1,2})?|0[xo][0-9a-f]{1,6}", fullmatch=True),
    st.sampled_from(["", "~", "null", "Yes", "off", "y", ".inf", ".NaN", "<<", "=", "2024-01-01", "1:30"]),
    st.sampled_from(
        ["# a", "a: b", "- a", "&a", "*a", "!a", "'", '"', "\\", "\ud800", "\x85", "\ufeff", "\0"]
    ),
)
NESTED = st.dictionaries(KEYS, HOSTILE | st.integers(), min_size=1, max_size=3)


@given(st.dictionaries(KEYS, HOSTILE | st.integers() | NESTED, min_size=1, max_size=4))
def test_yaml_reads_back_what_was_written(values: Mapping[str, environment_yaml.Value]) -> None:
    """Strings stay strings and numbers numbers, in their order; comments change nothing; all is ASCII."""
    text = environment_yaml.dump(values, dict.fromkeys(values, "a: b\n- c"))
    read = yaml.safe_load(text)

    assert (values, list(values), True) == (read, list(read), text.isascii())


RECORD = {
    "image": PUSHED.image,
    "id": "sha256:" + "5" * 64,
    "tags": ["1.0.0", "latest"],
    "digest": f"sha256:{DIGEST}",
    "context_sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "smoke": {"passed": True, "started": 1.5},
}
FOR_SCORING = ("--deployment", "--endpoint=scoring", "--instance-type=Standard_DS3_v2")
CHANGED = (
    "warning: files have changed since contoso.azurecr.io/team/iris:1.0.0 was built; "
    "the YAML is of what was pushed\n"
)
UNTESTED = "warning: contoso.azurecr.io/team/iris:1.0.0 was pushed without having passed its smoke test\n"
ALL_WRONG = """\
--endpoint: is "1a", which is not an Azure ML endpoint name
    Use 3 to 32 letters, digits and "-". Start with a letter and do not end with "-".

--instance-type: is "4 cores", which is not a virtual machine size
    https://learn.microsoft.com/azure/machine-learning/reference-managed-online-endpoints-vm-sku-list

--name: is "AzureML-a b", which is not an Azure ML environment name
    Use at most 255 letters, digits, "_" and "-". The name cannot start with "AzureML" or "Microsoft".

3 problems; nothing was written.
"""
MISSING = """\
--endpoint: is missing, and --deployment needs it
    az ml online-endpoint list --output table
    then add: --endpoint NAME

--instance-type: is missing, and --deployment needs it
    Add the VM size that you want to pay for, such as: --instance-type Standard_DS3_v2

2 problems; nothing was written.
"""
MEANINGLESS = """\
--endpoint: is only for a deployment
    Add --deployment, or leave it out.

--instance-type: is only for a deployment
    Add --deployment, or leave it out.

2 problems; nothing was written.
"""


@pytest.mark.parametrize(
    "text", ["##vso[task.prependpath]/x", "/##[group]", "::error::", "a ##vso[a.b c=d]e"]
)
def test_a_ci_system_finds_no_command_in_yaml(text: str) -> None:
    """Stdout of the task is a log: paths, variables and names of files are those of the table."""
    written = environment_yaml.dump({"path": text, "variables": {"A": text}})

    assert {"path": text, "variables": {"A": text}} == yaml.safe_load(written)
    assert written == clean(written)


def pushed_project(folder: Path, **changes: Any) -> Path:
    """Write a project with only its table and the record of its last push."""
    project = consumer(folder)
    (project / ".azureml-image").mkdir()
    record = json.dumps({**RECORD, **changes})
    (project / ".azureml-image" / "result.json").write_text(record, encoding="utf-8")
    return project


def test_the_environment_alone_is_on_stdout(tmp_path: Path) -> None:
    """A file gets the same bytes; `--name` overrides the name from the repository."""
    folder = pushed_project(tmp_path)

    printed = invoke(folder, "image.environment")
    named = invoke(folder, "image.environment", "--name=iris", "--output=e.yml")

    assert (0, ENVIRONMENT, "") == (printed.code, printed.out, printed.err)
    assert (0, "", "") == (named.code, named.out, named.err)
    assert ENVIRONMENT.replace('"team-iris"', '"iris"') == (folder / "e.yml").read_text(encoding="utf-8")


def test_a_deployment_fits_the_environment(tmp_path: Path) -> None:
    """The image has no model and no code, so the deployment mounts them."""
    ended = invoke(pushed_project(tmp_path), "image.environment", *FOR_SCORING)
    deployed = yaml.safe_load(ended.out)

    assert (0, "") == (ended.code, ended.err)
    assert ["team-iris-12345678", "scoring", "azureml:team-iris:sha256-1234567890ab", "Standard_DS3_v2"] == [
        deployed[key] for key in ("name", "endpoint_name", "environment", "instance_type")
    ]
    assert ["azureml:team-iris@latest", "./code"] == [
        deployed["model"],
        deployed["code_configuration"]["code"],
    ]


@pytest.mark.parametrize(
    ("changes", "warnings"),
    [
        ({"smoke": None}, UNTESTED),
        ({"context_sha256": "0" * 64}, CHANGED),
        ({"smoke": None, "context_sha256": "0" * 64}, UNTESTED + CHANGED),
        ({"smoke": {"passed": True}}, ""),
    ],
)
def test_warnings_of_the_image(changes: dict[str, Any], warnings: str, tmp_path: Path) -> None:
    """An image that was pushed untested, and files that changed since, give warnings; an unknown start does not."""
    ended = invoke(pushed_project(tmp_path, **changes), "image.environment")

    assert (0, ENVIRONMENT, warnings) == (ended.code, ended.out, ended.err)


@pytest.mark.parametrize(
    ("words", "err"),
    [
        (("--deployment",), MISSING),
        (("--endpoint=scoring", "--instance-type=Standard_DS3_v2"), MEANINGLESS),
        (("--deployment", "--name=AzureML-a b", "--endpoint=1a", "--instance-type=4 cores"), ALL_WRONG),
    ],
)
def test_every_flag_that_is_wrong_is_named(words: tuple[str, ...], err: str, tmp_path: Path) -> None:
    """All are reported together, with exit code 2."""
    ended = invoke(pushed_project(tmp_path), "image.environment", *words)

    assert (2, "", err) == (ended.code, ended.out, ended.err)


@pytest.mark.parametrize(
    ("built", "err"),
    [
        (False, "Nothing is built and pushed yet.\n    invoke image.release\nNothing was written.\n"),
        (
            True,
            "The image that was built last is not pushed yet.\n    invoke image.push\nNothing was written.\n",
        ),
    ],
)
def test_nothing_is_pushed_yet(built: bool, err: str, tmp_path: Path) -> None:
    """The exit code is 4, and the message has the next command."""
    folder = consumer(tmp_path, files={".azureml-image/build.json": "{}"} if built else {})

    ended = invoke(folder, "image.environment")

    assert (4, "", err) == (ended.code, ended.out, ended.err)


def test_a_dry_run_prints_what_to_paste_and_writes_nothing(tmp_path: Path) -> None:
    """`--dry` with `--output` prints the command with its flags; `--echo` prints it on stderr and writes."""
    folder = pushed_project(tmp_path)
    words = ("image.environment", "--output=a b", "--project=.", "--name=iris", *FOR_SCORING)

    dry = invoke(folder, "--dry", *words)
    is_written = (folder / "a b").exists()
    echoed = invoke(folder, "--echo", *words)

    line = (
        "invoke image.environment --project . --name iris --deployment --endpoint scoring "
        "--instance-type Standard_DS3_v2 > 'a b'\n"
    )
    assert (0, line, "", False) == (dry.code, dry.out, dry.err, is_written)
    assert (0, "", line, True) == (echoed.code, echoed.out, echoed.err, (folder / "a b").exists())


def test_another_smoke_test_than_the_one_that_was_passed(tmp_path: Path) -> None:
    """The YAML has the table's port and paths, which nothing has proven yet."""
    folder = pushed_project(tmp_path)
    record = {"id": RECORD["id"], "smoke_test_sha256": "0" * 64, "smoke": RECORD["smoke"]}
    (folder / ".azureml-image" / "smoke-test.json").write_text(json.dumps(record), encoding="utf-8")

    ended = invoke(folder, "image.environment")

    assert (0, ENVIRONMENT) == (ended.code, ended.out)
    assert "passed another smoke test than the table and its files ask for now" in ended.err


def test_a_batch_image_has_no_online_deployment(tmp_path: Path) -> None:
    """Nothing has proven that it answers requests."""
    folder = pushed_project(tmp_path)
    table = folder / "pyproject.toml"
    text = (
        table.read_text(encoding="utf-8")
        + '\n[tool.azureml-image.smoke-test]\nmini-batch = ["code/score.py"]\n'
    )
    table.write_text(text, encoding="utf-8")
    (folder / "code").mkdir()
    (folder / "code/score.py").write_text("def init(): ...\ndef run(mini_batch): ...\n", encoding="utf-8")

    ended = invoke(folder, "image.environment", *FOR_SCORING)

    assert 2 == ended.code
    assert "prints an online deployment, and smoke-test.mini-batch is for the script of a batch" in ended.err
