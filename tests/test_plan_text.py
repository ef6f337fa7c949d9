"""A plan as JSON, and back."""

from __future__ import annotations

import json
import math
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from azureml_tasks.absent import ABSENT
from azureml_tasks.context_file import ContextFile
from azureml_tasks.plan_text import UnspeakableError, decoded, encoded
from azureml_tasks.planning import ProofRequest
from azureml_tasks.settings import Run
from tests.examples import examples
from tests.test_good_cases import GOOD, planned

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.just(ABSENT)
    | st.just(Path("a/b")),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.frozensets(st.text(), max_size=1)
        | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=10,
)


def back(value: Any) -> Any:
    """What is read of *value* once it was written down."""
    return decoded(json.loads(json.dumps(encoded(value))))


@pytest.mark.parametrize("case", GOOD, ids=[case.stem for case in GOOD])
def test_a_plan_comes_back_as_it_was(case: Path, tmp_path: Path) -> None:
    """Nothing of a plan is lost, whatever its table says."""
    plan = planned(case, tmp_path)

    assert plan == back(plan)


@settings(max_examples=examples(50))
@given(PLAIN)
def test_every_value_comes_back_as_it_was(value: Any) -> None:
    """What a table or a JSON file can hold comes back equal and of the same type, with its keys in order."""
    assert repr(value) == repr(back(value))


def test_most_of_a_file_goes_without_saying() -> None:
    """What is as a field mostly is, is not written; what JSON does not have bears the name of its type."""
    found = [
        ContextFile(name="code/"),
        ContextFile(name="code/a", source=Path("/project/code/a"), size=2, executable=True),
        ContextFile(name="python/requirements.txt", data=b"numpy\n", size=6),
        Run(command="make", after="apt"),
        frozenset({"b", "a"}),
        {"a": ("b", ABSENT, None)},
    ]

    assert [
        {"ContextFile": {"name": "code/"}},
        {"ContextFile": {
            "name": "code/a", "source": {"path": "/project/code/a"}, "size": 2, "executable": True,
        }},
        {"ContextFile": {"name": "python/requirements.txt", "data": {"bytes": "bnVtcHkK"}, "size": 6}},
        {"Run": {"command": "make", "after": "apt", "user": "root"}},
        {"frozenset": ["a", "b"]},
        {"table": [["a", {"tuple": ["b", {"absent": True}, None]}]]},
    ] == encoded(found)  # fmt: skip


def test_no_number_at_all_comes_back_too() -> None:
    """NaN, which Python's reader of JSON takes from a file, is no reason to fail."""
    assert math.isnan(back(math.nan))


@pytest.mark.parametrize(
    "value",
    [date(2026, 1, 1), {1, 2}, 1j, object()],
    ids=["a date", "a set", "a complex number", "an object"],
)
def test_what_would_not_come_back_is_refused(value: Any) -> None:
    """A value of another type is not written as something else, however deep it lies."""
    request = ProofRequest(
        name="", path="/score", body=b"", status=200, expect={"a": [value]}, tolerance=0.0, timeout=1.0
    )

    with pytest.raises(UnspeakableError, match=f"^{type(value).__name__}$"):
        encoded(request)
