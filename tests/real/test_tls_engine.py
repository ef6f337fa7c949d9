"""An engine with TLS: the certificates of the variables and of a context, as docker's client uses them."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from hashlib import sha256
from typing import TYPE_CHECKING

import docker
import pytest

from tests.machine import bases, bridge, own_engine
from tests.machine.acr import certificates
from tests.real.serve_process import free_port
from tests.real.small_project import small_project
from tests.real.support import Consumer, consumer, environment_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.machine.clients import Client

AUTHORITIES = {"REQUESTS_CA_BUNDLE": "/etc/ssl/certs/ca-certificates.crt"}


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem, cert.pem and key.pem, for the engine and for its clients."""
    folder = tmp_path_factory.mktemp("certificates")
    certificates.write_files(folder)
    return folder


@pytest.fixture(scope="module")
def address(
    pems: Path, docker_client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The TCP address of an engine that lets in only who has a certificate."""
    port = free_port()
    tls = [
        f"--{name}={pems}/{file}.pem"
        for name, file in (("tlscacert", "ca"), ("tlscert", "cert"), ("tlskey", "key"))
    ]
    options = ["--host", f"tcp://127.0.0.1:{port}", "--tlsverify", *tls, *bridge.sharing()]
    with own_engine.running(tmp_path_factory.mktemp("engine") / "data", options=options) as host:
        with closing(docker.DockerClient(base_url=host, timeout=60)) as client:
            bases.copy("tiny", docker_client, client)
        yield f"tcp://127.0.0.1:{port}"


def project(folder: Path, name: str, env: Mapping[str, str]) -> Consumer:
    """A project whose environment names no other engine."""
    alone = {key: value for key, value in env.items() if key != "DOCKER_HOST"}
    return consumer(folder / "project", small_project(name, command=f"echo {name}"), alone)


@pytest.mark.parametrize(("by", "verify"), [("20.10", "DOCKER_TLS_VERIFY"), ("none", "DOCKER_TLS")])
def test_certificates_of_variables(
    by: str, verify: str, address: str, pems: Path, clients: Mapping[str, Client], tmp_path: Path
) -> None:
    """DOCKER_TLS_VERIFY and DOCKER_TLS with DOCKER_CERT_PATH lead to the engine, for us and for docker's client.

    The authorities that a company gives to `requests` change nothing.
    """
    env = environment_for(by, clients, tmp_path)
    built = project(tmp_path, f"tls-{by.replace('.', '-')}-{verify.lower()}", env).invoke(
        "image.build",
        "--verbose",
        env={"DOCKER_HOST": address, verify: "1", "DOCKER_CERT_PATH": str(pems), **AUTHORITIES},
    )

    assert 0 == built.code, built.stderr
    assert f'({address}, context "default")' in built.stderr


@pytest.mark.parametrize("by", ["20.10", "none"])
def test_certificates_of_a_context(
    by: str, address: str, pems: Path, clients: Mapping[str, Client], tmp_path: Path
) -> None:
    """A context brings its certificates with it, also without a config.json."""
    env = environment_for(by, clients, tmp_path)
    folder, hashed = tmp_path / "docker-config", sha256(b"far").hexdigest()
    described = {"Name": "far", "Endpoints": {"docker": {"Host": address, "SkipTLSVerify": False}}}
    meta, tls = folder / "contexts" / "meta" / hashed, folder / "contexts" / "tls" / hashed / "docker"
    for each in (meta, tls):
        each.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps(described), encoding="utf-8")
    for name in ("ca.pem", "cert.pem", "key.pem"):
        shutil.copy(pems / name, tls / name)
    built = project(tmp_path, f"context-{by.replace('.', '-')}", env).invoke(
        "image.build", "--verbose", env={"DOCKER_CONTEXT": "far", "DOCKER_CONFIG": str(folder)}
    )

    assert 0 == built.code, built.stderr
    assert f'({address}, context "far")' in built.stderr


def test_what_is_wrong_with_tls_is_named(address: str, tmp_path: Path) -> None:
    """Without certificates, and with those of somebody else, the error says which."""
    other = tmp_path / "other"
    other.mkdir()
    certificates.write_files(other)
    env = environment_for("none", {}, tmp_path)
    refused_project = project(tmp_path, "refused", env)

    plain = refused_project.invoke("image.check", env={"DOCKER_HOST": address})
    foreign = {"DOCKER_HOST": address, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(other)}
    refused = refused_project.invoke("image.check", env=foreign)
    missing = refused_project.invoke("image.check", env={**foreign, "DOCKER_CERT_PATH": str(tmp_path)})

    assert (3, 3, 3) == (plain.code, refused.code, missing.code)
    where = f"(DOCKER_HOST names {address})"
    assert f"Docker's engine does not answer {where}." in plain.stderr
    assert "or, if it wants TLS: export DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=FOLDER" in plain.stderr
    assert f"The engine and this machine do not agree on TLS {where}." in refused.stderr
    assert (
        f"DOCKER_TLS_VERIFY asks for TLS with the engine, but {tmp_path}/ca.pem is not a file."
        in missing.stderr
    )
