"""A build runs nothing of the project on this machine: buildx asks git about the folder that it sends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from subprocess import CalledProcessError

import docker
import pytest

from tests.git_command import git
from tests.machine.clients import Client
from tests.real.support import consumer, environment_for, removed_after, unique

LARGE = 5_000_000
"""Bytes of code: from 4 MiB on, buildx gets a folder and not an archive."""


@pytest.mark.parametrize("client", ["20.10", "26.1-buildx"])
def test_a_project_that_looks_like_a_bare_repository_is_none_in_a_build(
    client: str,
    tiny_base: str,
    docker_client: docker.DockerClient,
    clients: Mapping[str, Client],
    tmp_path: Path,
) -> None:
    """A pull request can add HEAD, objects, refs and a `config` with a command that git runs for a missing object."""
    name, mark = unique("bare"), tmp_path / "it-ran"
    config = (
        "[core]\n\trepositoryformatversion = 1\n\tbare = false\n\tworktree = .\n"
        f"\tsshCommand = echo ran >> '{mark}';\n[extensions]\n\tpartialClone = origin\n"
        '[remote "origin"]\n\turl = ssh://host.example/x.git\n\tpromisor = true\n'
    )
    table = f'[project]\nname = "{name}"\nversion = "1"\n[tool.azureml-image]\nbase = "{tiny_base}"\n'
    files: dict[str, str | bytes] = {
        "pyproject.toml": table,
        "code/score.py": "def init(): ...\ndef run(data): ...\n",
        "code/data.bin": b"x" * LARGE,
        "HEAD": "ref: refs/heads/main\n",
        "config": config,
        "objects/.keep": "",
        "refs/heads/main": f"{'1' * 40}\n",
    }
    project = consumer(tmp_path / "project", files, environment_for(client, clients, tmp_path))

    with removed_after(docker_client, f"{name}:1"):
        built = project.invoke("image.build")
        ran_by_us = mark.exists()
        project.invoke("image.clean")

    assert (0, False) == (built.code, ran_by_us), built.stderr
    with pytest.raises(CalledProcessError):
        git(tmp_path / "project/code", "show", "HEAD")
    assert mark.exists()
