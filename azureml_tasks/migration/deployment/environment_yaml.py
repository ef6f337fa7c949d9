"""An environment of Azure ML as YAML: its image, conda file or build context, and the routes of its server.

Keys: https://azuremlschemas.azureedge.net/latest/environment.schema.json, and azure-ai-ml 1.35.2,
azure/ai/ml/_schema/assets/environment.py.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.migration.base_choice import SERVER, Base, choose_base
from azureml_tasks.migration.conda_text import read_conda_at
from azureml_tasks.migration.deployment.inline_conda import inline_conda, note_inline_conda
from azureml_tasks.migration.deployment.local_paths import local_path, why_not
from azureml_tasks.migration.deployment.serving_routes import Routes, note_routes, read_routes
from azureml_tasks.migration.deployment.yaml_notes import YamlNotes, spelled
from azureml_tasks.migration.placeholders import is_placeholder
from azureml_tasks.migration.reading import Kind, Outcome, Reading, Reference, Source
from azureml_tasks.requirements.conda import CondaFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.config.problems import Place
    from azureml_tasks.errors import Problem
    from azureml_tasks.migration.surroundings import Surroundings

_KEPT = {
    "$schema": (Outcome.NOT_NEEDED, "editors read it"),
    "name": (Outcome.DEPLOYMENT, "its name in the workspace; image.environment gives one to the image's own"),
    "version": (
        Outcome.DEPLOYMENT,
        "its version in the workspace; image.environment takes one from the digest",
    ),
    "id": (Outcome.DEPLOYMENT, "its ID in the workspace"),
    "description": (Outcome.DEPLOYMENT, "its description in the workspace"),
    "tags": (Outcome.DEPLOYMENT, "kept with it in the workspace"),
    "properties": (Outcome.DEPLOYMENT, "kept with it in the workspace"),
    "datastore": (Outcome.DEPLOYMENT, "where Azure ML uploads the build context"),
    "creation_context": (Outcome.DEPLOYMENT, "Azure ML writes it"),
    "intellectual_property": (Outcome.DEPLOYMENT, "kept with it in a registry"),
}


class EnvironmentFacts(NamedTuple):
    """What an environment says.

    Args:
        image: the base of the table; "" if there is none.
        is_built: whether a Dockerfile makes it.
    """

    image: str = ""
    is_built: bool = False


def read_environment(source: Source, surroundings: Surroundings) -> Reading:
    """Read an environment of Azure ML."""
    notes = YamlNotes(source, surroundings)
    read_environment_keys(notes, ())
    return notes.reading()


def read_environment_keys(notes: YamlNotes, place: Place) -> EnvironmentFacts:
    """Read the keys of an environment at *place* of a document."""
    keys = notes.mapping(place)
    if place:
        notes.open(place)
    conda, problems = _conda(notes, (*place, "conda_file"))
    routes = read_routes(notes, (*place, "inference_config"))
    for key in keys:
        inner: Place = (*place, key)
        if key == "image":
            _note_image(notes, inner, routes, conda, has_conda="conda_file" in keys)
        elif key == "build":
            _note_build(notes, inner)
        elif key == "conda_file":
            _note_conda(notes, inner, conda, problems, image=notes.text((*place, "image")))
        elif key == "inference_config":
            note_routes(notes, inner, routes, is_built="build" in keys)
        elif key == "os_type":
            _note_system(notes, inner)
        elif key in _KEPT:
            notes.note(inner, *_KEPT[key])
        else:
            notes.note(inner, Outcome.LEFT_OVER, "it is no key of an environment that is known here")
    if not {"image", "build"} & keys.keys():
        why = "it names neither an image nor a build context: name the image with --base"
        notes.note_at(notes.line(place or tuple(keys)[:1]), Outcome.LEFT_OVER, why)
    return EnvironmentFacts(image=notes.text((*place, "image")), is_built="build" in keys)


def _note_image(
    notes: YamlNotes, place: Place, routes: Routes | None, conda: CondaFile, *, has_conda: bool
) -> None:
    image = notes.text(place).strip()
    if is_placeholder(image) or not image:
        notes.note(place, Outcome.LEFT_OVER, "a placeholder: name the image with --base")
        return
    if routes and routes.is_foreign and not has_conda:
        why = (
            f"the image has a server of its own on port {routes.port}, and the table makes images that Azure ML's "
            "inference server serves: deploy it as it is, or name another image with --base"
        )
        notes.note(place, Outcome.LEFT_OVER, why)
        return
    serves = routes is not None and routes.is_default and not has_conda
    base = choose_base(image, conda.pythons, serves=serves)
    if base.adds_server and base.may_serve and not has_conda:  # Azure ML starts such an image as it is.
        base = base._replace(
            differs="if it has the server, remove the key server, and the image starts as it does now"
        )
    _note_base(notes, place, base)


def note_base(notes: YamlNotes, place: Place, image: str, why: str) -> EnvironmentFacts:
    """Note that *image* is the base because of what is at *place*, and why."""
    _note_base(notes, place, choose_base(image, ()), why)
    return EnvironmentFacts(image=image)


def _note_base(notes: YamlNotes, place: Place, base: Base, also: str = "") -> None:
    if not base.name:
        notes.note(place, Outcome.LEFT_OVER, base.why)
        return
    outcome = Outcome.CHANGED if base.differs or base.adds_server else Outcome.KEY
    why = [base.differs, also]
    if base.adds_server:
        notes.set(place, ("server",), SERVER)
        since = f", since {base.why}" if base.why else ""
        why.insert(0, f"{spelled(('server',), SERVER)}{since}; the image runs as dockeruser")
    notes.key(place, ("base",), base.name, "; ".join(filter(None, why)), outcome)


def _conda(notes: YamlNotes, place: Place) -> tuple[CondaFile, Sequence[Problem]]:
    """Return the conda environment at *place*, a mapping or the path of a file; an empty one if there is none."""
    if notes.mapping(place):
        return inline_conda(notes, place)
    located = local_path(notes, place)
    conda = read_conda_at(notes.surroundings, located.name) if located.kind == "file" else CondaFile(path="")
    return conda, []


def _note_conda(
    notes: YamlNotes, place: Place, conda: CondaFile, problems: Sequence[Problem], *, image: str
) -> None:
    base = choose_base(image, conda.pythons)
    if notes.mapping(place):
        note_inline_conda(notes, place, conda, problems, base.python)
        return
    located = local_path(notes, place)
    if located.kind != "file":
        notes.note(place, Outcome.LEFT_OVER, why_not(notes, place, located, "file"))
    elif not base.takes_conda:
        notes.note(place, Outcome.LEFT_OVER, base.python)
    else:
        notes.refer(Reference(Kind.CONDA, notes.line(place), located.name))
        outcome = Outcome.CHANGED if base.python else Outcome.KEY
        follow = f"its lines follow: {located.name}"
        notes.note(place, outcome, "; ".join(filter(None, [follow, base.python])))


def _note_build(notes: YamlNotes, place: Place) -> None:
    """Note a build context: a folder with a Dockerfile."""
    path: Place = (*place, "path")
    dockerfile: Place = (*place, "dockerfile_path")
    notes.open(place)
    located = local_path(notes, path)
    if located.kind != "folder":
        why = why_not(notes, path, located, "folder")
        notes.note(path if notes.value(path) is not None else place, Outcome.LEFT_OVER, why)
        if notes.value(dockerfile) is not None:
            notes.note(dockerfile, Outcome.LEFT_OVER, "its build context is not read")
        return
    name = notes.text(dockerfile) or "Dockerfile"
    file = notes.surroundings.locate(posixpath.join(located.name, name))
    line = notes.line(dockerfile if notes.value(dockerfile) is not None else path)
    if is_placeholder(name) or file.kind != "file":
        notes.note_at(line, Outcome.LEFT_OVER, f"{file.name} does not exist")
    else:
        notes.refer(Reference(Kind.DOCKERFILE, line, file.name))
        notes.note(path, Outcome.KEY, f"the build context of {file.name}, whose lines follow")
    if notes.value(dockerfile) is not None and file.kind == "file":
        notes.note(dockerfile, Outcome.KEY, f"its lines follow: {file.name}")
    elif notes.value(dockerfile) is not None:
        notes.note(path, Outcome.LEFT_OVER, f"{file.name} does not exist")
    for key in notes.mapping(place):
        if key not in {"path", "dockerfile_path"}:
            notes.note((*place, key), Outcome.LEFT_OVER, "it is no key of a build context that is known here")


def _note_system(notes: YamlNotes, place: Place) -> None:
    if notes.text(place).lower() == "linux":
        notes.note(place, Outcome.NOT_NEEDED, "every image of the table is one for Linux")
    else:
        notes.note(place, Outcome.LEFT_OVER, "the table makes images for Linux only")
