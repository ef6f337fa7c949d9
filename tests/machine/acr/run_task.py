"""The task of a run request."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.machine.acr import dockerfile_scan, task_file, template
from tests.machine.acr.runs import Run
from tests.machine.acr.task_file import Task, TaskError

__all__ = ["run_task"]


def run_task(run: Run, workspace: Path, *, may_push: bool) -> Task:
    """Return the task of a run.

    Args:
        run: what asks.
        workspace: where its source is.
        may_push: whether it has a credential.

    Raises:
        TaskError: there is none; the words are the agent's.
    """
    values = _values(run, workspace)
    if run.request["type"] == "DockerBuildRequest":
        return _quick(run, values, may_push=may_push)
    text = _file(run.request, workspace)
    if task_file.has_aliases(text):
        run.log.line(
            "Alias support enabled for version >= 1.1.0, please see https://aka.ms/acr/tasks/task-aliases for "
            "more information."
        )
    return task_file.read(text, values)


def _values(run: Run, workspace: Path) -> Mapping[str, Any]:
    encoded = run.request.get("encodedValuesContent")
    values = dict((yaml.safe_load(base64.b64decode(encoded)) or {}) if encoded else {})
    values |= {each["name"]: each["value"] for each in run.request.get("values") or []}
    facts = {
        "ID": run.id,
        "Registry": run.registry.login_server,
        "RegistryName": run.registry.login_server.partition(".")[0],
        "Date": dt.datetime.now(dt.timezone.utc).strftime("%Y%m%d-%H%M%Sz"),
        "SharedVolume": str(workspace),
        "OS": "linux",
        "Architecture": "amd64",
        "TaskName": "quickrun",
    }
    return {"Build": {"ID": run.id}, "Run": facts, "Values": values}


def _file(request: Mapping[str, Any], workspace: Path) -> str:
    try:
        if request["type"] == "FileTaskRunRequest":
            return Path(workspace, request["taskFilePath"]).read_text(encoding="utf-8")
        return base64.b64decode(request["encodedTaskContent"], validate=True).decode()
    except (OSError, binascii.Error, UnicodeDecodeError) as error:
        raise TaskError(f"failed to load template: {error}") from None


def _quick(run: Run, values: Mapping[str, Any], *, may_push: bool) -> Task:
    """Return the task of a quick build: one string of options, which a shell splits again."""
    request, names = run.request, list(run.request.get("imageNames") or [])
    words = ["--no-cache"] if request.get("noCache") else []
    words += ["-f", request["dockerFilePath"]]
    words += [word for name in names for word in ("-t", name)]
    for argument in request.get("arguments") or []:
        words += ["--build-arg", f"{argument['name']}={argument['value']}"]
    words += ["--target", request["target"]] if request.get("target") else []
    words += _platform(request["platform"])
    try:
        rendered = template.render(" ".join([*words, "."]), values)
    except template.TemplateError as error:
        raise TaskError(f"error while rendering templates: {error}") from None
    prefixed = _prefixed(rendered, run.registry.login_server)
    push = bool(request.get("isPushEnabled", True)) and bool(names)
    if push and not may_push:
        raise TaskError("when specifying push, at least one credential is required")
    return task_file.quick(prefixed, dockerfile_scan.build_words(prefixed).tags, push=push)


def _platform(platform: Mapping[str, Any]) -> list[str]:
    """Return the option for another platform than the agent's."""
    parts = [platform["os"], platform.get("architecture") or "amd64", platform.get("variant") or ""]
    text = "/".join(part.lower() for part in parts if part)
    return [] if text == "linux/amd64" else ["--platform", text]


def _prefixed(text: str, server: str) -> str:
    """Return the options with the login server before each name without one."""
    words = text.split()
    for number in range(1, len(words)):
        known = words[number].startswith((server, "library/"))
        if words[number - 1] in {"-t", "--tag"} and not known:
            words[number] = f"{server}/{words[number]}"
    return " ".join(words)
