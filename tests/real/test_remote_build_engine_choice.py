"""Which engine --engine auto takes."""

from __future__ import annotations

import docker
import pytest

from tests.real.remote_output import IN_THE_CLOUD
from tests.real.remote_projects import RemoteProjects, run_command


def test_auto_uses_a_local_engine(
    remote_projects: RemoteProjects,
    tiny_base: str,
    docker_client: docker.DockerClient,
) -> None:
    """With --engine auto a local engine that answers builds, without any request to Azure."""
    result = run_command(remote_projects.acr, remote_projects(tiny_base), "image.build", "--engine", "auto")

    docker_client.images.remove(f"{remote_projects.acr.login_server}/{result.project.folder.name}:1.0")
    assert (0, "REGISTRY/NAME:1.0\n", ()) == (*result.out, result.requests), result.ended.stderr
    assert "docker" == result.records["build.json"]["engine"]


def test_auto_builds_remotely_without_a_local_engine(remote_projects: RemoteProjects, tiny_base: str) -> None:
    """With --engine auto and no local engine the registry builds, which is said first."""
    remote_projects.acr.next_run(queued=True)
    result = run_command(
        remote_projects.acr,
        remote_projects(tiny_base, local=False),
        "image.build",
        "--engine",
        "auto",
        "--no-wait",
    )

    aloud = (
        "Docker's engine does not answer (DOCKER_HOST names ENGINE). "
        "Building in Azure Container Registry instead, as --engine auto says."
    )
    assert (0, "RUN\n", [aloud, IN_THE_CLOUD]) == (*result.out, result.messages[:2])


@pytest.mark.parametrize("more", ["", "[tool.azureml-image.acr]\n"])
def test_a_remote_build_is_offered_without_a_local_engine(
    more: str,
    remote_projects: RemoteProjects,
    tiny_base: str,
) -> None:
    """If no engine answers, a remote build is offered to projects with the table `acr` only."""
    result = run_command(remote_projects.acr, remote_projects(tiny_base, more, local=False), "image.build")

    offer = [
        "    or build in Azure Container Registry: invoke image.build --engine acr",
        "    (try a new Dockerfile on a local engine first: a remote build starts without any cache)",
    ]
    expected = [
        "Docker's engine does not answer (DOCKER_HOST names ENGINE).",
        "    Start it: open Docker Desktop, or on Linux: sudo systemctl start docker",
        "    or, for the engine of docker's current context: unset DOCKER_HOST",
        *(offer if more else []),
        "    the connection failed: No such file or directory",
        "Nothing was built.",
    ]
    assert (3, "", expected, ()) == (*result.out, result.messages, result.requests)
