"""`image.doctor` on a real engine, with real clients and beside real registries."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.real.remote_projects import RemoteProjects, run_command
from tests.real.support import Consumer, Ended, consumer, environment_of, removed_after, unique

if TYPE_CHECKING:
    import docker

    from tests.machine.clients import Client
    from tests.machine.registry import Registry

QUIET = {"AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential"}
"""Azure is asked nothing: there is no sign-in to look for."""


def findings(ended: Ended) -> dict[str, tuple[str, str]]:
    """Status and words of each finding by its name."""
    return {each["name"]: (each["status"], each["what"]) for each in json.loads(ended.stdout)["findings"]}


PATIENT = """
from azureml_tasks.commands import doctor, doctor_machine
from azureml_tasks.engines.docker import doctor_client, doctor_config, doctor_engine

doctor.LIMIT = 120.0
for module in (doctor_machine, doctor_client, doctor_config, doctor_engine):
    module.PROGRAM_LIMIT = 60.0
"""


def patient(project: Consumer) -> Consumer:
    """Let the project's checks take longer than a person would wait: this machine does much else meanwhile."""
    with (project.folder / "tasks.py").open("a", encoding="utf-8") as file:
        file.write(PATIENT)
    return project


@pytest.fixture
def nowhere(clients: Mapping[str, Client], tmp_path: Path) -> Consumer:
    """A folder without a table, for a person whose client has buildx."""
    env = {**environment_of(clients["26.1-buildx"], tmp_path), **QUIET}
    return patient(consumer(tmp_path / "project", {}, env))


def test_a_machine_that_builds(
    nowhere: Consumer, docker_client: docker.DockerClient, tiny_base: str, registry: Registry
) -> None:
    """The engine tells what it is, and its registry whether the base here is the newest."""
    info: dict[str, Any] = docker_client.info()
    name = f"{registry.host}/{unique('doctor')}"
    with removed_after(docker_client, f"{name}:1"):
        docker_client.images.get(tiny_base).tag(name, "1")
        docker_client.images.push(name, tag="1")
        words = ("image.doctor", "--json", "--base", f"{name}:1", "--registry", registry.host)

        current = nowhere.invoke(*words)
        checks = findings(current)
        assert (0, "") == (current.code, current.stderr)
        assert (
            "ok",
            f"Docker {info['ServerVersion']}, API {docker_client.version()['ApiVersion']}",
        ) == checks["engine"]
        assert ("ok", f"kept by the storage driver {info['Driver']}, not in containerd") == checks["images"]
        assert {"ok"} == {checks[each][0] for each in ("docker client", "buildx", "platform", "context")}
        assert ("ok", f"{registry.host} answers, and wants no sign-in") == checks["registry"]
        status, message = checks["base"]
        assert ("ok", True) == (status, message.endswith("; its registry has no newer one"))

        docker_client.api.remove_image(f"{name}:1")
        assert ("ok", f"{name}:1 is not here yet; its registry has it, and a build pulls it") == findings(
            nowhere.invoke(*words)
        )["base"]

        missing = nowhere.invoke("image.doctor", "--json", "--base", f"{name}:2")
        assert ("blocks", f"{name}:2 is not here, and its registry does not have it") == findings(missing)[
            "base"
        ]
        assert (3, "Nothing can be built before this is put right: base.\n") == (missing.code, missing.stderr)


def test_credentials_that_are_good_and_that_are_not(
    nowhere: Consumer, login_registry: Registry, engine: str
) -> None:
    """They are tried if a flag names the registry; no secret is printed."""
    del engine
    file = Path(nowhere.env["DOCKER_CONFIG"], "config.json")
    before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    def sign_in(password: str) -> Ended:
        entry = {"auth": b64encode(f"{login_registry.user}:{password}".encode()).decode()}
        file.write_text(json.dumps({**before, "auths": {login_registry.host: entry}}), encoding="utf-8")
        ended = nowhere.invoke("image.doctor", "--json", "--registry", login_registry.host)
        assert [] == [secret for secret in (password, entry["auth"]) if secret in ended.stdout + ended.stderr]
        return ended

    good = f"docker's credentials for {login_registry.host} are accepted; whether they permit a push is not known"
    assert ("ok", good) == findings(sign_in(login_registry.password))["sign-in"]
    assert "warning" == findings(sign_in("another-one"))["sign-in"][0]

    file.chmod(0o644)
    assert "warning" == findings(nowhere.invoke("image.doctor", "--json"))["docker configuration"][0]
    fixed = nowhere.invoke("--echo", "image.doctor", "--json", "--fix")
    assert f"chmod 600 {file}\n" in fixed.stderr
    assert ("ok", 0o600) == (findings(fixed)["docker configuration"][0], file.stat().st_mode & 0o777)


def test_azure_up_to_its_tasks(remote_projects: RemoteProjects, tiny_base: str) -> None:
    """Sign-in, registry, roles and tasks are asked for real, and nothing is started."""
    project, acr = remote_projects(tiny_base, local=False), remote_projects.acr

    result = run_command(acr, patient(project), "image.doctor", "--engine", "acr", "--json")

    checks = findings(result.ended)
    assert (0, "") == (result.ended.code, result.ended.stderr)
    assert [] == [each.path for each in result.requests if "scheduleRun" in each.path]
    assert {
        "Azure libraries": ("ok", "the extra acr is installed"),
        "Azure registry": ("ok", f"{acr.login_server}, {acr.registry.id}"),
        "roles": ("ok", f"you may build and push {project.folder.name}"),
        "ACR Tasks": ("ok", f"permitted in {acr.login_server}"),
    }.items() <= checks.items()
    assert ("ok", "warning") == (checks["Azure sign-in"][0], checks["engine"][0])

    acr.settings.tasks_allowed = False
    barred = project.invoke("image.doctor", "--engine", "acr", "--json")
    status, message = findings(barred)["ACR Tasks"]
    assert ("blocks", True) == (status, "the subscription may not use ACR Tasks" in message)
    assert (3, "Nothing can be built before this is put right: ACR Tasks.\n") == (barred.code, barred.stderr)
