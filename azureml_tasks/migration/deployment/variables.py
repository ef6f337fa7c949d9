"""The environment variables of a deployment: those of the image, those that a key of the table says, and secrets."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.config import validators
from azureml_tasks.config.variable_references import literal
from azureml_tasks.image_reference import expand_base
from azureml_tasks.migration.placeholders import is_placeholder, is_secret_reference
from azureml_tasks.migration.reading import Kind, Outcome, Reference
from azureml_tasks.migration.secret_texts import has_login
from azureml_tasks.project.base_images import adds_no_packages
from azureml_tasks.project.cross_checks import names_secret
from azureml_tasks.project.variables import APP_ROOT, MODEL_DIR

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from azureml_tasks.config.problems import Place
    from azureml_tasks.migration.deployment.model import ModelFacts
    from azureml_tasks.migration.deployment.yaml_notes import YamlNotes

_PACKAGES = {
    "AZUREML_EXTRA_REQUIREMENTS_TXT": Kind.REQUIREMENTS,
    "AZUREML_EXTRA_CONDA_YAML": Kind.CONDA,
}
"""Files of packages that an inference image installs when it starts, relative to the entry script's folder:
azureml_tasks/project/base_images.py."""


class Deployed(NamedTuple):
    """What else the deployment says.

    Args:
        code: the folder of the code, as the table names it; "" for none here.
        script: entry script, relative to the folder; "" for none.
        image: the environment's image; "" for none.
        is_built: whether a Dockerfile makes the image.
        model: of the deployment.
    """

    code: str
    script: str
    image: str
    is_built: bool
    model: ModelFacts


class _Variable(NamedTuple):
    """A variable with its place in the document."""

    place: Place
    name: str
    value: str


def note_variables(notes: YamlNotes, place: Place, deployed: Deployed) -> None:
    """Note what became of each variable of the mapping at *place*."""
    if not notes.mapping(place):
        why = "it is empty" if notes.value(place) in (None, {}) else "it is not a mapping"
        notes.note(place, Outcome.NOT_NEEDED if why == "it is empty" else Outcome.LEFT_OVER, why)
        return
    notes.open(place)
    for name, value in notes.mapping(place).items():
        inner: Place = (*place, name)
        if why := _unusable(notes, inner, name, value):
            notes.note(inner, Outcome.LEFT_OVER, why)
        else:
            _note_variable(notes, _Variable(inner, name, str(value)), deployed)


def _unusable(notes: YamlNotes, place: Place, name: str, value: object) -> str:
    """Return why the table cannot say the variable; "" if it can."""
    if error := validators.VARIABLE.error(name):
        return f"its name {error}"
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return "it is not a text: write its value in quotes, as the container gets it"
    if not isinstance(value, str) and not notes.has_word(place, str(value)):
        return f"it is a number, which YAML reads as {value}: write its value in quotes, as the container gets it"
    if isinstance(value, str) and is_placeholder(value):
        return "a placeholder"
    if error := validators.ONE_LINE.error(str(value)):
        return f"its value {error}"
    return ""


def _note_variable(notes: YamlNotes, variable: _Variable, deployed: Deployed) -> None:
    place, name, value = variable
    special = _SPECIAL.get(name)
    if special and special(notes, variable, deployed):
        return
    if is_secret_reference(value):
        notes.note(place, Outcome.DEPLOYMENT, "Azure ML replaces it by a secret")
    elif names_secret(name):
        notes.note(
            place, Outcome.DEPLOYMENT, "a secret, as its name says, which would stay readable in the image"
        )
    elif has_login(value):
        notes.note(place, Outcome.DEPLOYMENT, "it has a login, which would stay readable in the image")
    else:
        _note_own(notes, variable, deployed)


def _note_own(notes: YamlNotes, variable: _Variable, deployed: Deployed) -> None:
    """Note a variable of the code; a path of the container leads elsewhere in the image.

    Azure ML mounts the code in a folder of its name, and a model in those of its registered name and version:
    https://learn.microsoft.com/azure/machine-learning/how-to-deploy-online-endpoints.
    """
    place, name, value = variable
    code, model = f"{APP_ROOT}/{posixpath.basename(deployed.code)}", deployed.model
    if model.path and f"{MODEL_DIR}/" in value:
        inside = f"{MODEL_DIR}/{model.folder or posixpath.basename(model.path)}"
        notes.note(
            place, Outcome.LEFT_OVER, f"in the image the model is {inside}, without its name and version"
        )
    elif deployed.code and f"{value}/".startswith(f"{code}/"):
        why = f"the image has the content of {deployed.code} in {APP_ROOT}"
        notes.key(place, ("env",), {name: literal(APP_ROOT + value.removeprefix(code))}, why)
    else:
        notes.key(place, ("env",), {name: literal(value)})


def _entry_script(notes: YamlNotes, variable: _Variable, deployed: Deployed) -> bool:
    place, _, value = variable
    if deployed.script:
        name = posixpath.basename(deployed.script)
        if posixpath.basename(value) == name:
            notes.note(place, Outcome.NOT_NEEDED, "it is the scoring_script")
        else:
            notes.note(
                place, Outcome.LEFT_OVER, f"Azure ML sets it to the scoring_script, {name}, not to this"
            )
        return True
    if deployed.is_built and not validators.PATH_IN_IMAGE.error(value):
        notes.key(place, ("entry-script",), value)
        return True
    return False


def _model_folder(notes: YamlNotes, variable: _Variable, deployed: Deployed) -> bool:
    place, _, value = variable
    if deployed.model.is_mounted:
        notes.note(place, Outcome.DEPLOYMENT, "Azure ML sets it, to where it mounts the model")
        return True
    if deployed.model.path:
        is_same = value.rstrip("/") == MODEL_DIR
        why = "the key model sets it" if is_same else f"the key model sets it, to {MODEL_DIR}"
        notes.note(place, Outcome.NOT_NEEDED if is_same else Outcome.LEFT_OVER, why)
        return True
    return False


def _app_root(notes: YamlNotes, variable: _Variable, deployed: Deployed) -> bool:
    place, _, value = variable
    if not deployed.code:
        return False
    folder = value.rstrip("/")
    ends = (APP_ROOT, f"{APP_ROOT}/{posixpath.basename(deployed.code)}")
    is_same = folder in ends
    why = "the code is where the server looks" if is_same else f"the code is copied to {APP_ROOT}"
    notes.note(place, Outcome.NOT_NEEDED if is_same else Outcome.LEFT_OVER, why)
    return True


def _mlflow_folder(notes: YamlNotes, variable: _Variable, deployed: Deployed) -> bool:
    place, _, value = variable
    if deployed.model.folder != value or deployed.code or not deployed.model.is_mlflow:
        return False
    notes.note(place, Outcome.NOT_NEEDED, f'model-name = "{value}" says so')
    return True


def _python_path(notes: YamlNotes, variable: _Variable, deployed: Deployed) -> bool:
    """Note folders of the code as `python-path`; Azure ML mounts the code in a folder of its name."""
    place, _, value = variable
    if APP_ROOT not in value or not deployed.code:
        return False
    top = f"{APP_ROOT}/{posixpath.basename(deployed.code)}"
    folders = [posixpath.normpath(folder) for folder in value.split(":") if folder]
    inside = [posixpath.relpath(folder, top) for folder in folders]
    if any(path.startswith("..") for path in inside):
        notes.note(
            place,
            Outcome.LEFT_OVER,
            f"the code is copied to {APP_ROOT}: name its folders as python-path",
        )
        return True
    notes.key(place, ("python-path",), inside)
    return True


def _packages(notes: YamlNotes, variable: _Variable, deployed: Deployed) -> bool:
    """Note a file of packages that the image would install at its start: the table installs it."""
    place, name, value = variable
    base = expand_base(deployed.image) if deployed.image else None
    if base and adds_no_packages(base):
        notes.note(place, Outcome.NOT_NEEDED, "curated minimal images install nothing at their start")
        return True
    if not deployed.script:
        return False
    folder = posixpath.dirname(posixpath.join(deployed.code, deployed.script))
    file = notes.surroundings.locate(posixpath.join(folder, value))
    if file.kind != "file":
        notes.note(place, Outcome.LEFT_OVER, f"{file.name} is no file")
        return True
    notes.refer(Reference(_PACKAGES[name], notes.line(place), file.name))
    notes.note(
        place, Outcome.KEY, f"its lines follow: {file.name}, installed in the image instead of at its start"
    )
    return True


_SPECIAL: Mapping[str, Callable[[YamlNotes, _Variable, Deployed], bool]] = {
    "AZUREML_ENTRY_SCRIPT": _entry_script,
    "AZUREML_MODEL_DIR": _model_folder,
    "AML_APP_ROOT": _app_root,
    "MLFLOW_MODEL_FOLDER": _mlflow_folder,
    "PYTHONPATH": _python_path,
    **dict.fromkeys(_PACKAGES, _packages),
}
"""Variables that a key of the table sets; each function returns whether it has noted the variable."""
