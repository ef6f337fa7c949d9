"""How this one run goes: flags over environment over Invoke's configuration over the table."""

from __future__ import annotations

import difflib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_tasks.errors import Problem, SettingsError
from azureml_tasks.found import Override
from azureml_tasks.invocation import KEY, surroundings
from azureml_tasks.job import Job
from azureml_tasks.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from invoke.context import Context
    from invoke.tasks import Task

__all__ = ["OPTIONS", "Options", "resolve"]

PREFIX = "INVOKE_AZUREML_IMAGE_"
OPTIONS: Mapping[str, type] = {
    "engine": str,
    "project": str,
    "base": str,
    "registry": str,
    "tags": list,
    "no_cache": bool,
    "pull": bool,
}
"""Each option with its type; a flag `--tag`, repeated, is `tags`."""

_BOOLEANS = {"1": True, "true": True, "0": False, "false": False}
_TYPES = {str: "a string", list: "an array of strings", bool: "a boolean"}


@dataclass(frozen=True, kw_only=True)
class Options:
    """One run, resolved."""

    job: Job
    no_cache: bool
    pull: bool


def resolve(context: Context, task: Task[Any], flags: Mapping[str, Any]) -> Options:
    """Settle every option for a run of *task*.

    Args:
        context: Invoke's, as the task got it.
        task: the task that runs.
        flags: those that were given; None, False and empty ones were not.

    Raises:
        SettingsError: a variable or a configured value is not of its type, or not known.
    """
    around = surroundings(context, task)
    given = {
        **_configured(around.configuration),
        **_from_environment(os.environ),
        **{name: Override(value=value, source=_flag(name)) for name, value in flags.items() if value},
    }
    project = given.pop("project", None)
    run = context.config.run
    job = Job(
        folder=_folder(project, around.folder),
        overrides={name: given[name] for name in ("base", "registry", "tags") if name in given},
        engine=given["engine"].value if "engine" in given else "docker",
        terminal=Terminal(dry=bool(run.dry), echo=bool(run.echo)),
    )
    switches = {name: bool(given[name].value) if name in given else False for name in ("no_cache", "pull")}
    return Options(job=job, **switches)


def _flag(name: str) -> str:
    return "--tag" if name == "tags" else "--" + name.replace("_", "-")


def _folder(project: Override | None, tasks: Path) -> Path:
    """`--project` is relative to the current folder, a configured one to that of `tasks.py`."""
    if project is None:
        return tasks
    folder = Path(project.value) if project.source == "--project" else tasks / project.value
    if not folder.is_dir():
        what = f'is "{project.value}", but {folder} is no folder'
        raise SettingsError(
            [Problem(project.source, 0, what, "It is the folder of the project's pyproject.toml.")]
        )
    return folder.resolve()


def _configured(configuration: Mapping[str, Any]) -> dict[str, Override]:
    problems, found = [], {}
    for name, value in configuration.items():
        source = f"Invoke's configuration, {KEY}.{name}"
        known = name.replace("-", "_")
        if known not in OPTIONS:
            problems.append(Problem(source, 0, "is not known", _near(known, list(OPTIONS))))
        elif known == "tags" and isinstance(value, str):
            found[known] = Override(value=_split(value), source=source)
        elif not _is_of_type(value, OPTIONS[known]):
            got = json.dumps(value, default=str, ensure_ascii=False)
            problems.append(Problem(source, 0, f"must be {_TYPES[OPTIONS[known]]}, got {got}"))
        elif value not in ("", []):
            found[known] = Override(value=list(value) if known == "tags" else value, source=source)
    if problems:
        raise SettingsError(problems)
    return found


def _from_environment(environment: Mapping[str, str]) -> dict[str, Override]:
    """Invoke reads `false` as true and knows only keys that a collection declares, so we read the variables."""
    problems, found = [], {}
    for variable in sorted(name for name in environment if name.startswith(PREFIX)):
        name, text = variable.removeprefix(PREFIX).lower(), environment[variable]
        if name not in OPTIONS:
            problems.append(
                Problem(variable, 0, "is not known", _near(variable, [PREFIX + n.upper() for n in OPTIONS]))
            )
        elif not text:
            problems.append(Problem(variable, 0, "is empty", f"Give it a value, or: unset {variable}"))
        elif OPTIONS[name] is bool and text.lower() not in _BOOLEANS:
            problems.append(Problem(variable, 0, f'must be 1, 0, true or false, got "{text}"'))
        else:
            found[name] = Override(value=_READERS[OPTIONS[name]](text), source=variable)
    if problems:
        raise SettingsError(problems)
    return found


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


_READERS: Mapping[type, Callable[[str], Any]] = {
    str: str,
    list: _split,
    bool: lambda text: _BOOLEANS[text.lower()],
}


def _is_of_type(value: Any, wanted: type) -> bool:
    """No coercion: `1` is no boolean, and a table's proxy no array."""
    if isinstance(value, list):
        return wanted is list and all(type(item) is str for item in value)
    return type(value) is wanted


def _near(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f'Did you mean "{near[0]}"?' if near else f"Known are {', '.join(known)}."
