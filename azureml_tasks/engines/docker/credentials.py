"""The credentials of `docker login` for a registry: of a credential helper, or of docker's configuration itself.

https://docs.docker.com/reference/cli/docker/login/#credential-stores and
https://github.com/docker/docker-credential-helpers.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from azureml_tasks.engines.docker.docker_config import decoded_login, registry_key
from azureml_tasks.errors import AzuremlTasksError, EngineError, RegistryError
from azureml_tasks.plain_text import clean
from azureml_tasks.process import MissingProgram, capture, find_program
from azureml_tasks.registry.auth import Credentials

if TYPE_CHECKING:
    from azureml_tasks.engines.docker.docker_config import DockerConfig, Helper

_NOT_FOUND = "credentials not found in native keychain"
"""What a helper prints, with an exit code other than 0, if it has no credentials for a registry
(docker-credential-helpers, credentials/error.go); docker's client compares the whole text too."""
_TOKEN_USER = "<token>"  # noqa: S105 -- the user name with which a helper returns a refresh token
_LAST = 10  # lines


def stored_credentials(config: DockerConfig, registry: str) -> Credentials:
    """Return the credentials for the login server *registry*; empty if there are none.

    Args:
        config: docker's configuration.
        registry: such as `contoso.azurecr.io`, or `docker.io` for Docker Hub.

    Raises:
        EngineError: the credential helper is missing, or cannot be started.
        RegistryError: the credential helper fails, or does not answer with credentials.
    """
    helper = config.helper(registry)
    if helper and (of_helper := _of_helper(helper, registry)):
        return of_helper
    entry = config.entry(registry)
    if token := entry.get("identitytoken"):
        return Credentials(refresh_token=str(token))
    user, password = decoded_login(entry)
    return Credentials(user=user, password=password)


def auth_config(config: DockerConfig, registry: str) -> dict[str, str]:
    """Return the credentials for *registry* as the engine's API takes them; arguments and errors as above.

    https://docs.docker.com/reference/api/engine/version/v1.41/#section/Authentication
    """
    stored = stored_credentials(config, registry)
    server = {"serveraddress": registry_key(registry)}
    if stored.refresh_token:
        return {**server, "identitytoken": stored.refresh_token}
    return {**server, "username": stored.user, "password": stored.password} if stored.user else {}


def missing_helper(config: DockerConfig, registry: str) -> EngineError | None:
    """Return the error for the credential helper of *registry* if it is not on PATH; it is not started."""
    helper = config.helper(registry)
    return _missing(helper, registry) if helper and not find_program(helper.program) else None


def _of_helper(helper: Helper, registry: str) -> Credentials | None:
    """Ask a credential helper; None if it has no credentials for the registry."""
    try:
        answer = capture([helper.program, "get"], feed=registry_key(registry).encode())
    except MissingProgram as error:
        raise _missing(helper, registry) from error
    except OSError as error:
        raise _not_started(helper, registry, error) from error
    if answer.code:
        if answer.stdout.strip() == _NOT_FOUND:
            return None
        words = "\n".join(f"{answer.stdout}\n{answer.stderr}".strip().splitlines()[-_LAST:])
        raise _failed(helper, registry, f"failed with exit code {answer.code}", words)
    try:
        user, secret = _parsed(json.loads(answer.stdout))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        # What it printed may hold a password.
        raise _failed(
            helper, registry, "did not answer with a JSON object of Username and Secret", ""
        ) from error
    if not user and not secret:
        return None
    if user == _TOKEN_USER:
        return Credentials(refresh_token=secret)
    return Credentials(user=user, password=secret)


def _parsed(answer: Any) -> tuple[str, str]:
    user, secret = answer["Username"], answer["Secret"]
    if not isinstance(user, str) or not isinstance(secret, str):
        raise TypeError
    f"{user}{secret}".encode()  # ValueError for half a surrogate pair
    return user, secret


def _missing(helper: Helper, registry: str) -> EngineError:
    what = f'The credential helper {helper.program}, which "{helper.key}" of {helper.file} names, is not on PATH.'
    return EngineError(clean(f"{what} {_not_asked(registry)}"), next_step=_fix(helper, registry))


def _not_started(helper: Helper, registry: str, error: OSError) -> AzuremlTasksError:
    what = f'The credential helper {helper.program}, which "{helper.key}" of {helper.file} names, cannot be started.'
    said = clean(f"the system said: {error.strerror or error}")
    return EngineError(clean(f"{what} {_not_asked(registry)}"), next_step=_fix(helper, registry), said=said)


def _failed(helper: Helper, registry: str, how: str, words: str) -> AzuremlTasksError:
    what = f'The credential helper {helper.program}, which "{helper.key}" of {helper.file} names, {how}.'
    fix = f"Try it: echo {registry_key(registry)} | {helper.program} get\n{_fix(helper, registry, 'Or t')}"
    said = f"{helper.program} said: {clean(words)}" if words else ""
    return RegistryError(clean(f"{what} {_not_asked(registry)}"), next_step=fix, said=said)


def _not_asked(registry: str) -> str:
    return f"Registry {registry} was not asked."


def _fix(helper: Helper, registry: str, start: str = "Install it, or t") -> str:
    return clean(f'{start}ake "{helper.key}" out of {helper.file}, and sign in with: docker login {registry}')
