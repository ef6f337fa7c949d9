"""The variables of an image: ours, those of `env`, and what they take from each other and from the base."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType
from typing import TYPE_CHECKING

from azureml_tasks.config.dockerfile_line import LONGEST_LINE
from azureml_tasks.config.problems import spell
from azureml_tasks.config.variable_references import Reference as Variable
from azureml_tasks.config.variable_references import extended_by, literal, names, parts, plain
from azureml_tasks.project.base_images import brings_script

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from azureml_tasks.config.problems import Problems
    from azureml_tasks.config.settings import Settings
    from azureml_tasks.errors import FileProblem
    from azureml_tasks.image_reference import Reference

APP_ROOT = "/var/azureml-app"
MODEL_DIR = "/var/azureml-app/azureml-models"
"""The folders of code and model in the documentation of Azure ML, "Extend a prebuilt Docker image":
https://learn.microsoft.com/azure/machine-learning/how-to-extend-prebuilt-docker-image-inference."""
_APP_ROOT = "AML_APP_ROOT"
_LARGEST = 2 * 1024 * 1024
"""Characters of all values together: execve(2) of Linux starts no program with more, by the usual limit of 8 MiB for a
stack."""
_LONGEST_SHOWN = 10
"""Variables of a circle that a message names."""


@dataclass(frozen=True, kw_only=True)
class Variables:
    """The variables of an image.

    Args:
        env: name → value, as `config.variable_references` writes it; what it names is set by the base.
        of_base: name of such a variable → the problem if the base does not set it.
    """

    env: Mapping[str, str]
    of_base: Mapping[str, FileProblem]


def app_root(settings: Settings, base: Reference) -> str:
    """Return where the code goes, which is where the server of the base looks, as a Dockerfile writes it.

    Azure ML's minimal images look in `APP_ROOT`. Others may set the variable, and only the builder always has the base.
    A table that sets the variable itself says where in `APP_ROOT` the server looks.

    Args:
        settings: of the image.
        base: the base image.
    """
    is_fixed = settings.server is not None or _APP_ROOT in settings.env or brings_script(base) is False
    return APP_ROOT if is_fixed else f"${{{_APP_ROOT}:-{APP_ROOT}}}"


def own_variables(
    *,
    entry_script: str,
    has_model: bool,
    python_path: Sequence[str],
    app_root: str = APP_ROOT,
    mlflow_folder: str = "",
) -> dict[str, str]:
    """Return the variables that the table's other keys set.

    Args:
        entry_script: relative to the app's root; "" for none.
        has_model: whether the image contains a model.
        python_path: folders that Python searches for modules, relative to the app's root.
        app_root: as `app_root` returns it.
        mlflow_folder: of an MLflow model that the base's own script serves; "" for none.
    """
    folders = [f"{app_root}/{literal(folder)}" if folder != "." else app_root for folder in python_path]
    values = {
        "AZUREML_ENTRY_SCRIPT": literal(entry_script),
        "AZUREML_MODEL_DIR": MODEL_DIR if has_model else "",
        "MLFLOW_MODEL_FOLDER": mlflow_folder,
        # The packages are in the image: without this variable the base looks for a conda file and installs it at start.
        "DYNAMIC_DEP_INSTALLATION": "false" if mlflow_folder else "",
        "PYTHONPATH": ":".join(folders) + extended_by("PYTHONPATH") if folders else "",
    }
    return {name: value for name, value in values.items() if value}


def earlier_variables(settings: Settings, app_root: str) -> dict[str, str]:
    """Return the variables that steps before `env` set, or that `env` can name though nothing sets them.

    Args:
        settings: of the image.
        app_root: as `app_root` returns it.
    """
    of_server = ("AZUREML_CONDA_ENVIRONMENT_PATH", "PATH") if settings.server is not None else ()
    return {_APP_ROOT: app_root, **{name: Variable(name).written() for name in of_server}}


def resolve(
    table: Mapping[str, str],
    ours: Mapping[str, str],
    problems: Problems,
    earlier: Mapping[str, str] = MappingProxyType({}),
) -> Variables:
    """Replace the names of the table and of *ours* in the values of `env`, and report circles and long values.

    Docker would not do that: it replaces a name by the value that it had before the whole instruction.

    Args:
        table: `env` of the table.
        ours: variables that other keys set; a variable of `env` that names itself extends the one of the same name.
        problems: of the table.
        earlier: variables that need not be set by the base, though `env` does not set them.
    """
    named = {name: names(value) for name, value in table.items()}
    others = {
        name: [other for other in used if other in table and other != name] for name, used in named.items()
    }
    resolved = _replaced(table, others, {**earlier, **ours}, problems)
    for circle in _circles({name: used for name, used in others.items() if name not in resolved}):
        _report_circle(circle, problems)
    in_order = {name: resolved[name] for name in table if name in resolved}
    needed: dict[str, FileProblem] = {}
    for variable, used in named.items():
        for name in used:
            is_set = name in ours or name in earlier or (name in table and name != variable)
            if not is_set and name not in needed:
                needed[name] = _not_set(problems, variable, name)
    return Variables(env={**ours, **in_order}, of_base=needed)


def names_of_base(table: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each variable of `env` with a name in its value that the table itself does not set."""
    for variable, value in table.items():
        yield from ((variable, name) for name in names(value) if name == variable or name not in table)


def of_deployment(table: Mapping[str, str], variables: Variables, problems: Problems) -> Variables:
    """Return the variables as plain texts, for a deployment that sets them: nothing replaces a name there.

    Args:
        table: `env` of the table; a variable in it that names one of the base is reported.
        variables: as `resolve` returns them.
        problems: of the table.
    """
    for variable, name in names_of_base(table):
        place = ("env", variable)
        if not problems.is_bad(place):
            what = f"{spell(place)} names ${name}, and Azure ML passes the variables of a deployment on as they are"
            fix = 'Write its value, or $$ for a dollar\nor, for the value of the base: delivery = "image"'
            problems.add(place, what, fix)
    return Variables(env={name: plain(value) for name, value in variables.env.items()}, of_base={})


def _replaced(
    table: Mapping[str, str],
    others: Mapping[str, Sequence[str]],
    outer: Mapping[str, str],
    problems: Problems,
) -> dict[str, str]:
    """Return the values of *table* without the names of others, and report those that become too long.

    Args:
        table: `env` of the table.
        others: each of its variables → the other ones that it names; one in a circle has no value.
        outer: the values of variables that other keys set, or that need not be set.
        problems: of the table.
    """
    values: dict[str, str] = {}

    def value_of(name: str, part: str | Variable) -> str:
        if isinstance(part, str):
            return literal(part)
        if part.name != name and part.name in table:
            return values[part.name]
        return outer.get(part.name) or part.written()

    size = 0
    for name in _in_order(others):
        texts = [value_of(name, part) for part in parts(table[name])]
        length = sum(map(len, texts))
        if length > LONGEST_LINE and not problems.is_bad(("env", name)):
            what = (
                f"{spell(('env', name))} is longer than a Dockerfile line, which holds {LONGEST_LINE:,} bytes"
            )
            problems.add(("env", name), what, "Shorten it, or what it names.")
        fits = length <= LONGEST_LINE and size + length <= _LARGEST
        values[name] = "".join(texts) if fits else ""
        size += min(length, LONGEST_LINE)
    if size > _LARGEST and not problems.is_bad(("env",)):
        what = f"{spell(('env',))} has values of more than {_LARGEST:,} characters once names are replaced"
        problems.add(("env",), what, "Shorten them: Linux starts no program with so many.")
    return values


def _in_order(others: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield each variable after those that it names; one that is in a circle, or names one that is, is left out."""
    order = TopologicalSorter(others)
    with suppress(CycleError):
        order.prepare()
    while ready := order.get_ready() if order.is_active() else ():
        for name in ready:
            yield name
            order.done(name)


def _circles(others: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """Yield the circles among variables of which each names at least one other."""
    seen: set[str] = set()
    for start in others:
        path: dict[str, None] = {}
        name = start
        while name not in seen:
            seen.add(name)
            path[name] = None
            name = next(other for other in others[name] if other in others)
        if name in path:
            passed = list(path)
            yield passed[passed.index(name) :]


def _report_circle(circle: Sequence[str], problems: Problems) -> None:
    shown = [*circle[:_LONGEST_SHOWN], *(["…"] if len(circle) > _LONGEST_SHOWN else [])]
    way = " → ".join(f"${name}" if name != "…" else name for name in (*shown[1:], circle[0]))
    place = ("env", circle[0])
    what = f"{spell(place)} leads in a circle: {way}"
    problems.add(place, what, "Write the value of one of them without the others.")


def _not_set(problems: Problems, variable: str, name: str) -> FileProblem:
    place = ("env", variable)
    what = f"{spell(place)} names ${name}, which neither the table nor the base sets"
    return problems.problem_at(place, what, "Write its value, or $$ for a dollar.")
