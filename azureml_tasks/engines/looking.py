"""The base, looked at before any work: there or pulled, for this platform, with the user that will serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.engines import base_image, notes
from azureml_tasks.errors import BuildError

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.engines.base_image import BaseImage
    from azureml_tasks.engines.endpoint import Endpoint
    from azureml_tasks.planning import Plan
    from azureml_tasks.terminal import Terminal

__all__ = ["Looking"]

_FILE = "users.json"


class Looking(NamedTuple):
    """A look at the base of an image.

    Args:
        endpoint: the engine.
        terminal: where words go.
        folder: of the records, where it is noted which base has which user.
    """

    endpoint: Endpoint
    terminal: Terminal
    folder: Path

    def at(self, plan: Plan, *, pull: bool) -> BaseImage | None:
        """The base of *plan*; None under --dry where it is not here.

        Raises:
            BuildError: it does not exist, or is not what the plan needs.
            RegistryError: its registry refuses.
        """
        found = self._found(plan, pull=pull)
        if not found:
            return None
        for warning in base_image.check(plan, found):
            self.terminal.warn(warning)
        if not plan.user.isdigit() and not self._has_user(found, plan):
            fix = 'Write: user = "dockeruser", or name a user that the base has and that is not root'
            raise BuildError(f'The base {plan.base} has no runtime user "{plan.user}".', next_step=fix)
        return found

    def _found(self, plan: Plan, *, pull: bool) -> BaseImage | None:
        found = base_image.find(self.endpoint, str(plan.base))
        if found and not pull:
            return found
        argv = self.endpoint.docker("pull", "--platform", plan.platform, str(plan.base))
        if not self.terminal.effect(argv):
            return None
        base_image.pull(self.endpoint.client, plan, self.terminal)
        found = base_image.find(self.endpoint, str(plan.base))
        if not found:
            what = f"The base {plan.base} was pulled, and the engine does not have it."
            raise BuildError(what, next_step="docker images")
        return found

    def _has_user(self, found: BaseImage, plan: Plan) -> bool:
        """Whether the base has the plan's user; under --dry nobody looks."""
        look = self.endpoint.docker("run", "--rm", "--entrypoint", "cat", str(plan.base), "/etc/passwd")
        if not self.terminal.effect(look):
            return True
        file = self.folder / _FILE
        noted = notes.read(file).get(found.id)
        known = set(map(str, noted)) if isinstance(noted, list) else set()
        if plan.user in known:
            return True
        if not base_image.has_user(self.endpoint.client, found, plan.user):
            return False
        notes.write(file, {found.id: sorted(known | {plan.user})})
        return True
