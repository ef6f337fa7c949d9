"""Logs of any length are read in constant memory, and shown cleaned."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

from azureml_tasks.engines.docker.client import connect
from azureml_tasks.engines.docker.container import DockerContainer
from azureml_tasks.plain_text import clean
from tests.real.support import consumer, environment_of, unique

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import docker

    from tests.machine.clients import Client

SIZE = 20_000_000


def test_a_container_that_prints_20_mb(docker_client: docker.DockerClient, amlenv_base: str) -> None:
    """Its log keeps the beginning and the end, and takes a fraction of its size."""
    command = f"echo first; head -c {SIZE} /dev/zero | tr '\\0' x; echo; echo last"
    container = docker_client.containers.create(
        amlenv_base, command=["/bin/sh", "-c", command], entrypoint=[], name=unique("log")
    )
    try:
        container.start()
        container.wait()
        log_of = DockerContainer(container=container, client=connect())
        tracemalloc.start()
        log = log_of.log()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        container.remove(force=True, v=True)

    assert ("first\nx", "x\nlast\n", 3) == (log.text[:7], log.text[-7:], log.lines)
    assert f"\n… {SIZE + 12 - 5 * 256 * 1024:,} bytes of the log are left out here …\n" in log.text
    assert most < SIZE


def test_a_step_that_prints_20_mb(clients: Mapping[str, Client], amlenv_base: str, tmp_path: Path) -> None:
    """Each line is shown, long ones in pieces, and none is a command of a CI system; the error shows the end."""
    command = f"echo '##vso[x]y ::error::z'; head -c {SIZE} /dev/zero | tr '\\\\0' x; exit 3"
    table = (
        f'[tool.azureml-image]\nname = "{unique("long")}"\ntags = ["1"]\nbase = "{amlenv_base}"\n'
        f'[[tool.azureml-image.run]]\nafter = "apt"\ncommand = "{command}"\n'
    )
    env = environment_of(clients["20.10"], tmp_path)
    project = consumer(tmp_path / "project", {"pyproject.toml": table}, env)

    ended = project.invoke("image.build")

    lines = ended.stderr.split("\n")
    assert 4 == ended.code
    assert sum(line.count("x") for line in lines) > 500_000  # BuildKit passes the first megabyte on
    assert max(map(len, lines)) < 100_000
    assert any(line.endswith("# #vso[x]y : :error::z") for line in lines)
    assert ended.stderr == clean(ended.stderr)
