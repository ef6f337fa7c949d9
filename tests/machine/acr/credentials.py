"""The registry credentials of a run."""

from __future__ import annotations

from collections.abc import Mapping

from tests.machine.acr.data_plane import TOKEN_USER, DataPlane, basic
from tests.machine.acr.runs import Run

__all__ = ["credentials"]


def credentials(run: Run, plane: DataPlane) -> Mapping[str, str]:
    """Return login server -> credentials as in Docker's configuration.

    A run has the registry's own identity, or the caller's where the request says so; where permissions are
    given by repository it has the caller's or none.
    """
    asked = run.request.get("credentials") or {}
    own = asked.get("sourceRegistry") or {}
    abac = plane.settings.role_assignment_mode == "AbacRepositoryPermissions"
    by_server = {}
    if own.get("identity") == "[caller]":
        by_server[run.registry.login_server] = basic(TOKEN_USER, plane.refresh_token("caller"))
    elif not abac and own.get("loginMode") != "None":
        by_server[run.registry.login_server] = basic(TOKEN_USER, plane.refresh_token("run"))
    for server, custom in (asked.get("customRegistries") or {}).items():
        name, password = custom.get("userName") or {}, custom.get("password") or {}
        by_server[server] = basic(name.get("value") or "", password.get("value") or "")
    return by_server
