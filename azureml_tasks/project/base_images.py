"""Azure ML's inference images: the current ones, and those that are no longer maintained."""

from __future__ import annotations

import difflib
import re
from datetime import date
from typing import TYPE_CHECKING

from azureml_tasks.config.problems import FILE, spell
from azureml_tasks.errors import FileProblem, Problem
from azureml_tasks.image_reference import MCR, Reference, expand_base
from azureml_tasks.notice import Notice
from azureml_tasks.requirements.kinds import lock_kind

if TYPE_CHECKING:
    from azureml_tasks.config.problems import Problems
    from azureml_tasks.requirements.wanted_python import WantedPython

CURRENT = (
    "minimal-py312-inference",
    "curated/minimal-py311-inference",
    "curated/minimal-py312-cuda12.4-inference",
)
"""Documented or published today: the concept page "Docker images for inference" of Azure Machine
Learning (2025-09-24) and Azure/azureml-assets assets/inference/environments (2026-07-23), less
those whose Python is past its end of life."""

_PAST_END_OF_LIFE = (
    "minimal-ubuntu22.04-py39-cpu-inference",
    "minimal-ubuntu22.04-py39-cuda11.8-gpu-inference",
)
"""Documented, too."""

_DOCUMENTED = (*CURRENT, *_PAST_END_OF_LIFE)

FOR_MLFLOW = "curated/mlflow-py312-inference"
"""Brings a script that serves an MLflow model."""
_KNOWN = (
    *CURRENT,
    FOR_MLFLOW,
    "curated/mlflow-model-inference",
    "curated/foundation-model-inference",
)
_KNOWN_SHORT = {name.removeprefix("curated/"): name for name in _KNOWN}
_OLD_NAME = r"-ubuntu[0-9.]+-py[0-9]+-"
"""Part of the names of older images, of which there are too many to know."""
_MCR_HOST = MCR.partition("/")[0]
_ALIKE = 0.85

_WITHDRAWN = frozenset({
    # Removed from Azure/azureml-assets in 2024 and 2025; the images stay, unpatched.
    "minimal-ubuntu20.04-py38-cpu-inference",
    "minimal-ubuntu20.04-py38-cuda11.6.2-gpu-inference",
    "minimal-ubuntu20.04-py39-cpu-inference",
    "mlflow-ubuntu20.04-py38-cpu-inference",
    "mlflow-ubuntu20.04-py39-cpu-inference",
    "minimal-app-quickstart-inference",
    # Renamed on 2025-01-28 to minimal-py311-inference and mlflow-py312-inference.
    "minimal-ubuntu22.04-py311-cpu-inference",
    "mlflow-ubuntu22.04-py312-cpu-inference",
})  # fmt: skip

_UNSUPPORTED_SYSTEM = r"ubuntu(16|18|20)\.04"
"""Ubuntu 20.04 left standard support on 2025-05-31: https://ubuntu.com/about/release-cycle."""

_PYTHON = r"-py(3)(\d+)\b"

# https://devguide.python.org/versions/
_END_OF_LIFE = {
    6: date(2021, 12, 23),
    7: date(2023, 6, 27),
    8: date(2024, 10, 7),
    9: date(2025, 10, 31),
    10: date(2026, 10, 31),
    11: date(2027, 10, 31),
    12: date(2028, 10, 31),
    13: date(2029, 10, 31),
}

ENTRY_SCRIPT = "AZUREML_ENTRY_SCRIPT"
"""The variable that names the script which the server runs; the images fall back to main.py."""
_SERVED_BY_THE_BASE = r"(curated/)?mlflow-[a-z0-9.-]*inference"
"""Its score script and the variables that name it are in the image: Azure/azureml-assets,
assets/inference/environments/mlflow-py312-inference/context/Dockerfile."""
_WITHOUT_A_SCRIPT = (
    r"(curated/)?(minimal|lightgbm|onnxruntime|pytorch|sklearn|tensorflow|xgboost)-[a-z0-9.-]*inference"
)

_OLDEST_OF_SERVER = 9
"""The inference server needs Python 3.9: `requires-python` of azureml-inference-server-http 1.5.1."""

IMAGE_VARIABLES = (
    "AML_APP_INSIGHTS_ENABLED",
    "AML_APP_INSIGHTS_KEY",
    "AML_APP_ROOT",
    "AML_CORS_ORIGINS",
    "AML_MODEL_DC_STORAGE_ENABLED",
    "APP_INSIGHTS_LOG_RESPONSE_ENABLED",
    "AZUREML_CONFIG_FILE",
    "AZUREML_DEBUG_PORT",
    "AZUREML_ENTRY_SCRIPT",
    "AZUREML_EXTRA_CONDA_YAML",
    "AZUREML_EXTRA_CONDA_YAML_ABS_PATH",
    "AZUREML_EXTRA_PYTHON_LIB_PATH",
    "AZUREML_EXTRA_REQUIREMENTS_TXT",
    "AZUREML_LOG_LEVEL",
    "AZUREML_MODEL_DIR",
    "AZUREML_SOURCE_DIRECTORY",
    "DYNAMIC_DEP_INSTALLATION",
    "HEALTH_PORT",
    "MLFLOW_MODEL_FOLDER",
    "SCORING_TIMEOUT_MS",
    "SEPERATE_HEALTH_ENDPOINT",
    "SERVER_VERSION_LOG_RESPONSE_ENABLED",
    "SERVICE_NAME",
    "SERVICE_PATH_PREFIX",
    "SERVICE_VERSION",
    "WORKER_COUNT",
    "WORKER_PRELOAD",
    "WORKER_TIMEOUT",
    "WORKSPACE_NAME",
)
"""The variables that the images and azureml-inference-server-http 1.5.1 read (its constants.py, server/config.py
and the images' gunicorn/run), in their spelling."""


def refuse_docker_hub(base: str, problems: Problems) -> None:
    """Refuse `azureml/NAME` without a registry host, which Docker looks for on Docker Hub."""
    if base.startswith("azureml/") and expand_base(base):
        name = base.removeprefix("azureml/")
        short = (reference := expand_base(name)) and str(reference).startswith(MCR)
        what = f'{spell(("base",))}: "{base}" is on Docker Hub, where Azure ML has no images'
        problems.add(("base",), what, f'Write: base = "{name if short else MCR + name}"')


def refuse_misspelt(base: str, problems: Problems) -> None:
    """Refuse a short name that is nearly one of Azure ML's images, and that Docker looks for on Docker Hub.

    A name with a registry host is meant as it is, also `docker.io/library/NAME`.
    """
    reference = expand_base(base)
    if not reference or reference.host or "/" in reference.repository.removeprefix("curated/"):
        return
    if near := _nearest(reference.repository):
        what = f'{spell(("base",))}: "{base}" is not an image that Azure ML documents'
        hub = f"docker.io/{base}" if "/" in base else f"docker.io/library/{base}"
        fix = f'Did you mean "{near}"?\nFor an image of Docker Hub or of the engine, write: base = "{hub}"'
        problems.add(("base",), what, fix)


def brings_script(base: Reference) -> bool | None:
    """Return whether *base* has an entry script of its own; None if only the image itself tells."""
    name = _name(base)
    if re.fullmatch(_SERVED_BY_THE_BASE, name):
        return True
    return False if re.fullmatch(_WITHOUT_A_SCRIPT, name) else None


def adds_no_packages(base: Reference) -> bool:
    """Return whether *base* ignores the variables AZUREML_EXTRA_…, by which other images add packages at their start.

    The Dockerfile of the curated minimal images deletes these lines of the run script: Azure/azureml-assets,
    assets/inference/environments/minimal-py311-inference.
    """
    return re.search(r"(^|/)curated/minimal-[^/]*$", base.repository) is not None


def refuse_server(server: str | None, base: Reference, problems: Problems) -> None:
    """Refuse the key `server` beside an inference image, which has the server."""
    if server and (name := _name(base)).endswith("-inference"):
        what = f"{spell(('server',))} adds the inference server, and the base {name} has it"
        problems.add(("server",), what, "Remove it, or name a base without the server.")


def warnings(base: Reference, today: date, line: int = 0) -> list[Notice]:
    """Return a warning if *base* is withdrawn, is no longer maintained, or is nearly one of Azure ML's images.

    Args:
        base: image reference.
        today: the date (UTC).
        line: of pyproject.toml that names it; 0 if another place does.
    """
    return [Notice.of_key(code, what, FILE, line) for code, what in _warnings(base, today)]


def _warnings(base: Reference, today: date) -> list[tuple[str, str]]:
    """Return the code of each warning, and what it says."""
    name = _name(base)
    if not name:
        return _near_warning(base)
    if name.removeprefix("curated/") in _WITHDRAWN:
        what = f'base "{name}" is withdrawn and gets no security updates. {_current()}'
        return [("base-outdated", what)]
    if system := re.search(_UNSUPPORTED_SYSTEM, name):
        what = f"is based on Ubuntu {system[1]}.04, which is no longer maintained. {_current()}"
        return [("base-outdated", f'base "{name}" {what}')]
    if python := re.search(_PYTHON, name):
        ended = _END_OF_LIFE.get(int(python[2]))
        if ended and ended < today:
            what = f"Python 3.{python[2]}, whose support ended on {ended.isoformat()}"
            return [("base-outdated", f'base "{name}" has {what}. {_current()}')]
    return _near_warning(base)


def _near_warning(base: Reference) -> list[tuple[str, str]]:
    """Return a warning if *base* is none of the known images, and nearly one of them."""
    name = _name(base)
    is_local = not name and (base.host not in {"", "docker.io", _MCR_HOST} or "/" in base.repository)
    if is_local or name.removeprefix("curated/") in _KNOWN_SHORT or re.search(_OLD_NAME, name):
        return []
    near = _nearest(name or base.repository)
    what = f'base "{base}" is not an image that Azure ML documents; did you mean "{near}"?'
    return [("base-unknown", what)] if near else []


def _nearest(name: str) -> str:
    """Return the known image whose name is nearly *name*, also without `curated/` or `-inference`; "" for none."""
    short = name.removeprefix("curated/")
    for text in (short, f"{short}-inference"):
        if near := difflib.get_close_matches(text, _KNOWN_SHORT, n=1, cutoff=_ALIKE):
            return _KNOWN_SHORT[near[0]]
    return ""


def _name(base: Reference) -> str:
    """Return which of Azure ML's images *base* is, such as `minimal-py312-inference`; "" for another image."""
    return base.name.removeprefix(MCR) if base.name.startswith(MCR) else ""


def named_python(base: Reference) -> tuple[int, int] | None:
    """Return the version of the Python of one of Azure ML's images, such as (3, 12), which its name tells."""
    python = re.search(_PYTHON, base.repository) if str(base).startswith(MCR) else None
    return (int(python[1]), int(python[2])) if python else None


def python_problem(wanted: WantedPython, base: Reference, python: tuple[int, int]) -> Problem:
    """Return the problem that a conda file or a lock file wants another Python than the base has.

    Args:
        wanted: what the file says.
        base: the base image.
        python: the version of its Python, such as (3, 12).
    """
    from azureml_tasks.requirements.wanted_python import accepts

    version = "{}.{}".format(*python)
    what = f'"{wanted.text}" is not the Python of the base {base}, which has {version}'
    pythons = {name: named_python(image) for name in _DOCUMENTED if (image := expand_base(name))}
    having = [name for name, other in pythons.items() if other and accepts(wanted, other)]
    choices = [f'base = "{name}"' for name in having] or ["no documented base has that Python"]
    if minors := [
        minor for minor in _END_OF_LIFE if minor >= _OLDEST_OF_SERVER and accepts(wanted, (3, minor))
    ]:
        choices.append(f'server = "azmlinfsrv" in the table, and base = "python:3.{max(minors)}-slim"')
    is_lock = lock_kind(wanted.file)
    edit = f"lock {wanted.file} for Python {version}" if is_lock else f"in {wanted.file}: - python={version}"
    fix = "\nor: ".join(choices) + f"\nor, {edit}"
    return FileProblem(wanted.file, wanted.line, what, fix)


def _current() -> str:
    return f"Current: {', '.join(CURRENT)}."
