"""Random TOML values, and their text."""

from __future__ import annotations

import datetime as dt
import json
import math
from typing import Any

from hypothesis import strategies as st

__all__ = ["TOML", "toml"]

_WORDS = st.sampled_from(
    ["", "1", "latest", "code", "linux/amd64", "numpy==2.0", "n @ https://[", "../x", "a\0b", "\u2028",
     "\x1b[1m", "{version}"]
)  # fmt: skip
TEXT = _WORDS | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_DATES = st.datetimes(timezones=st.none() | st.just(dt.timezone.utc)) | st.dates() | st.times()
_NUMBERS = st.integers() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.integers(0, 5)
TOML = st.recursive(
    TEXT | st.booleans() | _NUMBERS | _DATES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
"""Any value that TOML can hold, and integers that it cannot."""


def toml(value: Any) -> str:
    """Return *value* on one line of TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(name)} = {toml(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return (
            repr(value) if math.isfinite(value) else "nan" if math.isnan(value) else f"{'-' * (value < 0)}inf"
        )
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
