"""The form of the probe's events. The probe may run under an image's own Python, so what it prints is not trusted."""

from __future__ import annotations

import base64
import binascii
import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Check = Callable[[Any], bool]


def parse_event(text: str | bytes) -> dict[str, Any] | None:
    """Return the event that *text* holds as JSON; None if it holds none, as a line that something else has printed."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if is_event(value) else None


def valid_events(values: Iterable[Any]) -> list[dict[str, Any]]:
    """Return those of *values* that are events."""
    return [value for value in values if is_event(value)]


def is_event(value: Any) -> bool:
    """Return whether *value* has the form of an event; see `probe.py`, `probe_in_acr.py` and `batch_driver.py`."""
    name = value.get("event") if isinstance(value, dict) else None
    if not isinstance(name, str) or name not in _FORMS:
        return False
    return _has(value, _FORMS[name]) and all(
        check(value[key]) for key, check in _OPTIONAL.items() if key in value
    )


def _has(value: Mapping[str, Any], form: Mapping[str, Check]) -> bool:
    return all(key in value and check(value[key]) for key, check in form.items())


def _is_seconds(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _is_base64(value: Any) -> bool:
    try:
        return isinstance(value, str) and base64.b64decode(value, validate=True) is not None
    except (binascii.Error, ValueError):
        return False


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _is_times(value: Any) -> bool:
    return isinstance(value, list) and value != [] and all(map(_is_seconds, value))


def _is_headers(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value.values()))


_ANSWER: Mapping[str, Check] = {
    "status": _is_count,
    "headers": _is_headers,
    "body": _is_base64,
    "cut": _is_flag,
}
_NO_ANSWER: Mapping[str, Check] = {"status": lambda value: value is None, "error": _is_text}


def _is_changed(value: Any) -> bool:
    """Return whether *value* is the first repeat that differed: another answer, or none."""
    if not isinstance(value, dict) or not _is_count(value.get("repeat")):
        return False
    return _has(value, _NO_ANSWER if value.get("status") is None else _ANSWER)


_STEP: Mapping[str, Check] = {"seconds": _is_seconds, "error": _or_none(_is_text)}
_RESULT: Mapping[str, Check] = {"status": _or_none(_is_count), "error": _or_none(_is_text)}
_OPTIONAL: Mapping[str, Check] = {
    "changed": _is_changed,
    "healthy": _is_flag,
    "replaced": _is_text,
    "core": _is_flag,
    "kind": _is_text,
    "items": _is_count,
}
_FORMS: Mapping[str, Mapping[str, Check]] = {
    "waiting": {"seconds": _is_seconds, "last": _is_text},
    "elsewhere": {"seconds": _is_seconds},
    "exited": {"seconds": _is_seconds},
    "not-ready": {"seconds": _is_seconds, "last": _is_text},
    "ready": {"seconds": _is_seconds, "tries": _is_count},
    "swagger": _RESULT,
    "answer": {"index": _is_count, **_ANSWER, "seconds": _is_times},
    "no-answer": {"index": _is_count, "error": _is_text, "healthy": _is_flag},
    "malformed": {**_RESULT, "healthy": _is_flag},
    "done": {"seconds": _is_seconds},
    "batch-init": _STEP,
    "batch-run": _STEP,
    "container": {
        "running": _is_flag,
        "exit_code": _is_count,
        "out_of_memory": _is_flag,
        "peak_memory": _or_none(_is_count),
        "stop": _or_none(_is_seconds),
        "log": _is_text,
    },
}
