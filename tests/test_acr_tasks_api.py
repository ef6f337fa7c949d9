"""Run requests as JSON, and the state of a run."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from azureml_tasks.config.settings import Acr
from azureml_tasks.engines.acr.candidates import RUN_ID
from azureml_tasks.engines.acr.task_file import TaskFile
from azureml_tasks.engines.acr.tasks_api import Run, RunRequest
from tests.acr_plans import SECRETS, piece, plan
from tests.examples import examples

SOURCE = "tasks-source/202611250000/abc.tar.gz"
SHA256 = "2" * 64
IMAGE = f"team/scoring/candidate:{RUN_ID}"
CALLER = {"sourceRegistry": {"identity": "[caller]"}}


def request(*, acr: Acr | None = None, platform: str = "linux/amd64", abac: bool = False) -> RunRequest:
    """Return what requests for the context at SOURCE have in common."""
    return RunRequest(acr=acr or Acr(), platform=platform, source=SOURCE, abac=abac)


def file(*, smoke_test: bool = True) -> TaskFile:
    """Return a task file that mounts secrets."""
    image = f"contoso.azurecr.io/{IMAGE}"
    image_plan = plan(secrets=SECRETS)
    return TaskFile(
        plan=image_plan,
        image=image,
        context_sha256=SHA256,
        pieces=(piece(image_plan, image),),
        smoke_test=smoke_test,
        timeout=3600,
    )


QUICK_BUILD: dict[str, Any] = {
    "type": "DockerBuildRequest",
    "imageNames": ["team/scoring/candidate:{{.Run.ID}}"],
    "isPushEnabled": True,
    "noCache": False,
    "dockerFilePath": "Dockerfile",
    "arguments": [{"name": "CONTEXT_SHA256", "value": SHA256, "isSecret": False}],
    "platform": {"os": "Linux", "architecture": "amd64"},
    "sourceLocation": SOURCE,
    "timeout": 3600,
}


@pytest.mark.parametrize(
    ("common", "no_cache", "changed"),
    [
        (request(), False, {}),
        (request(), True, {"noCache": True}),
        (
            request(acr=Acr(agent_pool="large", timeout=600)),
            False,
            {"agentPoolName": "large", "timeout": 600},
        ),
        (request(abac=True), False, {"credentials": CALLER}),
        (
            request(platform="linux/arm64/v8"),
            False,
            {"platform": {"os": "Linux", "architecture": "arm64", "variant": "v8"}},
        ),
    ],
    ids=["plain", "no cache", "pool and timeout", "ABAC", "variant of a platform"],
)
def test_a_quick_build(common: RunRequest, no_cache: bool, changed: dict[str, Any]) -> None:
    """A quick build builds the Dockerfile of the context and pushes the candidate, with the options of the table."""
    assert {**QUICK_BUILD, **changed} == common.quick_build(IMAGE, SHA256, no_cache=no_cache)


@pytest.mark.parametrize(
    ("common", "changed"),
    [
        (request(), {}),
        (
            request(acr=Acr(agent_pool="large", timeout=600), platform="linux/arm/v7", abac=True),
            {
                "platform": {"os": "Linux", "architecture": "arm", "variant": "v7"},
                "timeout": 600,
                "agentPoolName": "large",
                "credentials": CALLER,
            },
        ),
    ],
    ids=["plain", "everything"],
)
def test_a_task(common: RunRequest, changed: dict[str, Any]) -> None:
    """The task file is base64, and each secret is a value outside its text."""
    netrc = b"machine pypi.contoso.example login me password s3cret\n"

    actual = common.task(file(), {"pip-conf": b"[global]\n", "netrc": netrc})

    expected = {
        "type": "EncodedTaskRunRequest",
        "encodedTaskContent": base64.b64encode(str(file()).encode()).decode(),
        "values": [
            {"name": "pipconf", "value": "W2dsb2JhbF0K", "isSecret": True},
            {"name": "netrc", "value": base64.b64encode(netrc).decode(), "isSecret": True},
        ],
        "platform": {"os": "Linux", "architecture": "amd64"},
        "sourceLocation": SOURCE,
        "timeout": 3600,
        **changed,
    }
    assert expected == actual


def test_a_task_without_secrets() -> None:
    """Without secrets, a request has no values."""
    assert [] == request().task(file(), {})["values"]


# Secrets on the agent


def mounted(secret: bytes, folder: Path) -> bytes:
    """Return the file that an agent writes for *secret*, through a here-document of a shell (createSecretFiles)."""
    value = base64.b64decode(request().task(file(), {"netrc": secret})["values"][0]["value"])
    path = folder / "netrc"
    path.unlink(missing_ok=True)
    script = b"cat >> netrc <<EOL\n" + value + b"\nEOL"
    ended = subprocess.run(["/bin/sh", "-c", script], cwd=folder, capture_output=True, check=True)
    assert (b"", b"") == (ended.stdout, ended.stderr)
    return path.read_bytes()


FRAGMENTS = (
    *(
        b"\\",
        b"\\\\",
        b"$",
        b"$$",
        b"$HOME",
        b"${HOME}",
        b"$(id)",
        b"`id`",
        b"`",
        b"'",
        b'"',
        b'\\"',
        b"\\\n",
    ),
    *(
        b"EOL",
        b"\nEOL\n",
        b"EOL\n",
        b"\nEOL",
        b" EOL",
        b"\nEOL \n",
        b"\nEO\\\nL\n",
        b"<<EOL\n",
        b"\tEOL\n",
        b"E",
        b"EO",
    ),
    *(
        b"\r\n",
        b"\n",
        b"\n\n",
        b" ",
        b"#",
        b"%s",
        b"!",
        b"~",
        b"caf\xe9",
        b"E\xe9",
    ),
    *("é模\U0001f600".encode(), b"\x01\x1b\x7f", b"{{.Run.ID}}", b"$ID"),
)


@pytest.mark.parametrize("secret", FRAGMENTS)
def test_special_characters_are_mounted_unchanged(secret: bytes, tmp_path: Path) -> None:
    """Nothing in a secret is executed, replaced or lost; a line feed is added."""
    for whole in (secret, b"a" + secret + b"b", secret * 2):
        assert whole + b"\n" == mounted(whole, tmp_path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for all examples."""
    return tmp_path_factory.mktemp("secrets")


WORDS = st.binary(max_size=6).map(lambda word: word.replace(b"\0", b""))


@settings(max_examples=examples(50))
@given(secret=st.lists(st.sampled_from(FRAGMENTS) | WORDS, max_size=8).map(b"".join))
def test_any_secret_is_mounted_unchanged(secret: bytes, folder: Path) -> None:
    """Any bytes without NUL are mounted unchanged."""
    assert secret + b"\n" == mounted(secret, folder)


# Durations

CREATED, STARTED, FINISHED = (
    "2026-11-25T10:00:00.1234567Z",
    "2026-11-25T10:00:07.6234567Z",
    "2026-11-25T10:02:00.6234569Z",
)


@pytest.mark.parametrize(
    ("created", "started", "finished", "expected"),
    [
        (CREATED, STARTED, FINISHED, "8 s queued, 113 s running"),
        (CREATED, "2026-11-25T12:00:01.1234567+02:00", "", "1 s queued"),
        ("", STARTED, FINISHED, "113 s running"),
        (CREATED, CREATED, "", "0 s queued"),
        (CREATED, "soon", FINISHED, "ACR reports no times"),
        ("", "", "", "ACR reports no times"),
    ],
    ids=["all", "offset", "not created", "at once", "not a time", "nothing"],
)
def test_durations(created: str, started: str, finished: str, expected: str) -> None:
    """Only the times that ACR reports are shown."""
    run = Run(id="ca8", status="Succeeded", created=created, started=started, finished=finished)

    assert expected == run.durations
