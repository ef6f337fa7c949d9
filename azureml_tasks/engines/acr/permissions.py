"""What the signed-in identity may do in the repositories of a project, looked at before anything is sent.

A registry grants permissions on all its repositories, or by repository: then a condition of the role can leave some
out, and a run pulls and pushes with the identity that started it.
https://learn.microsoft.com/azure/container-registry/container-registry-rbac-abac-repository-permissions
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from azureml_tasks.engines.acr.candidates import candidate_repository
from azureml_tasks.engines.acr.layer_store import registry_layers_repository
from azureml_tasks.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from azureml_tasks.engines.acr.session import Session
    from azureml_tasks.planning.plan import Plan

_PULL, _PUSH, _DELETE = "pull", "push", "delete"
_PHRASES = {_PULL: "pull from", _PUSH: "push to", _DELETE: "delete from"}


@dataclass(frozen=True, kw_only=True)
class Permissions:
    """The permissions of the signed-in identity.

    Args:
        session: at the registry.
        plan: the image, with its registry.
        say: takes what is missing and stops nothing.
    """

    session: Session
    plan: Plan
    say: Callable[[str], None]

    def check_build(self, *, with_layers: bool) -> None:
        """Check what a remote build needs.

        Args:
            with_layers: whether it uses cached layers.

        Raises:
            RegistryError: a permission is missing; the message names it.
        """
        candidates, as_caller = candidate_repository(self.plan.repository), self.session.registry.abac
        needed = {candidates: [_PULL, *([_PUSH] if as_caller else [])]}
        if with_layers and as_caller:
            needed[registry_layers_repository(self.plan)] = [_PULL, _PUSH]
        self._require(needed, wanted={candidates: _DELETE})

    def check_push(self) -> None:
        """Check what giving a candidate its final tags needs.

        Raises:
            RegistryError: a permission is missing; the message names it.
        """
        self._require({self.plan.repository: [_PULL, _PUSH]}, wanted={})

    def _require(self, needed: Mapping[str, list[str]], *, wanted: Mapping[str, str]) -> None:
        repositories = self.session.repositories
        repositories.auth.refresh_token()  # A sign-in that is refused is an error of its own.
        missing = []
        for repository, actions in needed.items():
            also = [wanted[repository]] if repository in wanted else []
            granted = repositories.granted(repository, frozenset([*actions, *also]))
            if granted is None:
                continue
            missing += [(action, repository) for action in actions if action not in granted]
            if any(action not in granted for action in also):
                self.say(f"you may not delete images of {repository}: the candidate will stay there")
        if missing:
            raise self._refusal(missing)

    def _refusal(self, missing: list[tuple[str, str]]) -> RegistryError:
        lacking = ", ".join(f"{_PHRASES[action]} {repository}" for action, repository in missing)
        pushes = any(action == _PUSH for action, _ in missing)
        if self.session.registry.abac:
            role = f"Container Registry Repository {'Writer' if pushes else 'Reader'}"
            fix = (
                f'Ask for the role "{role}" on the registry. If it has a condition, that must cover\n'
                f"{self.plan.repository}, {candidate_repository(self.plan.repository)} and "
                f"{registry_layers_repository(self.plan)}"
            )
        else:
            fix = f"Ask for the role {'AcrPush' if pushes else 'AcrPull'} on the registry"
        return RegistryError(f"You may not {lacking} in registry {self.plan.registry}.", next_step=fix)
