"""The CI recipes of `docs/ci.md`, read and checked as far as no engine is needed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.consumers import invoke
from tests.documentation import DOCS, blocks, quick_start
from tests.recipes import GITHUB, PIPELINE, github_scripts, pipeline_scripts

if TYPE_CHECKING:
    from pathlib import Path

OUTPUTS = {"image", "digest", "tags"}
"""What a push sets, see `cli/ci_outputs.py`."""
SCRIPTS = [*github_scripts("test"), *github_scripts("release"), *pipeline_scripts()]
COMMANDS = sorted({line.strip() for text in SCRIPTS for line in text.splitlines() if "invoke " in line})
WITHOUT_AN_ENGINE = {0, 3, 4}
"""Exit codes of a command that Invoke and the table took: done, no engine, nothing built yet."""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_taken(command: str, tmp_path: Path) -> None:
    """Each `invoke …` of the recipes has tasks and flags that exist; it ends where an engine is needed."""
    ended = invoke(quick_start(tmp_path), *command.split()[1:])

    assert ended.code in WITHOUT_AN_ENGINE, ended.err


def test_the_package_comes_from_a_variable() -> None:
    """No recipe installs a name from an index."""
    installs = [line for text in SCRIPTS for line in text.splitlines() if "pip install" in line]

    assert installs
    assert {line.split("pip install ")[1] for line in installs} == {'"azureml-tasks @ $AZUREML_TASKS"'}
    assert GITHUB["env"]["AZUREML_TASKS"] == "${{ vars.AZUREML_TASKS }}"


def test_a_recipe_says_which_registries_get_code() -> None:
    """A pull request that names another registry is refused by each recipe."""
    name = "INVOKE_AZUREML_IMAGE_ALLOWED_REGISTRIES"

    assert ["contoso.azurecr.io"] * 2 == [GITHUB["env"][name], PIPELINE["variables"][name]]


def test_pull_requests_and_main_share_no_cache() -> None:
    """The scope is the ref that is built, which is another one for each pull request and for main."""
    name = "INVOKE_AZUREML_IMAGE_CACHE_SCOPE"

    scopes = (GITHUB["env"][name], PIPELINE["variables"][name])

    assert ("${{ github.ref }}", "$(Build.SourceBranch)") == scopes
    assert not [job for job in GITHUB["jobs"].values() if name in job.get("env", {})]


def test_every_output_that_is_used_is_set() -> None:
    """The outputs of a step that a later one uses are those that a push sets, and the step has that name."""
    github, pipeline = blocks(DOCS / "ci.md", "yaml")
    used = re.findall(r"steps\.(\w+)\.outputs\.(\w+)", github)
    read = [
        names for names in re.findall(r"\$\((\w+)\.(\w+)\)", pipeline) if names[0] != "Build"
    ]  # predefined

    assert {step for step, _ in used} == {step.get("id") for step in _steps()} - {None}
    assert {step for step, _ in read} == {step.get("name") for step in PIPELINE["steps"]} - {None}
    assert {name for _, name in (*used, *read)} <= OUTPUTS


def test_pull_requests_have_no_credentials() -> None:
    """The job of pull requests neither signs in nor pushes; only the other one may get a token."""
    test, release = GITHUB["jobs"]["test"], GITHUB["jobs"]["release"]

    assert GITHUB["permissions"] == {"contents": "read"}
    assert "permissions" not in test
    assert release["permissions"] == {"contents": "read", "id-token": "write"}
    assert not [text for text in github_scripts("test") if re.search(r"push|release|login", text)]


def _steps() -> list[dict[str, Any]]:
    return [step for job in GITHUB["jobs"].values() for step in job["steps"]]
