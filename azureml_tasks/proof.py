"""The table `smoke-test` with its files → `Proof`, which one hash names."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from azureml_tasks.errors import Problem
from azureml_tasks.inventory import existing
from azureml_tasks.planning import Proof, ProofRequest
from azureml_tasks.reader import spell
from azureml_tasks.settings import ABSENT, Request, Settings

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.reader import Found, Place

__all__ = ["read_proof"]


def read_proof(root: Path, settings: Settings, found: Found) -> Proof:
    """Read what the smoke test sends and expects; *found* takes what is wrong."""
    table, sound = settings.smoke_test, "smoke-test" not in found.bad
    if table.request and table.requests:
        found.problem(
            ("smoke-test", "request"),
            "tool.azureml-image.smoke-test has both request and requests",
            "Write: [[tool.azureml-image.smoke-test.requests]] alone",
        )
    if table.model and settings.model:
        what = "tool.azureml-image.smoke-test.model is for an image without a model, and tool.azureml-image.model bakes one in"
        found.problem(("smoke-test", "model"), what, "Keep one of the two.")
    short = [(("smoke-test", "request"), Request(file=table.request))] if table.request else []
    numbered = [(("smoke-test", "requests", index), request) for index, request in enumerate(table.requests)]
    model = (
        existing(root, found, ("smoke-test", "model"), table.model, "file or folder") if table.model else ""
    )
    requests = tuple(
        _request(root, place, request, found, sound=sound) for place, request in (*short, *numbered)
    )
    proof = Proof(
        requests=requests,
        model=str(root / model) if model else "",
        env=dict(table.env),
        memory=table.memory or "",
        start_timeout=float(table.start_timeout),
        repeat=table.repeat,
        sha256="",
    )
    return Proof(**{**proof.__dict__, "sha256": _sha256(proof, model)})


def _request(root: Path, place: Place, request: Request, found: Found, *, sound: bool) -> ProofRequest:
    spelled = spell(place)
    if (request.body is ABSENT) == (request.file is None) and sound:
        found.problem(
            place, f"{spelled} must have exactly one of body and file", 'Write: file = "sample-request.json"'
        )
    if request.expect is not ABSENT and request.expect_file is not None:
        found.problem(place, f"{spelled} has both expect and expect-file", "Keep one of the two.")
    expect = request.expect
    if request.expect_file is not None:
        expect = _json(root, _key(place, "expect-file"), request.expect_file, found)
    return ProofRequest(
        name=request.file or request.path,
        path=request.path,
        body=_body(root, place, request, found),
        status=request.status,
        expect=expect,
        tolerance=float(request.tolerance),
        timeout=float(request.request_timeout),
    )


def _key(place: Place, name: str) -> Place:
    return place if place[-1] == "request" else (*place, name)


def _body(root: Path, place: Place, request: Request, found: Found) -> bytes:
    if request.file is None:
        return b"" if request.body is ABSENT else json.dumps(request.body, ensure_ascii=False).encode()
    path = existing(root, found, _key(place, "file"), request.file, "file")
    return (root / path).read_bytes() if path else b""


def _json(root: Path, place: Place, value: str, found: Found) -> Any:
    path = existing(root, found, place, value, "file")
    if not path:
        return ABSENT
    try:
        return json.loads((root / path).read_bytes())
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        found.problems.append(
            Problem(
                path,
                line,
                f"is no JSON: {getattr(error, 'msg', error)}",
                "It holds what the answer must contain.",
            )
        )
        return ABSENT


def _sha256(proof: Proof, model: str) -> str:
    """Over everything that decides whether an image passes; the model's folder by its name."""
    requests = [
        [r.path, r.body.hex(), r.status, None if r.expect is ABSENT else [r.expect], r.tolerance, r.timeout]
        for r in proof.requests
    ]
    parts = [requests, model, dict(proof.env), proof.memory, proof.start_timeout, proof.repeat]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
