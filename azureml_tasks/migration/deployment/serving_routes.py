"""The routes of an environment's server: those of Azure ML's inference images, or of another server."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.config import validators
from azureml_tasks.migration.deployment.yaml_notes import spelled
from azureml_tasks.migration.reading import Outcome

if TYPE_CHECKING:
    from azureml_tasks.config.problems import Place
    from azureml_tasks.migration.deployment.yaml_notes import YamlNotes

_PORTS = (5001, 31311)
"""Where the inference server answers: by nginx of the inference images, and by itself if no --port is given
(azureml-inference-server-http, azureml_inference_server_http/constants.py)."""
_PORT = validators.between(1, 65535)
_NAMES = ("liveness_route", "readiness_route", "scoring_route")


class Routes(NamedTuple):
    """The routes.

    Args:
        port: of the scoring route.
        one_port: whether the other routes have the same.
        liveness: path.
        readiness: path.
        scoring: path.
    """

    port: int
    one_port: bool
    liveness: str
    readiness: str
    scoring: str

    @property
    def is_default(self) -> bool:
        """Whether they are those of an inference image."""
        return self == Routes(_PORTS[0], True, "/", "/", "/score")  # noqa: FBT003 -- a field

    @property
    def is_foreign(self) -> bool:
        """Whether another server than Azure ML's answers."""
        return self.port not in _PORTS or self.scoring.partition("?")[0] != "/score"


def read_routes(notes: YamlNotes, place: Place) -> Routes | None:
    """Return the routes at *place*; None if they are incomplete."""
    ports = [notes.value((*place, name, "port")) for name in _NAMES]
    paths = [notes.text((*place, name, "path")) for name in _NAMES]
    if not all(isinstance(port, int) and not isinstance(port, bool) for port in ports) or not all(paths):
        return None
    return Routes(ports[2], len({*ports}) == 1, *paths)


def note_routes(notes: YamlNotes, place: Place, routes: Routes | None, *, is_built: bool) -> None:
    """Note what became of the routes at *place*.

    Args:
        notes: of the source.
        place: of `inference_config`.
        routes: that were read.
        is_built: whether a Dockerfile makes the image, whose server may be any.
    """
    if routes is None:
        notes.note(place, Outcome.LEFT_OVER, "it has not three routes, each with a port and a path")
    elif routes.is_default:
        notes.note(place, Outcome.NOT_NEEDED, "image.environment writes these routes")
    elif routes.is_foreign and not is_built:
        notes.note(place, Outcome.LEFT_OVER, "the routes are those of another server than Azure ML's")
    else:
        _note_own(notes, place, routes, is_built=is_built)


def _note_own(notes: YamlNotes, place: Place, routes: Routes, *, is_built: bool) -> None:
    differs: list[str] = []
    keys: dict[Place, object] = {}
    if is_built and routes.port != _PORTS[0] and not _PORT.error(routes.port):
        keys["smoke-test", "port"] = routes.port
    elif routes.port != _PORTS[0]:
        differs.append(f"the image answers on port {_PORTS[0]}")
    if routes.liveness != "/" and not validators.HEALTH_PATH.error(routes.liveness):
        keys["smoke-test", "health"] = routes.liveness
    if routes.readiness != routes.liveness or not routes.one_port:
        differs.append("image.environment writes one route for liveness and readiness")
    if routes.scoring != "/score":
        differs.append(f'each request of the smoke test needs path = "{routes.scoring}"')
    for key, value in keys.items():
        notes.set(place, key, value)
    outcome = Outcome.CHANGED if differs else Outcome.KEY
    notes.note(place, outcome, "; ".join([*(spelled(key, value) for key, value in keys.items()), *differs]))
