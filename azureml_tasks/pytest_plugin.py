"""The pytest plugin: a fixture whose tests ask the image that will be deployed.

pytest imports this module in every run (https://docs.pytest.org/en/stable/how-to/writing_plugins.html), so nothing else
of the package is imported before a test uses the fixture. It works with every pytest from 7.0 on.
"""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path
    from typing import Any

    from azureml_tasks.errors import Problem
    from azureml_tasks.library.progress import Progress
    from azureml_tasks.library.serving import Server

_FIXTURE = "azureml_image"
_FOLDER_FLAG = "--azureml-image"
_NAME_FLAG = "--azureml-image-name"
_LAST_LINES = 100
"""Lines of the container's log that are added to the report of a failed test at most."""


class ImageWarning(UserWarning):
    """What deserves attention in an image that is tested, such as files that have changed since it was built."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare what the fixture needs."""
    group = parser.getgroup("azureml-image", "the image of an azureml-tasks project, which tests ask")
    group.addoption(
        _FOLDER_FLAG,
        metavar="FOLDER",
        help=f"project whose image the fixture {_FIXTURE} runs; without it, its tests are skipped",
    )
    group.addoption(_NAME_FLAG, metavar="NAME", help="one of the table's images")
    group.addoption(
        "--azureml-image-build", action="store_true", help="build the image first if it is not up to date"
    )
    parser.addini(_FIXTURE, "the value of --azureml-image, relative to the rootdir", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse an empty value: of an empty variable in a CI system, it would skip the tests.

    Raises:
        pytest.UsageError: a flag has one.
    """
    for flag in (_FOLDER_FLAG, _NAME_FLAG):
        if config.getoption(flag) == "":
            raise pytest.UsageError(f"{flag}: is empty\n    Give it a value, or leave it out.")


@pytest.fixture(scope="session")
def azureml_image(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The server of the image of --azureml-image, which has passed its smoke test: url, post(), get(), log()."""
    folder = _folder(request.config)
    if folder is None:
        pytest.skip(f"{_FIXTURE} needs --azureml-image FOLDER")  # A team's other tests need no engine.
    from contextlib import ExitStack

    from azureml_tasks.errors import AzuremlTasksError, SettingsError
    from azureml_tasks.library.functions import build
    from azureml_tasks.library.serving import serving

    name = request.config.getoption("azureml_image_name")
    with ExitStack() as block:
        try:
            if request.config.getoption("azureml_image_build"):
                build(folder, image=name, progress=_warn)
            server = block.enter_context(serving(folder, image=name, progress=_warn))
        except SettingsError as error:
            own = SettingsError([_of_pytest(each) for each in error.problems], state=error.state)
            raise pytest.fail.Exception(str(own), pytrace=False) from None
        except AzuremlTasksError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        request.config.pluginmanager.register(_LogOfFailures(server))
        yield server


def _folder(config: pytest.Config) -> Path | None:
    """Return the project's folder: that of the flag is relative to the current one."""
    if flag := config.getoption("azureml_image"):
        return config.invocation_params.dir / str(flag)
    ini = str(config.getini(_FIXTURE))
    return config.rootpath / ini if ini else None


def _of_pytest(problem: Problem) -> Problem:
    """Return *problem* with the flags of pytest in place of those of the function that the fixture calls."""
    flags = {"--image": _NAME_FLAG, "--project": _FOLDER_FLAG}
    if problem.file in flags:
        return problem._replace(file=flags[problem.file])
    if problem.file == "serving":  # It is for one image, and the table has several.
        return problem._replace(file=_FIXTURE, fix=problem.fix.replace("--image", _NAME_FLAG))
    return problem


def _warn(event: Progress) -> None:
    if event.kind == "warning":
        warnings.warn(event.text, ImageWarning, stacklevel=2)


class _LogOfFailures:
    """Adds what the container has printed during a failed test to its report; registered with the fixture.

    Args:
        server: of the fixture.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._began = time.time()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """Note when the test begins."""
        self._began = time.time()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, None]:
        """Add the lines of the log."""
        outcome = yield
        report: pytest.TestReport = outcome.get_result()
        if report.failed and _FIXTURE in getattr(item, "fixturenames", ()):
            report.sections.append(self._section())

    def _section(self) -> tuple[str, str]:
        from azureml_tasks.errors import AzuremlTasksError

        title = f"log of {self.server.image} during the test"
        try:
            lines = self.server.log(self._began).splitlines()
        except AzuremlTasksError as error:
            return title, str(error)
        if len(lines) > _LAST_LINES:
            title = f"{title}, last {_LAST_LINES} lines"
        return title, "\n".join(lines[-_LAST_LINES:])
