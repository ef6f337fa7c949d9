"""Read the table `smoke-test` with its files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_tasks.config.fields import UNSET
from azureml_tasks.config.problems import spell
from azureml_tasks.config.settings import Request
from azureml_tasks.config.toml_document import DEEPEST, is_too_deep
from azureml_tasks.context.build_context import digest
from azureml_tasks.context.context_file import ContextFile
from azureml_tasks.context.lfs_pointer import LARGEST, is_pointer
from azureml_tasks.project.model import SmokeTestFile, SmokeTestPlan, SmokeTestRequest
from azureml_tasks.project.paths import files_below, leaves
from azureml_tasks.text_file import UnreadableFile, read_bytes

if TYPE_CHECKING:
    from azureml_tasks.config.problems import Place
    from azureml_tasks.context.file_hashes import FileHashes
    from azureml_tasks.project.paths import ProjectReader

_LARGEST = 100_000_000
"""Bytes of a request or of an expected answer, which are held in memory."""
_SHORT = ("smoke-test", "request")
_NUMBERED = ("smoke-test", "requests")
_MINI_BATCH = ("smoke-test", "mini-batch")


def read_smoke_test(reader: ProjectReader) -> SmokeTestPlan:
    """Read what the smoke test sends, expects and mounts, and report what is wrong with it."""
    table, problems = reader.settings.smoke_test, reader.problems
    if problems.is_written(_SHORT) and problems.is_written((*_NUMBERED, 0)):
        what = "tool.azureml-image.smoke-test has both request and requests"
        problems.add(_SHORT, what, f"Write: [[{spell(_NUMBERED)}]] alone")
    requests: list[tuple[Place, Request]] = [(_SHORT, Request(file=table.request))] if table.request else []
    places = [(*_NUMBERED, index) for index in range(len(table.requests))]
    requests += [pair for pair in zip(places, table.requests, strict=True) if not problems.is_bad(pair[0])]
    mini_batch = _mini_batch(reader)
    model = _model(reader)
    smoke_test = SmokeTestPlan(
        requests=tuple(_request(reader, place, request) for place, request in requests),
        model=str(reader.root / model) if model else "",
        env=dict(table.env),
        memory=table.memory or "",
        start_timeout=float(table.start_timeout),
        repeat=table.repeat,
        mini_batch=mini_batch,
        mini_batch_timeout=float(table.mini_batch_timeout),
    )
    return smoke_test._replace(sha256=_sha256(smoke_test, model, reader.hashes))


def _mini_batch(reader: ProjectReader) -> tuple[SmokeTestFile, ...]:
    """Return the files of the mini-batch, and report what is wrong with them."""
    table, problems = reader.settings.smoke_test, reader.problems
    other = "request" if table.request else "requests"
    if table.mini_batch and (table.request or table.requests):
        what = f"{spell(_MINI_BATCH)} is for a batch deployment, and {spell(('smoke-test', other))} for an online one"
        problems.add(_MINI_BATCH, what, "Keep one of the two: an entry script serves one of them.")
    files: list[SmokeTestFile] = []
    size = 0
    for index, value in enumerate(table.mini_batch):
        place = (*_MINI_BATCH, index)
        path = "" if problems.is_bad(place) else reader.check_path(place, value, "file")
        if not path:
            continue
        size += (reader.root / path).stat().st_size
        if size > _LARGEST:
            what = f"{spell(_MINI_BATCH)} has more than {_LARGEST / 1e6:,.0f} MB"
            problems.add(_MINI_BATCH, what, "Write a few small files: they are a sample.")
            break
        content = _content(reader, place, path)
        if content is not None:
            files.append(SmokeTestFile(name=path, source=str(reader.root / path), content=content))
    return tuple(files)


def _model(reader: ProjectReader) -> str:
    place, value = ("smoke-test", "model"), reader.settings.smoke_test.model
    if reader.problems.is_written(place) and reader.problems.is_written(("model",)):
        what = f"{spell(place)} is for an image without a model, and {spell(('model',))} bakes one in"
        reader.problems.add(place, what, "Keep one of the two.")
    model = reader.check_path(place, value, "file or folder") if value else ""
    files = _files(reader.root / model) if model else []
    for path in files:
        if leaves(reader.root, path):
            name = path.relative_to(reader.root).as_posix()
            what = f"{name} is a link to {path.readlink()}, which leaves the project"
            reader.problems.add(place, what, "Copy what it points at into the project.")
    if reader.problems.is_bad(place):
        return ""
    small = (path for path in files if path.stat().st_size <= LARGEST)
    pointers = [path.relative_to(reader.root).as_posix() for path in small if is_pointer(path.read_bytes())]
    if pointers:
        reader.refuse_lfs_pointers(place, pointers)
    return model


def _request(reader: ProjectReader, place: Place, request: Request) -> SmokeTestRequest:
    written = reader.problems.is_written
    if place != _SHORT and written((*place, "body")) == written((*place, "file")):
        what = f"{spell(place)} must have exactly one of body and file"
        reader.problems.add(place, what, 'Write: file = "sample-request.json"')
    if written((*place, "expect")) and written((*place, "expect-file")):
        reader.problems.add(place, f"{spell(place)} has both expect and expect-file", "Keep one of the two.")
    expect = request.expect
    if request.expect_file is not None:
        expect = _json(reader, (*place, "expect-file"), request.expect_file)
    number = place[-1]
    return SmokeTestRequest(
        name=request.file or (f"request {number + 1}" if isinstance(number, int) else "request"),
        path=request.path,
        body=_body(reader, place, request),
        status=request.status,
        expect=expect,
        tolerance=float(request.tolerance),
        timeout=float(request.request_timeout),
    )


def _body(reader: ProjectReader, place: Place, request: Request) -> bytes:
    if request.file is None:
        return b"" if request.body is UNSET else json.dumps(request.body, ensure_ascii=False).encode()
    place = place if place == _SHORT else (*place, "file")
    path = reader.check_path(place, request.file, "file")
    return (_content(reader, place, path) if path else None) or b""


def _content(reader: ProjectReader, place: Place, path: str) -> bytes | None:
    """Return the content of a file; None if it cannot be read or was not pulled, which is reported."""
    try:
        content = read_bytes(reader.root / path, _LARGEST)
    except UnreadableFile as error:
        reader.problems.add_in_file(path, 0, error.why, error.fix)
        return None
    if is_pointer(content):
        reader.refuse_lfs_pointers(place, [path])
        return None
    return content


def _json(reader: ProjectReader, place: Place, value: str) -> Any:
    path = reader.check_path(place, value, "file")
    if not path:
        return UNSET
    content = _content(reader, place, path)
    if content is None:
        return UNSET
    try:
        value = json.loads(content, parse_constant=_refuse_constant)
        if not is_too_deep(value):
            return value
        line, why = 0, f"it is nested more than {DEEPEST} deep"
    except json.JSONDecodeError as error:
        line, why = error.lineno, error.msg
    except UnicodeDecodeError as error:
        line, why = 1, error.reason
    except RecursionError:
        line, why = 0, f"it is nested more than {DEEPEST} deep"
    except ValueError as error:
        line, why = 0, str(error)
    fix = "The file holds what the response must contain."
    reader.problems.add_in_file(path, line, f"is not valid JSON: {why}", fix)
    return UNSET


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is none of its numbers")


def _sha256(smoke_test: SmokeTestPlan, model: str, hashes: FileHashes) -> str:
    """Return the SHA-256 over all that decides whether an image passes: the table, the requests and the model."""
    requests = [
        [r.path, r.body.hex(), r.status, None if r.expect is UNSET else [r.expect], r.tolerance, r.timeout]
        for r in smoke_test.requests
    ]
    mounted = [model, digest(_members(Path(smoke_test.model)), hashes)] if smoke_test.model else []
    parts: list[Any] = [
        requests,
        mounted,
        dict(smoke_test.env),
        smoke_test.memory,
        smoke_test.start_timeout,
        smoke_test.repeat,
    ]
    if smoke_test.mini_batch:
        files = [[file.name, hashlib.sha256(file.content).hexdigest()] for file in smoke_test.mini_batch]
        parts.append([files, smoke_test.mini_batch_timeout])
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _members(model: Path) -> list[ContextFile]:
    return [
        ContextFile(
            name=path.relative_to(model.parent).as_posix(), source=str(path), size=path.stat().st_size
        )
        for path in _files(model)
    ]


def _files(model: Path) -> list[Path]:
    return [model] if model.is_file() else sorted(files_below(model))
