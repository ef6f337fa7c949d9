"""What a table says of its images without a look at their files: bases, registries and repositories."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.config import validators
from azureml_tasks.config.problems import fixed_at_source
from azureml_tasks.config.reader import read, read_image_names
from azureml_tasks.errors import FileProblem, Problem, SettingsError
from azureml_tasks.image_reference import expand_base
from azureml_tasks.project import naming
from azureml_tasks.project.load import table_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from azureml_tasks.config.problems import Override
    from azureml_tasks.config.settings import Acr
    from azureml_tasks.image_reference import Reference

PLATFORM = "linux/amd64"
"""Of Azure ML's compute, and of images whose table names no other."""
_RULES = {"base": validators.BASE, "registry": validators.REGISTRY}


class Outline(NamedTuple):
    """One image, as far as the table alone tells.

    Args:
        image: its name in the table; "" if the table itself is the image.
        base: the image to extend; None if the table names none, as beside a Dockerfile, or has a mistake there.
        platform: such as `linux/amd64`.
        registry: login server; "" if none is named.
        repository: without registry; "" if it is not known.
        acr: options of remote builds; None if there are none.
        problems: how many mistakes the table has.
    """

    image: str = ""
    base: Reference | None = None
    platform: str = PLATFORM
    registry: str = ""
    repository: str = ""
    acr: Acr | None = None
    problems: int = 0


def outlines(folder: Path, overrides: Mapping[str, Override], chosen: str = "") -> tuple[Outline, ...]:
    """Return the outline of each image of the table in *folder*, or of the one that is chosen.

    Args:
        folder: of pyproject.toml.
        overrides: key of the table → the value that replaces it in this run.
        chosen: name of one of the table's images; "" for all.

    Raises:
        SettingsError: there is no table, no such image in it, or what the run itself says is wrong.
    """
    text = table_text(folder.resolve())
    names = (chosen,) if chosen else read_image_names(text) or ("",)
    return tuple(_outline(text, overrides, name) for name in names)


def without_table(overrides: Mapping[str, Override]) -> Outline:
    """Return what the run itself says where there is no table.

    Raises:
        SettingsError: what it says is wrong.
    """
    values = {name: str(override.value) for name, override in overrides.items() if name in _RULES}
    errors = {name: rule.error(values[name]) for name, rule in _RULES.items() if name in values}
    if wrong := [
        fixed_at_source(
            Problem(
                overrides[name].source,
                0,
                f'"{values[name]}" {error}',
                _RULES[name].fix_of(values[name]) or _RULES[name].fix,
            ),
            {name: overrides[name].source},
        )
        for name, error in errors.items()
        if error
    ]:
        raise SettingsError(wrong)
    return Outline(base=expand_base(values.get("base", "")), registry=values.get("registry", ""))


def _outline(text: str, overrides: Mapping[str, Override], image: str) -> Outline:
    settings, problems = read(text, overrides, image)
    if wrong := [problem for problem in problems if not isinstance(problem, FileProblem)]:
        raise SettingsError(wrong)
    project = problems.document.get("project")
    repository = naming.repository(settings, project if isinstance(project, dict) else {}, problems)
    return Outline(
        image=image,
        base=expand_base(settings.base),
        platform=settings.platform,
        registry=settings.registry or "",
        repository=repository,
        acr=settings.acr,
        problems=len([*problems]),
    )
