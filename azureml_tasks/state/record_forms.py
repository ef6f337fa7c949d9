"""The shape of each record: a frozen dataclass whose fields are its keys, and what their values may be.

A record may come from another version, from a disk that was full, or from somebody else's commit. So nothing of it is
used before `typed_json.decode` has found all of it in its shape. Other keys are never read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from azureml_tasks import image_reference
from azureml_tasks.typed_json import WrongShape, decode

if TYPE_CHECKING:
    from collections.abc import Callable

    Check = Callable[[Any], bool]

BUILD, PASS, RESULT, RUNS = "build.json", "smoke-test.json", "result.json", "runs.json"
PUSHED = "pushed.json"
PROBE_EVENTS, FILES, FAILED_STEP = "probe-events.json", "files.json", "failed-step.json"
_MOST = 10**12
"""More than any time in seconds, or any size in bytes, that a record holds; a float can hold it."""
_HALVES = re.compile("[\ud800-\udfff]")
_MOST_LEVELS = 20
"""Of values in each other, more than a record has."""
LARGEST_RECORD = 256 * 1024 * 1024
"""Bytes of a record: what is listed of a million files has less."""


def read_json(text: bytes) -> Any:
    """Return the JSON value that *text* holds.

    Raises:
        ValueError: it holds none, or one that is nested too deeply or has too long a number.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:
        if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError)):
            raise
        raise ValueError("it has a number of too many digits") from None


def is_plain(value: object, levels: int = _MOST_LEVELS) -> bool:
    """Return whether *value*, as JSON was read, can be written again: its texts, and at most *levels* in each other."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        return levels > 0 and all(is_plain(part, levels - 1) for part in value)
    return is_text(value) if isinstance(value, str) else True


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


def _is_event(value: object) -> bool:
    return isinstance(value, dict) and is_words(value.get("event")) and is_plain(value)


def _is_run_id(value: object) -> bool:
    return _matches(value, "[A-Za-z0-9_-]{1,64}")


def _is_host(value: object) -> bool:
    return _matches(value, image_reference.HOST)


Digest = Annotated[str, is_digest]
Hash = Annotated[str, is_hash]
Words = Annotated[str, is_words]
Text = Annotated[str, is_text]
Number = Annotated[float, is_number]
Seconds = Annotated[int, is_number]
Names = Annotated[tuple[Annotated[str, _is_name], ...], bool]
"""Image references with their tags, at least one."""
ByDigest = Annotated[str, _is_by_digest]
ByDigestOrEmpty = Annotated[str, lambda value: value == "" or _is_by_digest(value)]
Tags = Annotated[tuple[Annotated[str, _is_tag], ...], bool]
TextByName = Annotated[Mapping[str, Any], lambda value: is_mapping(value, is_text)]
"""Checked at once: it can have a hundred thousand items."""
EngineName = Literal["docker", "acr"]
RunId = Annotated[str, _is_run_id]
Host = Annotated[str, _is_host]


@dataclass(frozen=True, kw_only=True)
class BuildRecord:
    """An image that was built.

    Args:
        engine: that has it.
        id: the engine's ID; for an image in a registry its digest.
        names: image references.
        context_sha256: hash of its build context.
        user: its runtime user.
        candidate: see `BuiltImage.candidate`.
        run: ID of the remote build.
        waiting: other candidates of the project that wait in a registry.
        cached_layers: see `BuiltImage.cached_layers`.
        fingerprint_parts: hashes of its inputs.
        installed_at: when its packages were installed, seconds since 1970.
        requirements: what pip was asked to install.
        version: of the project.
        replaced: IDs of images that were built before it, oldest first.
    """

    engine: EngineName
    id: Digest
    names: Names
    context_sha256: Hash
    user: Words
    candidate: ByDigestOrEmpty = ""
    run: Words = ""
    waiting: tuple[ByDigest, ...] = ()
    cached_layers: tuple[ByDigest, ...] = ()
    fingerprint_parts: Mapping[str, Words] = field(default_factory=dict)
    installed_at: Seconds = 0
    requirements: tuple[Text, ...] = ()
    version: Text = ""
    replaced: tuple[Digest, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Check:
    name: Text
    seconds: Number


@dataclass(frozen=True, kw_only=True)
class _Latency:
    name: Text
    p50: Number
    p95: Number
    repeats: Number
    status: Number
    times: tuple[Number, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Wait:
    reason: Text
    seconds: Number


@dataclass(frozen=True, kw_only=True)
class _Summary:
    """What is read of the report of a smoke test, see `smoke.report.report_record`."""

    passed: bool
    started: Number | None = None
    peak_memory: Number | None = None
    stopped: Number | None = None
    checks: tuple[_Check, ...] = ()
    latencies: tuple[_Latency, ...] = ()
    waits: tuple[_Wait, ...] = ()
    warnings: tuple[Text, ...] = ()


def _is_summary(value: object) -> bool:
    try:
        decode(_Summary, value)
    except WrongShape:
        return False
    return is_plain(value)


Summary = Annotated[Mapping[str, Any], _is_summary]
"""The report of a smoke test as a whole: it is written again with the push."""


@dataclass(frozen=True, kw_only=True)
class PassRecord:
    """A smoke test that an image passed.

    Args:
        id: of the image.
        smoke_test_sha256: hash of what was sent.
        smoke: the report.
    """

    id: Digest
    smoke_test_sha256: Hash
    smoke: Summary


@dataclass(frozen=True, kw_only=True)
class ResultRecord:
    """What was pushed since the last build.

    Args:
        image: `login-server/repository@sha256:…`.
        id: of the image on its engine.
        tags: that it was pushed with.
        digest: in the registry.
        context_sha256: hash of its build context.
        smoke: the report of its smoke test; None if it was pushed untested.
        cached_layers: see `BuiltImage.cached_layers`.
    """

    image: ByDigest
    id: Digest
    tags: Tags
    digest: Digest
    context_sha256: Hash
    smoke: Summary | None
    cached_layers: tuple[ByDigest, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PushedRecord:
    """The last push, also of an earlier build.

    Args:
        image: `login-server/repository@sha256:…`.
        id: of the image on its engine.
        tags: that it was pushed with.
        pushed_at: seconds since 1970.
        files: members of its build context, and what each was.
    """

    image: ByDigest
    id: Digest
    tags: Tags
    pushed_at: Number
    files: TextByName


@dataclass(frozen=True, kw_only=True)
class StartedRun:
    """A remote build that was started here, and whose image has not been taken over yet.

    Args:
        run: its ID.
        registry: login server.
        names: that its image is to get, `login-server/repository:tag`.
        installed_at: when the cached layers that it is based on were built, seconds since 1970; 0 for none.
    """

    run: RunId
    registry: Host
    names: Names
    installed_at: Seconds


@dataclass(frozen=True, kw_only=True)
class RunsRecord:
    """Remote builds that were started here, the last one last."""

    runs: tuple[StartedRun, ...]


@dataclass(frozen=True, kw_only=True)
class ProbeEventsRecord:
    """The probe's events of a smoke test in the cloud.

    Args:
        id: of the image.
        smoke_test_sha256: hash of what was sent.
        events: in order.
    """

    id: Digest
    smoke_test_sha256: Hash
    events: tuple[Annotated[Any, _is_event], ...]


@dataclass(frozen=True, kw_only=True)
class FailedStepRecord:
    """The step at which the last build failed, see `failed_step.FailedStep`."""

    engine: EngineName
    step: Words
    images: Mapping[str, Digest]


@dataclass(frozen=True, kw_only=True)
class FilesRecord:
    """What each member of a build context was.

    Args:
        context_sha256: hash of the context.
        files: by name.
    """

    context_sha256: Hash
    files: TextByName


@dataclass(frozen=True, kw_only=True)
class LayerFile:
    """Cached layers that a project has built, see `layer_records.LayerRecord`."""

    id: Digest
    name: Words
    folder: Text
