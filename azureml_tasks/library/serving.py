"""A proven image that serves for a block: its URL, requests to it, and its log."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from azureml_tasks.commands import proven_server
from azureml_tasks.library.arguments import Arguments, own_errors, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from requests import Response, Session

    from azureml_tasks.library.arguments import EngineName
    from azureml_tasks.library.progress import Progress
    from azureml_tasks.smoke.container_protocol import AnsweringServer

_TIMEOUT = 180.0
"""Seconds; the longest that a managed online endpoint waits for an answer:
https://learn.microsoft.com/azure/machine-learning/reference-yaml-deployment-managed-online#requestsettings"""


@dataclass(frozen=True, kw_only=True)
class Server:
    """The server of a container that runs until the block of `serving` ends.

    Args:
        url: without a path, such as "http://127.0.0.1:49153".
        scoring_url: where a model is asked, such as "http://127.0.0.1:49153/score".
        image: reference.
        id: the engine's ID of the image.
    """

    url: str
    scoring_url: str
    image: str
    id: str
    _server: AnsweringServer = field(repr=False)

    def post(
        self,
        path: str = "",
        *,
        json: Any = None,
        data: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = _TIMEOUT,
    ) -> Response:
        """Send a POST request, through no proxy, and return the answer with any status.

        Args:
            path: with a slash at the beginning; "" for the scoring path.
            json: becomes the body, as JSON.
            data: the body as it is, in place of *json*.
            headers: of the request.
            timeout: seconds that the server may be silent.

        Raises:
            requests.RequestException: there is no answer.
        """
        target = self.url + path if path else self.scoring_url
        with _session() as session:
            return session.post(target, data, json, headers=headers, timeout=timeout)

    def get(
        self, path: str = "/", *, headers: Mapping[str, str] | None = None, timeout: float = _TIMEOUT
    ) -> Response:
        """Send a GET request, through no proxy, and return the answer with any status.

        Args:
            path: with a slash at the beginning.
            headers: of the request.
            timeout: seconds that the server may be silent.

        Raises:
            requests.RequestException: there is no answer.
        """
        with _session() as session:
            return session.get(self.url + path, headers=headers, timeout=timeout)

    def log(self, since: float = 0.0) -> str:
        """Return what the container has printed by now, safe to print; of a long log its beginning and its end.

        Args:
            since: leave out what was printed before this time, as `time.time()` gives it.

        Raises:
            EngineError: the engine does not answer.
        """
        return self._server.log(since).text


@contextmanager
def serving(
    project: Path | str = ".",
    *,
    image: str | None = None,
    base: str | None = None,
    engine: EngineName = "docker",
    root: Path | str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Iterator[Server]:
    """Run the image that was built last, and yield its server; the container is removed after the block.

    If the image has not passed the smoke test that the table asks for now, that is run first.

    Args:
        project: its folder, relative to the current folder.
        image: one of the table's images, if it has several.
        base: that it was built with, if not the table's.
        engine: that built it: "docker", "acr" or "auto". It runs on the local engine in any case.
        root: folder above the project that its files must be in.
        progress: takes each event before the block begins.

    Raises:
        SettingsError: the table is wrong, has several images and none is named, or is of a batch deployment.
        BuildError: nothing is built, or the image is gone.
        SmokeTestError: the image has failed its smoke test, or does not start.
        EngineError: the engine does not answer, cannot run the image, or is on another machine.
        RegistryError: a registry refuses the base that is pulled, or the image that a remote build made.
        MachineError: this machine cannot do what is needed.
    """
    arguments = Arguments(
        project=project, image=image, base=base, engine=engine, root=root, progress=progress
    )
    container, closing = ExitStack(), ExitStack()
    try:
        with running(arguments) as (run, reporter):
            closing.enter_context(own_errors(reporter))
            served = container.enter_context(proven_server.serving(run, on_step=reporter.ended))
        yield Server(
            url=served.server.url,
            scoring_url=served.server.url + served.scoring_path,
            image=served.image.names[0],
            id=served.image.id,
            _server=served.server,
        )
    finally:
        # Not as `with`: an exception of the block is the caller's, and must not become one of the engine.
        with closing:
            container.close()


def _session() -> Session:
    from requests import Session

    session = Session()
    session.trust_env = False  # A proxy of the environment would not know this machine's loopback.
    return session
