"""The tables `acr` and `secrets`, held against the rest of the table."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from azureml_tasks.found import spell
from azureml_tasks.planning import BuildSecret

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.found import Found, Place
    from azureml_tasks.settings import Secret, Settings

__all__ = ["build_secrets", "refuse_two_registries"]

_VARIABLES = {"pip-conf": "PIP_CONFIG_FILE", "netrc": "NETRC"}
"""What pip reads each from: https://pip.pypa.io/en/stable/topics/configuration/ and
https://pip.pypa.io/en/stable/topics/authentication/#netrc-support."""
_FIXES = {
    "pip-conf": 'Write: pip-conf = { env = "PIP_CONF" }',
    "netrc": 'Write: netrc = { file = "~/.netrc" }',
}


def refuse_two_registries(settings: Settings, found: Found) -> None:
    """Note where `acr.workspace` stands beside `registry`, or without the group that it is found in."""
    if not settings.acr or not settings.acr.workspace:
        return
    place: Place = ("acr", "workspace")
    bad = "acr" in found.bad
    if settings.registry and "registry" not in found.sources:
        what = f"{spell(place)} stands beside {spell(('registry',))}: each names the registry"
        found.problem(place, what, "Keep one of the two.")
    if not settings.acr.resource_group and not bad:
        fix = 'Write: resource-group = "…", that of the workspace'
        found.problem(place, f"{spell(place)} needs {spell(('acr', 'resource-group'))}", fix)


def build_secrets(root: Path, settings: Settings, found: Found) -> tuple[BuildSecret, ...]:
    """The secrets of the Python step; nothing is read of them but where they are."""
    given = {"pip-conf": settings.secrets.pip_conf, "netrc": settings.secrets.netrc}
    bad = "secrets" in found.bad
    secrets = {name: secret for name, secret in given.items() if secret is not None}
    for name, secret in secrets.items():
        if not bad and (secret.env is None) == (secret.file is None):
            place: Place = ("secrets", name)
            found.problem(place, f"{spell(place)} must have exactly one of env and file", _FIXES[name])
    return tuple(_secret(root, name, secret, found) for name, secret in secrets.items())


def _secret(root: Path, name: str, secret: Secret, found: Found) -> BuildSecret:
    file = os.path.normpath(root / os.path.expanduser(secret.file)) if secret.file else ""  # noqa: PTH111 -- Path's own raises
    line = found.line(("secrets", name, "env" if secret.env else "file"))
    return BuildSecret(id=name, variable=_VARIABLES[name], env=secret.env or "", file=file, line=line)
