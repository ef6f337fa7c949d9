"""How this one run goes: flags over environment over Invoke's configuration over the table."""

from __future__ import annotations

import difflib
import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.cli.collection import KEY, spoken_before, surroundings
from azureml_tasks.cli.console import Console
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.config.problems import Override
from azureml_tasks.errors import Problem, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from invoke.context import Context
    from invoke.tasks import Task

    from azureml_tasks.cli.collection import Surroundings

__all__ = ["OPTIONS", "Options", "resolve"]

PREFIX = "INVOKE_AZUREML_IMAGE_"
ENDPOINT = "INVOKE_AZUREML_IMAGE_RESOURCE_MANAGER"
"""No option: an address that the environment alone may set, and the hand-off reads (`acr/clouds.py`)."""
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


class Options(NamedTuple):
    """One run, resolved."""

    job: RunContext
    no_cache: bool
    pull: bool

    def file(self, flag: str, name: str | None) -> Path | None:
        """The file that *flag* names for output, relative to the current folder; None where it was not given.

        Raises:
            SettingsError: it cannot be written, which is better known before any work.
        """
        if not name:
            return None
        path = Path(name)
        if path.is_dir():
            raise SettingsError([Problem(flag, 0, f'is "{name}", which is a folder')])
        if not path.parent.is_dir():
            what = f'is "{name}", but the folder {path.parent} does not exist'
            raise SettingsError([Problem(flag, 0, what, shlex.join(["mkdir", "-p", str(path.parent)]))])
        return path


def resolve(context: Context, task: Task[Any], flags: Mapping[str, Any]) -> Options:
    """Settle every option for a run of *task*.

    Args:
        context: Invoke's, as the task got it.
        task: the task that runs.
        flags: name → value; None, False and an empty list are those of a flag that was not given.

    Raises:
        SettingsError: a flag, a variable or a configured value is not of its type, or not known.
    """
    around = surroundings(context, task, flags.get("project"))
    problems: list[Problem] = []
    given = {
        **_configured(around.configuration, problems),
        **_from_environment(os.environ, problems),
        **_flags(flags, problems),
    }
    if problems:
        raise SettingsError(problems)
    project = given.pop("project", None)
    folder, run = _folder(project, around), context.config.run
    tasks = spoken_before(task, flags.get("project"))
    job = RunContext(
        folder=folder,
        overrides={name: given[name] for name in ("base", "registry", "tags") if name in given},
        engine=given["engine"].value if "engine" in given else "docker",
        reporter=Console(
            dry=bool(run.dry), echo=bool(run.echo), tasks=tasks, flags=_again(given, folder, project)
        ),
    )
    switches = {name: bool(given[name].value) if name in given else False for name in ("no_cache", "pull")}
    return Options(job=job, **switches)


def _again(given: Mapping[str, Override], folder: Path, project: Override | None) -> str:
    """The flags with which a command that is pasted here means the same project and base."""
    words = ["--project", os.path.relpath(folder)] if project else []
    words += ["--base", str(given["base"].value)] if "base" in given else []
    return "".join(f" {shlex.quote(word)}" for word in words)


def _flag(name: str) -> str:
    return "--tag" if name == "tags" else "--" + name.replace("_", "-")


def _folder(project: Override | None, around: Surroundings) -> Path:
    """`--project` is relative to the current folder, what is configured or written in `tasks.py` to that file's."""
    if project is None:
        return around.folder
    above = around.flags_from if project.source == "--project" else around.folder
    folder = above / str(project.value)
    if not folder.is_dir():
        what = f'is "{project.value}", but {folder} is no folder'
        raise SettingsError(
            [Problem(project.source, 0, what, "It is the folder of the project's pyproject.toml.")]
        )
    return folder.resolve()


def _flags(flags: Mapping[str, Any], problems: list[Problem]) -> dict[str, Override]:
    fix = "Give it a value, or leave it out."
    problems += [Problem(_flag(name), 0, "is empty", fix) for name, value in flags.items() if value == ""]
    return {name: Override(value=value, source=_flag(name)) for name, value in flags.items() if value}


def _configured(configuration: Mapping[str, Any], problems: list[Problem]) -> dict[str, Override]:
    found = {}
    for name, value in configuration.items():
        source = f"Invoke's configuration, {KEY}.{name}"
        known = name.replace("-", "_")
        if known not in OPTIONS:
            problems.append(Problem(source, 0, "is not known", _near(known)))
        elif known == "tags" and isinstance(value, str):
            found[known] = Override(value=_split(value), source=source)
        elif not _is_of_type(value, OPTIONS[known]):
            got = json.dumps(value, default=str, ensure_ascii=False)
            problems.append(Problem(source, 0, f"must be {_TYPES[OPTIONS[known]]}, got {got}"))
        elif value not in ("", []):
            found[known] = Override(value=list(value) if known == "tags" else value, source=source)
    return found


def _from_environment(environment: Mapping[str, str], problems: list[Problem]) -> dict[str, Override]:
    """Invoke reads `false` as true and knows only keys that a collection declares, so we read the variables."""
    found = {}
    for variable in sorted(name for name in environment if name.startswith(PREFIX) and name != ENDPOINT):
        name, text = variable.removeprefix(PREFIX).lower(), environment[variable]
        if name not in OPTIONS:
            problems.append(Problem(variable, 0, "is not known", _near(name, PREFIX)))
        elif not text:
            problems.append(Problem(variable, 0, "is empty", f"Give it a value, or: unset {variable}"))
        elif OPTIONS[name] is bool and text.lower() not in _BOOLEANS:
            problems.append(Problem(variable, 0, f'must be 1, 0, true or false, got "{text}"'))
        else:
            found[name] = Override(value=_READERS[OPTIONS[name]](text), source=variable)
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


def _near(name: str, prefix: str = "") -> str:
    near = difflib.get_close_matches(name, OPTIONS, n=1)
    spelled = {known: prefix + known.upper() if prefix else known for known in OPTIONS}
    return f'Did you mean "{spelled[near[0]]}"?' if near else f"Known are {', '.join(spelled.values())}."
