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
    found = {}
    if own.get("identity") == "[caller]":
        found[run.registry.login_server] = basic(TOKEN_USER, plane.refresh_token("caller"))
    elif not abac and own.get("loginMode") != "None":
        found[run.registry.login_server] = basic(TOKEN_USER, plane.refresh_token("run"))
    for server, one in (asked.get("customRegistries") or {}).items():
        name, password = one.get("userName") or {}, one.get("password") or {}
        found[server] = basic(name.get("value") or "", password.get("value") or "")
    return found
