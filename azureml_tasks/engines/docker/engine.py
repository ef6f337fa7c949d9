"""The engine on this machine, Docker's or Podman's."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from azureml_tasks.built_image import BuiltImage, PushedTag
from azureml_tasks.engines.docker import notes
from azureml_tasks.engines.docker.api_errors import reading_answers, translate_errors
from azureml_tasks.engines.docker.builder_choice import Builder, noted_builder
from azureml_tasks.engines.docker.client import EngineClient, connect
from azureml_tasks.engines.docker.credentials import missing_helper
from azureml_tasks.engines.docker.docker_context import DEFAULT_HOST
from azureml_tasks.engines.docker.leftovers import (
    container_name,
    remove_leftovers,
    tracked_run,
)
from azureml_tasks.errors import SettingsError
from azureml_tasks.planning.plan import BUILDKIT, SECRET_MOUNTS
from azureml_tasks.project.base_images import ENTRY_SCRIPT
from azureml_tasks.smoke.container_protocol import AnsweringServer
from azureml_tasks.state.layer_records import LayerRecords
from azureml_tasks.state.record_forms import is_digest, is_words
from azureml_tasks.state.runs import Thing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.context.context_file import ContextFile
    from azureml_tasks.engines.docker.container import DockerContainer
    from azureml_tasks.engines.docker.layer_store import DockerLayerStore
    from azureml_tasks.errors import AzuremlTasksError
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.project.model import SmokeTestPlan
    from azureml_tasks.report.contents import Listing
    from azureml_tasks.report.layers import EngineImage
    from azureml_tasks.reporter import Reporter
    from azureml_tasks.smoke.log_excerpt import LogExcerpt
    from azureml_tasks.smoke.report import Report
    from azureml_tasks.state.failed_step import FailedStep

_ID_FILE = "engine.json"


def open_docker(folder: Path, reporter: Reporter, *, project: Path, keep: bool) -> DockerEngine:
    """Connect to the engine and choose its builder.

    Args:
        folder: of the project's records, for notes and temporary files.
        reporter: shows progress.
        project: its folder.
        keep: whether the choice of the builder may be noted there.

    Raises:
        EngineError: no engine answers.
    """
    client = connect()
    builder = noted_builder(client, folder, keep=keep and not reporter.dry)
    return DockerEngine(client=client, builder=builder, reporter=reporter, folder=folder, project=project)


@dataclass(frozen=True, kw_only=True)
class DockerEngine:
    """An engine that answers; see `protocol.Engine` for its methods.

    Args:
        client: of the engine.
        builder: that builds what runs commands.
        reporter: shows progress.
        folder: of the project's records, for notes and temporary files.
        project: its folder.
    """

    client: EngineClient
    builder: Builder
    reporter: Reporter
    folder: Path
    project: Path
    name: str = "docker"
    registry: str = ""

    @property
    def features(self) -> frozenset[str]:
        """What its builder supports beyond every builder; Podman's reads the same Dockerfiles as BuildKit."""
        if self.builder.kind == "legacy":
            return frozenset({BUILDKIT}) if self.client.is_podman else frozenset()
        return frozenset({SECRET_MOUNTS, BUILDKIT})

    def describe(self) -> str:
        """Return which engine it is, its address and its builder."""
        kind = "Podman" if self.client.is_podman else "Docker"
        where = f'{self.client.host}, context "{self.client.context}"'
        return f"{kind} engine {self.client.version} ({where}); runs build commands with {self.builder}"

    def title(self) -> str:
        """Return which engine it is, its address if it is not the usual one, and its builder."""
        kind = "Podman" if self.client.is_podman else "Docker"
        where = "" if self.client.host == DEFAULT_HOST else f" ({self.client.host})"
        return f"{kind} engine {self.client.version}{where}; runs build commands with {self.builder.title}"

    def planned_image(self, plan: Plan, context: BuildContext) -> BuiltImage:
        """Return the image as far as it is known before it is built: it has no ID yet."""
        return BuiltImage(
            id="", names=plan.names, engine=self.name, context_sha256=context.sha256, user=plan.user
        )

    def base_id(self, plan: Plan) -> str:
        """Return the engine's ID of the base; "" if it does not have the base, or a Dockerfile starts from nothing."""
        if not plan.base.repository:
            return ""
        with translate_errors(self.client.host):
            return str((self.client.inspect_image(str(plan.base)) or {}).get("Id", ""))

    def missing_helper(self, registry: str) -> AzuremlTasksError | None:
        """Return the error for the credential helper of *registry* if it is not on PATH; None if it is, or for none."""
        return missing_helper(self.client.config, registry)

    def base_python(self, plan: Plan) -> tuple[int, int] | None:
        """Return the version of the base's Python; None if it is not known, or the engine does not have the base."""
        from azureml_tasks.engines.docker.base_python import base_python

        with translate_errors(self.client.host):
            return base_python(
                self.client, str(plan.base), self.reporter, self.folder, adds_server=plan.adds_server
            )

    def base_variables(self, plan: Plan) -> Mapping[str, str] | None:
        """Return the environment variables that the base sets; None if the engine does not have the base."""
        from azureml_tasks.engines.docker.base_image import variables_of

        with translate_errors(self.client.host):
            return variables_of(self.client, str(plan.base))

    def check_base(self, plan: Plan) -> None:
        """Check that the base can be extended, if the engine has it."""
        from azureml_tasks.engines.docker.base_image import check_base

        with translate_errors(self.client.host):
            check_base(self.client, plan, self.reporter, self.folder)

    def check_push(self, plan: Plan) -> None:
        """Do nothing: a registry tells what it permits only when it is pushed to."""

    def tag_image(self, image: BuiltImage, names: Sequence[str]) -> None:
        """Give the image those of *names* that it does not have yet."""
        with translate_errors(self.client.host):
            for name in names:
                tagged = self.client.inspect_image(name)
                command = self.client.docker_command("tag", image.id, name)
                if (not tagged or tagged["Id"] != image.id) and self.reporter.effect(command):
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
        keep_failure: Callable[[FailedStep], None],
    ) -> BuiltImage:
        """Check the base and build; return the planned image under --dry."""
        from azureml_tasks.engines.docker.image_build import build_image

        del smoke_test  # This engine runs it afterwards.
        return build_image(
            self,
            plan,
            context,
            no_cache=no_cache,
            pull=pull,
            previous=previous,
            keep_failure=keep_failure,
        )

    def base_as_image(self, plan: Plan) -> BuiltImage:
        """Pull the base if it is missing, check it, and return it as an image to run."""
        from azureml_tasks.engines.docker.base_image import prepare_base

        with translate_errors(self.client.host):
            base = prepare_base(self.client, plan, self.reporter, self.folder, pull=False)
        return BuiltImage(
            id=base.id if base else "",
            names=(str(plan.base),),
            engine=self.name,
            context_sha256="",
            user=base.user if base else "",
        )

    def make_packages_folder(
        self, image: BuiltImage, files: Sequence[ContextFile], folder: Path, made_from: str
    ) -> None:
        """Install packages in a container of the base and replace a folder of the project by what is new."""
        from azureml_tasks.engines.docker import packages_folder

        with (
            translate_errors(self.client.host),
            tracked_run(self.client, self.folder, self.reporter) as run,
        ):
            packages_folder.make_packages_folder(
                self.client, image, files, folder, made_from=made_from, reporter=self.reporter, run=run
            )

    def exists(self, image: BuiltImage) -> bool:
        """Return whether the engine still has the image."""
        with translate_errors(self.client.host):
            return self.client.inspect_image(image.id) is not None

    def image_bytes(self, image: BuiltImage) -> int | None:
        """Return the bytes of an image with its base; None if the engine does not say it."""
        with translate_errors(self.client.host):
            size = (self.client.inspect_image(image.id) or {}).get("Size")
        return size if isinstance(size, int) else None

    def read_image(self, reference: str) -> EngineImage | None:
        """Return what the engine knows of the layers of an image; None if it does not have it."""
        from azureml_tasks.engines.docker.image_contents import read_image

        return read_image(self.client, reference)

    def list_contents(self, reference: str) -> Listing:
        """Let a container of an image list its files and packages; nothing under --dry."""
        from azureml_tasks.engines.docker.image_contents import list_contents

        return list_contents(self, reference)

    @contextmanager
    def running(self, image: BuiltImage, smoke_test: SmokeTestPlan) -> Iterator[DockerContainer | None]:
        """Run the image as Azure ML does for the block; None under --dry."""
        from azureml_tasks.engines.docker.container import run_container
        from azureml_tasks.engines.docker.container_arguments import announce_start

        with translate_errors(self.client.host):
            with tracked_run(self.client, self.folder, self.reporter) as run:
                name = container_name(run)
                remove = self.client.docker_command("rm", "--force", "--volumes", name)
                if not announce_start(self.client, image, smoke_test, run, name, self.reporter):
                    self.reporter.effect(remove)
                    yield None
                    return
                with run_container(self.client, image, smoke_test, run, name) as container:
                    yield container
            if self.reporter.echo:
                self.reporter.effect(remove)

    def smoke_test(self, plan: Plan, image: BuiltImage, keep_log: Callable[[str], None]) -> Report | None:
        """Run the image and send the smoke test's requests; None under --dry.

        Raises:
            SettingsError: the image has no entry script, and the table wants one to answer.
        """
        from azureml_tasks.smoke.run import smoke_test

        return smoke_test(self.with_own_script(plan, image), image, self, self.reporter, keep_log)

    @contextmanager
    def answering(self, plan: Plan, image: BuiltImage) -> Iterator[AnsweringServer]:
        """Run the image for the block, which begins once its health check answers."""
        from azureml_tasks.smoke.log_excerpt import settled
        from azureml_tasks.smoke.run import answering

        with answering(self.with_own_script(plan, image), image, self, self.reporter) as container:

            def log(since: float) -> LogExcerpt:
                with translate_errors(self.client.host):
                    return settled(lambda: container.log(since=since))

            yield AnsweringServer(url=container.address(), log=log)

    def with_own_script(self, plan: Plan, image: BuiltImage) -> Plan:
        """Return the plan without our stand-in if the image, by its base, names an entry script of its own."""
        from azureml_tasks.engines.docker.base_image import variables_of

        if not (plan.smoke_test.default_script or plan.missing_code) or not is_digest(image.id):
            return plan
        with translate_errors(self.client.host):
            variables = variables_of(self.client, image.id)
        if variables is not None and ENTRY_SCRIPT in variables:
            return plan._replace(smoke_test=plan.smoke_test._replace(default_script=False))
        if plan.missing_code:
            raise SettingsError([plan.missing_code])
        return plan

    def discard_candidate(self, image: BuiltImage) -> None:
        """Do nothing: images wait as candidates only in a registry."""

    @contextmanager
    def pulled(self, name: str, login: Callable[[], tuple[str, str]]) -> Iterator[str]:
        """Pull an image for the block and yield its ID; "" under --dry.

        Args:
            name: `host/repository@digest`; an image that the engine had before stays afterwards.
            login: returns user and password.
        """
        from azureml_tasks.engines.docker.pull import pulled_image

        remove = self.client.docker_command("rmi", name)
        if not self.reporter.effect(self.client.docker_command("pull", name)):
            yield ""
            self.reporter.effect(remove)
            return
        with (
            translate_errors(self.client.host),
            tracked_run(self.client, self.folder, self.reporter) as run,
            pulled_image(self.client, name, login, self.reporter, run) as image_id,
        ):
            yield image_id
        if self.reporter.echo:
            self.reporter.effect(remove)

    def digest(self, image: BuiltImage) -> str:
        """Return "": this engine compresses the layers, on which the digest depends, only for a push."""
        del image
        return ""

    def push(self, image: BuiltImage, name: str, *, never_moves: bool = False) -> PushedTag:
        """Tag the image as *name*, push it, and return its digest and what the tag named before."""
        from azureml_tasks.engines.docker.push import push_tag

        source = image.id or image.names[0]
        tag = [self.client.docker_command("tag", source, name)] if source != name else []
        untag = [self.client.docker_command("rmi", name)] if never_moves else []
        if not self.reporter.effects([*tag, self.client.docker_command("push", name), *untag]):
            return PushedTag(digest="")
        with (
            translate_errors(self.client.host),
            tracked_run(self.client, self.folder, self.reporter) as run,
        ):
            new = Thing("image", name, image.id)
            if name not in image.names:
                run.note(new)
            pushed = push_tag(self.client, image.id, name, self.reporter, never_moves=never_moves)
            if not never_moves:
                run.forget(new)
            return pushed

    def layer_store(self, plan: Plan) -> DockerLayerStore:
        """Return the cached layers of the project on this engine."""
        from azureml_tasks.engines.docker.layer_store import DockerLayerStore

        records = LayerRecords(place=self._id, project=plan.project_key, folder=self.project)
        return DockerLayerStore(client=self.client, records=records, plan=plan, reporter=self.reporter)

    def remove_leftovers(self) -> list[str]:
        """Remove what runs of this project that were killed have left; return what was removed."""
        return remove_leftovers(self.client, self.folder, self.reporter)

    def remove(self, image: BuiltImage) -> list[str]:
        """Remove the names that the image still has, and the image if others took them; return what was removed."""
        removed = []
        with translate_errors(self.client.host):
            for name in image.names:
                tagged = self.client.inspect_image(name)
                command = self.client.docker_command("rmi", name)
                if tagged and tagged["Id"] == image.id and self.reporter.effect(command):
                    with reading_answers():
                        self.client.sdk.images.remove(name)
                    removed.append(name)
            unnamed = self.client.inspect_image(image.id)
            if unnamed and not unnamed.get("RepoTags"):
                command = self.client.docker_command("rmi", image.id)
                if self.reporter.effect(command) and self.client.remove_image(image.id):
                    removed.append(image.id)
        return removed

    @cached_property
    def _id(self) -> str:
        """The engine's own ID, which is noted, since the engine takes long to say it."""
        file = self.folder / _ID_FILE
        known = notes.read(file)
        if known.get("host") == self.client.host and is_words(known.get("id")) and known["id"]:
            return str(known["id"])
        engine_id = self.client.read_id()
        if not self.reporter.dry:
            notes.write(file, {"host": self.client.host, "id": engine_id})
        return engine_id
