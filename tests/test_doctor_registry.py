"""What `image.doctor` says of a registry, and that it reads no credentials unless it may."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from azureml_tasks.engines.docker.docker_config import DockerConfig, read_docker_config
from azureml_tasks.engines.docker.doctor_registry import registry_findings
from azureml_tasks.engines.doctor_finding import Finding, Status
from tests.cases import lay_out
from tests.fake_registry import Behaviour, Reply, json_reply, running_registry

NO_PUSH = "Nothing can be pushed to it."
HELPER = """\
#!/bin/sh
echo "$1" >> "$DOCKER_CONFIG/asked"
case "$1" in
list) echo '{"HOST": "u"}' ;;
get) echo '{"Username": "u", "Secret": "s"}' ;;
esac
"""


def token(*actions: str) -> str:
    """A token that grants these in `demo`, as registries write them."""
    claims = json.dumps({"access": [{"type": "repository", "name": "demo", "actions": [*actions]}]})
    return f"h.{base64.urlsafe_b64encode(claims.encode()).decode().rstrip('=')}.s"


def registry(*actions: str, status: int = 200) -> Behaviour:
    """A registry whose token server grants these actions, or refuses."""

    def answer(method: str, path: str, authorization: str) -> Reply:
        del method
        if path.startswith("/token"):
            granted = json_reply({"token": token(*actions)})
            return granted if authorization and status == 200 else Reply(status=status)
        host = "127.0.0.1:PORT"
        return Reply(
            status=401, headers={"WWW-Authenticate": f'Bearer realm="http://{host}/token",service="r"'}
        )

    return answer


def signed_in(folder: Path, monkeypatch: pytest.MonkeyPatch, host: str, *, helper: str = "") -> DockerConfig:
    """The configuration of a user who is signed in at *host*, in the file or with a helper."""
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    auth = base64.b64encode(b"u:s").decode()
    values = {"credsStore": "own"} if helper else {"auths": {host: {"auth": auth}}}
    lay_out(
        {"config.json": json.dumps(values), "docker-credential-own": helper.replace("HOST", host)}, folder
    )
    (folder / "docker-credential-own").chmod(0o755)
    return read_docker_config()


def with_port(behaviour: Behaviour, host: list[str]) -> Behaviour:
    """Let the registry name its own address for the sign-in, which is known when it runs."""

    def answer(method: str, path: str, authorization: str) -> Reply:
        reply = behaviour(method, path, authorization)
        headers = {name: value.replace("127.0.0.1:PORT", host[0]) for name, value in reply.headers.items()}
        return Reply(status=reply.status, headers=headers, body=reply.body)

    return answer


@pytest.mark.parametrize(
    ("behaviour", "finding"),
    [
        (registry("pull", "push"), Finding("sign-in", Status.OK, "you may pull from and push to HOST/demo")),
        (
            registry("pull"),
            Finding(
                "sign-in",
                Status.WARNING,
                "you may only pull in HOST/demo",
                NO_PUSH,
                "Ask for the permission to push",
            ),
        ),
        (
            registry(status=401),
            Finding(
                "sign-in",
                Status.WARNING,
                "docker's credentials for HOST are refused, or permit nothing in demo",
                NO_PUSH,
                "docker login HOST",
            ),
        ),
    ],
)
def test_what_the_credentials_permit(
    behaviour: Behaviour, finding: Finding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token tells whether the credentials are good, and whether they permit a push."""
    hosts: list[str] = []
    with running_registry(with_port(behaviour, hosts)) as (host, _):
        hosts.append(host)
        config = signed_in(tmp_path, monkeypatch, host)

        findings = registry_findings(config, host, "demo", tries_login=True)

    expected = [Finding("registry", Status.OK, "HOST answers"), finding]
    assert expected == [
        each._replace(what=each.what.replace(host, "HOST"), fix=each.fix.replace(host, "HOST"))
        for each in findings
    ]


def test_credentials_stay_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper is asked for names alone, and the registry gets no credentials."""
    hosts: list[str] = []
    with running_registry(with_port(registry("pull", "push"), hosts)) as (host, requests):
        hosts.append(host)
        config = signed_in(tmp_path, monkeypatch, host, helper=HELPER)

        findings = registry_findings(config, host, "demo", tries_login=False)

        why = "Whether they are still good is tried only for a registry that a flag or a variable names."
        fix = f"invoke image.doctor --registry {host}"
        assert [
            Finding("registry", Status.OK, f"{host} answers"),
            Finding("sign-in", Status.NOTE, f"docker has credentials for {host}", why, fix),
        ] == findings
        assert [("GET", "/v2/", "")] == requests
        assert "list\n" == (tmp_path / "asked").read_text()


def test_without_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next step is a sign-in, also if credentials may be tried."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    hosts: list[str] = []
    with running_registry(with_port(registry(), hosts)) as (host, _):
        hosts.append(host)

        findings = registry_findings(read_docker_config(), host, "demo", tries_login=True)

    what = f"docker has no credentials for {host}"
    assert Finding("sign-in", Status.WARNING, what, NO_PUSH, f"docker login {host}") == findings[-1]


def test_a_registry_without_a_sign_in() -> None:
    """Nothing else is to be said of it."""
    with running_registry(lambda *_: Reply()) as (host, _):
        findings = registry_findings(DockerConfig(), host, "demo", tries_login=True)

    assert [Finding("registry", Status.OK, f"{host} answers, and wants no sign-in")] == findings


def test_a_registry_that_takes_passwords_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It tells only whether it accepts them."""
    good = "Basic " + base64.b64encode(b"u:s").decode()

    def answer(_method: str, path: str, authorization: str) -> Reply:
        if authorization == good:
            return json_reply({"tags": []}) if path.endswith("/tags/list") else Reply()
        return Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="r"'})

    with running_registry(answer) as (host, _):
        config = signed_in(tmp_path, monkeypatch, host)
        findings = registry_findings(config, host, "demo", tries_login=True)

    what = f"docker's credentials for {host} are accepted; whether they permit a push is not known"
    assert Finding("sign-in", Status.OK, what) == findings[-1]


@pytest.mark.parametrize(
    ("host", "fix"),
    [("contoso.azurecr.io", "az acr login --name contoso"), ("r.io", "docker login r.io")],
)
def test_the_sign_in_is_that_of_the_registry(host: str, fix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Azure's registries have a sign-in of their own."""
    monkeypatch.setattr(
        "azureml_tasks.engines.docker.doctor_registry.RegistryAuth.challenge", lambda _: object()
    )

    assert fix == registry_findings(DockerConfig(), host, "demo", tries_login=False)[-1].fix
