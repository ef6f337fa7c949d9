"""A deployment of Azure ML as YAML, online or batch: what of it is of the image, and what stays in the deployment.

Keys: https://azuremlschemas.azureedge.net/latest/managedOnlineDeployment.schema.json, kubernetesOnlineDeployment and
modelBatchDeployment beside it, and azure-ai-ml 1.35.2, azure/ai/ml/_schema/_deployment.
"""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING

from azureml_tasks.config import validators
from azureml_tasks.migration.deployment.environment_yaml import (
    EnvironmentFacts,
    note_base,
    read_environment_keys,
)
from azureml_tasks.migration.deployment.local_paths import is_address, local_path, why_not
from azureml_tasks.migration.deployment.model import ModelFacts, ServedBy, note_model
from azureml_tasks.migration.deployment.registered_environments import definitions, registered
from azureml_tasks.migration.deployment.variables import Deployed, note_variables
from azureml_tasks.migration.deployment.yaml_notes import YamlNotes, spelled
from azureml_tasks.migration.placeholders import is_placeholder
from azureml_tasks.migration.reading import Kind, Outcome, Reading, Reference, Source
from azureml_tasks.migration.search_rules import default_rules
from azureml_tasks.project.script_search import entry_scripts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.config.problems import Place
    from azureml_tasks.migration.surroundings import Surroundings

_CODE: Place = ("code_configuration", "code")
_SCRIPT: Place = ("code_configuration", "scoring_script")
_DEFAULT_SCRIPT = "score.py"
"""The entry script that the table need not name."""

_OF_DEPLOYMENT = {
    "name": "its name",
    "id": "its ID in Azure",
    "description": "its description",
    "tags": "its tags",
    "properties": "its properties",
    "type": "its kind",
    "app_insights_enabled": "where its log goes",
    "scale_settings": "how many machines serve",
    "liveness_probe": "image.environment writes probes that wait as long as the start took in the smoke test",
    "readiness_probe": "image.environment writes probes that wait as long as the start took in the smoke test",
    "startup_probe": "how long it may start",
    "provisioning_state": "Azure ML writes it",
    "creation_context": "Azure ML writes it",
    "instance_count": "how many machines serve",
    "data_collector": "what Azure ML collects; the script needs the package azureml-ai-monitoring for it",
    "resources": "the machines",
    "egress_public_network_access": "its network",
    "private_network_connection": "its network",
    "identity": "the identity of its endpoint",
    "traffic": "the traffic of its endpoint",
    "compute": "the machines",
    "error_threshold": "how many files may fail",
    "retry_settings": "how often a mini-batch is tried; smoke-test.mini-batch-timeout is the time of the test",
    "logging_level": "how much it logs",
    "output_action": "where its results go",
    "output_file_name": "where its results go",
    "max_concurrency_per_instance": "how many processes call run()",
}
"""Keys that say nothing of the image, and why."""
_PIPELINE = {"component", "job_definition"}
_BATCH = {"compute", "settings", "mini_batch_size", "output_action", "max_concurrency_per_instance"}
"""Keys that only a batch deployment has."""
_MINI_BATCH = 'how many files run() gets; to call it in the image, write: smoke-test.mini-batch = ["FILE"]'


def read_deployment(source: Source, surroundings: Surroundings) -> Reading:
    """Read a deployment of Azure ML."""
    notes = YamlNotes(source, surroundings)
    top = notes.top
    has_code, has_environment = "code_configuration" in top, "environment" in top
    code, script = _note_code(notes) if has_code else ("", "")
    model = note_model(notes, _served_by(notes, code)) if "model" in top else ModelFacts()
    environment = _note_environment(notes) if has_environment else EnvironmentFacts()
    deployed = Deployed(code, script, environment.image, environment.is_built, model)
    for key in top:
        if key == "settings":
            _note_settings(notes, deployed)
        elif key == "request_settings":
            _note_request_settings(notes)
        elif key == "environment_variables":
            note_variables(notes, (key,), deployed)
        elif key not in {"model", "environment", "code_configuration"}:
            _note_key(notes, key)
    if not has_code and not has_environment and not {"model", *_PIPELINE} & top.keys():
        why = "it names no environment, no model and no code: they are given when it is deployed"
        notes.note_at(notes.line(tuple(top)[:1]), Outcome.LEFT_OVER, why)
    return replace(notes.reading(), request_timeout=_request_timeout(notes))


def _request_timeout(notes: YamlNotes) -> float:
    """Return the seconds that a request may take; 0 if that is not said."""
    value = notes.mapping(("request_settings",)).get("request_timeout_ms")
    return value / 1000 if isinstance(value, int) and value > 0 else 0


def _served_by(notes: YamlNotes, code: str) -> ServedBy:
    """Return what serves the model, if the table has *code*; "" for none."""
    top = notes.top
    if "code_configuration" in top:
        return ServedBy.SCRIPT if code else ServedBy.NOTHING
    if "environment" in top:
        return ServedBy.IMAGE
    return ServedBy.JOB if _BATCH & top.keys() else ServedBy.AZURE_ML


def _note_key(notes: YamlNotes, key: str) -> None:
    """Note a key that is of the deployment, or that is unknown."""
    place: Place = (key,)
    if key == "$schema":
        notes.note(place, Outcome.NOT_NEEDED, "editors read it")
    elif key == "mini_batch_size":
        notes.note(place, Outcome.DEPLOYMENT, _MINI_BATCH)
    elif key in _PIPELINE:
        why = "a pipeline has no image of its own: each of its components has an environment"
        notes.note(place, Outcome.LEFT_OVER, why)
    elif key == "model_mount_path":
        _note_mount_path(notes, place)
    elif flag := {"endpoint_name": "endpoint", "instance_type": "instance-type"}.get(key):
        _note_flag(notes, place, flag)
    elif key in _OF_DEPLOYMENT:
        notes.note(place, Outcome.DEPLOYMENT, _OF_DEPLOYMENT[key])
    else:
        notes.note(place, Outcome.LEFT_OVER, "it is no key of a deployment that is known here")


def _note_flag(notes: YamlNotes, place: Place, flag: str) -> None:
    text = notes.text(place).strip()
    if not text or is_placeholder(text):
        notes.note(
            place,
            Outcome.DEPLOYMENT,
            f"a placeholder: image.environment --deployment --{flag} takes the value",
        )
        return
    notes.flag(flag, text)
    notes.note(place, Outcome.DEPLOYMENT, f"image.environment --deployment --{flag} {text}")


def _note_mount_path(notes: YamlNotes, place: Place) -> None:
    if notes.text(("model", "path")) and not is_address(notes.text(("model", "path"))):
        why = "the model is copied to /var/azureml-app/azureml-models, and to no other folder"
        notes.note(place, Outcome.LEFT_OVER, why)
    else:
        notes.note(place, Outcome.DEPLOYMENT, "where Azure ML mounts the model")


def _note_settings(notes: YamlNotes, deployed: Deployed) -> None:
    """Note the settings of a batch deployment."""
    place: Place = ("settings",)
    if not notes.mapping(place):
        notes.note(place, Outcome.DEPLOYMENT, "its settings")
        return
    notes.open(place)
    for key in notes.mapping(place):
        inner: Place = (*place, key)
        if key == "environment_variables":
            note_variables(notes, inner, deployed)
        elif key == "mini_batch_size":
            notes.note(inner, Outcome.DEPLOYMENT, _MINI_BATCH)
        elif key in _OF_DEPLOYMENT:
            notes.note(inner, Outcome.DEPLOYMENT, _OF_DEPLOYMENT[key])
        else:
            notes.note(inner, Outcome.DEPLOYMENT, "a setting of its jobs")


def _note_request_settings(notes: YamlNotes) -> None:
    place: Place = ("request_settings",)
    if not notes.mapping(place):
        notes.note(place, Outcome.DEPLOYMENT, "its settings")
        return
    notes.open(place)
    for key, value in notes.mapping(place).items():
        why = "how it takes requests"
        if key == "request_timeout_ms" and isinstance(value, int) and value > 0:
            why = f"how long a request may take; in the smoke test: request-timeout = {value / 1000:g}"
        elif key == "max_concurrent_requests_per_instance":
            why = "how many requests are sent at a time; env.WORKER_COUNT says how many the image answers at a time"
        notes.note((*place, key), Outcome.DEPLOYMENT, why)


def _other_files(notes: YamlNotes, code: str) -> str:
    """Return which files Azure ML uploads and `code` does not copy, or the other way round; "" for none.

    Azure ML reads the `.amlignore` of the folder that it uploads, or else its `.gitignore`: azure-ai-ml 1.35.2,
    `_utils/_asset_utils.py`, `get_ignore_file`. For `code` see `project.ignore_files`.
    """

    def has(path: str) -> bool:
        return notes.surroundings.locate(path).kind == "file"

    if not has(f"{code}/.amlignore") and has(f"{code}/.gitignore"):
        return f"with what {code}/.gitignore names, which Azure ML leaves out: write exclude"
    if code != "." and has(".amlignore") and not has(".dockerignore"):
        return "without what .amlignore names, which Azure ML reads only in the folder of the code"
    return ""


def _note_code(notes: YamlNotes) -> tuple[str, str]:
    """Note the code and its script; return the folder as the table names it, and the script in it, or "" for each."""
    place: Place = ("code_configuration",)
    if not notes.mapping(place):
        notes.note(place, Outcome.LEFT_OVER, "it names no code: write code and scoring_script below it")
        return "", ""
    notes.open(place)
    located = local_path(notes, _CODE)
    folder = located.name if located.kind == "folder" else ""
    script = posixpath.normpath(notes.text(_SCRIPT).strip().replace("\\", "/")) if notes.text(_SCRIPT) else ""
    why = _why_no_script(notes, folder, script)
    others = _scripts(notes, folder) if why and folder else []
    code = folder if others or not why else ""
    if code:
        other = _other_files(notes, code)
        notes.key(_CODE, ("code",), code, other, Outcome.CHANGED if other else Outcome.KEY)
    elif folder:
        notes.note(
            _CODE, Outcome.LEFT_OVER, "it has no script with init() and run(), and the table needs one"
        )
    else:
        notes.note(_CODE, Outcome.LEFT_OVER, why_not(notes, _CODE, located, "folder"))
    if others:
        _note_other_script(notes, why, others)
    elif why:
        notes.note(_SCRIPT, Outcome.LEFT_OVER, why)
    else:
        _note_script(notes, code, script)
    for key in notes.mapping(place):
        if key not in {"code", "scoring_script"}:
            notes.note(
                (*place, key), Outcome.LEFT_OVER, "it is no key of code_configuration that is known here"
            )
    return code, "" if why else script


def _why_no_script(notes: YamlNotes, code: str, script: str) -> str:
    """Return why *script* cannot be the entry script; "" if it can."""
    if not script:
        return "it names no script"
    if is_placeholder(script):
        return "a placeholder"
    if not code:
        return "its folder is not known here"
    if validators.PATH_IN_IMAGE.error(script):
        return "it is not below the folder of the code"
    if not script.endswith(".py"):
        return "it is no Python file, which Azure ML's inference server needs"
    path = posixpath.join(code, script)
    return "" if notes.surroundings.locate(path).kind == "file" else f"{path} does not exist"


def _scripts(notes: YamlNotes, code: str) -> list[str]:
    """Return the scripts in *code* that define `init()` and `run()`, relative to it."""
    folder = (notes.surroundings.folder / code).resolve()
    return entry_scripts(folder, default_rules())


def _note_other_script(notes: YamlNotes, why: str, scripts: Sequence[str]) -> None:
    """Note one of the *scripts* of the code for a scoring script that is not here: without one the table is refused."""
    which = (
        "the only script there"
        if len(scripts) == 1
        else f"one of {', '.join(scripts)}: name another if it answers"
    )
    more = f"{why}; {which}"
    notes.key(_SCRIPT, ("entry-script",), scripts[0], more, Outcome.LEFT_OVER)


def _note_script(notes: YamlNotes, code: str, script: str) -> None:
    """Note the scoring script.

    Azure ML starts it in its own folder, where Python finds what is beside it: azure-ai-ml 1.35.2,
    azure/ai/ml/_local_endpoints/azureml_image_context.py.
    """
    folder = posixpath.dirname(script)
    if folder:
        notes.set(_SCRIPT, ("python-path",), [folder])
        more = f"{spelled(('python-path',), [folder])}; Azure ML starts it in the folder {folder}, the image in {code}"
        notes.key(_SCRIPT, ("entry-script",), script, more, Outcome.CHANGED)
    elif script == _DEFAULT_SCRIPT:
        notes.note(_SCRIPT, Outcome.KEY, "score.py is the default of entry-script")
    else:
        notes.key(_SCRIPT, ("entry-script",), script)


def _note_environment(notes: YamlNotes) -> EnvironmentFacts:
    """Note the environment: its keys, the file that has them, or its registered name."""
    place: Place = ("environment",)
    if notes.mapping(place):
        return read_environment_keys(notes, place)
    text = notes.text(place).strip()
    if is_placeholder(text) or not text:
        notes.note(place, Outcome.LEFT_OVER, "a placeholder: name the image with --base")
        return EnvironmentFacts()
    if is_address(text):
        return _note_registered(notes, place, text)
    located = local_path(notes, place)
    if located.kind != "file":
        notes.note(place, Outcome.LEFT_OVER, why_not(notes, place, located, "file"))
        return EnvironmentFacts()
    notes.refer(Reference(Kind.ENVIRONMENT, notes.line(place), located.name))
    notes.note(place, Outcome.KEY, f"its lines follow: {located.name}")
    return EnvironmentFacts()


def _note_registered(notes: YamlNotes, place: Place, text: str) -> EnvironmentFacts:
    """Note an environment that Azure ML knows by name: one of Microsoft's, or one that a file here defines."""
    wanted = registered(text)
    if wanted and wanted.image:
        return note_base(notes, place, wanted.image, f"{wanted} of the registry azureml is this image")
    files = definitions(wanted, notes.surroundings, notes.source.name) if wanted else []
    if wanted and len(files) == 1:
        notes.refer(Reference(Kind.ENVIRONMENT, notes.line(place), files[0], wanted.name))
        notes.note(place, Outcome.KEY, f"{files[0]} defines it, and its lines follow")
    elif files:
        why = f"several files define it: {', '.join(files[:5])}. Name one of them with --from"
        notes.note(place, Outcome.LEFT_OVER, why)
    else:
        why = "no file here defines this registered environment: name its file with --from, or its image with --base"
        notes.note(place, Outcome.LEFT_OVER, why)
    return EnvironmentFacts()
