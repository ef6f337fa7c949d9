"""Variables that one source sets and that a key of another source sets too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from azureml_tasks.migration.reading import Kind, Outcome, Reading, Source, SourceLine, Value
from azureml_tasks.migration.variables_of_keys import without_variables_of_keys

DEPLOYMENT, DOCKERFILE = "deployment.yml", "Dockerfile"


def reading(name: str, kind: Kind, *values: tuple[tuple[str, ...], Any]) -> Reading:
    """Return a reading with a value on each line."""
    return Reading(
        source=Source(path=Path("/") / name, name=name, kind=kind),
        values=tuple(Value(place, value, name, line) for line, (place, value) in enumerate(values, 1)),
        lines=tuple(SourceLine(line, line, "", Outcome.KEY, "") for line in range(1, len(values) + 1)),
    )


@pytest.mark.parametrize(
    ("keys", "env", "kept", "why"),
    [
        ({"code": "code"}, {"AZUREML_ENTRY_SCRIPT": "score.py", "A": "1"}, {"A": "1"}, ""),
        ({"code": "code"}, {"AZUREML_ENTRY_SCRIPT": "score.py"}, None, ""),
        (
            {"code": "code"},
            {"AZUREML_ENTRY_SCRIPT": "other.py"},
            None,
            "the key entry-script sets AZUREML_ENTRY_SCRIPT",
        ),
        ({"code": "code", "entry-script": "other.py"}, {"AZUREML_ENTRY_SCRIPT": "other.py"}, None, ""),
        (
            {"model": "model"},
            {"AZUREML_MODEL_DIR": "/models", "AZUREML_ENTRY_SCRIPT": "a.py"},
            {"AZUREML_ENTRY_SCRIPT": "a.py"},
            "the key model sets AZUREML_MODEL_DIR",
        ),
        ({"base": "b"}, {"AZUREML_ENTRY_SCRIPT": "a.py"}, {"AZUREML_ENTRY_SCRIPT": "a.py"}, ""),
    ],
)
def test_the_key_of_another_source_counts(
    keys: dict[str, str], env: dict[str, str], kept: dict[str, str] | None, why: str
) -> None:
    """The variable goes, and its line says so unless the key sets the same."""
    deployment = reading(DEPLOYMENT, Kind.DEPLOYMENT, *(((key,), value) for key, value in keys.items()))
    dockerfile = reading(DOCKERFILE, Kind.DOCKERFILE, (("env",), env))

    first, second = without_variables_of_keys([deployment, dockerfile])

    assert first == deployment
    assert [each.value for each in second.values] == ([kept] if kept else [])
    assert second.lines[0].why == why
    assert second.lines[0].outcome is (Outcome.CHANGED if why else Outcome.KEY)


def test_a_source_may_set_what_its_own_key_sets_elsewhere() -> None:
    """What one source says together is left as it is."""
    dockerfile = reading(
        DOCKERFILE, Kind.DOCKERFILE, (("code",), "."), (("env",), {"AZUREML_ENTRY_SCRIPT": "a.py"})
    )

    assert without_variables_of_keys([dockerfile]) == (dockerfile,)
