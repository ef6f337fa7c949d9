"""What holds for every test: how hypothesis searches, and the fixtures that several modules use."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from azureml_tasks.project import git
from azureml_tasks.project.model import NoRevision
from tests.base_environment import make_base, pip_folder
from tests.cases import lay_out
from tests.consumers import OF_CI, OF_OUTPUT
from tests.examples import AGAIN, examples
from tests.uv_projects import put_uv_on_path

__all__ = ["make_base", "pip_folder"]

# A slow machine is no failure. In CI the examples follow from the tests alone, so that a change is what
# turns it red; a developer's runs search on.
settings.register_profile(
    "quiet",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    max_examples=examples(50),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("quiet")

# A shell runs background commands with Ctrl-C ignored, nohup ignores SIGHUP, and both would go on to what tests start.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On another Python, run each test with the first of its parameter sets alone: the first one had them all."""
    if not os.environ.get(AGAIN):
        return
    first = {item.nodeid.partition("[")[0]: item for item in reversed(items)}
    kept = set(first.values())
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]


@pytest.fixture(scope="session", autouse=True)
def _own_state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A state folder for the locks of commands that tests run, in place of the user's own (XDG Base Directories)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_ci_system() -> Iterator[None]:
    """No CI system around a test, and none of its settings of what is printed: a test that wants one says which."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith((*OF_CI, *OF_OUTPUT))]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session", autouse=True)
def _uv_on_path() -> Iterator[None]:
    """Let commands find the uv that the tests need, also where this environment is not active."""
    with pytest.MonkeyPatch.context() as patch:
        put_uv_on_path(patch)
        yield


@pytest.fixture(scope="module")
def code_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with an entry script and no table, which each example writes; git is not asked each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(git, "read", lambda _: NoRevision(why="this is a test"))
        patch.delenv("SOURCE_DATE_EPOCH", raising=False)
        yield lay_out(
            {"code/score.py": "def init(): ...\ndef run(data): ...\n"}, tmp_path_factory.mktemp("project")
        )
