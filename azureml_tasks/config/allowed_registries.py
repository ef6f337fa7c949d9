"""Which registries a run may send code and models to. Only the environment says so, never a file of the project."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.config import validators
from azureml_tasks.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "INVOKE_AZUREML_IMAGE_ALLOWED_REGISTRIES"


class AllowedRegistries(NamedTuple):
    """The registries that a run may push to and build in.

    Args:
        hosts: login servers in lower case; None for every registry.
    """

    hosts: frozenset[str] | None = None

    def refusal(self, host: str) -> tuple[str, str]:
        """Return what is wrong with the login server *host*, and the next step; two "" if nothing is."""
        if self.hosts is None or host.lower() in self.hosts:
            return "", ""
        allowed = ", ".join(sorted(self.hosts))
        what = f"{host} is not one of the registries that this run may send code and models to: {allowed}"
        return what, f"Use one of these, or add it to {VARIABLE} where this run is set up."


def read_allowed_registries(environment: Mapping[str, str], problems: list[Problem]) -> AllowedRegistries:
    """Return the registries of the variable, which are separated by commas; all of them if it is not set."""
    text = environment.get(VARIABLE)
    if text is None:
        return AllowedRegistries()
    hosts = [host.strip() for host in text.split(",")]
    fix = f"export {VARIABLE}=contoso.azurecr.io,fabrikam.azurecr.io"
    problems += [
        Problem(VARIABLE, 0, f'"{host}" {error}', fix)
        for host in hosts
        if (error := validators.REGISTRY.error(host))
    ]
    return AllowedRegistries(hosts=frozenset(host.lower() for host in hosts))
