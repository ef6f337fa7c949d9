"""What is asked of a registry's tasks, as JSON."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from azureml_tasks.config.settings import Acr
from azureml_tasks.engines.acr.task_file import RUN_ID, TaskFile
from azureml_tasks.engines.acr.tasks_api import Request
from tests.acr_plans import SECRETS, piece, plan
from tests.examples import examples

SOURCE = "tasks-source/202611250000/abc.tar.gz"
SHA256 = "2" * 64
IMAGE = f"team/scoring/candidate:{RUN_ID}"
CALLER = {"sourceRegistry": {"identity": "[caller]"}}


def request(*, acr: Acr | None = None, platform: str = "linux/amd64", abac: bool = False) -> Request:
    """A run of the context that was sent to SOURCE."""
    return Request(acr=acr or Acr(), platform=platform, source=SOURCE, abac=abac)


def file(*, smoke_test: bool = True) -> TaskFile:
    """A task that mounts secrets."""
    image = f"contoso.azurecr.io/{IMAGE}"
    made = plan(secrets=SECRETS)
    return TaskFile(
        plan=made,
        image=image,
        context_sha256=SHA256,
        pieces=(piece(made, image),),
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
    ("asked", "no_cache", "changed"),
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
def test_a_quick_build(asked: Request, no_cache: bool, changed: dict[str, Any]) -> None:
    """All of it: the context's own Dockerfile, pushed under the candidate's name, as the table says."""
    assert {**QUICK_BUILD, **changed} == asked.quick_build(IMAGE, SHA256, no_cache=no_cache)


@pytest.mark.parametrize(
    ("asked", "changed"),
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
def test_a_task(asked: Request, changed: dict[str, Any]) -> None:
    """The file travels in base64, each secret as a value of its own that is none of the file's text."""
    netrc = b"machine pypi.contoso.example login me password s3cret\n"

    found = asked.task(file(), {"pip-conf": b"[global]\n", "netrc": netrc})

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
    assert expected == found


def test_a_task_without_secrets() -> None:
    """Where nothing is secret, no value travels."""
    assert [] == request().task(file(), {})["values"]


# What the agent makes of a secret


def mounted(secret: bytes, folder: Path) -> bytes:
    """The file that an agent makes of *secret*: by a shell, whose here-document expands (createSecretFiles)."""
    value = base64.b64decode(request().task(file(), {"netrc": secret})["values"][0]["value"])
    path = folder / "netrc"
    path.unlink(missing_ok=True)
    script = b"cat >> netrc <<EOL\n" + value + b"\nEOL"
    done = subprocess.run(["/bin/sh", "-c", script], cwd=folder, capture_output=True, check=True)
    assert (b"", b"") == (done.stdout, done.stderr)
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
def test_each_special_word_is_mounted_as_it_is(secret: bytes, tmp_path: Path) -> None:
    """Nothing in a secret is carried out, replaced or lost; a line end more is at its end."""
    for whole in (secret, b"a" + secret + b"b", secret * 2):
        assert whole + b"\n" == mounted(whole, tmp_path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for all examples."""
    return tmp_path_factory.mktemp("secrets")


WORDS = st.binary(max_size=6).map(lambda word: word.replace(b"\0", b""))


@settings(max_examples=examples(150))
@given(secret=st.lists(st.sampled_from(FRAGMENTS) | WORDS, max_size=8).map(b"".join))
def test_any_secret_is_mounted_as_it_is(secret: bytes, folder: Path) -> None:
    """So it is whatever a secret holds; only a NUL no program could be handed."""
    assert secret + b"\n" == mounted(secret, folder)
