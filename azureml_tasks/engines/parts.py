"""Parts of an image, each built and looked at for itself, and kept under a name for later builds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.context import confirm
from azureml_tasks.engines.finishing import remove_unnamed
from azureml_tasks.engines.steps import Steps
from azureml_tasks.errors import BuildError
from azureml_tasks.old_code import parted, tag
from azureml_tasks.prefixes import repository

if TYPE_CHECKING:
    from azureml_tasks.context import Context
    from azureml_tasks.engines.building import Build
    from azureml_tasks.planning import Plan

__all__ = ["Parts"]


class Parts(NamedTuple):
    """The parts of one plan.

    Args:
        build: carries out each.
        plan: the image.
    """

    build: Build
    plan: Plan

    def made(self, context: Context, *, no_cache: bool) -> str:
        """Build one, and give its id."""
        return self.build._replace(steps=Steps()).run(self.plan, context, no_cache=no_cache, is_part=True)

    def confirmed(self, made: str, context: Context) -> str:
        """See that *made* is made of the files that were hashed; of others it gets no name, and is removed.

        Raises:
            BuildError: they have changed.
        """
        try:
            confirm(context)
        except BuildError:
            remove_unnamed(self.build.endpoint, made)
            raise
        return made

    def keep(self, name: str, context: Context, *, no_cache: bool) -> str:
        """Build one that has a *name*, which says for every build to come what files it is made of; its id."""
        made = self.confirmed(self.made(context, no_cache=no_cache), context)
        self.build.endpoint.tag(made, name)
        self.build.terminal.say(f"kept for the next build: {name}")
        return made

    def code(self, whole: Context, on: str, *, no_cache: bool) -> str:
        """Build what comes on the image *on*, where it pays with the code in two parts, see `old_code`; its id."""
        found, below = parted(whole), self.build.endpoint.image(on)
        if not found or not below or self.plan.shared_layers or not self.build.only_copies(found[1]):
            return self.made(whole, no_cache=no_cache)
        old, recent = found
        name = f"{repository(self.plan)}:{tag(str(below['Id']), old)}"
        if no_cache or not self.build.endpoint.image(name):
            from azureml_tasks.engines.kept import LocalKeeper

            self.keep(name, old, no_cache=no_cache)
            LocalKeeper(self.build.endpoint, self.plan, self.build.terminal).forget_old_code(name)
        text = recent.dockerfile.replace(f"FROM {on}\n", f"FROM {name}\n", 1)
        return self.made(recent._replace(dockerfile=text), no_cache=no_cache)
