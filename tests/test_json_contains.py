"""Finding where a JSON value does not contain an expected one."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given

from azureml_tasks.smoke.json_contains import differences
from tests.json_values import JSON


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        pytest.param({}, {"a": 1}, id="a table may have more keys"),
        pytest.param({"a": {"b": [{}]}}, {"a": {"b": [{"c": 1}], "d": 2}}, id="at every depth"),
        pytest.param(1, 1.0, id="a whole number may be written with a point"),
        pytest.param(0.3, 0.1 + 0.2, id="a number within the tolerance"),
        pytest.param(1.0, 1.000001, id="a number just at the tolerance"),
        pytest.param(10**400, 10**400, id="a number that no float holds"),
        pytest.param(math.nan, math.nan, id="NaN is NaN"),
        pytest.param([math.inf, -math.inf], [math.inf, -math.inf], id="infinities"),
        pytest.param([None, True, "é"], [None, True, "é"], id="everything else when equal"),
    ],
)
def test_contained(expected: Any, actual: Any) -> None:
    """A contained value has no differences."""
    assert [] == differences(expected, actual, tolerance=1e-6)


@pytest.mark.parametrize(
    ("expected", "actual", "lines"),
    [
        pytest.param(
            {"a": [0, 1, {"b": 1}]}, {"a": [0, 1, {"b": True}]}, ["$.a[2].b: expected 1, got true"], id="path"
        ),
        pytest.param(True, 1, ["$: expected true, got 1"], id="true is not 1"),
        pytest.param(False, 0.0, ["$: expected false, got 0.0"], id="false is not 0"),
        pytest.param(None, False, ["$: expected null, got false"], id="null is not false"),
        pytest.param("1", 1, ['$: expected "1", got 1'], id="a string is no number"),
        pytest.param({"a": None}, {}, ["$.a: expected null, got nothing"], id="a missing key"),
        pytest.param(
            {"a b": 1, "é": 2},
            {},
            ['$["a b"]: expected 1, got nothing', "$.é: expected 2, got nothing"],
            id="keys",
        ),
        pytest.param([1, 2], [1], ["$: expected 2 items, got 1 item"], id="another length"),
        pytest.param(
            [1, 2], [2, 1], ["$[0]: expected 1, got 2", "$[1]: expected 2, got 1"], id="another order"
        ),
        pytest.param([], {}, ["$: expected [], got {}"], id="an array is no table"),
        pytest.param(1.0, 1.0000011, ["$: expected 1.0, got 1.0000011"], id="beyond the tolerance"),
        pytest.param(10**400, 1.5, [f"$: expected 1{'0' * 99}…, got 1.5"], id="far away"),
        pytest.param(math.inf, 1e308, ["$: expected Infinity, got 1e+308"], id="infinity is far"),
        pytest.param(math.inf, -math.inf, ["$: expected Infinity, got -Infinity"], id="opposite infinities"),
        pytest.param(math.nan, math.inf, ["$: expected NaN, got Infinity"], id="NaN is no infinity"),
        pytest.param(math.nan, 0, ["$: expected NaN, got 0"], id="NaN is no number"),
        pytest.param("a", "b" * 200, [f'$: expected "a", got "{"b" * 99}…'], id="long values are cut"),
    ],
)
def test_differences(expected: Any, actual: Any, lines: list[str]) -> None:
    """Each difference is one line with its place, the expected and the actual value."""
    assert lines == differences(expected, actual, tolerance=1e-6)


@pytest.mark.parametrize(
    ("tolerance", "lines"),
    [(0.1, []), (0.0999, ["$: expected 1.0, got 1.1"]), (0, ["$: expected 1.0, got 1.1"])],
)
def test_tolerance_as_written(tolerance: float, lines: list[str]) -> None:
    """1.1 is 0.1 away from 1.0, as it is written."""
    assert lines == differences(1.0, 1.1, tolerance=tolerance)


def test_tolerance_of_whole_numbers() -> None:
    """The tolerance applies to whole numbers too."""
    assert ["$[1]: expected 3, got 5"] == differences([3, 3], [4, 5], tolerance=1)


@given(JSON)
def test_everything_contains_itself(value: Any) -> None:
    """Any JSON value contains itself without tolerance."""
    assert [] == differences(value, value, tolerance=0)
