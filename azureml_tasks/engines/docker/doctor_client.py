"""What `image.doctor` finds about docker's client and its plug-in buildx; no engine is asked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from azureml_tasks.engines.docker.builder_choice import BUILT_IN_UNTIL
from azureml_tasks.engines.docker.client_environment import configuration_folder
from azureml_tasks.engines.docker.doctor_config import PROGRAM_LIMIT
from azureml_tasks.engines.doctor_finding import Finding, Status
from azureml_tasks.plain_text import one_line
from azureml_tasks.process import MissingProgram, SlowProgram, capture, find_program

if TYPE_CHECKING:
    from azureml_tasks.engines.docker.docker_config import DockerConfig

_GET_CLIENT = (
    "On Debian and Ubuntu: sudo apt-get install docker.io\nor see https://docs.docker.com/engine/install/"
)
_GET_BUILDX = (
    "On Debian and Ubuntu: sudo apt-get install docker-buildx\nor see https://docs.docker.com/go/buildx/"
)
_WITHOUT_BUILDX = (
    "Without it, packages are downloaded again in each build that installs them, unchanged files are sent with the "
    "changed ones, and secrets cannot be mounted."
)


def client_findings(config: DockerConfig) -> list[Finding]:
    """Return what is to be said of the client on PATH, and of its plug-in."""
    env = configuration_folder(config)
    try:
        printed = capture(["docker", "--version"], env=env, timeout=PROGRAM_LIMIT).stdout
        buildx = capture(["docker", "buildx", "version"], env=env, timeout=PROGRAM_LIMIT)
    except MissingProgram:
        why = f"{_WITHOUT_BUILDX} Printed docker commands cannot be pasted."
        return [Finding("docker client", Status.WARNING, "there is no docker on PATH", why, _GET_CLIENT)]
    except SlowProgram:
        what = f"{find_program('docker')} did not answer within {PROGRAM_LIMIT:g} s"
        return [
            Finding("docker client", Status.UNKNOWN, what, "Builds wait for it, too.", "docker --version")
        ]
    version = next(iter(re.findall(r"\d+(?:\.\d+)+[\w.+~-]*", printed)), "")
    client = Finding("docker client", Status.OK, f"{version or one_line(printed)}, {find_program('docker')}")
    return [client, _buildx(version, buildx.stdout if buildx.code == 0 else "")]


def _buildx(version: str, printed: str) -> Finding:
    """Return the finding for a client of this version, and for what `docker buildx version` printed."""
    if printed:
        words = printed.split()
        return Finding("buildx", Status.OK, one_line(" ".join(words[1:2]) or printed.strip()))
    major = re.match(r"\d+", version)
    if major and int(major[0]) < BUILT_IN_UNTIL:
        return Finding("buildx", Status.OK, f"not needed: the client {version} has BuildKit built in")
    what = f"the docker client {version or 'of unknown version'} has no buildx"
    return Finding(
        "buildx", Status.WARNING, what, f"{_WITHOUT_BUILDX} Podman's engine needs none.", _GET_BUILDX
    )
