"""The form of each record: which keys it has, and what their values may be.

A record may come from another version, from a disk that was full, or from somebody else's commit. So nothing of it is
used before all of it has its form.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks import image_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Check = Callable[[Any], bool]

BUILD, PASS, RESULT, RUNS = "build.json", "smoke-test.json", "result.json", "runs.json"
PROBE_EVENTS, FILES = "probe-events.json", "files.json"
_MOST = 10**12
"""More than any time in seconds, or any size in bytes, that a record holds; a float can hold it."""
_HALVES = re.compile("[\ud800-\udfff]")


class Form(NamedTuple):
    """The keys of a record with the checks of their values; other keys are never read."""

    required: Mapping[str, Check]
    optional: Mapping[str, Check]


def read_json(text: bytes) -> Any:
    """Return the JSON value that *text* holds.

    Raises:
        ValueError: it holds none, or one that is nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def wrong_keys(name: str, record: Mapping[str, Any]) -> list[str]:
    """Return the keys that the record of this *name* lacks, or whose values are not what they must be."""
    form = _FORMS[name]
    missing = [key for key in form.required if key not in record]
    checks = {**form.required, **form.optional}
    return [*missing, *(key for key, check in checks.items() if key in record and not check(record[key]))]


def is_words(value: object) -> bool:
    """Return whether *value* is a string on one line, without control characters."""
    return isinstance(value, str) and value.isprintable()


def is_text(value: object) -> bool:
    """Return whether *value* is a string that can be written again: JSON can escape halves of characters."""
    return isinstance(value, str) and not _HALVES.search(value)


def is_digest(value: object) -> bool:
    """Return whether *value* is the ID of an image or a digest, `sha256:` and 64 digits."""
    return _matches(value, image_reference.DIGEST)


def is_mapping(value: object, of: Check) -> bool:
    """Return whether *value* is an object whose values pass the check *of*."""
    return isinstance(value, dict) and all(map(of, value.values()))


def is_list(value: object, of: Check) -> bool:
    """Return whether *value* is an array whose items pass the check *of*."""
    return isinstance(value, list) and all(map(of, value))


def is_number(value: object) -> bool:
    """Return whether *value* is a number of seconds or bytes."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MOST


def _matches(value: object, pattern: str) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def is_hash(value: object) -> bool:
    """Return whether *value* is a SHA-256 in hexadecimal."""
    return _matches(value, "[0-9a-f]{64}")


def _is_name(value: object) -> bool:
    """Return whether *value* is an image reference with its tag."""
    reference = image_reference.parse(value) if isinstance(value, str) else None
    return bool(reference and reference.tag and not reference.digest)


def _is_by_digest(value: object) -> bool:
    """Return whether *value* is `login-server/repository@sha256:…`."""
    reference = image_reference.parse(value) if isinstance(value, str) else None
    return bool(reference and reference.host and reference.digest and not reference.tag)


def _is_tag(value: object) -> bool:
    return _matches(value, image_reference.TAG)


def _is_run(value: object) -> bool:
    """Return whether *value* is a remote build that was started here."""
    return (
        isinstance(value, dict)
        and _matches(value.get("run"), "[A-Za-z0-9_-]{1,64}")
        and _matches(value.get("registry"), image_reference.HOST)
        and is_list(value.get("names"), _is_name)
        and bool(value["names"])
        and is_number(value.get("installed_at"))
        and isinstance(value["installed_at"], int)
    )


def _is_event(value: object) -> bool:
    return isinstance(value, dict) and is_words(value.get("event"))


def _is_summary(value: object) -> bool:
    """Return whether *value* is the report of a smoke test that passed."""
    if not isinstance(value, dict) or not isinstance(value.get("passed"), bool):
        return False
    numbers = (value.get(name) for name in ("started", "peak_memory"))
    return all(number is None or is_number(number) for number in numbers)


_FORMS: Mapping[str, Form] = {
    BUILD: Form(
        required={
            "engine": lambda value: value in ("docker", "acr"),
            "id": is_digest,
            "names": lambda value: is_list(value, _is_name) and bool(value),
            "context_sha256": is_hash,
            "user": is_words,
        },
        optional={
            "candidate": lambda value: value == "" or _is_by_digest(value),
            "run": is_words,
            "waiting": lambda value: is_list(value, _is_by_digest),
            "cached_layers": lambda value: is_list(value, _is_by_digest),
            "fingerprint_parts": lambda value: is_mapping(value, is_words),
            "installed_at": lambda value: is_number(value) and isinstance(value, int),
            "requirements": lambda value: is_list(value, is_text),
            "version": is_text,
            "replaced": lambda value: is_list(value, is_digest),
        },
    ),
    PASS: Form(required={"id": is_digest, "smoke_test_sha256": is_hash, "smoke": _is_summary}, optional={}),
    RESULT: Form(
        required={
            "image": _is_by_digest,
            "id": is_digest,
            "tags": lambda value: is_list(value, _is_tag) and bool(value),
            "digest": is_digest,
            "context_sha256": is_hash,
            "smoke": lambda value: value is None or _is_summary(value),
        },
        optional={"cached_layers": lambda value: is_list(value, _is_by_digest)},
    ),
    RUNS: Form(required={"runs": lambda value: is_list(value, _is_run)}, optional={}),
    PROBE_EVENTS: Form(
        required={
            "id": is_digest,
            "smoke_test_sha256": is_hash,
            "events": lambda value: is_list(value, _is_event),
        },
        optional={},
    ),
    FILES: Form(
        required={
            "context_sha256": is_hash,
            "files": lambda value: is_mapping(value, is_text),
        },
        optional={},
    ),
}
