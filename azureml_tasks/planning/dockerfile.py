"""`Plan` → the text of a Dockerfile; the one place that knows Docker's words.

It holds for BuildKit, for the legacy builder and for the line scan of Azure Container Registry
(Azure/acr-builder, scan/dependencies.go): no --mount, no heredoc, no --link, --chmod or --chown, no
--platform in FROM, and no line but FROM's own that starts with "from". With secrets the Python step
mounts them, which BuildKit alone can; the rest stays as it is. For BuildKit alone there is a second rendering,
with the same effect, which downloads nothing twice.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from azureml_tasks.config.dockerfile_line import quoted
from azureml_tasks.planning.plan import APP_ROOT, MODEL_DIR, Plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from azureml_tasks.project.model import BuildSecret

__all__ = ["CONTEXT_LABEL", "STAGES", "base_of", "render", "render_stages", "stages"]

CONTEXT_LABEL = "azureml-tasks.context-sha256"
"""The label that names the build context; its value comes with the build, by the argument CONTEXT_SHA256."""

_INSTALL = "/tmp/azureml-image"  # noqa: S108 -- a folder of the image, made by COPY as root
_APT_CACHE, _APT_LISTS = "/var/cache/apt", "/var/lib/apt/lists"
_MOUNTED = [
    "# What pip needs to reach a private index is mounted for this one command, for root to read, and is in no",
    "# layer and no history; BuildKit alone can do that.",
]
_HEAD = ["# Made from [tool.azureml-image] in pyproject.toml, which is the place to change anything."]
_BEFORE = "# The same image as before, as far as it is the same; root is its user."
_APT = "# System packages change least, so they stand first and stay cached longest."
_CODE = "# The code changes most often: nothing that takes long stands below it."
_ENV = "# Variables take no time to set again, so they follow what they are about."
STAGES = ("system", "python", "model", "code", "labels")
"""What an image is made of beyond its base, in the order in which things change."""
_NO_ENVIRONMENT = "the base sets no AZUREML_CONDA_ENVIRONMENT_PATH"


def render(plan: Plan, *, mounts: bool = False) -> str:
    """Write the Dockerfile of *plan*: the same plan, the same bytes.

    Args:
        plan: the image.
        mounts: whether for BuildKit alone: what is downloaded stays in its cache, and what installs in no layer.
    """
    steps = [step for steps in _stages(plan, mounts=mounts).values() for step in steps]
    return _text([_HEAD, *_from(str(plan.base)), *steps])


def render_stages(
    plan: Plan, base: str, names: Sequence[str], *, mounts: bool = False, sha256: str = ""
) -> str:
    """Write the Dockerfile of the stages of these *names* alone, in their order, on the image *base*.

    What stands on a prefix sets variables and user first, where no command comes after them: they change less often
    than the code, so that a builder to which each costs a container has them in its cache.
    """
    found = _stages(plan, mounts=mounts, sha256=sha256)
    steps = [step for name in names for step in found[name]]
    if names[0] == STAGES[0]:
        return _text([*_from(base), *steps])
    if not any(line.startswith("RUN ") for step in steps for line in step):
        steps.sort(key=lambda step: not step[1].startswith(("ENV ", "USER ")))
    return _text([[_BEFORE, f"FROM {base}"], *steps])


def base_of(dockerfile: str) -> str:
    """What a Dockerfile of ours stands on: an image reference or id."""
    return next(line for line in dockerfile.splitlines() if line.startswith("FROM ")).removeprefix("FROM ")


def stages(plan: Plan) -> dict[str, str]:
    """What the Dockerfile says, by each of `STAGES`, which depends on those before it; "" for nothing to do."""
    return {name: _text(steps) if steps else "" for name, steps in _stages(plan, mounts=False).items()}


def _text(steps: Sequence[Sequence[str]]) -> str:
    return "\n\n".join("\n".join(step) for step in steps) + "\n"


def _from(base: str) -> list[list[str]]:
    return [
        ["# The base: a new one rebuilds everything below.", f"FROM {base}"],
        ["# What installs needs root; the last step gives the image back to its runtime user.", "USER root"],
    ]


def _stages(plan: Plan, *, mounts: bool, sha256: str = "") -> dict[str, list[list[str]]]:
    return {
        "system": [
            *([[_APT, *_apt(plan.apt, mounts=mounts)]] if plan.apt else []),
            *_runs(plan, "apt"),
        ],
        "python": [
            *([_python(plan.secrets, mounts=mounts)] if plan.python else []),
            *_runs(plan, "pip"),
        ],
        "model": [_model()] if plan.has_model else [],
        "code": [
            *([[_CODE, f"COPY code/ {APP_ROOT}/"]] if plan.has_code else []),
            *([[_ENV, *_key_values("ENV", plan.env)]] if plan.env else []),
            *_runs(plan, "code"),
        ],
        "labels": [
            ["# Labels differ with each commit, so nothing stands on them.", *_labels(plan.labels, sha256)],
            _user(plan),
        ],
    }


def _user(plan: Plan) -> list[str]:
    return [
        "# The server runs as this user; what was copied is root's, for this user to read.",
        f"USER {plan.user}",
    ]


def _apt(packages: Sequence[str], *, mounts: bool) -> list[str]:
    install = "DEBIAN_FRONTEND=noninteractive apt-get{} install --yes --no-install-recommends"
    if mounts:
        # A base may tell apt to empty its own archives after each run, so they have a folder beside those.
        folders = {name: f"{_APT_CACHE}/azureml-image/{name.lower()}" for name in ("Archives", "Lists")}
        options = f" -o Dir::Cache::Archives={folders['Archives']} -o Dir::State::Lists={folders['Lists']}"
        return [
            f"RUN --mount=type=cache,id=azureml-image-apt,target={_APT_CACHE},sharing=locked \\",
            f"    mkdir -p {folders['Archives']}/partial {folders['Lists']}/partial \\",
            f"    && apt-get{options} update \\",
            f"    && {install.format(options)} {' '.join(packages)} \\",
            f"    && rm -rf {_APT_LISTS}/*",
        ]
    return [
        "RUN apt-get update \\",
        f"    && {install.format('')} {' '.join(packages)} \\",
        f"    && rm -rf {_APT_LISTS}/* {_APT_CACHE}/*.bin",
    ]


def _python(secrets: Sequence[BuildSecret], *, mounts: bool) -> list[str]:
    python = f'"${{AZUREML_CONDA_ENVIRONMENT_PATH:?{_NO_ENVIRONMENT}}}/bin/python"'
    lent = [
        f"--mount=type=bind,rw,source=python,target={_INSTALL}",
        f"--mount=type=cache,id=azureml-image-pip,target={_INSTALL}/cache",
    ]
    return [
        "# Python packages change with the requirements alone: model and code are copied after them. The script",
        "# runs pip by the environment's own Python, the server's version held, and ends with pip check.",
        *(_MOUNTED if secrets else []),
        *([] if mounts else [f"COPY python/ {_INSTALL}/"]),
        *_run_with(secrets, f"{python} {_INSTALL}/install.py", lent if mounts else []),
    ]


def _run_with(secrets: Sequence[BuildSecret], command: str, lent: Sequence[str]) -> list[str]:
    """RUN with *lent* mounts, and the secrets as files that root alone reads, named by variables of this one command.

    They lie beside the script, in a folder that is there: BuildKit leaves one that it had to make behind.
    """
    mounts = [f"--mount=type=secret,id={s.id},target={_INSTALL}/{s.id},required=true" for s in secrets]
    variables = [f"{s.variable}={_INSTALL}/{s.id}" for s in secrets]
    variables += [f"PIP_CACHE_DIR={_INSTALL}/cache"] if lent else []
    return ("RUN " + " \\\n    ".join([*lent, *mounts, *variables, command])).splitlines()


def _model() -> list[str]:
    return [
        "# The model is large and changes less often than the code, which therefore stands below it.",
        f"COPY model/ {MODEL_DIR}/",
    ]


def _runs(plan: Plan, after: str) -> Iterator[list[str]]:
    """The user's commands; JSON carries every character on every builder."""
    for run in plan.runs:
        if run.after == after:
            lines = [f"# The project's own command, after {'the code' if after == 'code' else after}."]
            command = "RUN " + json.dumps(["/bin/sh", "-c", run.command])
            as_user = [f"USER {plan.user}", command, "USER root"] if run.user == "runtime" else [command]
            yield [*lines, *as_user]


def _key_values(instruction: str, values: Mapping[str, str]) -> list[str]:
    """Return one instruction for all *values*: the legacy builder starts a container for each instruction."""
    written = [
        f"{name if instruction == 'ENV' else quoted(name)}={quoted(text)}" for name, text in values.items()
    ]
    if len(written) == 1:
        return [f"{instruction} {written[0]}"]
    return [f"{instruction} \\", *(f"    {line} \\" for line in written[:-1]), f"    {written[-1]}"]


def _labels(labels: Mapping[str, str], sha256: str) -> list[str]:
    """The labels; the context's hash stands there, or comes as an argument, so that the text is the same without it."""
    others = {name: text for name, text in labels.items() if name != CONTEXT_LABEL}
    text = _key_values("LABEL", {**others, CONTEXT_LABEL: sha256})
    if sha256:
        return text
    return ['ARG CONTEXT_SHA256=""', *text[:-1], text[-1].removesuffix('""') + '"$CONTEXT_SHA256"']
