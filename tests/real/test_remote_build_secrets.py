"""Build secrets in a remote build."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.real.offering import installed
from tests.real.private_index import Private, layers, serving, showing
from tests.real.remote_output import ACR
from tests.real.remote_projects import RemoteProjects, run_command
from tests.real.support import unique

PASSWORDS = ("netrc-Zq7-$HOME-`id`-\\-\"-'-\\$(id)", "address-Kx4-password")
"""The first contains what a shell would expand."""


CORES = ("netrc-Zq7", "address-Kx4")


SECRETS = """
pip = ["alpha", "beta"]

[tool.azureml-image.secrets]
pip-conf = { env = "CONTOSO_PIP_CONF" }
netrc = { file = "../netrc" }
"""


@pytest.fixture
def index(docker_client: docker.DockerClient, amlenv_base: str, tmp_path: Path) -> Iterator[Private]:
    """Run an index that requires a login."""
    folder = tmp_path / "index"
    folder.mkdir()
    with serving(docker_client, amlenv_base, folder, netrc=PASSWORDS[0], address=PASSWORDS[1]) as private:
        yield private


def test_secrets_reach_pip_and_nothing_else(
    remote_projects: RemoteProjects,
    amlenv_base: str,
    index: Private,
    docker_client: docker.DockerClient,
    tmp_path: Path,
) -> None:
    """Both logins reach pip unchanged; no output, record, archive, log, history or layer contains them."""
    acr = remote_projects.acr
    # A layer of another test's build would need no secret.
    first = f'[[tool.azureml-image.run]]\nafter = "apt"\ncommand = "touch /srv/{unique("secrets")}"\n'
    project = remote_projects(amlenv_base, SECRETS + first)
    (project.folder.parent / "netrc").write_text(index.login, encoding="utf-8")
    done = run_command(acr, project, "--echo", "image.build", *ACR, env={"CONTOSO_PIP_CONF": index.conf})

    assert (0, "REGISTRY/NAME/candidate@sha256:ID\n") == done.out, done.ended.stderr
    candidate = acr.manifest(f"{project.folder.name}/candidate", done.records["build.json"]["id"])
    image = str(json.loads(candidate)["config"]["digest"])
    packages = installed(docker_client, image)
    assert {"alpha": "1.0", "beta": "1.0"} == {word: packages.get(word) for word in ("alpha", "beta")}
    sent = dict(done.the_run.request)
    values = sent.pop("values")
    assert {"pipconf", "netrc"} == {each["name"] for each in values if each["isSecret"] is True}
    assert done.the_run.archive
    shown = {
        "stdout and stderr": (done.ended.stdout + done.ended.stderr).encode(),
        "log": done.the_run.text.encode(),
        "archive": gzip.decompress(done.the_run.archive),
        "request": json.dumps(sent).encode() + base64.b64decode(sent["encodedTaskContent"]),
        "history": json.dumps(docker_client.images.get(image).history()).encode(),
        **{path.name: path.read_bytes() for path in project.folder.rglob("*") if path.is_file()},
        **{str(at): part for at, part in enumerate(layers(docker_client, image, tmp_path))},
    }
    assert [] == showing(shown, CORES)
    # Each of these was looked at, and would have shown it.
    assert ["netrc", "pip-conf"] == showing(
        {"netrc": index.login.encode(), "pip-conf": index.conf.encode()}, CORES
    )
    assert (True, True, True) == (
        "--secret id=pip-conf,src=/run/azureml-secrets/pip-conf" in done.ended.stderr,
        f"http://bob:****@{index.host}:8080/two" in done.the_run.text,
        b"alpha" in shown["archive"],
    )
