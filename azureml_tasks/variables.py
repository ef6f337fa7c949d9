"""What can be said of environment variables before anything runs."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from azureml_tasks.base_images import IMAGE_VARIABLES

if TYPE_CHECKING:
    from azureml_tasks.settings import Settings

__all__ = ["variable_warnings"]

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
