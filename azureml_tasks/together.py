"""What is right by itself and wrong together: a key that another one has set, lines that grow too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks import rules
from azureml_tasks.errors import Problem
from azureml_tasks.found import FILE, spell
from azureml_tasks.quoting import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.code_folder import Code
    from azureml_tasks.found import Found, Place
    from azureml_tasks.settings import Settings

__all__ = ["refuse_double_variables", "refuse_labels_of_several_lines", "refuse_long_lines"]

_AROUND = 200
"""Bytes that the Dockerfile's own words take of a line."""


def refuse_double_variables(settings: Settings, code: Code, found: Found) -> None:
    """A variable that follows from another key is set there alone."""
    taken = {
        "AZUREML_ENTRY_SCRIPT": code.entry_script and "entry-script",
        "AZUREML_MODEL_DIR": settings.model and "model",
    }
    for name, key in taken.items():
        if key and name in settings.env:
            fix = "Remove it here, or remove that key."
            found.problem(("env", name), f"{spell(('env', name))} is set already, from the key {key}", fix)


def refuse_long_lines(settings: Settings, found: Found) -> None:
    """What fits a line of the Dockerfile by itself may not fit it together with its name or its neighbours."""
    lines: dict[Place, str] = {
        ("apt",): " ".join(settings.apt),
        **{("env", name): name + quoted(text) for name, text in settings.env.items()},
        **{("labels", name): quoted(name) + quoted(text) for name, text in settings.labels.items()},
    }
    for place, line in lines.items():
        if str(place[0]) not in found.bad and len(line.encode()) > rules.LONGEST_LINE - _AROUND:
            what = f"is longer than a Dockerfile's line of {rules.LONGEST_LINE:,} bytes"
            found.problem(place, f"{spell(place)} {what}", "Shorten it.")


def refuse_labels_of_several_lines(labels: Mapping[str, str], settings: Settings, found: Found) -> None:
    """Our own labels come from [project], which nothing has checked yet."""
    for label, key in (("version", "version"), ("source", "urls")):
        name = f"org.opencontainers.image.{label}"
        if name not in settings.labels and (complaint := rules.ONE_LINE.complaint(labels.get(name, ""))):
            line = found.lines.get(("project", key), 0)
            found.problems.append(Problem(FILE, line, f"[project].{key} {complaint}", rules.ONE_LINE.fix))
