"""What is right by itself and wrong together: a key that another one has set, lines that grow too long."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from azureml_tasks.config import validators
from azureml_tasks.config.dockerfile_line import LONGEST_LINE, quoted
from azureml_tasks.config.problems import FILE, spell
from azureml_tasks.project.base_images import IMAGE_VARIABLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.config.problems import Place, Problems
    from azureml_tasks.config.settings import Settings
    from azureml_tasks.project.code import Code

__all__ = [
    "refuse_double_variables",
    "refuse_labels_of_several_lines",
    "refuse_long_lines",
    "variable_warnings",
]

_AROUND = 200
"""Bytes that the Dockerfile's own words take of a line."""


def refuse_double_variables(settings: Settings, code: Code, problems: Problems) -> None:
    """A variable that follows from another key is set there alone."""
    taken = {
        "AZUREML_ENTRY_SCRIPT": (code.entry_script or problems.is_written(("entry-script",)))
        and "entry-script",
        "AZUREML_MODEL_DIR": problems.is_written(("model",)) and "model",
    }
    for name, key in taken.items():
        if key and name in settings.env:
            fix = "Remove it here, or remove that key."
            problems.add(("env", name), f"{spell(('env', name))} is set already, from the key {key}", fix)


def refuse_long_lines(settings: Settings, problems: Problems) -> None:
    """What fits a line of the Dockerfile by itself may not fit it together with its name or its neighbours."""
    lines: dict[Place, str] = {
        ("apt",): " ".join(settings.apt),
        **{("env", name): name + quoted(text) for name, text in settings.env.items()},
        **{("labels", name): quoted(name) + quoted(text) for name, text in settings.labels.items()},
    }
    for place, line in lines.items():
        if not problems.is_bad(place) and len(line.encode()) > LONGEST_LINE - _AROUND:
            what = f"is longer than a Dockerfile line, which holds {LONGEST_LINE:,} bytes"
            problems.add(place, f"{spell(place)} {what}", "Shorten it.")


def refuse_labels_of_several_lines(labels: Mapping[str, str], settings: Settings, problems: Problems) -> None:
    """Our own labels come from [project], which nothing has checked yet."""
    for label, key in (("version", "version"), ("source", "urls")):
        name = f"org.opencontainers.image.{label}"
        if name not in settings.labels and (error := validators.ONE_LINE.error(labels.get(name, ""))):
            line = problems.lines.get(("project", key), 0)
            problems.add_in_file(FILE, line, f"[project].{key} {error}", validators.ONE_LINE.fix)


_SECRET_ENDINGS = ("KEY", "TOKEN", "SECRET", "PASSWORD")
_EXTRA = "AZUREML_EXTRA_"


def variable_warnings(settings: Settings) -> list[str]:
    """Warn of names that look like secrets, like an image's own name misspelt, or like one that it ignores."""
    return [
        warning
        for table, env in (("env", settings.env), ("smoke-test.env", settings.smoke_test.env))
        for name in env
        if (
            warning := _warning(
                table, name, curated="/curated/" in settings.base or settings.base.startswith("curated/")
            )
        )
    ]


def _warning(table: str, name: str, *, curated: bool) -> str:
    if name in IMAGE_VARIABLES:
        if name.startswith(_EXTRA) and curated:
            return f"{table}.{name} does nothing: curated images install nothing at start"
        return ""
    near = difflib.get_close_matches(name, IMAGE_VARIABLES, n=1, cutoff=0.85)
    if near or (near := [known for known in IMAGE_VARIABLES if known == name.upper()]):
        return f'{table}.{name} is read by nothing in the images; did you mean "{near[0]}"?'
    if name.upper().endswith(_SECRET_ENDINGS):
        where = "stays readable in the image" if table == "env" else "stays readable in pyproject.toml"
        return f"{table}.{name} looks like a secret, and {where}: set it on the deployment"
    return ""
