"""The action for GitHub, the template for Azure Pipelines and the recipes of docs/ci.md that use them.

Their steps run here with a program that notes its words and variables, and in `tests/real` with ours.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.ci_systems import (
    ACTION,
    ACTION_FILE,
    GITHUB,
    OURS,
    PIPELINE,
    TEMPLATE,
    TEMPLATE_FILE,
    AzureRun,
    GithubRun,
)
from tests.documentation import DOCS, ROOT, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

REGISTRY = "contoso.azurecr.io"
WORKFLOWS = [ROOT / ".github" / "workflows" / "ci.yml", ACTION_FILE]
SECRETS = r"secrets\.|client-secret|creds:|password|az login"
"""What a sign-in with a secret would name."""
IDENTITY = {f"vars.AZURE_{name}_ID": name.lower() for name in ("CLIENT", "TENANT", "SUBSCRIPTION")}
OPTIONS = ("--project", ".")
TEST = [
    ("check", *OPTIONS),
    ("build", *OPTIONS),
    ("smoke-test", *OPTIONS, "--junit", "smoke-test.xml"),
]
RELEASE = [
    ("release", *OPTIONS, "--engine", "docker", "--junit", "smoke-test.xml"),
    ("environment", *OPTIONS, "--output", "environment.yml"),
]
_PYTHON = """\
import json, os, sys
from pathlib import Path

program, *words = sys.argv[1:]
name = Path(program).name
variables = {{key: value for key, value in os.environ.items() if key.startswith(("INVOKE_", "AZUREML_IMAGE_"))}}
if words[:2] == ["-I", "-c"]:
    print(Path(words[3]).resolve().as_uri())
elif words[:3] == ["-I", "-m", "venv"]:
    bin = Path(words[3]) / "bin"
    bin.mkdir(parents=True, exist_ok=True)
    for each in {{"python", "azureml-image"}} - {{file.name for file in bin.iterdir()}}:
        (bin / each).symlink_to({notes!r} + "/python3")
else:
    with open({notes!r} + "/notes", "a") as notes:
        notes.write(json.dumps([name, words, variables]) + "\\n")
if words[:1] == ["release"]:
    lines = {{"image": "r.io/x@sha256:1", "digest": "sha256:1", "tags": "1"}}
    if "GITHUB_OUTPUT" in os.environ:
        with open(os.environ["GITHUB_OUTPUT"], "a") as file:
            file.writelines(f"{{key}}={{value}}\\n" for key, value in lines.items())
    else:
        for key, value in lines.items():
            print(f"##vso[task.setvariable variable={{key}};isOutput=true]{{value}}")
"""


class Machine:
    """A CI machine whose Python and `az` note how they are called.

    Args:
        folder: for all of it.
    """

    def __init__(self, folder: Path) -> None:
        self.programs, self.temp, self.checkout = (folder / name for name in ("programs", "temp", "checkout"))
        for each in (self.programs, self.temp, self.checkout):
            each.mkdir(parents=True)
        script = folder / "program.py"
        script.write_text(_PYTHON.format(notes=str(self.programs)), encoding="utf-8")
        command = shlex.join([sys.executable, str(script)])
        for name in ("python3", "az"):
            file = self.programs / name
            file.write_text(f'#!/bin/sh\nexec {command} "$0" "$@"\n', encoding="utf-8")
            file.chmod(0o755)

    @property
    def env(self) -> dict[str, str]:
        """The environment of each step."""
        return {"PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}"}

    @property
    def calls(self) -> list[tuple[str, tuple[str, ...], dict[str, str]]]:
        """Each call of a program: its name, its words, and its variables for azureml-tasks."""
        lines = (self.programs / "notes").read_text(encoding="utf-8").splitlines()
        return [(name, tuple(words), variables) for name, words, variables in map(json.loads, lines)]

    def github(self, event: str, ref: str = "refs/heads/main") -> GithubRun:
        """Return a run of the workflow."""
        return GithubRun(
            folder=self.checkout, env=self.env, temp=self.temp, event=event, ref=ref, contexts=IDENTITY
        )

    def azure(self, reason: str, branch: str) -> AzureRun:
        """Return a run of the pipeline."""
        variables = {"Build.Reason": reason, "Build.SourceBranch": branch, "AZUREML_TASKS": "the package"}
        return AzureRun(folder=self.checkout, env=self.env, temp=self.temp, variables=variables)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return a machine."""
    return Machine(tmp_path)


def words_of(machine: Machine, program: str) -> list[tuple[str, ...]]:
    """Return the words of each call of *program*."""
    return [words for name, words, _ in machine.calls if name == program]


def test_github_tests_a_pull_request(machine: Machine) -> None:
    """A pull request is checked, built and tested, with the list of registries and caches of its own."""
    run = machine.github("pull_request", "refs/pull/7/merge")

    assert (True, False) == (run.job("test"), run.job("release"))
    variables = {
        "INVOKE_AZUREML_IMAGE_ALLOWED_REGISTRIES": REGISTRY,
        "INVOKE_AZUREML_IMAGE_CACHE_SCOPE": "refs/pull/7/merge",
        "AZUREML_IMAGE_NETRC": "",
        "AZUREML_IMAGE_PIP_CONF": "",
    }
    assert [("azureml-image", words, variables) for words in TEST] == machine.calls[1:]
    package = f"azureml-tasks @ {ROOT.as_uri()}"
    install = ("-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package)
    assert install == machine.calls[0][1]


def test_github_releases_a_push(machine: Machine) -> None:
    """A push to main signs in by its federated credential, releases, and passes the image on."""
    run = machine.github("push")

    assert (False, True) == (run.job("test"), run.job("release"))
    assert words_of(machine, "azureml-image") == RELEASE
    assert words_of(machine, "az") == [("acr", "login", "--name", "contoso")]
    assert {
        variables.get("INVOKE_AZUREML_IMAGE_REGISTRY")
        for name, _, variables in machine.calls
        if name == "azureml-image"
    } == {REGISTRY}
    names = [step.name.partition("@")[0] for step in run.steps]
    assert names == [
        *("actions/checkout", "Choose whose caches are used", "Install azureml-tasks", "azure/login"),
        *("Sign in to the registry", "Release", "Show the image", "actions/upload-artifact"),
    ]
    assert run.steps[-2].out == "Pushed r.io/x@sha256:1\n"


@pytest.mark.parametrize("event", ["pull_request_target", "workflow_run", "issue_comment"])
def test_github_refuses_an_event_that_mixes_trust(event: str, machine: Machine) -> None:
    """Such an event has the ref and the secrets of main and may have the files of a fork: nothing is installed."""
    run = machine.github(event)

    run.action(allowed_registries=REGISTRY)

    assert [2] == [step.code for step in run.steps]
    assert run.steps[0].out.startswith(
        "::error title=azureml-image::the event may have the secrets of one branch"
    )


@pytest.mark.parametrize("release", ["true", "TRUE"])
def test_github_releases_no_pull_request(release: str, machine: Machine) -> None:
    """A workflow that forgets the condition of its release job pushes nothing for a pull request."""
    run = machine.github("pull_request", "refs/pull/7/merge")

    run.action(allowed_registries=REGISTRY, release=release, client_id="client")

    assert [2] == [step.code for step in run.steps]


def test_github_gives_the_secrets_of_the_run(machine: Machine) -> None:
    """A secret is the text of a variable, which the tasks are told of by name; other inputs are flags."""
    inputs = {
        "netrc": "machine x",
        "pip_conf": "[global]",
        "image": "gpu",
        "project": "serving",
        "engine": "acr",
    }

    machine.github("push").action(allowed_registries=REGISTRY, release="true", registry="r.io", **inputs)

    name, words, variables = machine.calls[-2]
    assert (name, words[:5]) == ("azureml-image", ("release", "--project", "serving", "--image", "gpu"))
    assert words[5:7] == ("--engine", "acr")
    assert variables == {
        "INVOKE_AZUREML_IMAGE_ALLOWED_REGISTRIES": REGISTRY,
        "INVOKE_AZUREML_IMAGE_CACHE_SCOPE": "refs/heads/main",
        "INVOKE_AZUREML_IMAGE_REGISTRY": "r.io",
        "INVOKE_AZUREML_IMAGE_SECRET_NETRC": "env:AZUREML_IMAGE_NETRC",
        "INVOKE_AZUREML_IMAGE_SECRET_PIP_CONF": "env:AZUREML_IMAGE_PIP_CONF",
        "AZUREML_IMAGE_NETRC": "machine x",
        "AZUREML_IMAGE_PIP_CONF": "[global]",
    }
    assert "azureml-tasks[acr] @ file://" in machine.calls[0][1][-1]


@pytest.mark.parametrize("reason", ["PullRequest", "Manual"])
def test_azure_pipelines_tests_a_pull_request(reason: str, machine: Machine) -> None:
    """A pull request is tested with caches of its own, also by a template that is told to release.

    A person can queue a run of its ref as well.
    """
    run = machine.azure(reason, "refs/pull/7/merge")

    run.run(PIPELINE["steps"])
    run.template(azuremlTasks="x", allowedRegistries=REGISTRY, release=True, azureSubscription="y")

    variables = {
        "INVOKE_AZUREML_IMAGE_ALLOWED_REGISTRIES": REGISTRY,
        "INVOKE_AZUREML_IMAGE_CACHE_SCOPE": "refs/pull/7/merge",
    }
    own = {**variables, "INVOKE_AZUREML_IMAGE_REGISTRY": REGISTRY}
    tests = [(words, each) for name, words, each in machine.calls if name == "azureml-image"]
    assert tests == [*((words, own) for words in TEST), *((words, variables) for words in TEST)]
    assert not [step for step in run.steps if step.name == "Release"]


def test_azure_pipelines_releases_main(machine: Machine) -> None:
    """The main branch signs in, releases, and passes the image on; the package is what the variable names."""
    run = machine.azure("IndividualCI", "refs/heads/main")

    run.run(PIPELINE["steps"])

    assert words_of(machine, "azureml-image") == RELEASE
    assert words_of(machine, "az") == [("acr", "login", "--name", "contoso")]
    assert machine.calls[0][1][-1] == "azureml-tasks @ the package"
    names = ["Install azureml-tasks", "Release", "PublishTestResults@2", "Show the image", "publish"]
    assert names == [step.name for step in run.steps]
    assert run.steps[3].out == "Pushed r.io/x@sha256:1\n"


def test_azure_pipelines_gives_the_secrets_of_the_run(machine: Machine) -> None:
    """The template names secret variables of the pipeline; without them no secret is given."""
    run = machine.azure("IndividualCI", "refs/heads/main")
    run.variables |= {"NETRC": "machine x", "PIP_CONF": "[global]"}

    run.template(
        azuremlTasks="x",
        allowedRegistries=REGISTRY,
        netrcVariable="NETRC",
        pipConfVariable="PIP_CONF",
        image="gpu",
    )

    name, words, variables = machine.calls[-1]
    assert (name, words) == (
        "azureml-image",
        ("smoke-test", *OPTIONS, "--image", "gpu", "--junit", "smoke-test.xml"),
    )
    assert variables == {
        "INVOKE_AZUREML_IMAGE_ALLOWED_REGISTRIES": REGISTRY,
        "INVOKE_AZUREML_IMAGE_CACHE_SCOPE": "refs/heads/main",
        "INVOKE_AZUREML_IMAGE_SECRET_NETRC": "env:AZUREML_IMAGE_NETRC",
        "INVOKE_AZUREML_IMAGE_SECRET_PIP_CONF": "env:AZUREML_IMAGE_PIP_CONF",
        "AZUREML_IMAGE_NETRC": "machine x",
        "AZUREML_IMAGE_PIP_CONF": "[global]",
    }


def test_nothing_of_others_is_a_part_of_a_script(machine: Machine) -> None:
    """An input is a variable of a script: one that holds a command is a text."""
    hostile = '$(touch owned); "; touch owned; `touch owned`'

    machine.github("push", hostile).action(
        allowed_registries=hostile, project=hostile, image=hostile, junit=hostile
    )

    scripts = [step["run"] for step in ACTION["runs"]["steps"] if "run" in step]
    assert [text for text in scripts if "${{" in text] == []
    assert [text for text in _scripts(TEMPLATE["steps"]) if re.search(r"\$\{\{|\$\([A-Za-z.]+\)", text)] == []
    assert words_of(machine, "azureml-image")[0] == ("check", "--project", hostile, "--image", hostile)
    assert not list(machine.checkout.parent.rglob("owned"))


def test_python_imports_nothing_of_the_checkout() -> None:
    """With -c and -m it would look in the current folder first, where a pull request may have a venv.py."""
    scripts = [step["run"] for step in ACTION["runs"]["steps"] if "run" in step]
    scripts += _scripts(TEMPLATE["steps"])

    options = [word for text in scripts for word in re.findall(r"\bpython3?\"? (\S+)", text)]
    assert options == ["-I"] * 5


def test_actions_of_others_are_named_by_their_commit() -> None:
    """A tag can be moved; the comment says which version the commit is."""
    texts = [file.read_text(encoding="utf-8") for file in WORKFLOWS] + [blocks(DOCS / "ci.md", "yaml")[0]]
    used = [line.split("uses: ")[1] for text in texts for line in text.splitlines() if "uses: " in line]

    others = [line for line in used if not line.startswith(OURS)]
    assert len(others) == 5
    assert [
        line for line in others if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)
    ] == []


def test_pull_requests_of_the_recipe_have_no_credentials() -> None:
    """The job of pull requests may get no token; only the other one may."""
    test, release = GITHUB["jobs"]["test"], GITHUB["jobs"]["release"]

    assert GITHUB["permissions"] == {"contents": "read"}
    assert "permissions" not in test
    assert release["permissions"] == {"contents": "read", "id-token": "write"}
    assert test["steps"][-1]["with"] == {"allowed-registries": REGISTRY}


def test_both_sign_in_by_a_federated_credential() -> None:
    """In GitHub Actions the identity is named, in Azure Pipelines a service connection; no secret is given."""
    identity = ("client-id", "tenant-id", "subscription-id")
    (login,) = [step for step in ACTION["runs"]["steps"] if step.get("uses", "").startswith("azure/login@")]
    (release,) = [step for step in GITHUB["jobs"]["release"]["steps"] if step.get("uses") == OURS]
    (task,) = [step for step in _mappings(TEMPLATE["steps"]) if step.get("task", "").startswith("Azure")]

    assert login["with"] == {name: f"${{{{ inputs.{name} }}}}" for name in identity}
    assert {name: release["with"][name] for name in identity} == {
        name: f"${{{{ vars.AZURE_{name.upper().replace('-', '_')} }}}}" for name in identity
    }
    assert (task["task"], task["inputs"]["azureSubscription"]) == (
        "AzureCLI@2",
        "${{ parameters.azureSubscription }}",
    )
    assert PIPELINE["steps"][0]["parameters"]["azureSubscription"] == "contoso-azure"
    texts = [
        *(file.read_text(encoding="utf-8") for file in (ACTION_FILE, TEMPLATE_FILE)),
        *blocks(DOCS / "ci.md", "yaml"),
    ]
    assert [word for text in texts for word in re.findall(SECRETS, text, re.IGNORECASE)] == []


def test_linters_find_nothing(tmp_path: Path) -> None:
    """The files keep to the schemas of both systems, and zizmor finds no risk in workflows and action."""
    recipe = tmp_path / ".github" / "workflows" / "image.yml"
    recipe.parent.mkdir(parents=True)
    text = blocks(DOCS / "ci.md", "yaml")[0].replace("OWNER", "contoso").replace("@COMMIT", f"@{'1' * 40}")
    recipe.write_text(text, encoding="utf-8")
    workflow, bin_folder = WORKFLOWS[0], Path(sys.executable).parent
    template, pipeline = tmp_path / "template.json", tmp_path / "pipeline.json"
    # The schema of Azure Pipelines knows booleans as strings.
    template.write_text(json.dumps(yaml.load(TEMPLATE_FILE.read_text(encoding="utf-8"), yaml.BaseLoader)))  # noqa: S506 -- it makes strings only
    pipeline.write_text(json.dumps(PIPELINE), encoding="utf-8")
    schema = [str(bin_folder / "check-jsonschema"), "--regex-variant", "python", "--builtin-schema"]
    azure = [*schema, "vendor.azure-pipelines", "--data-transform", "azure-pipelines"]

    ended = [
        _ended(
            str(bin_folder / "zizmor"),
            "--offline",
            "--no-progress",
            "--quiet",
            *map(str, (*WORKFLOWS, recipe)),
        ),
        _ended(*schema, "vendor.github-workflows", str(workflow), str(recipe)),
        _ended(*schema, "vendor.github-actions", str(ACTION_FILE)),
        _ended(*azure, str(template), str(pipeline)),
    ]

    assert [text for code, text in ended if code] == []


def _ended(*words: str) -> tuple[int, str]:
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def _scripts(node: Any) -> list[str]:
    """Return the scripts of a template, those of each condition."""
    return [part[key] for part in _mappings(node) for key in ("bash", "inlineScript") if key in part]


def _mappings(node: Any) -> Iterator[dict[str, Any]]:
    """Yield each mapping of a template, from the outside in."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from _mappings(each)
