"""What the real tests stand on: an engine, base images, registries, docker clients."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from types import FrameType
from typing import NoReturn

import docker
import pytest
from docker.context import ContextAPI

from tests.machine import apt, bases, outcomes
from tests.machine import clients as docker_clients
from tests.machine import engine as docker_engine
from tests.machine import engine_26 as newer_engine
from tests.machine import registry as registries
from tests.machine.acr import loopback
from tests.real import offering
from tests.real.acr import acr, acr_session, az, wire
from tests.real.in_process import in_process_fixture, pauses
from tests.real.remote_projects import remote_projects, shared_remote_projects
from tests.real.smoke_image import no_container_is_left, smoke_project

__all__ = [
    "acr",
    "acr_session",
    "az",
    "in_process_fixture",
    "no_container_is_left",
    "pauses",
    "remote_projects",
    "shared_remote_projects",
    "smoke_project",
    "wire",
]

SawEngine = Callable[[docker.DockerClient], None]
_HERE = Path(__file__).parent
_ENGINES = pytest.StashKey[list[str]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder as `real`."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.real)


@pytest.fixture(scope="session")
def saw_engine(
    request: pytest.FixtureRequest, record_testsuite_property: Callable[[str, object], None]
) -> SawEngine:
    """Take down an engine that tests run on, for pytest's summary and for the report of the whole suite."""
    names = request.config.stash.setdefault(_ENGINES, [])

    def saw(client: docker.DockerClient) -> None:
        name = docker_engine.name_of(client)
        names.append(name)
        record_testsuite_property(outcomes.ENGINE, name)

    return saw


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which engines the tests ran on."""
    for name in config.stash.get(_ENGINES, []):
        terminalreporter.write_line(f"engine: {name}")


@pytest.fixture(scope="session")
def engine() -> Iterator[str]:
    """The DOCKER_HOST of the engine, which the environment names for the whole session."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    with docker_engine.engine() as host, pytest.MonkeyPatch.context() as patch:
        # A context with certificates says more than an address can; it stays as it is.
        if "tls" not in ContextAPI.kwargs_from_context():
            patch.setenv("DOCKER_HOST", host)
        yield host
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def docker_client(engine: str, saw_engine: SawEngine) -> Iterator[docker.DockerClient]:
    """The SDK's client of the engine."""
    del engine
    with closing(docker.from_env(timeout=600)) as client:
        saw_engine(client)
        yield client


@pytest.fixture(scope="session")
def engine_26(engine: str) -> Iterator[str]:
    """The DOCKER_HOST of an engine 26.1 with images in containerd, beside the other engine."""
    del engine  # it brings the bridge
    with ExitStack() as stack:
        try:
            host = stack.enter_context(newer_engine.running())
        except apt.NotPossibleError as reason:
            pytest.skip(str(reason))  # Only where nobody may start it: off Debian, or not as root.
        yield host


@pytest.fixture(scope="session")
def docker_client_26(
    engine_26: str, docker_client: docker.DockerClient, saw_engine: SawEngine
) -> Iterator[docker.DockerClient]:
    """The SDK's client of the engine 26.1, which has the stand-in bases."""
    with closing(docker.DockerClient(base_url=engine_26, timeout=600)) as client:
        saw_engine(client)
        for family in ("amlenv", "tiny"):
            bases.copy(family, docker_client, client)
        yield client


@pytest.fixture(scope="session")
def amlenv_base(docker_client: docker.DockerClient) -> str:
    """The stand-in whose environment is the runtime user's, as in `azureml/<name>-inference`."""
    return bases.ensure(docker_client, "amlenv")


@pytest.fixture(scope="session")
def curated_base(docker_client: docker.DockerClient) -> str:
    """The stand-in whose environment is root's, as in `azureml/curated/<name>-inference`."""
    return bases.ensure(docker_client, "curated")


@pytest.fixture(scope="session")
def tiny_base(docker_client: docker.DockerClient) -> str:
    """A base of 4 MB with a shell and the user, and nothing that serves."""
    return bases.ensure(docker_client, "tiny")


@pytest.fixture(scope="session")
def offering_base(
    docker_client: docker.DockerClient, amlenv_base: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A base with an index of its own."""
    with offering.offering(docker_client, amlenv_base, tmp_path_factory.mktemp("index")) as name:
        yield name


@pytest.fixture(scope="session", params=["amlenv", "curated"])
def base(request: pytest.FixtureRequest, docker_client: docker.DockerClient) -> str:
    """Each family's stand-in in turn."""
    return bases.ensure(docker_client, str(request.param))


@pytest.fixture(scope="session")
def registry() -> Iterator[registries.Registry]:
    """A registry that asks for no login."""
    with registries.registry() as value:
        yield value


@pytest.fixture(scope="session")
def login_registry() -> Iterator[registries.Registry]:
    """A registry that asks for a name and a password."""
    with registries.registry(login=True) as value:
        yield value


@pytest.fixture(scope="session")
def loopback_acr(engine: str) -> Iterator[loopback.Acr]:
    """A loopback of Azure Container Registry, started once."""
    with loopback.running(engine) as value:
        yield value


@pytest.fixture(scope="session")
def clients() -> Mapping[str, docker_clients.Client]:
    """Docker's command lines by name: `20.10`, `26.1`, `26.1-buildx`; see `tests.machine.clients`."""
    return docker_clients.clients()


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """End as Ctrl-C does: pytest takes that as the end of the session, and fixtures are torn down."""
    raise KeyboardInterrupt
