"""How one run goes: flag > environment variable > Invoke's configuration > `collection(...)` > the table."""

from __future__ import annotations

import difflib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.cli.console import Console
from azureml_tasks.commands.machine_settings import (
    BOOLEANS,
    ENVIRONMENT_ONLY,
    ENVIRONMENT_PREFIX,
    read_machine_settings,
)
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.commands.run_engine import engine_problems
from azureml_tasks.config.problems import Override
from azureml_tasks.errors import Problem, SettingsError
from azureml_tasks.plain_text import shell_join

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from invoke.context import Context

    from azureml_tasks.cli.json_output import Collected

CONFIGURATION_KEY = "azureml_image"
"""The table of Invoke's configuration that holds our options."""
OPTIONS: Mapping[str, type] = {
    "engine": str,
    "project": str,
    "image": str,
    "base": str,
    "registry": str,
    "tags": list,
    "no_cache": bool,
    "pull": bool,
}
"""Each option and its type; the flag of `tags` is `--tag`, repeated."""
_TYPE_NAMES = {str: "a string", list: "an array of strings", bool: "a boolean"}


class TaskRun(NamedTuple):
    """What the body of a task works with.

    Args:
        task: its name, such as "smoke-test".
        context: for the command.
        console: prints results.
        flags: values of the task's flags by name, as in `cli.flags.FLAGS`; None if not given.
        no_cache: build every step again.
        pull: pull a newer base first.
        command: the words after `--`, each as it was typed.
    """

    task: str
    context: RunContext
    console: Console
    flags: Mapping[str, Any]
    no_cache: bool
    pull: bool
    command: tuple[str, ...] = ()

    def flag(self, name: str) -> Any:
        """Return the value of the flag *name*; "" or False if it was not given."""
        return self.flags.get(name) or ""


def resolve(
    context: Context,
    task: str,
    flags: Mapping[str, Any],
    *,
    bound: Mapping[str, Any],
    task_prefix: str = "invoke image.",
    flags_from: Path | None = None,
    collected: Collected | None = None,
) -> TaskRun:
    """Resolve every option of one run.

    Args:
        context: Invoke's context of the task.
        task: name of the task.
        flags: value by flag name; None, False or an empty list if a flag was not given.
        bound: options that the task's collection was made with.
        task_prefix: what a person types before the name of a task, such as "invoke image.".
        flags_from: folder that `--project` is relative to; None for that of `tasks.py`.
        collected: takes what `--json` prints; None without it.

    Raises:
        SettingsError: a flag, variable or configured value is unknown or has the wrong type.
    """
    problems: list[Problem] = []
    tasks_folder = _tasks_folder(context)
    given = {
        **_from_configuration(bound, "collection(...)", problems),
        **_from_configuration(
            _invoke_table(context), f"Invoke's configuration, {CONFIGURATION_KEY}", problems
        ),
        **_from_environment(os.environ, problems),
        **_from_flags(flags, problems),
    }
    if "engine" in given:
        problems += engine_problems(*given["engine"])
    settings = read_machine_settings(
        os.environ,
        problems,
        secrets=flags.get("secret") or (),
        source_builds=bool(flags.get("allow-source-builds")),
        root=flags.get("root") or "",
        root_from=flags_from or tasks_folder,
    )
    project = given.get("project")
    folder = _project_folder(project, tasks_folder, flags_from or tasks_folder, problems)
    if problems:
        raise SettingsError(problems)
    run = context.config.run
    console = Console(
        dry=bool(run.dry),
        echo=bool(run.echo),
        task_prefix=task_prefix,
        flags=_repeated_flags(given, flags, folder),
        project=folder,
        verbose=bool(flags.get("verbose")),
        collected=collected,
    )
    if collected:
        collected.dry = console.dry
    run_context = RunContext(
        folder=folder,
        overrides={name: given[name] for name in ("base", "registry", "tags") if name in given},
        engine=given["engine"].value if "engine" in given else "docker",
        reporter=console,
        chosen=given.get("image"),
        **settings._asdict(),
    )
    return TaskRun(
        task=task,
        context=run_context,
        console=console,
        flags=flags,
        no_cache=bool("no_cache" in given and given["no_cache"].value),
        pull=bool("pull" in given and given["pull"].value),
    )


def _tasks_folder(context: Context) -> Path:
    """Return the folder of the `tasks.py` that Invoke loaded, or the current folder if it loaded none.

    Invoke has no public name for it; versions 3.0 to 3.x keep it as the configuration's project prefix
    (invoke/config.py, `Config.set_project_location`).
    """
    prefix = getattr(context.config, "_project_prefix", None)
    return Path(prefix) if prefix else Path.cwd()


def _invoke_table(context: Context) -> dict[str, Any]:
    table = dict(context.config).get(CONFIGURATION_KEY, {})
    return {name: table[name] for name in table}


def _repeated_flags(given: Mapping[str, Override], flags: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Return the flags with which a command that is pasted here means the same image, engine and registry.

    Variables, `collection(...)` and Invoke's configuration hold for the pasted command as well.
    """
    own = {name: option.value for name, option in given.items() if option.source.startswith("--")}
    words = {"project": ["--project", os.path.relpath(folder)]} if "project" in own else {}
    words |= {
        name: [f"--{name}", own[name]] for name in ("image", "base", "engine", "registry") if name in own
    }
    words |= {"tag": [f"--tag={tag}" for tag in own["tags"]]} if "tags" in own else {}
    words |= {"root": ["--root", flags["root"]]} if flags.get("root") else {}
    secrets = [word for secret in flags.get("secret") or () for word in ("--secret", secret)]
    words |= {"secret": secrets} if secrets else {}
    words |= {"allow-source-builds": ["--allow-source-builds"]} if flags.get("allow-source-builds") else {}
    return {name: shell_join(each) for name, each in words.items()}


def _flag(name: str) -> str:
    return "--tag" if name == "tags" else "--" + name.replace("_", "-")


def _project_folder(
    project: Override | None, tasks_folder: Path, flags_from: Path, problems: list[Problem]
) -> Path:
    """Return the project's folder; `--project` is relative to *flags_from*, anything else to that of `tasks.py`."""
    if project is None:
        return tasks_folder
    folder = (flags_from if project.source == "--project" else tasks_folder) / str(project.value)
    if not folder.is_dir():
        what = f'is "{project.value}", but {folder} is not a folder'
        problems.append(Problem(project.source, 0, what, "Name the folder of the project's pyproject.toml."))
    return folder.resolve()


def _from_flags(flags: Mapping[str, Any], problems: list[Problem]) -> dict[str, Override]:
    options = {"tags" if name == "tag" else name.replace("-", "_"): value for name, value in flags.items()}
    fix = "Give it a value, or leave it out."
    problems += [Problem(_flag(name), 0, "is empty", fix) for name, value in options.items() if value == ""]
    return {
        name: Override(value=value, source=_flag(name))
        for name, value in options.items()
        if value and name in OPTIONS
    }


def _from_configuration(
    configuration: Mapping[str, Any], source: str, problems: list[Problem]
) -> dict[str, Override]:
    options = {}
    for key, value in configuration.items():
        name, place = key.replace("-", "_"), f"{source}.{key}"
        if name not in OPTIONS:
            problems.append(Problem(place, 0, "is not known", _did_you_mean(name), "unknown-key"))
        elif name == "tags" and isinstance(value, str):
            options[name] = Override(value=_split(value), source=place)
        elif not _is_of_type(value, OPTIONS[name]):
            got = json.dumps(value, default=str, ensure_ascii=False)
            problems.append(Problem(place, 0, f"must be {_TYPE_NAMES[OPTIONS[name]]}, got {got}"))
        elif value not in ("", []):
            options[name] = Override(value=list(value) if name == "tags" else value, source=place)
    return options


def _from_environment(environment: Mapping[str, str], problems: list[Problem]) -> dict[str, Override]:
    """Read our variables: Invoke reads `false` as true, and only keys that a collection declares."""
    options = {}
    for variable in sorted(name for name in environment if name.startswith(ENVIRONMENT_PREFIX)):
        name, text = variable.removeprefix(ENVIRONMENT_PREFIX).lower(), environment[variable]
        if variable.removeprefix(ENVIRONMENT_PREFIX) in ENVIRONMENT_ONLY:
            continue
        if name not in OPTIONS:
            problems.append(
                Problem(variable, 0, "is not known", _did_you_mean(name, ENVIRONMENT_PREFIX), "unknown-key")
            )
        elif not text:
            problems.append(Problem(variable, 0, "is empty", f"Give it a value, or: unset {variable}"))
        elif OPTIONS[name] is bool and text.lower() not in BOOLEANS:
            problems.append(Problem(variable, 0, f'must be 1, 0, true or false, got "{text}"'))
        else:
            options[name] = Override(value=_PARSERS[OPTIONS[name]](text), source=variable)
    return options


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


_PARSERS: Mapping[type, Callable[[str], Any]] = {
    str: str,
    list: _split,
    bool: lambda text: BOOLEANS[text.lower()],
}


def _is_of_type(value: Any, expected: type) -> bool:
    """Return whether *value* is of the type *expected*, without conversion: `1` is not a boolean."""
    if isinstance(value, list | tuple):
        return expected is list and all(type(item) is str for item in value)
    return type(value) is expected


def _did_you_mean(name: str, prefix: str = "") -> str:
    """Return what *name* may be misspelled for; variables of the environment alone have *prefix*."""
    others = map(str.lower, ENVIRONMENT_ONLY) if prefix else ()
    matches = difflib.get_close_matches(name, [*OPTIONS, *sorted(others)], n=1)
    if matches and matches[0] not in OPTIONS:
        return f'Did you mean "{prefix}{matches[0].upper()}"?'
    spelling = {option: prefix + option.upper() if prefix else option for option in OPTIONS}
    return f'Did you mean "{spelling[matches[0]]}"?' if matches else f"Known: {', '.join(spelling.values())}."
