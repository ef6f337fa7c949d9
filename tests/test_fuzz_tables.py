"""Any table ends in a plan, or in an error that says what is wrong with it. A traceback would be our bug."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import azureml_tasks
from azureml_tasks.azureml.environment_yaml import Pushed, deployment_text
from azureml_tasks.config.fields import keys
from azureml_tasks.config.settings import Settings
from azureml_tasks.errors import AzuremlTasksError, SettingsError
from azureml_tasks.plain_text import clean
from azureml_tasks.planning.dockerfile import stages
from tests.examples import examples
from tests.toml_values import TEXT, TOML, toml

EXAMPLE: Mapping[str, Any] = {
    "base": "bases/serving:1",
    "name": "scoring",
    "tags": ["{version}", "1"],
    "pip": ["numpy==2.0", "scoring[a]"],
    "extras": ["a"],
    "dependency-groups": ["g"],
    "requirements": "r.txt",
    "exclude": ["*.csv"],
    "apt": ["curl"],
    "run": [{"after": "apt", "command": "true", "user": "root"}],
    "smoke-test": {"requests": [{"body": {"a": [1]}, "expect": {"b": 2}}]},
    "acr": {"timeout": 600},
}
"""A valid table, one part of which each example replaces."""
PROJECT: Mapping[str, Any] = {
    "name": "scoring",
    "version": "1.0",
    "dynamic": [],
    "dependencies": ["idna"],
    "optional-dependencies": {"a": ["scoring[b]"], "b": []},
    "urls": {"source": "https://contoso.example"},
}
GROUPS: Mapping[str, Any] = {"g": ["idna", {"include-group": "h"}], "h": []}


PUSHED = Pushed(image=f"contoso.azurecr.io/scoring@sha256:{'5f' * 32}", tags=("1",), started=2.0)


def paths(table: type[Any], before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of each key, also in tables and in arrays of tables."""
    for name, (_, key) in keys(table).items():
        yield (*before, name)
        if key.table:
            yield from paths(key.table, (*before, name))


KEYS = st.sampled_from([("tool", "azureml-image", *path) for path in paths(Settings)])
OTHERS = st.sampled_from(
    [("project",), ("dependency-groups",), ("tool",), ("tool", "azureml-image")]
    + [("project", name) for name in PROJECT]
    + [("dependency-groups", name) for name in GROUPS]
)
PLACES = KEYS | OTHERS | st.tuples(st.just("tool"), st.just("azureml-image"), TEXT)


def replaced(value: Any, path: tuple[str, ...], new: Any) -> Any:
    """Return *value* with *new* at *path*; in an array of tables, in its first table."""
    if not path:
        return new
    if isinstance(value, list):
        return [replaced(value[0] if value else {}, path, new), *value[1:]]
    table = value if isinstance(value, dict) else {}
    return {**table, path[0]: replaced(table.get(path[0], {}), path[1:], new)}


def end(folder: Path, text: str) -> str:
    """Write the table, do with it what needs no engine, and return the message of the error or the Dockerfile."""
    (folder / "pyproject.toml").write_text(text, encoding="utf-8", newline="")
    (folder / "r.txt").write_text("idna\n", encoding="utf-8")
    try:
        plan = azureml_tasks.plan(azureml_tasks.load(folder))
    except AzuremlTasksError as error:
        return str(error)
    deployment = deployment_text(PUSHED, plan, endpoint="e", instance_type="Standard_DS3_v2")
    assert yaml.safe_load(deployment)["environment"] == "azureml:scoring:sha256-5f5f5f5f5f5f"
    return azureml_tasks.render(plan) + "".join(stages(plan).values())


def document(table: Mapping[str, Any] = EXAMPLE) -> dict[str, Any]:
    """Return a document with this table."""
    return {"tool": {"azureml-image": table}, "project": PROJECT, "dependency-groups": GROUPS}


def text_of(document: Mapping[str, Any]) -> str:
    """Return a document as TOML."""
    return "".join(f"{toml(name)} = {toml(value)}\n" for name, value in document.items())


def test_the_valid_document_ends_in_a_dockerfile(code_project: Path) -> None:
    """Else no example would get far."""
    assert end(code_project, text_of(document())).startswith("# Generated from [tool.azureml-image]")


@settings(max_examples=examples(130), deadline=None, suppress_health_check=list(HealthCheck))
@given(changes=st.lists(st.tuples(PLACES, TOML), min_size=1, max_size=2))
def test_any_value_of_any_key(changes: list[tuple[tuple[str, ...], Any]], code_project: Path) -> None:
    """One or two values of a valid document are replaced by others of any type."""
    changed: Any = document()
    for place, value in changes:
        changed = replaced(changed, place, value)

    result = end(code_project, text_of(changed))

    assert result.startswith("# Generated") or result == clean(result) != ""


@settings(max_examples=examples(50), deadline=None, suppress_health_check=list(HealthCheck))
@given(text=st.text(st.sampled_from("[]{}=\"',.#\n ab1\\-_:T\0"), max_size=60) | st.text(max_size=60))
def test_any_text_in_place_of_the_table(text: str, code_project: Path) -> None:
    """What is no TOML is refused, and so is a document without our table."""
    encoded = text.encode(errors="surrogatepass")
    (code_project / "pyproject.toml").write_bytes(encoded)
    with pytest.raises(SettingsError):
        azureml_tasks.load(code_project)
