"""What `image.doctor` finds about docker's configuration and its credential helpers, which only list names."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

from azureml_tasks.engines.docker.docker_config import Helper, registry_key
from azureml_tasks.engines.doctor_finding import Finding, Status
from azureml_tasks.errors import RegistryError
from azureml_tasks.plain_text import clean, shell_join
from azureml_tasks.process import MissingProgram, SlowProgram, capture

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.engines.docker.docker_config import DockerConfig

PROGRAM_LIMIT = 4.0
"""Seconds that a program may take, less than a check of `image.doctor`."""
_LOGIN_KEYS = ("auth", "identitytoken", "password", "registrytoken")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_SHOWN = 5
"""Registries of a helper that are named."""


def configuration_finding(config: DockerConfig) -> Finding:
    """Return what is to be said of config.json itself."""
    name, file = "docker configuration", config.file
    if not file:
        return Finding(name, Status.NOTE, "none: this user has no home folder", "There are no sign-ins.")
    if not config.values:
        return Finding(name, Status.OK, f"{file} does not exist or is empty: no sign-ins, no helpers")
    entries = config.values.get("auths") or {}
    plain = [key for key, entry in entries.items() if any(entry.get(each) for each in _LOGIN_KEYS)]
    if plain and _others_may_read(file):
        command = ("chmod", "600", str(file))
        what = f"{file} holds sign-ins ({_named(plain)}), and other users of this machine may read it"
        why = "Every user who can read it can push and pull as you."
        return Finding(name, Status.WARNING, what, why, shell_join(command), command)
    kept = f"sign-ins in the file itself: {_named(plain)}" if plain else "no sign-ins in the file itself"
    return Finding(name, Status.OK, f"{file}, {kept}")


def helpers_of(config: DockerConfig) -> tuple[Helper, ...]:
    """Return the credential helpers that the configuration names, each program once."""
    if not config.file:
        return ()
    named = {"credsStore": config.values.get("credsStore")}
    named |= {f"credHelpers.{key}": name for key, name in (config.values.get("credHelpers") or {}).items()}
    helpers: dict[str, Helper] = {}
    for key, name in named.items():
        if name:
            helpers.setdefault(name, Helper(f"docker-credential-{name}", key, config.file))
    return tuple(helpers.values())


def helper_finding(helper: Helper) -> Finding:
    """Ask a helper for which registries it has credentials; it is not asked for any of them."""
    name, where = "credential helper", f'"{helper.key}" of {helper.file}'
    fix = clean(f'Install it, or take "{helper.key}" out of {helper.file}')
    try:
        servers = listed_servers(helper)
    except MissingProgram:
        status = Status.BLOCKS if helper.key == "credsStore" else Status.WARNING
        what = f"{helper.program}, which {where} names, is not on PATH"
        return Finding(name, status, what, "Docker cannot sign in where it is needed.", fix)
    except SlowProgram:
        what = f"{helper.program} did not answer within {PROGRAM_LIMIT:g} s"
        why = "A pull or a push waits for it; it may ask for a password in another window."
        return Finding(name, Status.UNKNOWN, what, why, f"Try it: {helper.program} list")
    except RegistryError as error:
        return Finding(
            name, Status.WARNING, error.what, "Docker may not be able to sign in.", error.next_step
        )
    if servers is None:
        return Finding(
            name, Status.NOTE, f"{helper.program} ({where}) answers, and lists nothing of what it has"
        )
    has = f"has credentials for {_named(servers)}" if servers else "has no credentials"
    return Finding(name, Status.OK, f"{helper.program} ({where}) {has}")


def listed_servers(helper: Helper) -> list[str] | None:
    """Return the registries for which a helper has credentials; None if it does not list them.

    Its answer is an object of JSON, registry → user: https://github.com/docker/docker-credential-helpers#development.
    Some helpers, such as that of Amazon's registry, have no such command.

    Raises:
        MissingProgram: it is not on PATH.
        SlowProgram: it does not answer.
        RegistryError: its answer is another one.
    """
    try:
        answer = capture([helper.program, "list"], timeout=PROGRAM_LIMIT)
    except (MissingProgram, SlowProgram):
        raise
    except OSError as error:
        raise _unusable(helper, f"cannot be started: {error.strerror or error}") from error
    if answer.code:
        return None
    try:
        servers = json.loads(answer.stdout or "{}")
    except (ValueError, RecursionError) as error:
        raise _unusable(helper, "did not answer with JSON") from error
    if not isinstance(servers, dict):
        raise _unusable(helper, "did not answer with an object of JSON")
    return sorted(servers)


def knows_login(config: DockerConfig, registry: str) -> bool | None:
    """Return whether docker has credentials for *registry*, by their names alone; None if a helper does not tell."""
    entry: dict[str, Any] = config.entry(registry)
    if any(entry.get(key) for key in _LOGIN_KEYS) or entry.get("username"):
        return True
    helper = config.helper(registry)
    if not helper:
        return False
    try:
        servers = listed_servers(helper)
    except (MissingProgram, SlowProgram, RegistryError):
        return None
    wanted = {registry_key(registry), registry}
    return None if servers is None else any(server in wanted or _host(server) in wanted for server in servers)


def _host(server: str) -> str:
    return server.partition("://")[2].partition("/")[0] or server.partition("/")[0]


def _unusable(helper: Helper, how: str) -> RegistryError:
    what = clean(f"{helper.program} {how}")
    return RegistryError(what, next_step=f"Try it: {helper.program} list")


def _others_may_read(file: Path) -> bool:
    """Return whether others may read this user's *file*; the modes of Windows do not tell."""
    if os.name == "nt":
        return False
    status = file.stat()
    return bool(status.st_mode & _OTHERS) and status.st_uid == os.getuid()


def _named(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
