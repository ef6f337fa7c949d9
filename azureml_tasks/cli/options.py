"""How one run goes: flag > environment variable > Invoke's configuration > `collection(...)` > the table."""

from __future__ import annotations

import difflib
import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.cli.console import Console
from azureml_tasks.cli.secret_sources import secret_sources
from azureml_tasks.commands.run_context import ENGINES, RunContext
from azureml_tasks.config.allowed_registries import read_allowed_registries
from azureml_tasks.config.problems import Override
from azureml_tasks.errors import Problem, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from invoke.context import Context

CONFIGURATION_KEY = "azureml_image"
"""The table of Invoke's configuration that holds our options."""
ENVIRONMENT_PREFIX = "INVOKE_AZUREML_IMAGE_"
CACHE_SCOPE = "CACHE_SCOPE"
"""The variable, without its prefix, that says whose caches a run uses; pull requests and main do not share them."""
ALLOW_SOURCE_BUILDS = "ALLOW_SOURCE_BUILDS"
"""The variable, without its prefix, that lets packages be built from source while secrets are mounted."""
ROOT = "ROOT"
"""The variable, without its prefix, that names the folder that a project's files must be in."""
STATE = "STATE"
"""The variable, without its prefix, that names a folder for records, for a checkout that cannot be written."""
ENVIRONMENT_ONLY = frozenset({
    "ACR_AUDIENCE",
    ALLOW_SOURCE_BUILDS,
    "ALLOWED_REGISTRIES",
    CACHE_SCOPE,
    "RESOURCE_MANAGER",
    ROOT,
    "SECRET_NETRC",
    "SECRET_PIP_CONF",
    STATE,
})  # fmt: skip
"""Variables, without their prefix, that are no options: a project's files must not decide what they decide, so neither
the table nor Invoke's configuration can set them."""
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
_OF_THIS_RUN = ("--", ENVIRONMENT_PREFIX)
"""How the source of a value begins that another run does not have by itself."""
_BOOLEANS = {"1": True, "true": True, "0": False, "false": False}
_TYPE_NAMES = {str: "a string", list: "an array of strings", bool: "a boolean"}


class TaskRun(NamedTuple):
    """What the body of a task works with.

    Args:
        task: its name, such as "smoke-test".
        context: for the command.
        console: prints results.
        flags: values of the task's flags by name, as in `cli.tasks.FLAGS`; None if not given.
        no_cache: build every step again.
        pull: pull a newer base first.
    """

    task: str
    context: RunContext
    console: Console
    flags: Mapping[str, Any]
    no_cache: bool
    pull: bool

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
) -> TaskRun:
    """Resolve every option of one run.

    Args:
        context: Invoke's context of the task.
        task: name of the task.
        flags: value by flag name; None, False or an empty list if a flag was not given.
        bound: options that the task's collection was made with.
        task_prefix: what a person types before the name of a task, such as "invoke image.".
        flags_from: folder that `--project` is relative to; None for that of `tasks.py`.

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
    if "engine" in given and given["engine"].value not in ENGINES:
        what = f'is "{given["engine"].value}", which is not an engine'
        problems.append(Problem(given["engine"].source, 0, what, f"Engines: {', '.join(ENGINES)}."))
    secrets = secret_sources(flags.get("secret") or (), os.environ, problems)
    source_builds = _source_builds(flags, os.environ, problems)
    allowed_registries = read_allowed_registries(os.environ, problems)
    state = _state_folder(os.environ, problems)
    root = _root_folder(flags, os.environ, flags_from or tasks_folder, problems)
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
    )
    run_context = RunContext(
        folder=folder,
        overrides={name: given[name] for name in ("base", "registry", "tags") if name in given},
        engine=given["engine"].value if "engine" in given else "docker",
        reporter=console,
        chosen=given.get("image"),
        cache_scope=os.environ.get(f"{ENVIRONMENT_PREFIX}{CACHE_SCOPE}", ""),
        secrets=secrets,
        source_builds=source_builds,
        allowed_registries=allowed_registries,
        state=state,
        root=root,
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

    What `collection(...)` or Invoke's configuration says is said to the pasted command as well.
    """
    said = {name: option.value for name, option in given.items() if option.source.startswith(_OF_THIS_RUN)}
    words = {"project": ["--project", os.path.relpath(folder)]} if "project" in said else {}
    words |= {
        name: [f"--{name}", said[name]] for name in ("image", "base", "engine", "registry") if name in said
    }
    words |= {"tag": [f"--tag={tag}" for tag in said["tags"]]} if "tags" in said else {}
    words |= {"root": ["--root", flags["root"]]} if flags.get("root") else {}
    secrets = [word for secret in flags.get("secret") or () for word in ("--secret", secret)]
    words |= {"secret": secrets} if secrets else {}
    words |= {"allow-source-builds": ["--allow-source-builds"]} if flags.get("allow-source-builds") else {}
    return {name: shlex.join(each) for name, each in words.items()}


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
            problems.append(Problem(place, 0, "is not known", _did_you_mean(name)))
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
            if name.upper() == CACHE_SCOPE and not text:
                fix = f"Name who trusts whom, such as: export {variable}=main\nor: unset {variable}"
                problems.append(Problem(variable, 0, "is empty", fix))
            continue
        if name not in OPTIONS:
            problems.append(Problem(variable, 0, "is not known", _did_you_mean(name, ENVIRONMENT_PREFIX)))
        elif not text:
            problems.append(Problem(variable, 0, "is empty", f"Give it a value, or: unset {variable}"))
        elif OPTIONS[name] is bool and text.lower() not in _BOOLEANS:
            problems.append(Problem(variable, 0, f'must be 1, 0, true or false, got "{text}"'))
        else:
            options[name] = Override(value=_PARSERS[OPTIONS[name]](text), source=variable)
    return options


def _source_builds(flags: Mapping[str, Any], environment: Mapping[str, str], problems: list[Problem]) -> bool:
    """Return whether packages may be built from source while secrets are mounted; no file of the project decides it."""
    variable = f"{ENVIRONMENT_PREFIX}{ALLOW_SOURCE_BUILDS}"
    text = environment.get(variable, "")
    if text and text.lower() not in _BOOLEANS:
        problems.append(Problem(variable, 0, f'must be 1, 0, true or false, got "{text}"'))
    return bool(flags.get("allow-source-builds")) or _BOOLEANS.get(text.lower(), False)


def _state_folder(environment: Mapping[str, str], problems: list[Problem]) -> Path | None:
    """Return the folder for records, relative to the current one; None if they stay in the project."""
    variable = f"{ENVIRONMENT_PREFIX}{STATE}"
    text = environment.get(variable)
    if text is None:
        return None
    folder = Path(text).absolute()
    if not text or (folder.exists() and not folder.is_dir()):
        what = f'is "{text}", which is not a folder' if text else "is empty"
        fix = f"Name a folder that this user may write, or: unset {variable}"
        problems.append(Problem(variable, 0, what, fix))
    return folder


def _root_folder(
    flags: Mapping[str, Any], environment: Mapping[str, str], flags_from: Path, problems: list[Problem]
) -> Override | None:
    """Return the folder that the project's files must be in, if the run names one: no file of the project decides that.

    The flag is relative to *flags_from*, the variable to the current folder.
    """
    variable = f"{ENVIRONMENT_PREFIX}{ROOT}"
    given = flags.get("root")
    source, text = ("--root", given) if given else (variable, environment.get(variable))
    if text is None:
        return None
    folder = (flags_from / text if given else Path(text)).absolute()
    if not text or not folder.is_dir():
        what = f'is "{text}", but {folder} is not a folder' if text else "is empty"
        fix = "Name a folder above the project" + ("." if given else f", or: unset {variable}")
        problems.append(Problem(source, 0, what, fix))
    return Override(value=str(folder), source=source)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


_PARSERS: Mapping[type, Callable[[str], Any]] = {
    str: str,
    list: _split,
    bool: lambda text: _BOOLEANS[text.lower()],
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
