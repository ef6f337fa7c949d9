"""Build secrets in a remote build."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import pytest

from azureml_tasks.engines.acr.task_file import without_secrets
from tests.real.acr import Wire, packed
from tests.real.offering import installed
from tests.real.private_index import Private, layers, serving, showing
from tests.real.remote_output import ACR
from tests.real.remote_projects import RemoteProjects, run_command
from tests.real.support import unique

PASSWORDS = ("netrc-Rt5-$HOME-`id`-\\-\"-'-\\$(id)", "address-Jb6-password")
"""The first contains what a shell would expand.

An agent has both in its commands. `test_secrets` looks at all commands of this machine, so its passwords are others.
"""


CORES = ("netrc-Rt5", "address-Jb6")


GIVEN = ("--secret=pip-conf=env:CONTOSO_PIP_CONF", "--secret=netrc=../netrc")


def own_table() -> str:
    """Return a table whose steps are no other test's: a layer that another build has made would need no secret."""
    name = unique("secrets")
    return f"""\
pip = ["alpha", "beta; platform_machine != '{name}'"]
secrets = ["pip-conf", "netrc"]

[[tool.azureml-image.run]]
after = "apt"
command = "touch /srv/{name}"
"""


@pytest.fixture(scope="module")
def index(
    docker_client: docker.DockerClient, amlenv_base: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Private]:
    """Run an index that requires a login."""
    folder = tmp_path_factory.mktemp("index")
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
    project = remote_projects(amlenv_base, own_table())
    (project.folder.parent / "netrc").write_text(index.login, encoding="utf-8")
    result = run_command(
        acr, project, "--echo", "image.build", *ACR, *GIVEN, env={"CONTOSO_PIP_CONF": index.conf}
    )

    assert (0, "REGISTRY/NAME/candidate@sha256:ID\n") == result.out, result.ended.stderr
    candidate = acr.manifest(f"{project.folder.name}/candidate", result.records["build.json"]["id"])
    image = str(json.loads(candidate)["config"]["digest"])
    packages = installed(docker_client, image)
    assert {"alpha": "1.0", "beta": "1.0"} == {word: packages.get(word) for word in ("alpha", "beta")}
    sent = dict(result.the_run.request)
    values = sent.pop("values")
    assert {"pipconf", "netrc"} == {each["name"] for each in values if each["isSecret"] is True}
    assert result.the_run.archive
    shown = {
        "stdout and stderr": (result.ended.stdout + result.ended.stderr).encode(),
        "log": result.the_run.text.encode(),
        "archive": gzip.decompress(result.the_run.archive),
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
        "--secret id=pip-conf,src=/run/azureml-secrets/pip-conf" in result.ended.stderr,
        f"http://bob:****@{index.host}:8080/two" in result.the_run.text,
        b"alpha" in shown["archive"],
    )


LOOKING = """\
import json
import os

SEEN = []


def init():
    for top in ("/workspace", "/acb/home", "/run", "/tmp"):
        for folder, _, names in os.walk(top):
            SEEN.extend(os.path.join(folder, name) for name in names)


def run(data):
    texts = []
    for name in SEEN:
        try:
            with open(name, errors="replace") as file:
                texts.append(name + ": " + file.read(10000))
        except OSError:
            pass
    return {"seen": [text for text in texts if "Rt5" in text or "Jb6" in text], "count": len(texts) > 0}
"""
"""An entry script that shows each secret that it can read in the container of its smoke test."""


def test_the_code_under_test_runs_beside_no_secret(
    remote_projects: RemoteProjects, amlenv_base: str, index: Private
) -> None:
    """The run with the secrets only builds; the smoke test is a run of its own, and its container sees none of them."""
    acr = remote_projects.acr
    request = "[[tool.azureml-image.smoke-test.requests]]\nbody = 1\nexpect = { seen = [], count = true }\n"
    table = own_table() + request
    project = remote_projects(amlenv_base, table, local=False, files={"code/score.py": LOOKING})
    (project.folder.parent / "netrc").write_text(index.login, encoding="utf-8")

    result = run_command(acr, project, "image.release", *ACR, *GIVEN, env={"CONTOSO_PIP_CONF": index.conf})

    assert result.ended.code == 0, result.ended.stderr
    runs = [
        acr.runs.find(name) for name in dict.fromkeys(re.findall(r"\brun (ca\d+) is", result.ended.stderr))
    ]
    [build, smoke_test] = [run for run in runs if run]
    tasks = [base64.b64decode(run.request["encodedTaskContent"]).decode() for run in (build, smoke_test)]
    assert [(True, False), (False, True)] == [("secrets" in task, "server" in task) for task in tasks]
    assert [] == showing({"build": build.text.encode(), "smoke test": smoke_test.text.encode()}, CORES)
    with tarfile.open(fileobj=io.BytesIO(build.archive or b"")) as archive:
        ignored = archive.extractfile(".dockerignore")
        assert ignored
        assert ignored.read() == b"secrets\n"


def test_the_secrets_of_a_run_are_in_no_build_context(wire: Wire, tiny_base: str) -> None:
    """The agent writes them into the folder that is the context; the file beside the Dockerfiles leaves them out."""
    task = TASK.replace("BASE", tiny_base)
    files = {"Dockerfile": f"FROM {tiny_base}\nCOPY . /all\nRUN ls /all\n"}
    ignore = without_secrets()
    with_file = {**files, ignore.name: ignore.data.decode()}

    runs = [wire.run(_task(wire, task, each)) for each in (files, with_file)]

    assert ["Succeeded"] * 2 == [run.status for run in runs], runs[-1].text
    assert [True, False] == [re.search(r"^secrets\r?$", run.text, re.MULTILINE) is not None for run in runs]


TASK = """\
version: v1.1.0
volumes:
  - name: secrets
    secret:
      netrc: '{{.Values.netrc}}'
steps:
  - id: build
    build: -t context-of-secrets:{{.Run.ID}} --no-cache .
"""


def _task(wire: Wire, text: str, files: Mapping[str, str]) -> dict[str, Any]:
    return {
        "type": "EncodedTaskRunRequest",
        "encodedTaskContent": base64.b64encode(text.encode()).decode(),
        "values": [{"name": "netrc", "value": base64.b64encode(b"machine a").decode(), "isSecret": True}],
        "platform": {"os": "linux", "architecture": "amd64"},
        "sourceLocation": wire.upload(packed(files)),
    }
