"""Build a Dockerfile of the project's own on a Docker engine, and check the image before it gets its names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from azureml_tasks.context.build_context import confirm
from azureml_tasks.engines.docker.base_image import pull_base
from azureml_tasks.engines.docker.leftovers import keep_image
from azureml_tasks.engines.docker.runtime_user import users_of
from azureml_tasks.engines.image_check import check_image, refuse_user
from azureml_tasks.errors import BuildError, EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.engines.docker.build import Build
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.project.own_dockerfile import OwnDockerfile


@dataclass(frozen=True, kw_only=True)
class OwnBuild:
    """The build of one image.

    Args:
        build: runs the Dockerfile.
        plan: the image, with its own Dockerfile.
        context: its files.
        records: folder of the project's records.
    """

    build: Build
    plan: Plan
    context: BuildContext
    records: Path

    def run(self, *, no_cache: bool, pull: bool, known: str) -> Mapping[str, Any]:
        """Build the image, tag it if it can serve, and return what the engine says of it.

        Args:
            no_cache: build every step.
            pull: pull the images that it starts from first.
            known: ID of the image that was built before, which was checked then; "" for none.

        Raises:
            BuildError: a step failed, files changed meanwhile, or the image cannot serve.
            EngineError: the engine's disk is full.
            RegistryError: a registry refuses an image that it starts from.
        """
        client, own = self.build.client, self.plan.own_dockerfile
        if own and self.build.builder.kind == "legacy":
            self._pull_images(own, again=pull)
        image_id = self.build.run(self.plan, self.context, no_cache=no_cache, pull=pull)
        image = client.inspect_image(image_id)
        if not image:
            what = f"Another command has removed the image {image_id[:19]} while it was built."
            raise EngineError(what, next_step="invoke image.build")
        self._check(image, is_known=str(image["Id"]) == known)
        confirm(self.context)
        for name in self.plan.names:
            client.tag_image(image["Id"], name)
        if base := client.inspect_image(str(self.plan.base)) if self.plan.base.repository else None:
            keep_image(client, self.build.tracked, str(image["Id"]), str(base["Id"]))
        return image

    def _pull_images(self, own: OwnDockerfile, *, again: bool) -> None:
        """Pull the images that the engine does not have: by the API it is told no credentials for them."""
        client = self.build.client
        platforms = {image.reference: image.platform for image in own.facts.images if image.reference}
        for reference, platform_of_from in platforms.items():
            if again or not client.inspect_image(str(reference)):
                platform = platform_of_from or self.plan.platform
                pull_base(client, reference, platform, self.build.reporter, named_in=own.name)

    def _check(self, image: Mapping[str, Any], *, is_known: bool) -> None:
        platform = "/".join(filter(None, (image.get(key) for key in ("Os", "Architecture", "Variant"))))
        if not f"{platform}/".startswith(f"{self.plan.platform}/"):
            what = f"The image is made for {platform}, not for {self.plan.platform}."
            fix = f'Write: platform = "{platform}"\nor remove --platform from the last FROM'
            raise BuildError(what, next_step=fix)
        for warning in check_image(self.plan, image["Config"]):
            self.build.reporter.warn(warning)
        user = str(image["Config"].get("User") or "").partition(":")[0]
        if not is_known and not user.isdigit():
            ids = users_of(self.build.client, str(image["Id"]), self.build.reporter, self.records)
            refuse_user(self.plan, user, ids)
