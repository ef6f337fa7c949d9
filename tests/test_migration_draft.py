"""Several readings become one table: values are joined by the type of their key, and conflicts are named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from azureml_tasks.config.problems import Place
from azureml_tasks.migration.draft import Fixed, answered, draft
from azureml_tasks.migration.reading import Kind, Outcome, Reading, Source, SourceLine, Value


def reading(file: str, *values: tuple[Place, Any], kind: Kind = Kind.DEPLOYMENT) -> Reading:
    """Return the reading of a file with one value in each line."""
    return Reading(
        source=Source(path=Path("/", file), name=file, kind=kind, text="line\n" * len(values)),
        values=tuple(Value(place, value, file, line) for line, (place, value) in enumerate(values, start=1)),
        lines=tuple(
            SourceLine(line, line, f"line {line}", Outcome.KEY, "a key") for line in range(1, len(values) + 1)
        ),
    )


def outcomes(readings: tuple[Reading, ...]) -> dict[str, str]:
    """Return the lines that are no longer whole: where → what became of them."""
    return {
        f"{each.source.name}:{line.line}": f"{line.outcome.value}: {line.why}"
        for each in readings
        for line in each.lines
        if line.outcome is not Outcome.KEY
    }


def test_keys_are_in_the_order_of_the_settings() -> None:
    """The order of the sources does not show in the table, nor in the tables in it."""
    drafted = draft([
        reading("a", (("smoke-test", "env"), {"A": "1"}), (("smoke-test", "request"), "r.json")),
        reading("b", (("env",), {"B": "2"}), (("code",), "src"), (("base",), "x-inference")),
    ])  # fmt: skip

    assert [*drafted.table] == ["base", "code", "env", "smoke-test"]
    assert [*drafted.table["smoke-test"]] == ["request", "env"]


def test_arrays_are_joined_without_doubles() -> None:
    """Items keep the order of the sources; one item of a key that takes a string is one."""
    drafted = draft([
        reading("a", (("pip",), ["numpy"]), (("requirements",), ["r.txt"]), (("run",), [{"command": "a"}])),
        reading("b", (("pip",), ["numpy", "scipy"]), (("requirements",), "r.txt"), (("run",), [{"command": "a"}])),
    ])  # fmt: skip

    assert drafted.table == {
        "pip": ["numpy", "scipy"],
        "requirements": "r.txt",
        "run": [{"command": "a"}, {"command": "a"}],
    }


def test_tables_of_strings_are_merged() -> None:
    """The same value twice is no conflict."""
    drafted = draft([
        reading("a", (("env",), {"A": "1", "B": "2"})),
        reading("b", (("env",), {"B": "2", "C": "3"})),
    ])  # fmt: skip

    assert (drafted.table, drafted.conflicts) == ({"env": {"A": "1", "B": "2", "C": "3"}}, ())


@pytest.mark.parametrize(
    ("paths", "root"),
    [
        (["src", "model"], None),
        (["../src", "model"], ".."),
        (["../../shared/src", "../model"], "../.."),
        (["../a/../../b", "model"], "../.."),
        (["..", "model"], ".."),
    ],
)
def test_paths_above_the_project_become_root(paths: list[str], root: str | None) -> None:
    """The root is the nearest folder that holds all of them."""
    drafted = draft([reading("a", (("code",), paths[0]), (("model",), paths[1]))])

    assert drafted.table.get("root") == root


def test_every_path_counts_for_the_root() -> None:
    """Those of arrays, of the smoke test, of its requests and of their forms do; a path in the image does not."""
    places: list[tuple[Place, Any]] = [
        (("requirements",), ["../r.txt"]),
        (("conda",), "../c.yml"),
        (("smoke-test", "request"), "../r.json"),
        (("smoke-test", "requests"), [{"file": "../r.json"}]),
        (("smoke-test", "requests"), [{"form": [{"name": "a", "file": "../r.json"}]}]),
        (("smoke-test", "mini-batch"), ["../x.csv"]),
        (("dockerfile",), "../Dockerfile"),
    ]
    roots = [draft([reading("a", (place, value))]).table.get("root") for place, value in places]

    assert roots == [".."] * len(places)
    assert "root" not in draft([reading("a", (("python-path",), ["../lib"]))]).table


def test_a_conflict_names_both_lines() -> None:
    """It is an error where nobody can be asked, with what to do."""
    drafted = draft([
        reading("a.yml", (("base",), "one"), (("code",), "src"), (("env",), {"A": "1"})),
        reading("b.yml", (("base",), "two"), (("code",), "lib"), (("env",), {"A": "2"})),
    ])  # fmt: skip

    alone = ["    Read one of the two alone: --from a.yml", "    or: --from b.yml"]
    assert [str(conflict.problem()).splitlines() for conflict in drafted.conflicts] == [
        [
            'b.yml:1: gives base = "two", and a.yml:1 "one"',
            "    Say which one is right: --base one",
            "    or: --base two",
        ],
        ['b.yml:2: gives code = "lib", and a.yml:2 "src"', *alone],
        ['b.yml:3: gives env.A = "2", and a.yml:3 "1"', *alone],
    ]


def test_a_conflict_names_a_model_without_a_line() -> None:
    """A folder has none."""
    dockerfile = reading("Dockerfile", (("model",), "models/wines.pkl"))
    model = reading("models", (("model",), "models"), kind=Kind.MODEL)
    model = replace(model, values=(model.values[0]._replace(line=0),))

    (conflict,) = draft([dockerfile, model]).conflicts

    assert [choice.text for choice in conflict.question().choices] == [
        '"models/wines.pkl" (Dockerfile:1)',
        '"models" (models)',
    ]
    assert str(conflict.problem()).splitlines() == [
        'models: gives model = "models", and Dockerfile:1 "models/wines.pkl"',
        "    Read one of the two alone: --from Dockerfile",
        "    or: --from models",
    ]


def test_a_conflict_in_one_file_is_corrected_there() -> None:
    """Nothing else can decide it."""
    drafted = draft([reading("a.yml", (("user",), "one"), (("user",), "two"))])

    assert [conflict.problem().fix for conflict in drafted.conflicts] == ["Remove one of the two."]


def test_an_answer_settles_a_conflict() -> None:
    """The line of the other value says what the table has instead."""
    drafted = draft([
        reading("a.yml", (("code",), "src"), (("env",), {"A": "1", "B": "1"})),
        reading("b.yml", (("code",), "lib"), (("env",), {"A": "2"})),
    ])  # fmt: skip
    first, second = drafted.conflicts
    drafted = answered(answered(drafted, first, first.values[1]), second, second.values[1])

    assert drafted.table == {"code": "lib", "env": {"A": "2", "B": "1"}}
    assert outcomes(drafted.readings) == {
        "a.yml:1": 'changed: the table has "lib" of b.yml:1 instead',
        "a.yml:2": 'changed: the table has "2" of b.yml:2 instead',
    }


def test_several_folders_and_a_single_one_are_a_conflict() -> None:
    """The content of a single folder lies where several folders would keep their names."""
    single = reading("a", (("code",), "src"))

    assert draft([single, reading("b", (("code",), ["lib"]))]).conflicts
    assert draft([reading("a", (("code",), ["src"])), reading("b", (("code",), ["lib"]))]).table == {
        "code": ["src", "lib"]
    }
    assert draft([single, reading("b", (("code",), "src"))]).table == {"code": "src"}


def test_what_the_run_gives_takes_precedence() -> None:
    """The line of another value is changed; the line of the same value is a key."""
    drafted = draft(
        [reading("a", (("base",), "one")), reading("b", (("base",), "two"))],
        [Fixed(("base",), "two", "--base")],
    )

    assert (drafted.table, drafted.conflicts) == ({"base": "two"}, ())
    assert outcomes(drafted.readings) == {"a:1": 'changed: --base gives "two" instead'}


@pytest.mark.parametrize(
    ("base", "has_server"),
    [
        ("python:3.12-slim", True),
        ("openmpi4.1.0-ubuntu22.04", True),
        ("contoso.azurecr.io/own:1", False),
        ("minimal-py312-inference", False),
    ],
)
def test_a_server_that_was_added_to_another_base_does_not_count(base: str, has_server: bool) -> None:
    """It stays for the same base, and for one that is known to have no server."""
    environment = reading("a.yml", (("base",), "openmpi4.1.0-ubuntu22.04"))
    server = Value(("server",), "azmlinfsrv", "a.yml", 1)
    environment = replace(environment, values=(*environment.values, server))

    table = draft([environment], [Fixed(("base",), base, "--base")]).table

    assert table == {"base": base, **({"server": "azmlinfsrv"} if has_server else {})}


def test_a_server_that_a_dockerfile_starts_stays() -> None:
    """It is not of the base, and the name of the other base does not tell that it has the server."""
    dockerfile = reading("Dockerfile", (("base",), "python:3.12-slim"), (("server",), "azmlinfsrv"))

    table = draft([dockerfile], [Fixed(("base",), "contoso.azurecr.io/own:1", "--base")]).table

    assert table == {"base": "contoso.azurecr.io/own:1", "server": "azmlinfsrv"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("smoke-test", "mini-batch"), ("smoke-test", "request")),
        (("smoke-test", "mini-batch"), ("smoke-test", "requests")),
        (("model",), ("smoke-test", "model")),
    ],
)
def test_of_two_keys_that_exclude_each_other_one_counts(first: Place, second: Place) -> None:
    """The other one is left over, with the reason."""
    values: dict[Place, Any] = {("smoke-test", "requests"): [{"file": "r.json"}]}
    drafted = draft([reading("a", (second, values.get(second, "x"))), reading("b", (first, "x"))])

    assert outcomes(drafted.readings) == {
        "a:1": f"left-over: the table has {'.'.join(map(str, first))}, and takes only one of the two"
    }
    assert second[-1] not in {**drafted.table, **drafted.table.get("smoke-test", {})} or second == (
        "smoke-test",
        "model",
    )


def test_one_request_becomes_one_of_several() -> None:
    """A request of a file of its own is no conflict with listed ones."""
    drafted = draft([
        reading("a", (("smoke-test", "requests"), [{"path": "/x", "body": 1}])),
        reading("b", (("smoke-test", "request"), "r.json")),
    ])  # fmt: skip

    assert drafted.table == {"smoke-test": {"requests": [{"body": 1, "path": "/x"}, {"file": "r.json"}]}}
    assert outcomes(drafted.readings) == {}
