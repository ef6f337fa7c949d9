"""Comparing an answer with what is wanted."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azureml_tasks.config.fields import UNSET
from azureml_tasks.smoke.json_contains import differences
from azureml_tasks.smoke.response_check import Answer, Verdict, Wanted, judge, status_line

HINT = "run() returned json.dumps(…); return the object itself"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        pytest.param({}, {"a": 1}, id="a table may have more keys"),
        pytest.param({"a": {"b": [{}]}}, {"a": {"b": [{"c": 1}], "d": 2}}, id="at every depth"),
        pytest.param(1, 1.0, id="a whole number may be written with a point"),
        pytest.param(0.3, 0.1 + 0.2, id="a number within the tolerance"),
        pytest.param(1.0, 1.000001, id="a number just at the tolerance"),
        pytest.param(10**400, 10**400, id="a number that no float holds"),
        pytest.param(math.nan, math.nan, id="NaN is the NaN that was wanted"),
        pytest.param([math.inf, -math.inf], [math.inf, -math.inf], id="infinities"),
        pytest.param([None, True, "é"], [None, True, "é"], id="everything else when equal"),
    ],
)
def test_contained(wanted: Any, got: Any) -> None:
    """What is contained has no differences."""
    assert [] == differences(wanted, got, tolerance=1e-6)


@pytest.mark.parametrize(
    ("wanted", "got", "expected"),
    [
        pytest.param(
            {"a": [0, 1, {"b": 1}]}, {"a": [0, 1, {"b": True}]}, ["$.a[2].b: wanted 1, got true"], id="path"
        ),
        pytest.param(True, 1, ["$: wanted true, got 1"], id="true is not 1"),
        pytest.param(False, 0.0, ["$: wanted false, got 0.0"], id="false is not 0"),
        pytest.param(None, False, ["$: wanted null, got false"], id="null is not false"),
        pytest.param("1", 1, ['$: wanted "1", got 1'], id="a string is no number"),
        pytest.param({"a": None}, {}, ["$.a: wanted null, got nothing"], id="a missing key"),
        pytest.param(
            {"a b": 1, "é": 2},
            {},
            ['$["a b"]: wanted 1, got nothing', "$.é: wanted 2, got nothing"],
            id="keys",
        ),
        pytest.param([1, 2], [1], ["$: wanted 2 items, got 1 item"], id="another length"),
        pytest.param([1, 2], [2, 1], ["$[0]: wanted 1, got 2", "$[1]: wanted 2, got 1"], id="another order"),
        pytest.param([], {}, ["$: wanted [], got {}"], id="an array is no table"),
        pytest.param(1.0, 1.0000011, ["$: wanted 1.0, got 1.0000011"], id="beyond the tolerance"),
        pytest.param(10**400, 1.5, [f"$: wanted 1{'0' * 99}…, got 1.5"], id="far away"),
        pytest.param(math.inf, 1e308, ["$: wanted Infinity, got 1e+308"], id="infinity is far"),
        pytest.param(math.inf, -math.inf, ["$: wanted Infinity, got -Infinity"], id="opposite infinities"),
        pytest.param(math.nan, math.inf, ["$: wanted NaN, got Infinity"], id="NaN is no infinity"),
        pytest.param(math.nan, 0, ["$: wanted NaN, got 0"], id="NaN is no number"),
        pytest.param("a", "b" * 200, [f'$: wanted "a", got "{"b" * 99}…'], id="long values are cut"),
    ],
)
def test_differences(wanted: Any, got: Any, expected: list[str]) -> None:
    """Each difference is one line with its place, what was wanted and what came."""
    assert expected == differences(wanted, got, tolerance=1e-6)


@pytest.mark.parametrize(
    ("tolerance", "expected"),
    [(0.1, []), (0.0999, ["$: wanted 1.0, got 1.1"]), (0, ["$: wanted 1.0, got 1.1"])],
)
def test_tolerance_as_written(tolerance: float, expected: list[str]) -> None:
    """1.1 is 0.1 away from 1.0, as a person reckons."""
    assert expected == differences(1.0, 1.1, tolerance=tolerance)


def test_tolerance_of_whole_numbers() -> None:
    """The tolerance holds for whole numbers too."""
    assert ["$[1]: wanted 3, got 5"] == differences([3, 3], [4, 5], tolerance=1)


@given(JSON)
def test_everything_contains_itself(value: Any) -> None:
    """Any JSON value contains itself, without any tolerance."""
    assert [] == differences(value, value, tolerance=0)


BAD_GATEWAY = "the image's web server had no answer from the scoring server behind it"


@pytest.mark.parametrize(
    ("answer", "wanted", "expected"),
    [
        pytest.param(
            Answer(status=200, body=b"hello"), Wanted(), Verdict(), id="any body, where none is wanted"
        ),
        pytest.param(
            Answer(status=400), Wanted(status=400), Verdict(notes=("the answer is empty",)), id="empty"
        ),
        pytest.param(
            Answer(status=200, body=b'{"a": 1, "b": 2}'), Wanted(expect={"a": 1}), Verdict(), id="contained"
        ),
        pytest.param(
            Answer(status=200, body=b'{"a": 2}'),
            Wanted(expect={"a": 1}),
            Verdict(differences=("$.a: wanted 1, got 2",)),
            id="different",
        ),
        pytest.param(
            Answer(status=200, body=b'{"a": 2}'),
            Wanted(expect={"a": 1}, tolerance=1),
            Verdict(),
            id="tolerance",
        ),
        pytest.param(
            Answer(status=200, body=b"null"),
            Wanted(expect=None),
            Verdict(),
            id="null is a value",
        ),
        pytest.param(
            Answer(status=200, body=b'"{\\"a\\": 1, \\"b\\": 2}"'),
            Wanted(expect={"a": 1}),
            Verdict(differences=(f"the answer is a JSON string that holds the wanted JSON: {HINT}",)),
            id="a string that holds it",
        ),
        pytest.param(
            Answer(status=200, body=b'"[1]"'),
            Wanted(expect=[2]),
            Verdict(
                differences=(
                    f"the answer is a JSON string that holds JSON, and not the wanted one: {HINT}",
                    "$[0]: wanted 2, got 1",
                )
            ),
            id="a string that holds something else",
        ),
        pytest.param(
            Answer(status=200, body=b'"[1]"'),
            Wanted(),
            Verdict(notes=(f"the answer is a JSON string that holds JSON: {HINT}",)),
            id="a string that holds JSON, where none is wanted",
        ),
        pytest.param(
            Answer(status=200, body=b'"[1]"'), Wanted(expect="[1]"), Verdict(), id="a string that is wanted"
        ),
        pytest.param(
            Answer(status=200, body=b'"1"'),
            Wanted(expect=1),
            Verdict(differences=('$: wanted 1, got "1"',)),
            id="a string that is a number",
        ),
        pytest.param(
            Answer(status=200, body=b'"yes'),
            Wanted(expect="yes"),
            Verdict(differences=('the answer is not JSON: it begins with "\\"yes"',)),
            id="no JSON",
        ),
        pytest.param(
            Answer(status=200, body=b"\x89PNG\xff"),
            Wanted(expect={}),
            Verdict(differences=("the answer is not JSON: it begins with the bytes 89 50 4e 47 ff",)),
            id="no text",
        ),
        pytest.param(
            Answer(status=200, body=b"[" * 100_000),
            Wanted(expect={}),
            Verdict(differences=(f'the answer is not JSON: it begins with "{"[" * 99}…',)),
            id="too deep",
        ),
        pytest.param(
            Answer(status=200),
            Wanted(expect={}),
            Verdict(differences=("the answer is not JSON: it is empty",)),
            id="empty, where JSON is wanted",
        ),
        pytest.param(
            Answer(status=200, body=b"[1, 2,", cut=True),
            Wanted(expect=[]),
            Verdict(differences=("the answer is longer than 6 bytes, too long to compare",)),
            id="too long",
        ),
        pytest.param(
            Answer(status=500, headers={"x-ms-run-function-failed": "True"}, body=b"{}"),
            Wanted(expect={"a": 1}),
            Verdict(
                differences=("wanted status 200, got 500 Internal Server Error",),
                notes=("run() raised (header x-ms-run-function-failed: True); its traceback is in the log",),
            ),
            id="run() raised",
        ),
        pytest.param(
            Answer(status=500, headers={"x-ms-run-function-failed": "False"}),
            Wanted(),
            Verdict(
                differences=("wanted status 200, got 500 Internal Server Error",),
                notes=(
                    "run() did not raise, but what it returned has no JSON form; a NumPy array has .tolist()",
                ),
            ),
            id="run() returned something else",
        ),
        pytest.param(
            Answer(status=502),
            Wanted(status=200),
            Verdict(differences=("wanted status 200, got 502 Bad Gateway",), notes=(BAD_GATEWAY,)),
            id="a proxy speaks",
        ),
        pytest.param(
            Answer(status=200, body=b"{}"),
            Wanted(status=400),
            Verdict(differences=("wanted status 400, got 200 OK",)),
            id="a failure was wanted",
        ),
    ],
)
def test_judge(answer: Answer, wanted: Wanted, expected: Verdict) -> None:
    """A verdict names every difference, and what the server's signs say of its cause."""
    verdict = judge(answer, wanted)

    assert expected == verdict
    assert verdict.passed is (expected.differences == ())


def test_absent_is_the_settings_own() -> None:
    """Nothing expected is the UNSET of the settings, for null is a value."""
    assert Wanted().expect is UNSET


@given(st.binary(max_size=40), st.none() | JSON)
def test_any_bytes_can_be_judged(body: bytes, expect: Any) -> None:
    """No answer is beyond judgement, and each line of the verdict is one line."""
    verdict = judge(Answer(status=200, body=body), Wanted(expect=expect))

    assert [] == [line for line in (*verdict.differences, *verdict.notes) if "\n" in line]


@pytest.mark.parametrize(("status", "expected"), [(404, "404 Not Found"), (599, "599")])
def test_status_line(status: int, expected: str) -> None:
    """A status has its name, where it has one."""
    assert expected == status_line(status)
