"""`Plan` → the text of a Dockerfile.

The text works with BuildKit, with the legacy builder and with the line scan of Azure Container Registry
(Azure/acr-builder, scan/dependencies.go): no --mount, no heredoc, no --link, --chmod or --chown, no --platform in FROM,
and no line that starts with "from" except FROM itself. The one exception are secrets, which only BuildKit can mount.
A second rendering for BuildKit alone builds an equal image and keeps what it downloads in BuildKit's cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.config import variable_references
from azureml_tasks.config.dockerfile_line import json_words, quoted, quoted_value
from azureml_tasks.context.own_outputs import GENERATED_HEAD
from azureml_tasks.planning.plan import APP_ROOT, MODEL_DIR, Plan
from azureml_tasks.planning.server_steps import environment_steps, serving_steps, user_steps

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CONTEXT_LABEL = "azureml-tasks.context-sha256"
"""The label with the hash of the build context; the build passes its value as the argument CONTEXT_SHA256."""
STAGES = ("system", "python", "model", "code", "labels")
"""The parts of an image after its base, in the order in which they change. These are not stages of a multi-stage
build: all of them are in one."""

_INSTALL = "/tmp/azureml-image"  # noqa: S108 -- a folder of the image, created by COPY as root
_APT_CACHE = "/var/cache/apt"
_APT_FOLDERS = {
    "Cache::Archives": f"{_APT_CACHE}/azureml-image/archives",
    "State::Lists": f"{_APT_CACHE}/azureml-image/lists",
}
"""apt's folders in BuildKit's cache. Not apt's own: a base may tell apt to empty those after each run."""
_NO_ENVIRONMENT = "the base sets no AZUREML_CONDA_ENVIRONMENT_PATH"
_PYTHON = f'"${{AZUREML_CONDA_ENVIRONMENT_PATH:?{_NO_ENVIRONMENT}}}/bin/python"'
_PACKAGES = "packages"
"""The name of the stage that downloads packages."""

_HEADER = [
    f"{GENERATED_HEAD} in pyproject.toml. Change that table, not this file.",
    "# Build it from the archive that the task image.context writes: the project's folder has other paths.",
]
_ROOT_COMMENT = "# Installing needs root. The last step returns to the runtime user."
_CACHED_LAYERS = "# Cached layers of an earlier build. Their user is root."
_APT_COMMENT = "# System packages change least often, so they come first and stay cached longest."
_PYTHON_COMMENT = [
    "# Python packages come before the model and the code, so only new requirements install them again. The script",
    "# runs pip with the environment's own Python, keeps the server's version, and looks for conflicts.",
]
_DOWNLOAD_COMMENT = [
    "# Packages of a private index are downloaded in a stage of their own, on the base alone. The secrets are mounted",
    "# for this one command, in which no code of the project and of its packages runs. Only BuildKit can do this.",
]
_COPY_COMMENT = "# The script and the requirements. pip takes wheels alone, and can start no program."
_DOWNLOAD_ROOT_COMMENT = [
    "# Root alone can read the secrets. Nothing of this stage is in the image.",
    "# hadolint ignore=DL3002",
]
_INSTALL_COMMENT = [
    "# Python packages come before the model and the code, so only new requirements install them again. They were",
    "# downloaded in the stage above; the script keeps the server's version, and looks for conflicts.",
]
_SOURCE_BUILDS_COMMENT = [
    "# The secrets for a private index are mounted for this command only. Packages may be built from source in it, so",
    "# their code can read the secrets: --allow-source-builds. Only BuildKit can do this.",
]
_MODEL_COMMENT = "# The model is large and changes less often than the code, so it comes first."
_CODE_COMMENT = "# The code changes most often, so nothing slow comes after it."
_ENV_COMMENT = "# Variables are quick to set, so they come after the files that they refer to."
_EXTENDED_COMMENT = [
    "# A variable that names itself takes the value of the base.",
    "# hadolint ignore=DL3044",
]
_LABELS_COMMENT = "# Labels change with every commit, so they come last."
_USER_COMMENT = "# The server runs as this user, which can read the copied files. Root owns them."


def render(plan: Plan, *, mounts: bool = False) -> str:
    """Return the Dockerfile of *plan*: the project's own as it is, else a generated one. Equal plans give equal text.

    Args:
        plan: the image.
        mounts: render for BuildKit alone, with cache mounts for downloads and a bind mount for the install script.
    """
    if plan.own_dockerfile:
        return plan.own_dockerfile.text
    steps = [step for steps in _stages(plan, mounts=mounts).values() for step in steps]
    return _text([_HEADER, *_download(plan, str(plan.base), mounts=mounts), *_from(str(plan.base)), *steps])


def render_stages(
    plan: Plan, base: str, names: Sequence[str], *, mounts: bool = False, sha256: str = ""
) -> str:
    """Return the Dockerfile of the stages *names*, in their order, on the image *base*.

    On cached layers, variables and user come first if no command runs after them: they change less often than the
    code, and the legacy builder starts a container for each unless it has them in its cache.

    Args:
        plan: the image.
        base: an image reference or ID.
        names: some of `STAGES`.
        mounts: as for `render`.
        sha256: of the build context, to write into its label; "" to take it from the argument CONTEXT_SHA256.
    """
    by_name = _stages(plan, mounts=mounts, sha256=sha256)
    steps = [step for name in names for step in by_name[name]]
    download = _download(plan, str(plan.base), mounts=mounts) if "python" in names else []
    if names[0] == STAGES[0]:
        return _text([*download, *_from(base), *steps])
    if not any(line.startswith("RUN ") for step in steps for line in step):
        steps.sort(key=lambda step: not any(line.startswith(("ENV ", "USER ")) for line in step))
    return _text([*download, [_CACHED_LAYERS, f"FROM {base}"], *steps])


def stages(plan: Plan) -> dict[str, str]:
    """Return the text of each of `STAGES`; "" for an empty one. A stage depends on all before it and on the base.

    A Dockerfile of the project's own is not divided into these stages: all of them are empty.
    """
    if plan.own_dockerfile:
        return dict.fromkeys(STAGES, "")
    by_name = _stages(plan, mounts=False)
    by_name["python"] = [*_download(plan, "", mounts=False), *by_name["python"]]
    return {name: _text(steps) if steps else "" for name, steps in by_name.items()}


def image_labels(plan: Plan, sha256: str) -> dict[str, str]:
    """Return the labels of an image whose Dockerfile does not set them: those of *plan*, and the context's hash.

    Args:
        plan: the image.
        sha256: of the build context.
    """
    return {**plan.labels, CONTEXT_LABEL: sha256}


def labelled(plan: Plan, sha256: str) -> str:
    """Return the project's own Dockerfile with its labels added, for a builder that takes none as an option.

    Args:
        plan: with an own Dockerfile.
        sha256: of the build context.
    """
    return f"{render(plan).rstrip()}\n\n{_text([_key_values('LABEL', image_labels(plan, sha256))])}"


def _text(steps: Sequence[Sequence[str]]) -> str:
    return "\n\n".join("\n".join(step) for step in steps) + "\n"


def _from(base: str) -> list[list[str]]:
    return [
        ["# The base image. A new one rebuilds everything below.", f"FROM {base}"],
        [_ROOT_COMMENT, "USER root"],
    ]


def _stages(plan: Plan, *, mounts: bool, sha256: str = "") -> dict[str, list[list[str]]]:
    """Return the steps of each of `STAGES`; a step is a comment with the instructions below it."""
    return {
        "system": [
            *user_steps(plan),
            *([[_APT_COMMENT, *_apt(plan, mounts=mounts)]] if plan.apt else []),
            *_runs(plan, "apt"),
        ],
        "python": [
            *environment_steps(plan, _INSTALL, mounts=mounts or _has_download(plan)),
            *serving_steps(plan, APP_ROOT),
            *([_python(plan, mounts=mounts)] if plan.python else []),
            *_runs(plan, "pip"),
        ],
        "model": [[_MODEL_COMMENT, f"COPY model/ {_model_folder(plan)}/"]] if plan.has_model else [],
        "code": [
            *([[_CODE_COMMENT, f"COPY code/ {plan.app_root}/"]] if plan.has_code else []),
            *([_variables(plan)] if plan.env else []),
            *_runs(plan, "code"),
        ],
        "labels": [
            [_LABELS_COMMENT, *_labels(plan.labels, sha256)],
            [_USER_COMMENT, f"USER {plan.user}"],
        ],
    }


def _model_folder(plan: Plan) -> str:
    return f"{MODEL_DIR}/{plan.model_name}" if plan.model_name else MODEL_DIR


def _cache_mount(plan: Plan, what: str, target: str) -> str:
    """Return the option that mounts the project's own cache of *what*, since its content decides what is installed."""
    owner = f"-{plan.project_key}" if plan.project_key else ""
    return f"--mount=type=cache,id=azureml-image-{what}{owner},target={target}"


def _apt(plan: Plan, *, mounts: bool) -> list[str]:
    """Return the instruction that installs packages and leaves neither archives nor lists in the image.

    Debian's and Ubuntu's own images tell apt to delete archives after each run; other bases keep them.
    """
    options = "".join(f" -o Dir::{name}={path}" for name, path in _APT_FOLDERS.items()) if mounts else ""
    install = f"apt-get{options} install --yes --no-install-recommends {' '.join(plan.apt)}"
    folders = " ".join(f"{path}/partial" for path in _APT_FOLDERS.values())
    cache = f"{_cache_mount(plan, 'apt', _APT_CACHE)},sharing=locked"
    return [
        *([f"RUN {cache} \\", f"    mkdir -p {folders} \\"] if mounts else []),
        f"    && apt-get{options} update \\" if mounts else "RUN apt-get update \\",
        f"    && DEBIAN_FRONTEND=noninteractive {install} \\",
        "    && apt-get clean \\",
        "    && rm -rf /var/lib/apt/lists/*",
    ]


def _download(plan: Plan, base: str, *, mounts: bool) -> list[list[str]]:
    """Return the stage that downloads the packages with the secrets mounted; empty if it is not needed.

    It is the base alone: a package that was installed before, or a shell command of the project, could have changed
    what `python` does, and would then run with the secrets. Nothing of this stage gets into the image but packages.
    """
    if not _has_download(plan):
        return []
    # Not the cache of the other steps: code of packages can write to that one.
    cache = [_cache_mount(plan, "pip-download", f"{_INSTALL}/cache")] if mounts else []
    variables = [*_secret_variables(plan), *([f"PIP_CACHE_DIR={_INSTALL}/cache"] if mounts else [])]
    return [
        [*_DOWNLOAD_COMMENT, f"FROM {base} AS {_PACKAGES}"],
        [*_DOWNLOAD_ROOT_COMMENT, "USER root"],
        *environment_steps(plan, _INSTALL, mounts=True),
        [
            _COPY_COMMENT,
            f"COPY python/ {_INSTALL}/",
            *_run([*cache, *_secret_mounts(plan), *variables, f"{_PYTHON} {_INSTALL}/download.py"]),
        ],
    ]


def _python(plan: Plan, *, mounts: bool) -> list[str]:
    """Return the step that installs Python packages, which were downloaded before if that takes secrets."""
    install = f"{_PYTHON} {_INSTALL}/install.py"
    if _has_download(plan):
        packages = f"--mount=type=bind,from={_PACKAGES},source={_INSTALL},target={_INSTALL}"
        return [*_INSTALL_COMMENT, *_run([packages, install])]
    folders = [
        f"--mount=type=bind,rw,source=python,target={_INSTALL}",
        _cache_mount(plan, "pip", f"{_INSTALL}/cache"),
    ]
    variables = [*_secret_variables(plan), *([f"PIP_CACHE_DIR={_INSTALL}/cache"] if mounts else [])]
    return [
        *_PYTHON_COMMENT,
        *(_SOURCE_BUILDS_COMMENT if plan.secrets else []),
        *([] if mounts or plan.adds_server else [f"COPY python/ {_INSTALL}/"]),
        *_run([*(folders if mounts else []), *_secret_mounts(plan), *variables, install]),
    ]


def _has_download(plan: Plan) -> bool:
    return bool(plan.python and plan.secrets and not plan.source_builds)


def _secret_mounts(plan: Plan) -> list[str]:
    # Secrets are mounted beside the script, in a folder that exists: BuildKit leaves a folder that it creates behind.
    return [f"--mount=type=secret,id={s.id},target={_INSTALL}/{s.id},required=true" for s in plan.secrets]


def _secret_variables(plan: Plan) -> list[str]:
    return [f"{secret.variable}={_INSTALL}/{secret.id}" for secret in plan.secrets]


def _run(words: Sequence[str]) -> list[str]:
    return ("RUN " + " \\\n    ".join(words)).split("\n")


def shell_instruction(command: str) -> str:
    """Return the instruction that runs a shell *command*, as JSON: every builder reads any character in it."""
    return "RUN " + json_words(["/bin/sh", "-c", command])


def _runs(plan: Plan, after: str) -> Iterator[list[str]]:
    """Yield the extra shell commands."""
    for run in plan.runs:
        if run.after == after:
            comment = (
                f"# An extra shell command of the project, after {'the code' if after == 'code' else after}."
            )
            command = shell_instruction(run.command)
            as_user = [f"USER {plan.user}", command, "USER root"] if run.user == "runtime" else [command]
            yield [comment, *as_user]


def _variables(plan: Plan) -> list[str]:
    extends = any(
        name in plan.env for value in plan.env.values() for name in variable_references.names(value)
    )
    return [_ENV_COMMENT, *(_EXTENDED_COMMENT if extends else []), *_key_values("ENV", plan.env)]


def _key_values(instruction: str, values: Mapping[str, str]) -> list[str]:
    """Return one instruction for all *values*: the legacy builder starts a container for each instruction."""
    pairs = [
        f"{name}={quoted_value(text)}" if instruction == "ENV" else f"{quoted(name)}={quoted(text)}"
        for name, text in values.items()
    ]
    if len(pairs) == 1:
        return [f"{instruction} {pairs[0]}"]
    return [f"{instruction} \\", *(f"    {pair} \\" for pair in pairs[:-1]), f"    {pairs[-1]}"]


def _labels(labels: Mapping[str, str], sha256: str) -> list[str]:
    """Return LABEL with the context's hash last, or with an argument in its place, so that the text does not change."""
    others = {name: text for name, text in labels.items() if name != CONTEXT_LABEL}
    lines = _key_values("LABEL", {**others, CONTEXT_LABEL: sha256})
    if sha256:
        return lines
    return ['ARG CONTEXT_SHA256=""', *lines[:-1], lines[-1].removesuffix('""') + '"$CONTEXT_SHA256"']
