"""Run one Dockerfile on a Docker engine: by docker's client, by the engine's BuildKit or by its legacy builder."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from azureml_tasks.context.tar_archive import archive
from azureml_tasks.engines.build_log import BuildLog
from azureml_tasks.engines.docker.api_build import build_events
from azureml_tasks.engines.docker.buildx_command import (
    build_arguments,
    build_command,
    image_file_option,
    read_image_id,
)
from azureml_tasks.engines.docker.client_environment import client_environment
from azureml_tasks.engines.docker.leftovers import temporary_reference
from azureml_tasks.engines.docker.socket_http import RefusedError
from azureml_tasks.engines.docker.staged_folder import staged, write_dockerfile
from azureml_tasks.engines.step_error import failed_step
from azureml_tasks.errors import BuildError
from azureml_tasks.plain_text import clean
from azureml_tasks.planning.dockerfile import image_labels
from azureml_tasks.process import stream
from azureml_tasks.project.dockerfile_cut import text_before
from azureml_tasks.state.failed_step import FailedStep
from azureml_tasks.state.runs import Thing
from azureml_tasks.timestamps import epoch_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.engines.docker.builder_choice import Builder
    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.errors import AzuremlTasksError
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.reporter import Reporter
    from azureml_tasks.state.runs import Run

LARGE_CONTEXT = 4 * 1024 * 1024
"""Bytes from which on docker's client is faster than an archive sent by the API."""
_MANY_FILES = 2000
"""Files from which on it is faster too."""
_LOOK = "Look at the image before that step: invoke image.shell"
_RUN = re.compile(r"^[ \t]*RUN[ \t]", re.IGNORECASE | re.MULTILINE)
_LEGACY_IMAGE = re.compile(r"^ ---> ([0-9a-f]{12})$", re.MULTILINE)
"""How the legacy builder names the image that a step has made, or that its cache has for it."""
_LOST_IMAGE = re.compile(r'unable to find image "sha256:[0-9a-f]{64}"')
"""The error of the legacy builder if it looks for a step in its cache while another command removes an image there."""
_TRIES = 3


class _CacheLostError(Exception):
    """Another command has removed an image from the builder's cache, of an earlier step or one that was looked at.

    With the last image that is based on the first steps of a build, an engine removes these steps, and another build
    may just have begun with them. To find a step in its cache, the builder reads every image on the same parent.
    """


@dataclass(frozen=True, kw_only=True)
class Build:
    """Runs Dockerfiles on an engine.

    Args:
        client: of the engine.
        builder: runs what docker's client would run.
        reporter: shows the output as it comes.
        tracked: notes what a build makes; an image without a tag has a name of it until it ends.
        takes_archives: whether the engine's own BuildKit can be used by the API, see `api_build.takes_archives`.
        keep_failure: takes the step at which a build fails; None if nobody wants it.
        adds_labels: whether the image of the project's own Dockerfile gets labels besides its own.
    """

    client: EngineClient
    builder: Builder
    reporter: Reporter
    tracked: Run
    takes_archives: bool = False
    keep_failure: Callable[[FailedStep], None] | None = None
    adds_labels: bool = True

    def announce(self, plan: Plan, context: BuildContext, *, no_cache: bool, pull: bool = False) -> bool:
        """Announce the build of the whole image as one command. Return False if it must not be carried out."""
        argv = build_command(
            self.client, self.builder, plan, context, no_cache=no_cache, pull=pull, names=plan.names
        )
        # A client with built-in BuildKit uses the legacy builder unless this variable is set.
        variable = "DOCKER_BUILDKIT=1 " if self.builder.kind == "buildkit" else ""
        return self.reporter.effect(argv, before=f"invoke image.context | {variable}")

    def run(self, plan: Plan, context: BuildContext, *, no_cache: bool, pull: bool = False) -> str:
        """Build *context* and return the image ID.

        Args:
            plan: the image.
            context: its Dockerfile and files.
            no_cache: build every step.
            pull: let docker's client pull the images that the project's own Dockerfile names.

        Raises:
            BuildError: a step failed; the error has the step and its last lines.
            EngineError: the engine's disk is full.
        """
        if self.uses_api_buildkit(context):
            self.reporter.say(f"{context.counted} to copy")
            return self._run_by_api(plan, context, no_cache=no_cache, buildkit=True)
        if self.builder.kind == "legacy":
            return self._run_by_legacy_builder(plan, context, no_cache=no_cache)
        return self._run_by_client(plan, context, no_cache=no_cache, pull=pull)

    def uses_api_buildkit(self, context: BuildContext) -> bool:
        """Return whether the engine's own BuildKit builds *context* by the API.

        It does if nothing is run, and either little is sent or docker's client has no BuildKit. Commands go to
        docker's client, since by the API BuildKit mounts no secrets and shows no output that could be read. A
        Dockerfile of the project's own goes there too: from an archive BuildKit would copy it, even if it is ignored.
        """
        only_copies = "\nRUN " not in context.dockerfile and not context.own_name
        return self.takes_archives and only_copies and (_is_small(context) or self.builder.kind == "legacy")

    def _archive(self, context: BuildContext) -> Iterator[bytes]:
        return self.reporter.progress(archive(context), context.size, "sending the build context")

    def _run_by_client(self, plan: Plan, context: BuildContext, *, no_cache: bool, pull: bool) -> str:
        log = BuildLog()

        def on_line(line: str) -> None:
            self.reporter.output(line, log.add_buildkit_line(line))

        # A client with built-in BuildKit passes an archive on by the API, which not every engine takes.
        needs_folder = self.builder.kind == "buildkit" and not self.takes_archives
        as_folder = bool(context.own_name) or needs_folder or not _is_small(context)
        with ExitStack() as stack:
            folder = stack.enter_context(self.tracked.folder())
            argv = build_command(
                self.client,
                self.builder,
                plan,
                context,
                no_cache=no_cache,
                pull=pull,
                names=[temporary_reference(self.tracked)],
                dockerfile=str(write_dockerfile(context, folder / "dockerfile")) if context.own_name else "",
            )
            image_file = folder / "image"
            source = str(stack.enter_context(staged(context, self.tracked))) if as_folder else "-"
            argv[-1:] = ["--progress", "plain", image_file_option(self.builder), str(image_file), source]
            feed = () if as_folder else self._archive(context)
            if stream(argv, env=client_environment(self.client), feed=feed, line=on_line):
                raise self._failed(log, context)
            return read_image_id(image_file.read_text(encoding="utf-8"), self.builder)

    def _run_by_legacy_builder(self, plan: Plan, context: BuildContext, *, no_cache: bool) -> str:
        for _ in range(_TRIES - 1):
            with suppress(_CacheLostError):
                return self._run_by_api(plan, context, no_cache=no_cache, buildkit=False, may_retry=True)
            self.reporter.say("the builder's cache has lost a step to another command, building again")
        return self._run_by_api(plan, context, no_cache=no_cache, buildkit=False)

    def _run_by_api(
        self, plan: Plan, context: BuildContext, *, no_cache: bool, buildkit: bool, may_retry: bool = False
    ) -> str:
        image_id, log, started = "", BuildLog(), time.time()
        steps: list[str] = []
        images: list[str] = []
        name = temporary_reference(self.tracked)
        events = build_events(
            self.client,
            self._archive(context),
            plan.platform,
            build_arguments(context),
            name=name,
            no_cache=no_cache,
            buildkit=buildkit,
            dockerfile=context.own_name,
            labels=image_labels(plan, context.sha256) if context.own_name and self.adds_labels else {},
        )
        try:
            for event in events:
                images += _LEGACY_IMAGE.findall(str(event.get("stream", "")))
                if may_retry and "error" in event and self._has_lost_an_image(event, images):
                    raise _CacheLostError
                image_id = self._image_id(event, log, name, context) or image_id
                self._note_container(log, context, steps, started)
        except RefusedError as error:
            log.add_error(clean(str(error)))
            raise self._failed(log, context) from error
        return image_id

    def _has_lost_an_image(self, event: dict[str, Any], images: list[str]) -> bool:
        """Return whether the legacy builder's error *event* says so, or one of the *images* of its steps is gone."""
        lost = _LOST_IMAGE.match(str(event["error"]))
        return bool(lost) or not all(map(self.client.inspect_image, images))

    def _failed(self, log: BuildLog, context: BuildContext) -> AzuremlTasksError:
        """Return the error for a build that failed, and hand on at which step.

        Raises:
            EngineError: the engine does not answer any more, which is why it failed.
        """
        self.client.confirm_alive()
        error = _step_failed(log)
        before = text_before(context.dockerfile, log.place) if log.place else None
        if before is not None and isinstance(error, BuildError):
            # BuildKit prints it with the values of its variables.
            error.instruction = context.dockerfile[len(before) :].partition("\n")[0]
            if self.keep_failure:
                error.next_step = _LOOK
                step = " ".join(log.instruction.split())
                self.keep_failure(FailedStep("docker", step, before, self._noted_images(before)))
        return error

    def _noted_images(self, dockerfile: str) -> dict[str, str]:
        """Return the IDs of the images that *dockerfile* names by references of this run, by reference."""
        names = [thing.name for thing in self.tracked.things if thing.kind == "image"]
        images = {name: self.client.inspect_image(name) for name in names if name in dockerfile}
        return {name: str(image["Id"]) for name, image in images.items() if image}

    def _image_id(self, event: dict[str, Any], log: BuildLog, temporary: str, context: BuildContext) -> str:
        """Report an event of the API, but not the *temporary* name of the image; return the image ID in it, or ""."""
        for line in clean(str(event.get("stream", ""))).split("\n"):
            step = log.add_legacy_line(line)
            if line.strip() and temporary not in line:
                self.reporter.output(line, step)
        if "error" in event:
            log.add_error(clean(str(event["error"])))
            raise self._failed(log, context)
        # BuildKit's progress is text that holds its own binary protocol; only the image ID is an object.
        aux = event.get("aux")
        return str(aux.get("ID", "")) if isinstance(aux, dict) else ""

    def _note_container(self, log: BuildLog, context: BuildContext, steps: list[str], started: float) -> None:
        """Note the container in which the legacy builder runs a step, so that it is removed if the engine dies.

        The builder's output names it. A step may print anything, but not the ID of a container that comes after it.

        Args:
            log: names the container.
            context: with the Dockerfile; it has no more such containers than RUN instructions.
            steps: containers that were named before.
            started: when the build started, seconds since 1970.
        """
        runs = len(_RUN.findall(context.dockerfile))
        if not log.container or log.container in steps or len(steps) == runs:
            return
        steps.append(log.container)
        container = self.client.inspect_container(log.container)
        if container and epoch_seconds(str(container["Created"])) >= started:
            self.tracked.note(Thing("container", log.container))


def _is_small(context: BuildContext) -> bool:
    """Return whether all files are sent in less time than it takes to find out which have changed."""
    return context.size < LARGE_CONTEXT and context.file_count < _MANY_FILES


def _step_failed(log: BuildLog) -> AzuremlTasksError:
    from azureml_tasks.engines.docker.registry_errors import disk_error

    if full := disk_error(log.last_lines):
        return full
    return failed_step(log)
