"""What `image.doctor` finds about a registry: whether it answers, and whether docker's credentials let in.

The credentials themselves are read only for a registry that the run names, by a flag or a variable: no table decides
which of them leave their store. Otherwise docker's configuration and helpers are asked for names alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.engines.docker.doctor_config import knows_login
from azureml_tasks.engines.docker.push import registry_api
from azureml_tasks.engines.doctor_finding import Finding, Status, of_error
from azureml_tasks.errors import AzuremlTasksError
from azureml_tasks.registry.auth import Credentials, RegistryAuth
from azureml_tasks.registry.session import RegistrySession

if TYPE_CHECKING:
    from azureml_tasks.engines.docker.docker_config import DockerConfig

_NO_PUSH = "Nothing can be pushed to it."
_AZURE = (".azurecr.io", ".azurecr.cn", ".azurecr.us")
_ACTIONS = frozenset({"pull", "push"})


def registry_findings(
    config: DockerConfig, registry: str, repository: str, *, tries_login: bool
) -> list[Finding]:
    """Return what is to be said of one registry.

    Args:
        config: docker's.
        registry: login server.
        repository: that is pushed to; "" if it is not known.
        tries_login: whether docker's credentials are used, see above.
    """
    sign_in = _sign_in(registry)
    session = RegistrySession(login_server=registry, retries=0)  # A retry would take what time there is.
    anonymous = RegistryAuth(session=session, credentials=lambda _: Credentials(), sign_in=sign_in)
    try:
        challenge = anonymous.challenge()
    except AzuremlTasksError as error:
        return [of_error("registry", error, Status.WARNING, _NO_PUSH)]
    if not challenge:
        return [Finding("registry", Status.OK, f"{registry} answers, and wants no sign-in")]
    answers = Finding("registry", Status.OK, f"{registry} answers")
    known = knows_login(config, registry)
    if known is False:
        what = f"docker has no credentials for {registry}"
        return [answers, Finding("sign-in", Status.WARNING, what, _NO_PUSH, sign_in)]
    if not tries_login or not repository:
        has = (
            "docker has credentials for"
            if known
            else "docker's helper does not list whether it has credentials for"
        )
        why = "Whether they are still good is tried only for a registry that a flag or a variable names."
        fix = f"invoke image.doctor --registry {registry}"
        return [answers, Finding("sign-in", Status.NOTE, f"{has} {registry}", why, fix)]
    return [answers, *_tried(config, registry, repository)]


def _tried(config: DockerConfig, registry: str, repository: str) -> list[Finding]:
    """Ask for a token to pull and push, which tells whether the credentials are good and what they permit."""
    sign_in, api = _sign_in(registry), registry_api(registry, config)
    try:
        granted = api.granted(repository, _ACTIONS)
    except AzuremlTasksError as error:
        return [of_error("sign-in", error, Status.WARNING, _NO_PUSH)]
    if granted is None:  # As for a password that each request sends: a token that says nothing.
        return [_tried_by_tags(config, registry, repository)]
    if granted >= _ACTIONS:
        return [Finding("sign-in", Status.OK, f"you may pull from and push to {registry}/{repository}")]
    if not granted:
        what = f"docker's credentials for {registry} are refused, or permit nothing in {repository}"
        why = (
            "Sign-ins to Azure's registries last about three hours."
            if registry.endswith(_AZURE)
            else _NO_PUSH
        )
        return [Finding("sign-in", Status.WARNING, what, why, sign_in)]
    may = " and ".join(sorted(granted))
    fix = (
        "Ask for the role AcrPush on the registry"
        if registry.endswith(_AZURE)
        else "Ask for the permission to push"
    )
    return [
        Finding("sign-in", Status.WARNING, f"you may only {may} in {registry}/{repository}", _NO_PUSH, fix)
    ]


def _tried_by_tags(config: DockerConfig, registry: str, repository: str) -> Finding:
    """Ask for the tags, as the registry tells permissions in no other way; a repository need not exist yet."""
    try:
        registry_api(registry, config).tags(repository)
    except AzuremlTasksError as error:
        return of_error("sign-in", error, Status.WARNING, _NO_PUSH)
    what = f"docker's credentials for {registry} are accepted; whether they permit a push is not known"
    return Finding("sign-in", Status.OK, what)


def _sign_in(registry: str) -> str:
    if registry.endswith(_AZURE):
        return f"az acr login --name {registry.partition('.')[0]}"
    return f"docker login {registry}"
