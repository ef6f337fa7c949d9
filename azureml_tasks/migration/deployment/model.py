"""The model of a deployment: a path here becomes `model`, a registered one stays in the deployment.

Azure ML mounts the model below `AZUREML_MODEL_DIR`: a file under its name, a folder as a folder of that name
(https://learn.microsoft.com/azure/machine-learning/how-to-deploy-online-endpoints). Keys: azure-ai-ml 1.35.2,
azure/ai/ml/_schema/assets/model.py.
"""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.config import validators
from azureml_tasks.image_reference import expand_base
from azureml_tasks.migration.conda_text import read_conda_at
from azureml_tasks.migration.deployment.local_paths import is_address, local_path, why_not
from azureml_tasks.migration.deployment.yaml_notes import spelled
from azureml_tasks.migration.placeholders import is_placeholder
from azureml_tasks.migration.reading import Kind, Outcome, Reference
from azureml_tasks.project.base_images import ENTRY_SCRIPT, brings_script
from azureml_tasks.requirements.wanted_python import accepts

if TYPE_CHECKING:
    from azureml_tasks.config.problems import Place
    from azureml_tasks.migration.deployment.yaml_notes import YamlNotes
    from azureml_tasks.migration.surroundings import Located

_PLACE: Place = ("model",)
_MLFLOW, _TRITON = "mlflow_model", "triton_model"
_MLFLOW_BASE = "curated/mlflow-py312-inference"
_MLFLOW_PYTHON = (3, 12)
_OF_WORKSPACE = (
    "name", "version", "description", "properties", "tags", "stage", "flavors", "id", "datastore", "creation_context",
    "job_name", "latest_version", "system_metadata", "default_deployment_template", "allowed_deployment_templates",
)  # fmt: skip
_REGISTERED = (
    "Azure ML mounts this registered model; to try the image with it, download it, and name its path as "
    "smoke-test.model"
)


class ModelFacts(NamedTuple):
    """What is known of the model.

    Args:
        path: that the table names; "" if there is none here.
        folder: the folder below `AZUREML_MODEL_DIR` that holds it; "" for a file, or for none.
        is_mounted: whether Azure ML mounts a registered one.
        is_mlflow: whether MLflow saved it, as its folder or the deployment says.
    """

    path: str = ""
    folder: str = ""
    is_mounted: bool = False
    is_mlflow: bool = False


class ServedBy(Enum):
    """What serves the model of a deployment."""

    SCRIPT = "script"
    """The script of the deployment's code."""
    IMAGE = "image"
    """The image of the environment: there is no code."""
    AZURE_ML = "azure-ml"
    """Azure ML, in an image that it makes: there is neither code nor an environment."""
    JOB = "job"
    """The same for a batch deployment, with a script of Azure ML."""
    NOTHING = "nothing"
    """Nothing that the table can have: the script of the deployment is not here."""


def note_model(notes: YamlNotes, served_by: ServedBy) -> ModelFacts:
    """Note what became of the key `model`."""
    value = notes.value(_PLACE)
    if isinstance(value, dict):
        notes.open(_PLACE)
        return _note_keys(notes, served_by)
    text = notes.text(_PLACE).strip()
    if is_placeholder(text) and not is_address(text):
        notes.note(_PLACE, Outcome.LEFT_OVER, "a placeholder")
    elif is_address(text):
        return _note_registered(notes, served_by)
    else:
        notes.note(
            _PLACE, Outcome.LEFT_OVER, "it names no model: write path below it, or azureml:NAME:VERSION"
        )
    return ModelFacts()


def _note_registered(notes: YamlNotes, served_by: ServedBy) -> ModelFacts:
    """Note a model that is registered. Only Azure ML knows whether MLflow saved it."""
    if served_by in (ServedBy.AZURE_ML, ServedBy.JOB):
        why = (
            "Azure ML serves this registered model without a script of yours, in an image that it makes: download the "
            "model, and name its folder with --from"
        )
        notes.note(_PLACE, Outcome.LEFT_OVER, why)
    else:
        notes.note(_PLACE, Outcome.DEPLOYMENT, _REGISTERED)
    return ModelFacts(is_mounted=True)


def _note_keys(notes: YamlNotes, served_by: ServedBy) -> ModelFacts:
    """Note the keys of a model."""
    path: Place = (*_PLACE, "path")
    kind = notes.text((*_PLACE, "type"))
    facts = _note_path(notes, path, kind, served_by)
    for key in notes.mapping(_PLACE):
        inner: Place = (*_PLACE, key)
        if key == "type":
            _note_type(notes, inner, facts, served_by)
        elif key in _OF_WORKSPACE:
            notes.note(inner, Outcome.DEPLOYMENT, "kept with the model in the workspace")
        elif key != "path":
            notes.note(inner, Outcome.LEFT_OVER, "it is no key of a model that is known here")
    if notes.value(path) is None:
        notes.note_at(notes.line(_PLACE), Outcome.LEFT_OVER, "it names no path")
    return facts


def _note_type(notes: YamlNotes, place: Place, facts: ModelFacts, served_by: ServedBy) -> None:
    if notes.text(place) == _MLFLOW and served_by is ServedBy.AZURE_ML and facts.path:
        notes.note(place, Outcome.KEY, f'base = "{_MLFLOW_BASE}", which serves it')
    else:
        notes.note(place, Outcome.DEPLOYMENT, "kept with the model in the workspace")


def _note_path(notes: YamlNotes, place: Place, kind: str, served_by: ServedBy) -> ModelFacts:
    if notes.value(place) is None:
        return ModelFacts()
    if is_address(notes.text(place).strip()):
        notes.note(place, Outcome.DEPLOYMENT, _REGISTERED)
        return ModelFacts(is_mounted=True)
    located = local_path(notes, place)
    folder = _folder_name(notes, located)
    is_mlflow = notes.surroundings.locate(f"{located.name}/MLmodel").kind == "file"
    if located.kind not in {"file", "folder"}:
        why = why_not(notes, place, located, "file or folder")
    else:
        why = _refusal(notes, located.name, folder) or _why_not_served(
            notes, kind, served_by, is_mlflow=is_mlflow
        )
    if why:
        notes.note(place, Outcome.LEFT_OVER, why)
        return ModelFacts()
    more, outcome = [], Outcome.KEY
    if folder:
        notes.set(place, ("model-name",), folder)
        more.append(f"{spelled(('model-name',), folder)}, since Azure ML mounts a folder under its name")
    if is_mlflow and served_by in {ServedBy.AZURE_ML, ServedBy.IMAGE}:
        added, outcome = _served(notes, place, located.name, served_by)
        more += added
    notes.key(place, _PLACE, located.name, "; ".join(more), outcome)
    return ModelFacts(path=located.name, folder=folder, is_mlflow=is_mlflow)


def _folder_name(notes: YamlNotes, located: Located) -> str:
    """Return the name under which Azure ML mounts a folder; "" for anything else."""
    return (notes.surroundings.folder / located.name).resolve().name if located.kind == "folder" else ""


def _refusal(notes: YamlNotes, path: str, folder: str) -> str:
    """Return why the table cannot have the model at *path*; "" if it can."""
    if _is_around(path, notes):
        return "its folder has this file or the code in it: move the model into a folder of its own, or remove the key"
    if folder and validators.MODEL_NAME.error(folder):
        return f'"{folder}" is no name that model-name takes: rename the folder'
    return ""


def _why_not_served(notes: YamlNotes, kind: str, served_by: ServedBy, *, is_mlflow: bool) -> str:
    """Return why nothing in the image would serve the model, so that the table is refused; "" if something does."""
    if kind == _TRITON:
        return "NVIDIA Triton serves such a model, not Azure ML's inference server"
    if served_by is ServedBy.NOTHING:
        return "the table needs the script that loads it, which is not here: name the script, and the model, by --from"
    if served_by is ServedBy.JOB:
        return (
            "Azure ML adds the script that calls the model: write one, and name it, and the model, by --from"
        )
    if served_by is ServedBy.AZURE_ML and not is_mlflow:
        return "it has no file MLmodel, by which Azure ML serves a model without a script"
    if served_by is ServedBy.IMAGE and not _has_script(notes) and not (is_mlflow and _names_no_image(notes)):
        return "the image has no script that loads it: name one, and the model, by --from"
    return ""


def _has_script(notes: YamlNotes) -> bool:
    """Return whether the image of the environment may have a script, or its variables name one."""
    base = expand_base(notes.text(("environment", "image")).strip())
    named = notes.text(("environment_variables", ENTRY_SCRIPT))
    return bool(named) or (not _names_no_image(notes) and not (base and brings_script(base) is False))


def _names_no_image(notes: YamlNotes) -> bool:
    """Return whether a placeholder is in place of the image."""
    image = notes.text(("environment", "image"))
    return bool(image) and is_placeholder(image)


def _served(notes: YamlNotes, place: Place, folder: str, served_by: ServedBy) -> tuple[list[str], Outcome]:
    """Return what serves an MLflow model in the image, and whether it is what serves it in the deployment."""
    if served_by is ServedBy.AZURE_ML or _names_no_image(notes):
        return _add_mlflow(notes, place, folder), Outcome.CHANGED
    base = expand_base(notes.text(("environment", "image")).strip())
    if base and brings_script(base):
        return [], Outcome.KEY
    return [f"the base has to serve it without a script of yours, as {_MLFLOW_BASE} does"], Outcome.CHANGED


def _add_mlflow(notes: YamlNotes, place: Place, folder: str) -> list[str]:
    """Add the base that serves an MLflow model, and the packages of the model; return what they are.

    Azure ML makes an image of the model's conda.yaml alone: its requirements.txt counts if the Python is another one
    (https://learn.microsoft.com/azure/machine-learning/how-to-deploy-mlflow-models).
    """
    notes.set(place, ("base",), _MLFLOW_BASE)
    more = [
        f"{spelled(('base',), _MLFLOW_BASE)}, which serves a model of MLflow, in place of the image that Azure ML makes"
    ]
    conda = read_conda_at(notes.surroundings, f"{folder}/conda.yaml")
    others = [wish for wish in conda.pythons if not accepts(wish, _MLFLOW_PYTHON)]
    listed = notes.surroundings.locate(f"{folder}/requirements.txt")
    if conda.path and not others:
        notes.refer(Reference(Kind.CONDA, notes.line(place), conda.path))
        more.append(f"its packages: {conda.path}")
    elif listed.kind == "file":
        notes.refer(Reference(Kind.REQUIREMENTS, notes.line(place), listed.name))
        more.append(f"its packages: {listed.name}")
    else:
        more.append("nothing here that names its packages can be installed: write them with the key pip")
    if others:
        more.append(f"{others[0].file} wants {others[0].text}, and this base has Python 3.12")
    return more


def _is_around(path: str, notes: YamlNotes) -> bool:
    """Return whether the folder *path* has the source, the project or the code in it."""
    surroundings = notes.surroundings
    code = notes.text(("code_configuration", "code"))
    inside = [notes.source.name, ".", *([surroundings.locate(code, notes.source.name).name] if code else [])]
    folder = os.path.normpath(surroundings.folder / path)
    return any(Path(os.path.normpath(surroundings.folder / name)).is_relative_to(folder) for name in inside)
