"""Credential helpers: what they answer, and how each way to fail is named. The registry is never asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from azureml_tasks.engines.docker.credentials import auth_config, missing_helper
from azureml_tasks.engines.docker.docker_config import DockerConfig, read_docker_config
from azureml_tasks.errors import AzuremlTasksError
from tests.cases import lay_out

HOST = "127.0.0.1:5000"
PROGRAM = "docker-credential-own"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of docker's configuration, which names a helper; its programs are those on PATH."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    lay_out({"config.json": '{"credsStore": "own"}'}, tmp_path)
    return tmp_path


def config_with(folder: Path, script: str) -> DockerConfig:
    """Put the helper on PATH and read the configuration."""
    program = folder / PROGRAM
    program.write_text(script, encoding="utf-8")
    program.chmod(0o755)
    return read_docker_config()


def answering(answer: object) -> str:
    """A helper that prints *answer* as JSON, and keeps what it was asked for."""
    return f'#!/bin/sh\ntest "$1" = get && cat > "$DOCKER_CONFIG/asked"\necho \'{json.dumps(answer)}\'\n'


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            {"ServerURL": HOST, "Username": "u", "Secret": "s"},
            {"username": "u", "password": "s", "serveraddress": HOST},
        ),
        ({"Username": "<token>", "Secret": "t"}, {"identitytoken": "t", "serveraddress": HOST}),
        ({"Username": "", "Secret": ""}, {}),
    ],
)
def test_credentials_of_a_helper(answer: object, expected: dict[str, str], folder: Path) -> None:
    """The helper is asked for the login server; an empty answer is none."""
    config = config_with(folder, answering(answer))

    assert expected == auth_config(config, HOST)
    assert HOST == (folder / "asked").read_text()


def test_a_helper_without_credentials_leaves_those_of_the_file(folder: Path) -> None:
    """What a helper prints for "there are none" is a part of its protocol, and no failure."""
    script = "#!/bin/sh\ncat >/dev/null\necho credentials not found in native keychain\nexit 1\n"
    entry = {"username": "u", "password": "p"}
    lay_out({"config.json": json.dumps({"credsStore": "own", "auths": {HOST: entry}})}, folder)

    assert {**entry, "serveraddress": HOST} == auth_config(config_with(folder, script), HOST)


def test_a_helper_of_one_registry(folder: Path) -> None:
    """`credHelpers` names the helper of one registry, and precedes `credsStore`."""
    lay_out({"config.json": json.dumps({"credsStore": "none", "credHelpers": {HOST: "own"}})}, folder)
    config = config_with(folder, answering({"Username": "u", "Secret": "s"}))

    assert "u" == auth_config(config, HOST)["username"]
    with pytest.raises(AzuremlTasksError, match="docker-credential-none"):
        auth_config(config, "r.io")


START = f'The credential helper {PROGRAM}, which "credsStore" of FILE names,'
OTHERWISE = f'ake "credsStore" out of FILE, and sign in with: docker login {HOST}'
TRY = f"""\
    Try it: echo {HOST} | {PROGRAM} get
    Or t{OTHERWISE}"""
FAILED = f"{START} failed with exit code {{}}. Registry {HOST} was not asked.\n{TRY}"
HTML = (
    f"{START} did not answer with a JSON object of Username and Secret. Registry {HOST} was not asked.\n{TRY}"
)


@pytest.mark.parametrize(
    ("script", "code", "expected"),
    [
        (
            "echo 'err: executable file not found in %PATH%'; exit 1",
            6,
            f"{FAILED.format(1)}\n    {PROGRAM} said: err: executable file not found in %PATH%",
        ),
        (
            "echo 'StatusCode: 403, AccessDenied' >&2; exit 3",
            6,
            f"{FAILED.format(3)}\n    {PROGRAM} said: StatusCode: 403, AccessDenied",
        ),
        ("exit 1", 6, FAILED.format(1)),
        ("echo '<html>gateway</html>'", 6, HTML),
        ("echo '[]'", 6, HTML),
        ("echo '{}'", 6, HTML),
        ("echo 'null'", 6, HTML),
        ("""echo '{"Username": null, "Secret": "hush"}'""", 6, HTML),
        ("""echo '{"Username": "\\\\ud800", "Secret": "hush"}'""", 6, HTML),
    ],
)
def test_a_helper_that_fails(script: str, code: int, expected: str, folder: Path) -> None:
    """The helper and the key that names it are in the error; a secret that it printed is not."""
    config = config_with(folder, f"#!/bin/sh\ncat >/dev/null\n{script}\n")

    with pytest.raises(AzuremlTasksError) as caught:
        auth_config(config, HOST)

    file = str(folder / "config.json")
    assert (code, expected.replace("FILE", file)) == (caught.value.exit_code, str(caught.value))


def test_a_helper_that_is_not_on_path(folder: Path) -> None:
    """It is a tool that is missing: exit code 3."""
    with pytest.raises(AzuremlTasksError) as caught:
        auth_config(read_docker_config(), HOST)

    expected = f"""\
{START} is not on PATH. Registry {HOST} was not asked.
    Install it, or t{OTHERWISE}""".replace("FILE", str(folder / "config.json"))
    assert (3, expected) == (caught.value.exit_code, str(caught.value))
    assert expected == str(missing_helper(read_docker_config(), HOST))


def test_a_helper_that_cannot_be_started(folder: Path) -> None:
    """A program for another machine, as Windows' helpers are in WSL, is named with the system's reason."""
    config = config_with(folder, "\x7fELF")

    with pytest.raises(AzuremlTasksError) as caught:
        auth_config(config, HOST)

    expected = f"""\
{START} cannot be started. Registry {HOST} was not asked.
    Install it, or t{OTHERWISE}
    the system said: Exec format error""".replace("FILE", str(folder / "config.json"))
    assert (3, expected) == (caught.value.exit_code, str(caught.value))


def test_a_helper_that_is_there_is_not_missed(folder: Path) -> None:
    """It is looked for, and not started."""
    config = config_with(folder, "#!/bin/sh\nexit 1\n")

    assert missing_helper(config, HOST) is None
    assert missing_helper(DockerConfig(), HOST) is None
