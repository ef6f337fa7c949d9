"""What a file is, by its name and its content; or what it is instead, and what to name in its place."""

from __future__ import annotations

import json
import posixpath
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.config.yaml_document import LARGEST_YAML, parse
from azureml_tasks.migration.placeholders import marked
from azureml_tasks.migration.reading import Kind
from azureml_tasks.project.entry_script import LARGEST_SCRIPT, WrongScriptError, missing_functions
from azureml_tasks.requirements.kinds import foreign_kind, lock_kind
from azureml_tasks.requirements.lines import lines_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_ACCEPTED = (
    "It reads deployment and environment YAML of Azure ML, Dockerfiles, conda files, requirements and lock files, "
    "pyproject.toml, scripts with init() and run(), models, and sample requests as JSON."
)
_YAML = (".yml", ".yaml")
_MODEL = re.compile(
    r"\.(bin|bst|caffemodel|cbm|ckpt|dill|gguf|h5|hdf5|joblib|keras|mar|mlmodel|model|npy|npz|onnx|params|pb|pickle|pkl"
    r"|pmml|pt|pt2|pth|rds|safetensors|sav|skops|tflite|torchscript|ubj|weights)"
)
"""Endings of the files that the libraries for models write."""
_NOT_READ = {
    ".ipynb": (
        "is a notebook",
        "Name the files that it writes: the script with init() and run(), the environment.",
    ),
    ".md": ("is a text for people", _ACCEPTED),
    ".rst": ("is a text for people", _ACCEPTED),
    ".sh": ("is a shell script", "Name the Dockerfile or the deployment YAML that it uses."),
    ".bat": ("is a script of Windows", "Name the Dockerfile or the deployment YAML that it uses."),
    ".ps1": ("is a script of PowerShell", "Name the Dockerfile or the deployment YAML that it uses."),
    ".bicep": ("is a template of Azure Resource Manager", "Name the deployment as YAML of the CLI."),
    ".tf": ("is a file of Terraform", "Name the deployment as YAML of Azure's CLI, or the Dockerfile."),
    ".csv": ("is data", "Name a JSON file as a sample request."),
    ".parquet": ("is data", "Name a JSON file as a sample request."),
    ".whl": ("is a wheel", "Name the requirements file that lists it."),
    ".zip": ("is an archive", "Unpack it, and name the files in it."),
    ".gz": ("is an archive", "Unpack it, and name the files in it."),
    ".tar": ("is an archive", "Unpack it, and name the files in it."),
    ".dockerignore": ("is an ignore file, which counts without being named", _ACCEPTED),
    ".amlignore": ("is an ignore file, which counts without being named", _ACCEPTED),
    ".gitignore": ("is an ignore file", _ACCEPTED),
}
_DEPLOYMENTS = frozenset(
    {"managedonlinedeployment", "kubernetesonlinedeployment", "batchdeployment", "modelbatchdeployment"}
)
"""Names of schemas, in small letters: https://learn.microsoft.com/azure/machine-learning/reference-yaml-overview."""
_NAME_DEPLOYMENT = "Name the YAML of a deployment."
_SCHEMAS = {
    "onlineendpoint": ("is an endpoint of Azure ML, which has no image", _NAME_DEPLOYMENT),
    "batchendpoint": ("is an endpoint of Azure ML, which has no image", _NAME_DEPLOYMENT),
    "pipelinecomponentbatchdeployment": (
        "is a batch deployment of a pipeline, whose steps have images of their own",
        "Name the YAML of a deployment with a scoring script.",
    ),
    "modelversionpackage": ("is a package of Azure ML", _NAME_DEPLOYMENT),
    "model.schema": ("is a model of Azure ML as YAML", "Name its file or folder."),
    "job": ("is a job of Azure ML", _NAME_DEPLOYMENT),
    "component": ("is a component of Azure ML", _NAME_DEPLOYMENT),
}
"""Endings of other schemas' names, in small letters."""
_SCHEMA_LINE = re.compile(r"""^['"]?\$schema['"]?\s*:\s*['"]?([^\s'"#]+)""", re.MULTILINE)
_SCHEMA_NAME = re.compile(r"([^/]*?)(?:\.schema)?\.json\Z", re.IGNORECASE)
_FIRST_INSTRUCTION = re.compile(r"(?:FROM|ARG)\s+\S", re.IGNORECASE)
_DOCKER_NAMES = re.compile(r"(?:.*[.\-_])?(?:dockerfile|containerfile)(?:[.\-_].*)?", re.IGNORECASE)
_LARGEST_JSON = 10_000_000
"""Characters of a request that is parsed to know what it is."""


class NoSource(NamedTuple):
    """What a file is that cannot be read here.

    Args:
        what: to follow its name: "is a notebook".
        fix: what to name instead.
    """

    what: str
    fix: str


def kind_of_name(name: str) -> Kind | NoSource | None:
    """Return what the name of a file tells so surely that nobody has to read it; None if its content decides.

    Args:
        name: with "/" between its parts.
    """
    base = posixpath.basename(name)
    ending = _ending(name)
    if base == "MLmodel":
        return NoSource("describes an MLflow model", f"Name its folder: {posixpath.dirname(name) or '.'}")
    if base == "pyproject.toml":
        return Kind.PYPROJECT
    if _MODEL.fullmatch(ending):
        return Kind.MODEL
    known = _NOT_READ.get(ending or base) or _NOT_READ.get(base)
    return NoSource(*known) if known else None


def kind_of_text(name: str, text: str) -> Kind | NoSource:
    """Return what a file is.

    Args:
        name: with "/" between its parts.
        text: all of it, without a byte order mark.
    """
    if known := kind_of_name(name):
        return known
    base, ending = posixpath.basename(name), _ending(name)
    if ending in _YAML:
        return _yaml_kind(name, text)
    if ending == ".py":
        return _python_kind(base, text)
    if ending == ".json":
        return _json_kind(text)
    if _is_requirements_name(base):
        return Kind.REQUIREMENTS
    if _DOCKER_NAMES.fullmatch(base):
        return Kind.DOCKERFILE
    return _plain_kind(name, text)


def _ending(name: str) -> str:
    return posixpath.splitext(name)[1].lower()


def _is_requirements_name(base: str) -> bool:
    """Return whether a name is that of a lock file, also of one that cannot be installed, which its reader explains."""
    return bool(lock_kind(base)) or base.lower() in ("poetry.lock", "pdm.lock", "pipfile.lock")


def _plain_kind(name: str, text: str) -> Kind | NoSource:
    """Return what a file is whose name says little."""
    first = next((line for line in map(str.strip, text.splitlines()) if line and line[0] != "#"), "")
    if _FIRST_INSTRUCTION.match(first) and _ending(name) not in (".txt", ".in"):
        return Kind.DOCKERFILE
    if first == "@EXPLICIT":
        what = "is a list of conda packages for `conda create --file`"
        return NoSource(what, "Name the file it was made of: environment.yml")
    if foreign := foreign_kind(name, text):
        return NoSource(foreign[0], _ACCEPTED)
    if _ending(name) in (".txt", ".in") and ("requirements" in name.lower() or _lists_packages(text)):
        return Kind.REQUIREMENTS
    return NoSource("is no kind of file that is read here", _ACCEPTED)


def _lists_packages(text: str) -> bool:
    """Return whether the first line of a text is a requirement or an option of pip, without a look at the others."""
    from packaging.requirements import InvalidRequirement, Requirement

    line = next(iter(lines_of(text)), None)
    if line is None or line.error or line.stray:
        return False
    try:
        return bool(line.options) or bool(Requirement(line.requirement))
    except InvalidRequirement:
        return False


def _yaml_kind(name: str, text: str) -> Kind | NoSource:
    if too_large := _too_large(text, LARGEST_YAML):
        return too_large
    schema = _SCHEMA_LINE.search(text)
    if schema and (kind := _schema_kind(schema[1])):
        return kind
    document, problems = parse(marked(text), name)
    if document is None:
        where = f" (line {problems[0].line})" if problems else ""
        return NoSource(f"cannot be read: it {problems[0].what}{where}", problems[0].fix)
    if not isinstance(document.value, dict):
        return NoSource("is YAML without keys", _ACCEPTED)
    return _mapping_kind(document.value, name)


def _schema_kind(address: str) -> Kind | NoSource | None:
    """Return what an Azure ML schema is for; None for one that says nothing, such as that of another tool."""
    path = address.rpartition("/")[2]
    match = _SCHEMA_NAME.search(path)
    schema = match[1].lower() if match else path.lower()
    if schema in _DEPLOYMENTS:
        return Kind.DEPLOYMENT
    if schema == "environment":
        return Kind.ENVIRONMENT
    if schema == "model":
        return NoSource(*_SCHEMAS["model.schema"])
    for ending, known in _SCHEMAS.items():
        if schema.endswith(ending):
            return NoSource(*known)
    if "azureml" in address:
        return NoSource(f'has the schema "{path}" of Azure ML, which describes no image', _NAME_DEPLOYMENT)
    return None


def _mapping_kind(value: Mapping[str, Any], name: str) -> Kind | NoSource:
    """Return what a YAML document without a known schema is, by its keys."""
    keys = value.keys()
    if keys & {"code_configuration", "endpoint_name"} and not keys & {"jobs", "steps"}:
        return Kind.DEPLOYMENT
    if "dependencies" in keys and isinstance(value["dependencies"], list):
        return Kind.CONDA
    if "auth_mode" in keys:
        return NoSource(*_SCHEMAS["onlineendpoint"])
    if "services" in keys:
        fix = "Name the Dockerfile that it builds."
        return NoSource("is a file of Docker Compose", fix)
    if {"apiVersion", "kind"} <= keys:
        return NoSource("is a manifest of Kubernetes", "Name the Dockerfile of the image that it runs.")
    if keys & {"jobs", "stages", "steps", "trigger", "pool", "on"}:
        return NoSource("is a pipeline", "Name the Dockerfile or the deployment YAML that it uses.")
    if {"package", "metadata"} <= keys:
        return NoSource("is a lock file of conda-lock", "Name the file it was made of: environment.yml")
    if "flavors" in keys:
        return NoSource("describes an MLflow model", f"Name its folder: {posixpath.dirname(name) or '.'}")
    if keys & {"conda_file", "build"} or {"name", "image"} <= keys:
        return Kind.ENVIRONMENT
    return NoSource("is YAML of no kind that is read here", _ACCEPTED)


def _too_large(text: str, largest: int) -> NoSource | None:
    if len(text) <= largest:
        return None
    return NoSource(f"is larger than {largest / 1e6:.0f} MB", "Name a smaller file.")


def _python_kind(base: str, text: str) -> Kind | NoSource:
    if base == "setup.py":
        return NoSource("describes a project", "Name a requirements file that lists what the script imports.")
    if too_large := _too_large(text, LARGEST_SCRIPT):
        return too_large
    fix = "Name the script that Azure ML calls: it defines init() and run()."
    try:
        missing = missing_functions(text.encode("utf-8", "surrogatepass"), base)
    except SyntaxError as error:
        both = all(re.search(rf"^(?:async )?def {name}\b", text, re.MULTILINE) for name in ("init", "run"))
        what = f"cannot be read as Python: {error.msg} (line {error.lineno})"
        return Kind.SCRIPT if both else NoSource(what, fix)
    except WrongScriptError as error:
        return NoSource(f"is not valid Python: {error}", "Correct it.")
    if not missing:
        return Kind.SCRIPT
    return NoSource(f"defines no {' and no '.join(f'{name}()' for name in missing)}", fix)


def _json_kind(text: str) -> Kind | NoSource:
    if too_large := _too_large(text, _LARGEST_JSON):
        return too_large
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return NoSource(f"is not valid JSON: {error}", "Correct it, or name another sample request.")
    keys = value.keys() if isinstance(value, dict) else set()
    if {"cells", "nbformat"} <= keys:
        return NoSource(*_NOT_READ[".ipynb"])
    if keys & {"entryScript", "baseDockerfile"}:
        what = "is a configuration of Azure ML's first SDK"
        return NoSource(what, "Name the script with init() and run(), and the conda file, by a --from each.")
    if {"$schema", "contentVersion"} <= keys:
        return NoSource(*_NOT_READ[".bicep"])
    return Kind.REQUEST
