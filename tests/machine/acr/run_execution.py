"""The execution of one run: source, task, steps and result."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from azure.core.exceptions import AzureError

from tests.machine.acr import dockerfile_scan, source
from tests.machine.acr.run_task import run_task
from tests.machine.acr.runs import Run
from tests.machine.acr.step_order import run_in_order
from tests.machine.acr.step_runner import StepError, StepRunner
from tests.machine.acr.storage import Storage
from tests.machine.acr.task_file import Step, Task

__all__ = ["RunExecution"]


@dataclass(kw_only=True)
class RunExecution:
    """Executes one run.

    Args:
        run: the run.
        runner: where it is carried out.
        storage: where its source is.
        servers: the registries that it has a credential for.
        digest: repository, tag -> the digest that the registry itself names.
    """

    run: Run
    runner: StepRunner
    storage: Storage
    servers: Sequence[str]
    digest: Callable[[str, str], str | None]
    _took: dict[str, float] = field(default_factory=dict)

    def execute(self, stop: Callable[[], None]) -> None:
        """Execute the run; *stop* ends the parallel steps of one that fails.

        Raises:
            BadSourceError: the source cannot be had.
            TaskError: the task cannot be read.
            StepError: a step failed.
        """
        self._download()
        server = self.run.registry.login_server
        task = run_task(self.run, self.runner.workspace, may_push=server in self.servers)
        self.runner.log.line("Setting up Docker configuration...")
        self.runner.log.line("Successfully set up Docker configuration")
        for server in self.servers:
            self.runner.log.line(f"Logging in to registry: {server}")
            self.runner.log.line(f"Successfully logged into {server}")
        self.runner.prepare(task)
        run_in_order(task.steps, self._carry_out, stop)
        self._report(task)

    def _download(self) -> None:
        location = self.run.request.get("sourceLocation")
        if not location:
            return
        self.runner.log.line("Downloading source code...")
        try:
            self.run.archive = self.storage.blob(location).download_blob().readall()
        except AzureError as error:
            raise source.BadSourceError(f"unable to download remote context: {error.message}") from None
        source.unpack(self.run.archive, self.runner.workspace)
        self.runner.log.line("Finished downloading source code")
        self.runner.log.line(f"Using acb_vol_{self.runner.cleanup.run} as the home volume")

    def _carry_out(self, step: Step) -> None:
        start = time.monotonic()
        try:
            self.runner.run_step(step)
        except StepError as error:
            if "ignoreErrors" not in step.options or self.runner.shell.stopped:
                raise
            failure = f"Step ID: {step.id} encountered an error: {error}"
            self.runner.log.line(f"{failure}, but is set to ignore errors. Continuing...")
        self._took[step.id] = time.monotonic() - start

    def _report(self, task: Task) -> None:
        dependencies: list[str] = []
        for step in task.steps:
            seconds = f"(elapsed time in seconds: {self._took[step.id]:.6f})"
            self.runner.log.line(f"Step ID: {step.id} marked as successful {seconds}")
            if not step.build:
                continue
            self.runner.log.line(f"Populating digests for step ID: {step.id}...")
            images = self._pushed(dockerfile_scan.build_words(step.build).tags, task.steps)
            self.runner.log.line(f"Successfully populated digests for step ID: {step.id}")
            self.run.output_images.extend(images)
            dependencies += [line for image in images for line in _dependency(image)]
        if dependencies:
            self.runner.log.line("The following dependencies were found:")
            self.runner.log.line("\n" + "\n".join(dependencies))

    def _pushed(self, tags: Sequence[str], steps: Sequence[Step]) -> list[Mapping[str, str]]:
        """Return the images that this run has pushed."""
        server = self.run.registry.login_server
        pushed = {image for step in steps for image in step.push}
        images: list[Mapping[str, str]] = []
        for name in tags:
            repository, _, tag = name.removeprefix(f"{server}/").partition(":")
            tag = tag or "latest"
            if f"{server}/{repository}:{tag}" in pushed and (digest := self.digest(repository, tag)):
                images.append({"registry": server, "repository": repository, "tag": tag, "digest": digest})
        return images


def _dependency(image: Mapping[str, str]) -> list[str]:
    return ["- image:", *(f"    {name}: {value}" for name, value in image.items())]
