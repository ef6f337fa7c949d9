"""The JSON schema of the table, for editors, held against the reader, which decides."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import tomli
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from validate_pyproject.api import Validator
from validate_pyproject.errors import ValidationError
from validate_pyproject.plugins import PluginWrapper
from validate_pyproject.types import Schema

from azureml_tasks.config.fields import Key, keys
from azureml_tasks.config.reader import read, read_image_names
from azureml_tasks.config.schema import TABLE_NAME, json_schema, pyproject_schema, tool_schema
from azureml_tasks.config.settings import Acr, Run, Settings
from azureml_tasks.config.smoke_test_settings import FormPart, Request, SmokeTest
from azureml_tasks.errors import SettingsError
from tests import schema_files
from tests.cases import BAD, GOOD, sections
from tests.examples import examples

if TYPE_CHECKING:
    from pathlib import Path

VALIDATOR = Draft7Validator(json_schema())
WHOLE = Draft7Validator(pyproject_schema())
PROGRAM = Validator([PluginWrapper(TABLE_NAME, lambda name: Schema(tool_schema(name)))])
"""`validate-pyproject`, with our plugin alone."""

BEYOND = {
    "pip-requirements": "the grammar of PEP 508 fits no pattern",
    "requests-that-are-not-json": "a schema sees values of JSON alone, which has no dates and no infinity",
}
"""Bad cases that an editor does not underline, though the reader needs no file to refuse them."""


def table(case: Path) -> Any:
    """Return the table of a case; None if its text has none."""
    try:
        document = tomli.loads(sections(case).get("pyproject.toml", ""))
    except tomli.TOMLDecodeError:
        return None
    tool = document.get("tool")
    return tool.get("azureml-image") if isinstance(tool, dict) else None


def accepts(value: Any) -> bool:
    """Return whether the schema accepts the table."""
    return VALIDATOR.is_valid(value)


def test_the_schema_is_valid() -> None:
    """It follows draft-07, requires a base, a Dockerfile or images, and allows no unknown key."""
    schema = json_schema()

    Draft7Validator.check_schema(schema)
    Draft7Validator.check_schema(pyproject_schema())

    assert (
        "http://json-schema.org/draft-07/schema#",
        False,
        [["base"], ["dockerfile"], ["images"]],
    ) == (
        schema["$schema"],
        schema["additionalProperties"],
        [each["required"] for each in schema["anyOf"]],
    )


@pytest.mark.parametrize("case", GOOD, ids=[case.stem for case in GOOD])
def test_the_schema_accepts_every_good_case(case: Path) -> None:
    """An editor marks nothing in a valid table."""
    assert [] == [error.message for error in VALIDATOR.iter_errors(table(case))]


def test_the_schema_refuses_every_table_that_the_reader_refuses() -> None:
    """The exceptions are rules that JSON Schema cannot express; mistakes in files are not in the schema."""
    shape = {
        case.stem: value
        for case in BAD
        if (value := table(case)) is not None and refused(sections(case)["pyproject.toml"])
    }

    accepted = {name for name, value in shape.items() if accepts(value)}

    assert set(BEYOND) == accepted


def document(case: Path) -> dict[str, Any]:
    """Return the table of a case in a whole document, of which other tables are no matter of ours."""
    return {"tool": {TABLE_NAME: table(case)}}


def test_patterns_are_those_that_every_reader_reads() -> None:
    """`fastjsonschema` takes each dollar sign for the end of the text that has no backslash before it."""
    text = json.dumps(json_schema())

    assert [] == re.findall(r"\[[^\]]*(?<!\\)\$[^\]]*\]", text)


def passes(case: Path) -> bool:
    """Return whether `validate-pyproject` finds nothing in the table of a case."""
    try:
        PROGRAM(document(case))
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("case", GOOD, ids=[case.stem for case in GOOD])
def test_validate_pyproject_accepts_every_good_case(case: Path) -> None:
    """So does the schema of the whole file."""
    assert (True, True) == (passes(case), WHOLE.is_valid(document(case)))


def test_validate_pyproject_refuses_the_mistakes_that_a_schema_can_see() -> None:
    """The others are those of `BEYOND`, and those of files, which no schema reads; both schemas agree."""
    cases = [case for case in BAD if table(case) is not None]

    refused_by = {case.stem: (not passes(case), not WHOLE.is_valid(document(case))) for case in cases}
    expected = {case.stem: refused(sections(case)["pyproject.toml"]) for case in cases}

    assert {name: (is_wrong and name not in BEYOND,) * 2 for name, is_wrong in expected.items()} == refused_by


def test_the_plugin_is_of_our_table_alone() -> None:
    """Another name is a mistake of who asks."""
    with pytest.raises(ValueError, match=r"^the table is azureml-image, not poetry$"):
        tool_schema("poetry")


def test_the_files_are_those_that_are_generated() -> None:
    """After a change of a key or of a result, run `python3 tasks.py docs`."""
    files = {path.name: path.read_text(encoding="utf-8") for path in schema_files.FOLDER.iterdir()}

    assert {name: schema_files.text_of(schema) for name, schema in schema_files.schemas().items()} == files


def test_each_schema_has_its_own_id() -> None:
    """Editors and `validate-pyproject` keep schemas by it."""
    ids = [schema["$id"] for schema in schema_files.schemas().values()]

    assert (3, ["urn:azureml-tasks:schema"] * 3) == (len(set(ids)), [each.rpartition(":")[0] for each in ids])


def test_every_key_is_described() -> None:
    """Each key of each table has its description, which editors show."""
    schema = json_schema()
    inner = schema["properties"]
    tables = {
        Settings: schema,
        Run: inner["run"]["items"],
        SmokeTest: inner["smoke-test"],
        Request: inner["smoke-test"]["properties"]["requests"]["items"],
        FormPart: inner["smoke-test"]["properties"]["requests"]["items"]["properties"]["form"]["items"],
        Acr: inner["acr"],
    }

    described = {
        cls: {name: key_schema["description"] for name, key_schema in part["properties"].items()}
        for cls, part in tables.items()
    }

    assert described == {cls: {n: key.description for n, (_, key) in keys(cls).items()} for cls in tables}


STRINGS = st.one_of(
    st.text(max_size=8),
    st.text(alphabet="aZ0/.:@=-_~{} \n\"'\\", max_size=12),
    st.sampled_from([
        "minimal-py312-inference", "bases/serving:4", "localhost:5000/a@sha256:" + "0" * 64, "a--b",
        "a..b", "contoso.azurecr.io", "localhost",
        "linux/amd64", "linux/arm64/v8", "g++", "curl=1:2~3+b", "numpy>=1; python_version >= '3.11'",
        "code", "a/../b", "..", "C:", "C:a", "a\\..\\b",
        "\\a", "/a", "dockeruser", "root", "rooted", "0", "4g", "/score", "/score?a=b", "pip",
        "runtime", "{version}", "{nothing}", "00000000-0000-0000-0000-000000000001", "rg.", "rg-(a)",
        "AzureCloud", "NETRC", "~/.netrc", "POST", "image/png", "X-Team", "all",
    ]),
)  # fmt: skip
ANYTHING = st.recursive(
    st.one_of(
        STRINGS,
        st.booleans(),
        st.integers(-2, 700),
        st.sampled_from([0.5, 5.0, -1.5, 1e10, float("inf"), float("nan")]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=3), inner, max_size=2)),
    max_leaves=4,
)  # fmt: skip


def values(key: Key) -> st.SearchStrategy[Any]:
    """Generate values for a key: mostly of its type, sometimes of any type."""
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "a string": STRINGS,
        "an array of strings": st.lists(STRINGS, max_size=2),
        "a string or an array of strings": st.one_of(STRINGS, st.lists(STRINGS, max_size=2)),
        "a boolean": st.booleans(),
        "an integer": st.integers(-1, 1100),
        "a number": st.one_of(st.integers(-1, 200), st.floats(allow_nan=False)),
        "a table of strings": st.dictionaries(STRINGS, STRINGS, max_size=2),
        "a table of tables": st.dictionaries(
            st.sampled_from(["cpu", "gpu", "GPU", "all"]),
            st.one_of(st.deferred(lambda: some(Settings)), ANYTHING),
            max_size=2,
        ),
    }
    if key.table:
        inner = some(key.table)
        return inner if key.type == "a table" else st.lists(inner, max_size=2)
    return kinds.get(key.type, ANYTHING)


def some(cls: type[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Generate tables with some of the keys of *cls*."""
    known = {name: values(key) for name, (_, key) in keys(cls).items()}
    return st.lists(st.sampled_from(sorted(known)), max_size=3, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: known[name] for name in names})
    )


def refused(text: str) -> bool:
    """Return whether the reader, which reads no other file, reports a problem, for any image."""
    try:
        return any(read(text, {}, image)[1] for image in read_image_names(text) or ("",))
    except SettingsError:
        return True


def written(value: dict[str, Any]) -> str:
    """Return the table as TOML."""
    return "[tool.azureml-image]\n" + "".join(
        f"{_toml(name)} = {_toml(part)}\n" for name, part in value.items()
    )


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(name)} = {_toml(part)}" for name, part in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


BASES = st.one_of(st.just("bases/serving"), STRINGS)
TABLES = st.one_of(
    some(Settings).flatmap(lambda rest: BASES.map(lambda base: {**rest, "base": base})),
    st.dictionaries(st.sampled_from(sorted(keys(Settings))), ANYTHING, max_size=2).map(
        lambda rest: {"base": "bases/serving", **rest}
    ),
)


@settings(max_examples=examples(160), deadline=None, suppress_health_check=list(HealthCheck))
@given(value=TABLES)
def test_the_reader_refuses_what_the_schema_refuses(value: dict[str, Any]) -> None:
    """A table that an editor marks as wrong is not read."""
    assert accepts(value) or refused(written(value))
