"""An MLflow model that the base's own entry script serves.

The script and the variables that name it are in the images `mlflow-…-inference` of Azure ML: Azure/azureml-assets,
assets/inference/environments/mlflow-py312-inference (reads MLFLOW_MODEL_FOLDER), and
assets/training/model_management/environments/mlflow-model-inference (has the folder's name in its script).
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from azureml_tasks.config.problems import spell
from azureml_tasks.notice import Notice
from azureml_tasks.project.base_images import brings_script
from azureml_tasks.project.model import OwnScript

if TYPE_CHECKING:
    from azureml_tasks.image_reference import Reference
    from azureml_tasks.project.code import Code
    from azureml_tasks.project.paths import ProjectReader

FOLDER = "mlflow_model_folder"
"""The folder below AZUREML_MODEL_DIR in which both scripts find a model; the default of the images' gunicorn/run."""
_ENTRY_SCRIPT, _MODEL_FOLDER = "AZUREML_ENTRY_SCRIPT", "MLFLOW_MODEL_FOLDER"


def own_script(reader: ProjectReader, code: Code, base: Reference) -> OwnScript:
    """Return what the base's own script serves, and report a model in the image that it cannot load.

    Args:
        reader: of the project.
        code: of the image.
        base: the base image.
    """
    settings, problems = reader.settings, reader.problems
    has_script = brings_script(base)
    if settings.server or code.entry_script or _ENTRY_SCRIPT in settings.env or has_script is False:
        return OwnScript()
    if not settings.model or problems.is_bad(("model",)) or _MODEL_FOLDER in settings.env:
        return OwnScript(serves=bool(has_script))
    if (reader.root / reader.path(settings.model) / "MLmodel").is_file():
        folder = settings.model_name or FOLDER
        return OwnScript(serves=True, model_folder=folder, warnings=tuple(_warnings(reader)))
    if has_script:
        what = (
            f'{spell(("model",))} is "{settings.model}", which has no file MLmodel for the script of the base'
        )
        fix = "Write the folder that has the file, or name a script of your own with the keys code and entry-script."
        problems.add(("model",), what, fix)
    return OwnScript(serves=bool(has_script))


def _warnings(reader: ProjectReader) -> list[Notice]:
    """Warn of the packages that the model was saved with, if nothing installs them."""
    settings = reader.settings
    name = (PurePosixPath(settings.model or "") / "requirements.txt").as_posix()
    listed = [*settings.requirements, *([settings.conda] if settings.conda else [])]
    is_listed = any(PurePosixPath(path).parent == PurePosixPath(name).parent for path in listed)
    if is_listed or not (reader.root / reader.path(name)).is_file():
        return []
    fix = f'write requirements = "{name}"'
    what = f"{name} lists the packages that the model was saved with, and nothing installs them: {fix}"
    return [Notice("model-packages", what)]
