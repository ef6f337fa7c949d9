"""Parse and validate a task file as the agent does."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from tests.machine.acr import template

__all__ = ["Step", "Task", "TaskError", "has_aliases", "quick", "read"]

_STEP_SECONDS = 600
_RETRY_SECONDS = 5
_VERSIONS = {"", "1.0-preview-1", "v1.0.0", "v1.1.0"}


class TaskError(Exception):
    """The file is not a task, with the agent's message."""


@dataclass(kw_only=True)
class Step:
    """A step.

    Args:
        id: its name, also that of its container in the run's network.
        build: arguments of `docker build`.
        cmd: arguments of `docker run`.
        push: images to push.
        env: `NAME=value` each.
        mounts: volume -> where it is in the container.
        after: ids of the steps that have to be done first.
        timeout: seconds until it is killed.
        retries: how often it is tried again.
        retry_delay: seconds between two tries.
        delay: seconds before it starts.
        options: `detach`, `keep`, `ignoreErrors`, `disableWorkingDirectoryOverride`, `privileged`.
        words: `workingDirectory`, `entryPoint`, `user`, `network`.
        ports: published ports.
        expose: exposed ones.
    """

    id: str
    build: str = ""
    cmd: str = ""
    push: Sequence[str] = ()
    env: list[str] = field(default_factory=list)
    mounts: Mapping[str, str] = field(default_factory=dict)
    after: Sequence[str] = ()
    timeout: int = _STEP_SECONDS
    retries: int = 0
    retry_delay: int = _RETRY_SECONDS
    delay: int = 0
    options: frozenset[str] = frozenset()
    words: Mapping[str, str] = field(default_factory=dict)
    ports: Sequence[str] = ()
    expose: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Task:
    """The steps, and the volumes: name -> file -> secret in base64."""

    steps: Sequence[Step]
    volumes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    network: bool = True


def quick(build: str, tags: Sequence[str], *, push: bool) -> Task:
    """Return the task of a quick build."""
    steps = [Step(id="build", build=build, timeout=28800)]
    if push:
        steps.append(Step(id="push", push=list(tags), timeout=3600, after=["build"]))
    return Task(steps=steps, network=False)


def has_aliases(text: str) -> bool:
    """Return whether the file's version has aliases such as `$Registry`."""
    version = re.search(r"^['\"]?version['\"]?\s*:\s*['\"]?([^'\"\s#]*)", text, re.MULTILINE)
    return version is not None and version.group(1) >= "v1.1.0"


def read(text: str, values: Mapping[str, Any]) -> Task:
    """Parse a task file.

    Raises:
        TaskError: it is none.
    """
    aliases = has_aliases(text)
    try:
        rendered = template.render(template.aliased(text) if aliases else text, values)
    except template.TemplateError as error:
        raise TaskError(f"unable to render task: error while rendering templates: {error}") from None
    try:
        document = yaml.safe_load(rendered)
    except yaml.YAMLError as error:
        raise _unmarshal(str(error)) from None
    if not isinstance(document, dict):
        raise _unmarshal("yaml: unmarshal errors: cannot unmarshal into graph.Task")
    if str(document.get("version", "")).lower() not in _VERSIONS:
        raise _unmarshal(
            f'invalid version specified: "{document["version"]}", the current version is "v1.0.0"'
        )
    task = Task(steps=_steps(document, aliases=aliases), volumes=_volumes(document.get("volumes") or []))
    for name in {name for step in task.steps for name in step.mounts} - set(task.volumes):
        raise _unmarshal(f"mount name, {name}, does not correspond to a volume")
    return task


def _steps(document: Mapping[str, Any], *, aliases: bool) -> list[Step]:
    steps: list[Step] = []
    for number, entry in enumerate(document.get("steps") or []):
        kinds = [kind for kind in ("cmd", "build", "push") if entry.get(kind)]
        if len(kinds) != 1:
            raise _unmarshal(
                "step must only contain a single build, cmd, or push property"
                if kinds
                else "step is missing a cmd, build, or push property"
            )
        step = _step(entry, str(entry.get("id") or f"acb_step_{number}"), document, aliases=aliases)
        known = [each.id for each in steps]
        when = entry.get("when") or known[-1:]
        step.after = [] if when == ["-"] else [str(name) for name in when]
        _check(step, known)
        steps.append(step)
    return steps


def _step(entry: Mapping[str, Any], name: str, task: Mapping[str, Any], *, aliases: bool) -> Step:
    env = [str(line) for line in entry.get("env") or []]
    own = {line.partition("=")[0] for line in env}
    env += [line for line in task.get("env") or [] if line.partition("=")[0] not in own]
    switches = ("detach", "keep", "ignoreErrors", "disableWorkingDirectoryOverride", "privileged")
    words = {word: str(entry[word]) for word in ("entryPoint", "user", "network") if entry.get(word)}
    words["workingDirectory"] = str(entry.get("workingDirectory") or task.get("workingDirectory") or "")
    cmd = str(entry.get("cmd") or "").strip()
    image, space, rest = cmd.partition(" ")
    return Step(
        id=name,
        build=str(entry.get("build") or ""),
        cmd=template.ALIASES.get(image, image) + space + rest if aliases else cmd,
        push=[image if re.search("[@:]", image) else f"{image}:latest" for image in entry.get("push") or []],
        env=env,
        mounts={str(mount["name"]): str(mount["mountPath"]) for mount in entry.get("volumeMounts") or []},
        timeout=int(entry.get("timeout") or task.get("stepTimeout") or _STEP_SECONDS),
        retries=int(entry.get("retries") or 0),
        retry_delay=int(entry.get("retryDelay") or _RETRY_SECONDS),
        delay=int(entry.get("startDelay") or 0),
        options=frozenset(switch for switch in switches if entry.get(switch)),
        words=words,
        ports=[str(port) for port in entry.get("ports") or []],
        expose=[str(port) for port in entry.get("expose") or []],
    )


def _check(step: Step, known: Sequence[str]) -> None:
    if " " in step.id:
        raise _unmarshal("step ID cannot contain spaces")
    if step.id in known:
        raise _unmarshal(f"{step.id} already exists as a vertex")
    if step.id in step.after:
        raise _unmarshal(f"Step ID: {step.id} is self-referenced")
    for name in step.after:
        if name not in known:
            raise _unmarshal(f"{name} does not exist as a vertex [from: {name}, to: {step.id}]")
    if step.mounts and step.push:
        raise _unmarshal(
            "invalid use of Mounts. Mounts must have unique container paths and only used for cmd"
        )


def _volumes(entries: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, str]]:
    volumes: dict[str, Mapping[str, str]] = {}
    for entry in entries:
        name, secret = str(entry.get("name") or ""), entry.get("secret")
        if not re.fullmatch(r"[a-zA-Z0-9\-_]+", name):
            raise _unmarshal("volume name is not well formed. Only use alphanumeric and - _")
        if not isinstance(secret, dict) or not secret:
            raise _unmarshal("currently only support for source type secret")
        for file in secret:
            if not re.fullmatch(r"[a-zA-Z0-9\-_.]+", str(file)):
                raise _unmarshal(f"file name, {file}, is not well formed. Only use alphanumeric and - _ .")
        if name in volumes:
            raise _unmarshal("volume with duplicate name found")
        volumes[name] = {str(file): str(value or "") for file, value in secret.items()}
    return volumes


def _unmarshal(problem: str) -> TaskError:
    return TaskError(f"failed to unmarshal task before running: {problem}")
