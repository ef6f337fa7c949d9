"""Checks of several keys together: variables set twice, two registries, lines that become too long."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from azureml_tasks.config import validators
from azureml_tasks.config.allowed_registries import VARIABLE
from azureml_tasks.config.dockerfile_line import LONGEST_LINE, quoted, quoted_value
from azureml_tasks.config.problems import FILE, spell
from azureml_tasks.config.variable_references import names
from azureml_tasks.image_reference import MCR, expand_base
from azureml_tasks.notice import Notice
from azureml_tasks.project.base_images import IMAGE_VARIABLES, adds_no_packages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from azureml_tasks.config.allowed_registries import AllowedRegistries
    from azureml_tasks.config.problems import Place, Problems
    from azureml_tasks.config.settings import Settings
    from azureml_tasks.image_reference import Reference
    from azureml_tasks.project.code import Code

_SECRET_ENDINGS = ("KEY", "TOKEN", "SECRET", "PASSWORD")
"""Ends of the names of variables and headers, in upper case, whose values are likely to be secrets."""
_EXTRA = "AZUREML_EXTRA_"
_AROUND = 200
"""Bytes of a line that the instruction itself may need."""


def refuse_double_variables(settings: Settings, code: Code, problems: Problems) -> None:
    """Report variables of `env` that another key sets."""
    keys: dict[str, str | bool] = {
        "AZUREML_ENTRY_SCRIPT": (code.entry_script or problems.is_written(("entry-script",)))
        and "entry-script",
        "AZUREML_MODEL_DIR": problems.is_written(("model",)) and "model",
        "PYTHONPATH": bool(code.python_path)
        and not _extends_itself(settings, "PYTHONPATH")
        and "python-path",
    }
    for name, key in keys.items():
        if key and name in settings.env:
            fix = "Remove it here, or remove that key."
            problems.add(("env", name), f"{spell(('env', name))} is already set by the key {key}", fix)


def _extends_itself(settings: Settings, name: str) -> bool:
    """Return whether a variable of `env` names the one of the same name that it would replace."""
    return name in names(settings.env.get(name, ""))


def refuse_long_lines(settings: Settings, env: Mapping[str, str], problems: Problems) -> None:
    """Report values that fit into a line of the Dockerfile alone, but not with their name or their neighbours.

    Args:
        settings: the table.
        env: the variables of the image.
        problems: of the table.
    """
    lines: dict[Place, str] = {
        ("apt",): " ".join(settings.apt),
        **{("env", name): name + quoted_value(env.get(name, "")) for name in settings.env},
        ("python-path",): quoted_value(env.get("PYTHONPATH", "")) if settings.python_path else "",
        **{("labels", name): quoted(name) + quoted(text) for name, text in settings.labels.items()},
    }
    for place, line in lines.items():
        if not problems.is_bad(place) and len(line.encode()) > LONGEST_LINE - _AROUND:
            what = f"is longer than a Dockerfile line, which holds {LONGEST_LINE:,} bytes"
            problems.add(place, f"{spell(place)} {what}", "Shorten it.")


def refuse_labels_of_several_lines(labels: Mapping[str, str], settings: Settings, problems: Problems) -> None:
    """Report values of [project] that would become labels of several lines; the table's own are checked before."""
    for label, key in (("version", "version"), ("source", "urls")):
        name = f"org.opencontainers.image.{label}"
        if name not in settings.labels and (error := validators.ONE_LINE.error(labels.get(name, ""))):
            line = problems.lines.get(("project", key), 0)
            problems.add_in_file(FILE, line, f"[project].{key} {error}", validators.ONE_LINE.fix)


def refuse_two_registries(problems: Problems) -> None:
    """Report `acr.workspace` beside `registry`, or without the resource group that is needed to find it."""
    place: Place = ("acr", "workspace")
    if not problems.is_written(place):
        return
    if problems.is_written(("registry",)) and "registry" not in problems.sources:
        what = f"{spell(place)} and {spell(('registry',))} both name the registry"
        problems.add(place, what, "Keep one of the two.")
    if not problems.is_written(("acr", "resource-group")):
        fix = 'Write: resource-group = "…", that of the workspace'
        problems.add(place, f"{spell(place)} needs {spell(('acr', 'resource-group'))}", fix)


def refuse_other_registries(settings: Settings, allowed: AllowedRegistries, problems: Problems) -> None:
    """Report keys that name a registry to which this run may send nothing."""
    hosts = {"registry": settings.registry, "shared-layers": (settings.shared_layers or "").partition("/")[0]}
    for key, host in hosts.items():
        if host and not problems.is_bad((key,)):
            what, fix = allowed.refusal(host)
            if what:
                problems.add((key,), f"{spell((key,))}: {what}", fix)


def refuse_base_beside_secrets(
    settings: Settings, base: Reference, allowed: AllowedRegistries, problems: Problems
) -> None:
    """Report a base of a registry that the run does not name if the build has secrets, which pip of the base reads."""
    host = base.host or "docker.io"
    if not settings.secrets or problems.is_bad(("base",)) or MCR.startswith(f"{host}/"):
        return
    if allowed.refusal(host)[0]:
        what = f"{spell(('base',))} is from {host}, and pip of the base image reads the secrets of this build"
        fix = f"Use a base of mcr.microsoft.com or of a registry in {VARIABLE}, or add {host} to it."
        problems.add(("base",), what, fix)


def names_secret(name: str) -> bool:
    """Return whether the value of the variable or header *name* is likely to be a secret."""
    return name.upper().endswith(_SECRET_ENDINGS)


def variable_warnings(settings: Settings, line_of: Callable[[Place], int]) -> list[Notice]:
    """Warn of variables that look like secrets or like misspelt variables of the images, or that have no effect.

    Args:
        settings: with the variables.
        line_of: returns the line of a key in the table; 0 if the table does not have it.
    """
    base = expand_base(settings.base)
    has_no_effect = base is not None and adds_no_packages(base)
    tables: tuple[tuple[Place, Mapping[str, str]], ...] = (
        (("env",), settings.env),
        (("smoke-test", "env"), settings.smoke_test.env),
    )
    warnings = (
        _warning(place, name, line_of, has_no_effect=has_no_effect and name.startswith(_EXTRA))
        for place, env in tables
        for name in env
    )
    return [warning for warning in warnings if warning]


def _warning(
    place: Place, name: str, line_of: Callable[[Place], int], *, has_no_effect: bool
) -> Notice | None:
    table, line = ".".join(map(str, place)), line_of((*place, name))
    if name in IMAGE_VARIABLES:
        what = f"{table}.{name} has no effect: curated minimal images install nothing at start"
        return Notice.of_key("variable", what, FILE, line) if has_no_effect else None
    near = difflib.get_close_matches(name, IMAGE_VARIABLES, n=1, cutoff=0.85)
    if near or (near := [known for known in IMAGE_VARIABLES if known == name.upper()]):
        what = f'{table}.{name} is not a variable of the images; did you mean "{near[0]}"?'
        return Notice.of_key("variable", what, FILE, line)
    if names_secret(name):
        where = "the image" if table == "env" else "pyproject.toml"
        what = (
            f"{table}.{name} looks like a secret, which stays readable in {where}: set it on the deployment"
        )
        return Notice.of_key("secret-readable", what, FILE, line)
    return None
