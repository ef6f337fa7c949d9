"""The local engine, Docker's or Podman's, through Docker's SDK and, for BuildKit, Docker's client."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.engines.docker.api_errors import translate_errors
from azureml_tasks.engines.docker.builder_choice import Builder, note, remembered
from azureml_tasks.engines.docker.client import EngineClient, connect
from azureml_tasks.incremental.fingerprint import fingerprint_parts
from azureml_tasks.planning.plan import SECRET_MOUNTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.engines.docker.container import DockerContainer
    from azureml_tasks.engines.docker.layer_store import DockerLayerStore
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.project.model import SmokeTestPlan
    from azureml_tasks.reporter import Reporter
    from azureml_tasks.smoke.report import Report

__all__ = ["DockerEngine", "open_docker"]


def open_docker(scratch: Path, reporter: Reporter, *, keep: bool) -> DockerEngine:
    """Find the engine and its builder.

    Args:
        scratch: a folder for what a build leaves for a moment.
        reporter: where words go.
        keep: whether what was found out may be written down there.

    Raises:
        EngineError: no engine answers.
    """
    client = connect()
    builder = remembered(client, scratch, keep=keep and not reporter.dry)
    return DockerEngine(client=client, builder=builder, reporter=reporter, scratch=scratch)


class DockerEngine(NamedTuple):
    """An engine that answers; see `base.Engine` for what each operation is."""

    client: EngineClient
    builder: Builder
    reporter: Reporter
    scratch: Path
    name: str = "docker"
    registry: str = ""

    @property
    def features(self) -> frozenset[str]:
        """What its builder can do beyond every builder's own."""
        return frozenset() if self.builder.kind == "legacy" else frozenset({SECRET_MOUNTS})

    def describe(self) -> str:
        """Which engine, where, and which builder."""
        kind = "Podman" if self.client.is_podman else "Docker"
        where = f'{self.client.host}, context "{self.client.context}"'
        return f"{kind} engine {self.client.version} ({where}); builds with {self.builder}"

    def planned_image(self, plan: Plan, context: BuildContext) -> BuiltImage:
        """The image as far as it is known before it is built: it has no id yet."""
        return BuiltImage(
            id="", names=plan.names, engine=self.name, context_sha256=context.sha256, user=plan.user
        )

    def base_id(self, plan: Plan) -> str:
        """The engine's id of the base; "" where it has none of that name."""
        with translate_errors(self.client.host):
            return str((self.client.inspect_image(str(plan.base)) or {}).get("Id", ""))

    def tag_image(self, image: BuiltImage, names: Sequence[str]) -> None:
        """Give it those of *names* that are not its own yet."""
        with translate_errors(self.client.host):
            for name in names:
                found = self.client.inspect_image(name)
                tag = self.client.docker_command("tag", image.id, name)
                if (not found or found["Id"] != image.id) and self.reporter.effect(tag):
                    self.client.tag_image(image.id, name)

    def build(
        self,
        plan: Plan,
        context: BuildContext,
        *,
        no_cache: bool,
        pull: bool,
        smoke_test: bool,
        previous: BuiltImage | None,
    ) -> BuiltImage:
        """Build, after looking at the base; the planned image under --dry."""
        from azureml_tasks.engines.build_log import BuildLog
        from azureml_tasks.engines.docker.api_build import takes_archives
        from azureml_tasks.engines.docker.base_image import prepare_base
        from azureml_tasks.engines.docker.build import Build
        from azureml_tasks.engines.docker.layered_build import LayeredBuild

        del smoke_test  # This engine runs it afterwards.
        planned = self.planned_image(plan, context)
        with translate_errors(self.client.host):
            base = prepare_base(self.client, plan, self.reporter, self.scratch, pull=pull)
            takes = base is not None and takes_archives(self.client, base.driver)
            build = Build(self.client, self.builder, self.reporter, self.scratch, BuildLog(), takes)
            if not build.announced(plan, context, no_cache=no_cache) or not base:
                return planned
            self.scratch.mkdir(parents=True, exist_ok=True)
            parts, began = fingerprint_parts(plan, context, base.id), int(time.time())
            chain = LayeredBuild(build=build, plan=plan, context=context, parts=parts, before=previous)
            made, on = chain.image(no_cache=no_cache)
            note(self.client, self.builder, self.scratch)
            asked = plan.python.lines if plan.python else ()
            return planned._replace(
                id=made, cached_layers=on, fingerprint_parts=parts, built_at=began, requirements=asked
            )

    def exists(self, image: BuiltImage) -> bool:
        """Whether the engine still has it."""
        with translate_errors(self.client.host):
            return self.client.inspect_image(image.id) is not None

    @contextmanager
    def running(
        self, image: BuiltImage, smoke_test: SmokeTestPlan, repository: str
    ) -> Iterator[DockerContainer | None]:
        """Run it as Azure ML would; None under --dry."""
        from azureml_tasks.engines.docker.container import new_container_name, run_container, start_commands

        name = new_container_name()
        remove = self.client.docker_command("rm", "--force", "--volumes", name)
        start = start_commands(self.client, image, smoke_test, repository, name)
        if not self.reporter.effects(start):
            self.reporter.effect(remove)
            yield None
            return
        with translate_errors(self.client.host):
            with run_container(self.client, image, smoke_test, repository, name) as container:
                yield container
            if self.reporter.echo:
                self.reporter.effect(remove)

    def smoke_test(self, plan: Plan, image: BuiltImage) -> Report | None:
        """Run *image* here, and ask it; None under --dry."""
        from azureml_tasks.smoke.run import smoke_test

        return smoke_test(plan, image, self, self.reporter)

    def discard_candidate(self, image: BuiltImage) -> None:
        """Nothing leads to an image's names here but the image."""

    @contextmanager
    def pulled(self, name: str, login: Callable[[], tuple[str, str]]) -> Iterator[str]:
        """Pull *name*, `host/repository@digest`, for the length of the block; its id here, "" under --dry.

        Args:
            name: what is pulled; where it was here before, it stays.
            login: gives user and password.
        """
        from azureml_tasks.engines.docker.pull import pulled_image

        remove = self.client.docker_command("rmi", name)
        if not self.reporter.effect(self.client.docker_command("pull", name)):
            yield ""
            self.reporter.effect(remove)
            return
        with (
            translate_errors(self.client.host),
            pulled_image(self.client, name, login, self.reporter) as image_id,
        ):
            yield image_id
        if self.reporter.echo:
            self.reporter.effect(remove)

    def push(self, image: BuiltImage, name: str) -> str:
        """Tag the image's id as *name* and send it; "" under --dry."""
        from azureml_tasks.engines.docker.push import push_image, untagged_on_failure

        source = image.id or image.names[0]
        tag = [self.client.docker_command("tag", source, name)] if source != name else []
        if not self.reporter.effects([*tag, self.client.docker_command("push", name)]):
            return ""
        with translate_errors(self.client.host), untagged_on_failure(self.client, image, name):
            return push_image(self.client, image.id, name, self.reporter)

    def layer_store(self, plan: Plan) -> DockerLayerStore:
        """Those of this project's name."""
        from azureml_tasks.engines.docker.layer_store import DockerLayerStore

        return DockerLayerStore(client=self.client, plan=plan, reporter=self.reporter)

    def remove(self, image: BuiltImage) -> list[str]:
        """Remove the names that still name this image."""
        removed = []
        with translate_errors(self.client.host):
            for name in image.names:
                found = self.client.inspect_image(name)
                if (
                    found
                    and found["Id"] == image.id
                    and self.reporter.effect(self.client.docker_command("rmi", name))
                ):
                    self.client.sdk.images.remove(name)
                    removed.append(name)
        return removed
