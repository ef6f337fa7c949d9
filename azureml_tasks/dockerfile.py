"""`Plan` → the text of a Dockerfile; the one place that knows Docker's words.

It holds for BuildKit, for the legacy builder and for the line scan of Azure Container Registry
(Azure/acr-builder, scan/dependencies.go): no --mount, no heredoc, no --link, --chmod or --chown, no
--platform in FROM, and no line but FROM's own that starts with "from". With secrets the Python step
mounts them, which BuildKit alone can; the rest stays as it is.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from azureml_tasks.planning import APP_ROOT, MODEL_DIR, Plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from azureml_tasks.planning import BuildSecret

__all__ = ["CONTEXT_LABEL", "quoted", "render"]

CONTEXT_LABEL = "azureml-tasks.context-sha256"
"""The label that names the build context; its value comes with the build, by the argument CONTEXT_SHA256."""

_INSTALL = "/tmp/azureml-image"  # noqa: S108 -- a folder of the image, made by COPY as root
_MOUNTED = [
    "# What pip needs to reach a private index is mounted for this one command, for root to read, and is in no",
    "# layer and no history; BuildKit alone can do that.",
]
_NO_ENVIRONMENT = "the base sets no AZUREML_CONDA_ENVIRONMENT_PATH"


def render(plan: Plan) -> str:
    """Write the Dockerfile of *plan*: the same plan, the same bytes."""
    return "\n\n".join("\n".join(step) for step in _steps(plan)) + "\n"


def _steps(plan: Plan) -> Iterator[list[str]]:
    yield ["# Made from [tool.azureml-image] in pyproject.toml, which is the place to change anything."]
    yield ["# The base: a new one rebuilds everything below.", f"FROM {plan.base}"]
    yield ["# What installs needs root; the last step gives the image back to its runtime user.", "USER root"]
    if plan.apt:
        yield [
            "# System packages change least, so they stand first and stay cached longest.",
            *_apt(plan.apt),
        ]
    yield from _runs(plan, "apt")
    if plan.python:
        yield _python(plan.secrets)
    yield from _runs(plan, "pip")
    if plan.has_model:
        yield _model()
    if plan.has_code:
        yield [
            "# The code changes most often: nothing that takes long stands below it.",
            f"COPY code/ {APP_ROOT}/",
        ]
    if plan.env:
        yield [
            "# Variables take no time to set again, so they follow what they are about.",
            *_pairs("ENV", plan.env),
        ]
    yield from _runs(plan, "code")
    yield ["# Labels differ with each commit, so nothing stands on them.", *_labels(plan.labels)]
    yield [
        "# The server runs as this user; what was copied is root's, for this user to read.",
        f"USER {plan.user}",
    ]


def _apt(packages: Sequence[str]) -> list[str]:
    return [
        "RUN apt-get update \\",
        f"    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends {' '.join(packages)} \\",
        "    && rm -rf /var/lib/apt/lists/*",
    ]


def _python(secrets: Sequence[BuildSecret]) -> list[str]:
    python = f'"${{AZUREML_CONDA_ENVIRONMENT_PATH:?{_NO_ENVIRONMENT}}}/bin/python"'
    return [
        "# Python packages change with the requirements alone: model and code are copied after them. The script",
        "# runs pip by the environment's own Python, the server's version held, and ends with pip check.",
        *(_MOUNTED if secrets else []),
        f"COPY python/ {_INSTALL}/",
        *_run_with(secrets, f"{python} {_INSTALL}/install.py"),
    ]


def _run_with(secrets: Sequence[BuildSecret], command: str) -> list[str]:
    """RUN with the secrets as files that root alone reads, named by variables of this one command.

    They lie beside the script, in a folder that is there: BuildKit leaves one that it had to make behind.
    """
    mounts = [f"--mount=type=secret,id={s.id},target={_INSTALL}/{s.id},required=true" for s in secrets]
    variables = [f"{s.variable}={_INSTALL}/{s.id}" for s in secrets]
    return ("RUN " + " \\\n    ".join([*mounts, *variables, command])).splitlines()


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


def _pairs(word: str, pairs: Mapping[str, str]) -> list[str]:
    """One instruction for all of them: each costs the legacy builder a container."""
    lines = [f"{name if word == 'ENV' else quoted(name)}={quoted(value)}" for name, value in pairs.items()]
    return (
        [f"{word} {lines[0]}", *lines[1:]]
        if len(lines) == 1
        else [f"{word} \\", *(f"    {line} \\" for line in lines[:-1]), f"    {lines[-1]}"]
    )


def _labels(labels: Mapping[str, str]) -> list[str]:
    others = {name: text for name, text in labels.items() if name != CONTEXT_LABEL}
    text = _pairs("LABEL", {**others, CONTEXT_LABEL: ""})
    return ['ARG CONTEXT_SHA256=""', *text[:-1], text[-1].removesuffix('""') + '"$CONTEXT_SHA256"']


def quoted(text: str) -> str:
    r"""*text* in double quotes, as ENV and LABEL read it back unchanged.

    Inside double quotes Docker knows three escapes, `\"`, `\$` and `\\`
    (https://docs.docker.com/reference/dockerfile/#environment-replacement; moby's shell lexer).
    """
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$") + '"'
