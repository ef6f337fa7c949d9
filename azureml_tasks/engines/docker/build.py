"""One build on a Docker engine: BuildKit through the client, or the legacy builder through the API."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.context.tar_archive import archive
from azureml_tasks.engines.docker.api_build import built
from azureml_tasks.engines.docker.buildx_command import arguments, command, named_in, naming
from azureml_tasks.engines.docker.socket_http import RefusedError
from azureml_tasks.engines.docker.staged_folder import staged
from azureml_tasks.errors import AzuremlTasksError, BuildError, Terminated
from azureml_tasks.plain_text import clean
from azureml_tasks.process import stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.engines.build_log import BuildLog
    from azureml_tasks.engines.docker.builder_choice import Builder
    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.reporter import Reporter

__all__ = ["MUCH", "Build"]

MUCH = 4 * 1024 * 1024
"""Bytes of files from which sending them takes longer than what spares it."""
_MANY = 2000
"""Files from which it does so too."""

_REMOVED = 20  # seconds; an engine removes a container in well under one


class Build(NamedTuple):
    """A build under way.

    Args:
        client: the engine.
        builder: which of its builders.
        reporter: shows the output as it comes.
        scratch: folder for the one file that docker names the image in.
        steps: grows as it goes on.
        takes_archives: whether BuildKit can be sent an archive by the API, see `api_build.takes_archives`.
    """

    client: EngineClient
    builder: Builder
    reporter: Reporter
    scratch: Path
    steps: BuildLog
    takes_archives: bool = False

    def announced(self, plan: Plan, context: BuildContext, *, no_cache: bool) -> bool:
        """Say what is done, as one command to paste; whether it is to be done."""
        argv = command(self.client, self.builder, plan, context, no_cache=no_cache, names=plan.names)
        # A client that has BuildKit built in uses the legacy builder unless it is told.
        told = "DOCKER_BUILDKIT=1 " if self.builder.kind == "buildkit" else ""
        return self.reporter.effect(argv, before=f"invoke image.context{self.reporter.flags} | {told}")

    def run(self, plan: Plan, context: BuildContext, *, no_cache: bool, is_part: bool = False) -> str:
        """Build, and give the image's id.

        Args:
            plan: the image.
            context: its files, or those of a part of it.
            no_cache: whether every step is done anew.
            is_part: whether the rest is there; a whole is made by the builder that is `announced`.

        Raises:
            BuildError: a step failed; the step and its last lines are in the error.
            EngineError: the engine's disk is full.
        """
        if self.only_copies(context) and (is_part or self.builder.kind != "legacy"):
            self.reporter.say(f"{context.counted} to copy, by the engine's own BuildKit")
            return self._by_api(plan, context, no_cache=no_cache, buildkit=True)
        if self.builder.kind == "legacy":
            return self._by_api(plan, context, no_cache=no_cache, buildkit=False)
        return self._buildkit(plan, context, no_cache=no_cache)

    def only_copies(self, context: BuildContext) -> bool:
        """Whether the engine's BuildKit is asked without docker's client: no command runs, and little is sent."""
        return self.takes_archives and "\nRUN " not in context.dockerfile and _is_small(context)

    def _feed(self, context: BuildContext) -> Iterator[bytes]:
        return self.reporter.progress(archive(context), context.size, "sending the build context")

    def _buildkit(self, plan: Plan, context: BuildContext, *, no_cache: bool) -> str:
        argv = command(self.client, self.builder, plan, context, no_cache=no_cache)
        # A client with BuildKit built in sends an archive as the API does, which not every engine takes.
        as_folder = not _is_small(context) or (self.builder.kind == "buildkit" and not self.takes_archives)
        with ExitStack() as stack:
            scratch = stack.enter_context(tempfile.TemporaryDirectory(dir=self.scratch))
            named = Path(scratch) / "image"
            where = str(stack.enter_context(staged(context, self.scratch))) if as_folder else "-"
            argv[-1:] = ["--progress", "plain", naming(self.builder), str(named), where]
            feed = () if as_folder else self._feed(context)
            code = stream(argv, env={"DOCKER_BUILDKIT": "1"}, feed=feed, line=self._buildkit_line)
            if code:
                raise self._failed()
            return named_in(named.read_text(encoding="utf-8"), self.builder)

    def _buildkit_line(self, line: str) -> None:
        self.reporter.say(clean(line))
        self.steps.buildkit(clean(line))

    def _by_api(self, plan: Plan, context: BuildContext, *, no_cache: bool, buildkit: bool) -> str:
        image_id, feed = "", self._feed(context)
        events = built(
            self.client, feed, plan.platform, arguments(context), no_cache=no_cache, buildkit=buildkit
        )
        try:
            with self._no_container_left():
                for event in events:
                    image_id = self._event(event) or image_id
        except RefusedError as error:
            self.steps.refused(clean(str(error)))
            raise self._failed() from error
        return image_id

    @contextmanager
    def _no_container_left(self) -> Iterator[None]:
        """Where Ctrl-C or SIGTERM ends the block, end the step's container first: the engine would do so later."""
        try:
            yield
        except (KeyboardInterrupt, Terminated):
            from docker.errors import APIError

            api, container = self.client.sdk.api, self.steps.container
            if container:
                with suppress(APIError):  # It is gone, or the engine is at it.
                    api.remove_container(container, force=True)
                with suppress(APIError):
                    api.wait(container, timeout=_REMOVED, condition="removed")
            raise

    def _event(self, event: dict[str, Any]) -> str:
        for line in clean(str(event.get("stream", ""))).split("\n"):
            if line.strip():
                self.reporter.say(line)
            self.steps.legacy(line)
        if "error" in event:
            self.steps.refused(clean(str(event["error"])))
            raise self._failed()
        # What BuildKit reports meanwhile are bytes of its own protocol, as text.
        aux = event.get("aux")
        return str(aux.get("ID", "")) if isinstance(aux, dict) else ""

    def _failed(self) -> AzuremlTasksError:
        from azureml_tasks.engines.docker.registry_errors import disk_error

        if full := disk_error(self.steps.said):
            return full
        step = f": {self.steps.name}" if self.steps.name else "."
        return BuildError(
            f"A build step failed{step}", next_step="Its last lines say why:", said=self.steps.said
        )


def _is_small(context: BuildContext) -> bool:
    """Return whether all files of *context* are sent in less time than it takes to find out which have changed."""
    return context.size < MUCH and context.file_count < _MANY
