"""Find where a JSON value does not contain an expected one.

A value contains another if it has each of its keys, recursively; arrays have the same length and are compared item
by item; numbers may differ by a tolerance, whether whole or not; everything else is equal, and `true` is not 1.
"""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST = 100  # characters


def differences(expected: Any, actual: Any, *, tolerance: float) -> list[str]:
    """List where *actual* does not contain *expected*.

    Args:
        expected: JSON value.
        actual: JSON value; its objects may have more keys.
        tolerance: largest distance between two numbers. All three are compared as they are written:
            1.1 is 0.1 away from 1.0, though their floats are a little further apart.

    Returns:
        One line each, such as ``$.a[2].b: expected 1, got true``; empty if it is contained.
    """
    return list(_differences("$", expected, actual, tolerance))


def _differences(path: str, expected: Any, actual: Any, tolerance: float) -> Iterator[str]:
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key, value in expected.items():
            inner = path + (f".{key}" if key.isidentifier() else f"[{shorten(key)}]")
            if key in actual:
                yield from _differences(inner, value, actual[key], tolerance)
            else:
                yield f"{inner}: expected {shorten(value)}, got nothing"
    elif isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            yield f"{path}: expected {_items(expected)}, got {_items(actual)}"
            return
        for index, pair in enumerate(zip(expected, actual, strict=True)):
            yield from _differences(f"{path}[{index}]", *pair, tolerance)
    elif not _equal(expected, actual, tolerance):
        yield f"{path}: expected {shorten(expected)}, got {shorten(actual)}"


def _items(values: list[Any]) -> str:
    return f"{len(values)} item{'s' if len(values) != 1 else ''}"


def _equal(expected: Any, actual: Any, tolerance: float) -> bool:
    if not (_is_number(expected) and _is_number(actual)):
        return type(expected) is type(actual) and bool(expected == actual)
    if expected == actual:
        return True
    first, second = _exact(expected), _exact(actual)
    if first is None or second is None:
        return math.isnan(expected) and math.isnan(actual) if first is second else False
    return abs(first - second) <= Fraction(repr(tolerance))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _exact(number: Any) -> Fraction | None:
    """Return a number as it is written; None for an infinity and for NaN."""
    if isinstance(number, float):
        return Fraction(repr(number)) if math.isfinite(number) else None
    return Fraction(number)


def shorten(value: Any) -> str:
    """Return a JSON value as one line, cut to 100 characters."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "a value that is nested too deep to be shown"
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
