"""Read the table `smoke-test` with its files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_tasks.config.fields import UNSET
from azureml_tasks.config.problems import spell
from azureml_tasks.context.build_context import digest
from azureml_tasks.context.context_file import ContextFile
from azureml_tasks.context.lfs_pointer import LARGEST, is_pointer
from azureml_tasks.project.model import SmokeTestFile, SmokeTestPlan
from azureml_tasks.project.paths import files_below, leaves
from azureml_tasks.project.smoke_test_requests import LARGEST as LARGEST_BODY
from azureml_tasks.project.smoke_test_requests import read_content, read_requests

if TYPE_CHECKING:
    from azureml_tasks.context.file_hashes import FileHashes
    from azureml_tasks.project.paths import ProjectReader

_MINI_BATCH = ("smoke-test", "mini-batch")


def read_smoke_test(reader: ProjectReader) -> SmokeTestPlan:
    """Read what the smoke test sends, expects and mounts, and report what is wrong with it."""
    table = reader.settings.smoke_test
    requests, mini_batch, model = read_requests(reader), _mini_batch(reader), _model(reader)
    smoke_test = SmokeTestPlan(
        requests=requests,
        model=str(reader.root / model) if model else "",
        model_name=(reader.settings.model_name or (reader.root / model).stem) if model else "",
        env=dict(table.env),
        memory=table.memory or "",
        gpus=table.gpus or "",
        start_timeout=float(table.start_timeout),
        repeat=table.repeat,
        mini_batch=mini_batch,
        mini_batch_timeout=float(table.mini_batch_timeout),
        port=table.port,
        health=table.health,
        is_azure_server=not reader.settings.dockerfile,
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
        if size > LARGEST_BODY:
            what = f"{spell(_MINI_BATCH)} has more than {LARGEST_BODY / 1e6:,.0f} MB"
            problems.add(_MINI_BATCH, what, "Write a few small files: they are a sample.")
            break
        content = read_content(reader, place, path)
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
            name = reader.name(path.relative_to(reader.root).as_posix())
            what = f"{name} is a link to {path.readlink()}, which leaves the project"
            reader.problems.add(place, what, "Copy what it points at into the project.")
    if reader.problems.is_bad(place):
        return ""
    small = (path for path in files if path.stat().st_size <= LARGEST)
    pointers = [path.relative_to(reader.root).as_posix() for path in small if is_pointer(path.read_bytes())]
    if pointers:
        reader.refuse_lfs_pointers(place, pointers)
    return model


def _sha256(smoke_test: SmokeTestPlan, model: str, hashes: FileHashes) -> str:
    """Return the SHA-256 over all that decides whether an image passes: the table, the requests and the model."""
    requests = [
        {
            **request._asdict(),
            "body": request.body.hex(),
            "expect": None if request.expect is UNSET else [request.expect],
            "headers": dict(request.headers),
            "expect_headers": dict(request.expect_headers),
        }
        for request in smoke_test.requests
    ]
    members = digest(_members(Path(smoke_test.model)), hashes) if smoke_test.model else ""
    parts: list[Any] = [
        requests,
        [model, smoke_test.model_name, members],
        dict(smoke_test.env),
        smoke_test.memory,
        smoke_test.gpus,
        smoke_test.start_timeout,
        smoke_test.repeat,
        [smoke_test.port, smoke_test.health],
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
