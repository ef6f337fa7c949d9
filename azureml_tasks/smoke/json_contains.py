"""In what one JSON value does not contain another.

Contained means: each wanted key, recursively; arrays of the same length, item by item; every
number within the tolerance, whole or not; everything else equal, and `true` is not 1.
"""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["differences", "shown"]

_WIDTH = 100  # characters of a value in a line that compares it


def differences(wanted: Any, got: Any, *, tolerance: float) -> list[str]:
    """Say where *got* does not contain *wanted*.

    Args:
        wanted: JSON value.
        got: JSON value; its tables may have more keys.
        tolerance: largest distance between two numbers, all three taken as they are written:
            1.1 is 0.1 away from 1.0, though their floats are a little further apart.

    Returns:
        One line each, such as ``$.a[2].b: wanted 1, got true``; none when it is contained.
    """
    return list(_differences("$", wanted, got, tolerance))


def _differences(path: str, wanted: Any, got: Any, tolerance: float) -> Iterator[str]:
    if isinstance(wanted, dict) and isinstance(got, dict):
        for key, value in wanted.items():
            inner = path + (f".{key}" if key.isidentifier() else f"[{shown(key)}]")
            if key in got:
                yield from _differences(inner, value, got[key], tolerance)
            else:
                yield f"{inner}: wanted {shown(value)}, got nothing"
    elif isinstance(wanted, list) and isinstance(got, list):
        if len(wanted) != len(got):
            yield f"{path}: wanted {_items(wanted)}, got {_items(got)}"
            return
        for index, pair in enumerate(zip(wanted, got, strict=True)):
            yield from _differences(f"{path}[{index}]", *pair, tolerance)
    elif not _equal(wanted, got, tolerance):
        yield f"{path}: wanted {shown(wanted)}, got {shown(got)}"


def _items(values: list[Any]) -> str:
    return f"{len(values)} item{'s' if len(values) != 1 else ''}"


def _equal(wanted: Any, got: Any, tolerance: float) -> bool:
    if not (_is_number(wanted) and _is_number(got)):
        return type(wanted) is type(got) and bool(wanted == got)
    if wanted == got:
        return True
    first, second = _exact(wanted), _exact(got)
    if first is None or second is None:
        return math.isnan(wanted) and math.isnan(got) if first is second else False
    return abs(first - second) <= Fraction(repr(tolerance))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _exact(number: Any) -> Fraction | None:
    """A number as it is written; None for an infinity and for what is no number."""
    if isinstance(number, float):
        return Fraction(repr(number)) if math.isfinite(number) else None
    return Fraction(number)


def shown(value: Any) -> str:
    """A JSON value in one line that is not too long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDTH else text[:_WIDTH] + "…"
