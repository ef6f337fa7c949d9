"""Build an image in ACR: by a quick build, or by a multi-step task that also smoke-tests it.

The result is a candidate image in the registry, see `candidates`.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.config.settings import Acr
from azureml_tasks.context.build_context import confirm
from azureml_tasks.engines.acr import az_commands
from azureml_tasks.engines.acr.build_pieces import BuildPieces, pieces_after_cached_layers
from azureml_tasks.engines.acr.candidates import RUN_ID, candidate_repository
from azureml_tasks.engines.acr.cloud_smoke_test import report_from_events, smoke_test_files
from azureml_tasks.engines.acr.layer_store import registry_layers_repository
from azureml_tasks.engines.acr.permissions import Permissions
from azureml_tasks.engines.acr.preflight import check_secrets
from azureml_tasks.engines.acr.run_failure import error_of_run
from azureml_tasks.engines.acr.run_follower import QueueTimeoutError, resume_command
from azureml_tasks.engines.acr.task_file import TaskFile, without_secrets
from azureml_tasks.engines.image_check import check_image
from azureml_tasks.errors import (
    AzuremlTasksError,
    BuildError,
    RemoteBuildError,
    SmokeTestError,
    Terminated,
    stating,
)
from azureml_tasks.incremental.cached_layers import is_layers_tag
from azureml_tasks.incremental.fingerprint import fingerprint_parts
from azureml_tasks.notice import Notice
from azureml_tasks.planning.dockerfile import CONTEXT_LABEL
from azureml_tasks.project import build_secrets
from azureml_tasks.smoke.event_lines import EventCollector, event_marker
from azureml_tasks.smoke.report import failure_text, report_text
from azureml_tasks.state.record_forms import StartedRun, is_digest, is_hash, is_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.engines.acr.candidates import Candidates
    from azureml_tasks.engines.acr.run_log import RunLog
    from azureml_tasks.engines.acr.task_runs import TaskRuns
    from azureml_tasks.engines.acr.tasks_api import Run, RunRequest
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.project.model import BuildSecret
    from azureml_tasks.registry.api import RegistryApi
    from azureml_tasks.reporter import Reporter
    from azureml_tasks.state.layer_records import LayerRecords
    from azureml_tasks.state.records import Records


@dataclass(frozen=True, kw_only=True)
class RemoteBuild:
    """One build.

    Args:
        plan: the image, with its registry.
        context: its files.
        pieces: the `docker build`s of the run.
        smoke_test: whether to smoke-test the image in the cloud before it is pushed.
        no_cache: ignore cached layers.
    """

    plan: Plan
    context: BuildContext
    pieces: BuildPieces
    smoke_test: bool = False
    no_cache: bool = False

    @property
    def smoke_tests_itself(self) -> bool:
        """Whether its run includes the smoke test.

        It does not if it has secrets: the agent writes them into a folder that each step sees, so the image would
        run beside them. The smoke test is a run of its own then.
        """
        return self.smoke_test and not self.secrets

    @property
    def uses_task(self) -> bool:
        """Whether it needs a multi-step task: a quick build is one build without smoke test and secret mounts.

        A quick build can build neither with BuildKit nor on a folder of what was uploaded, as an own Dockerfile is.
        """
        is_own = self.plan.own_dockerfile is not None
        return is_own or self.smoke_tests_itself or len(self.pieces.pieces) > 1 or bool(self.secrets)

    @property
    def secrets(self) -> tuple[BuildSecret, ...]:
        """The build secrets that it needs."""
        return self.plan.secrets if self.pieces.installs else ()

    def task_file(self) -> TaskFile:
        """Return the file of its task."""
        return TaskFile(
            plan=self.plan,
            image=self.pieces.image,
            context_sha256=self.context.sha256,
            pieces=self.pieces.pieces,
            smoke_test=self.smoke_tests_itself,
            timeout=(self.plan.acr or Acr()).timeout,
        )

    def announce(self, reporter: Reporter) -> bool:
        """Announce the commands that do the same; return False under --dry."""
        unpack = reporter.effect(az_commands.unpack(), before=az_commands.WRITE_CONTEXT)
        if self.uses_task:
            return unpack & announce_task(self.plan, self.task_file(), reporter)
        return unpack & reporter.effect(az_commands.build(self.plan, self.context.sha256))

    def after_cached_layers(
        self, repositories: RegistryApi, layers: LayerRecords, reporter: Reporter
    ) -> RemoteBuild:
        """Return the same build on top of the largest cached layers in the registry."""
        pieces = pieces_after_cached_layers(
            self.plan, self.context, repositories, layers, reporter, no_cache=self.no_cache
        )
        return replace(self, pieces=pieces)


def announce_task(plan: Plan, file: TaskFile, reporter: Reporter) -> bool:
    """Announce the commands that run *file* in the folder of the build context; return False under --dry."""
    write = reporter.effect(az_commands.write_task(), file=str(file))
    return write & reporter.effect(az_commands.run(plan), after=az_commands.secret_values(file.secrets))


@dataclass(frozen=True, kw_only=True)
class RemoteBuilder:
    """Runs the builds of one command.

    Args:
        task_runs: the runs.
        candidates: the candidate images of the repository.
        records: of the project.
        layers: records of its cached layers in the registry.
    """

    task_runs: TaskRuns
    candidates: Candidates
    records: Records
    layers: LayerRecords

    def build(self, build: RemoteBuild) -> BuiltImage:
        """Start a run, follow it, and return the candidate image; errors as of `_finish`."""
        with self._cleaned_up_on_interrupt(build):
            return self._finish(build, self._start(build))

    def start(self, build: RemoteBuild) -> str:
        """Start a run and return its ID."""
        with self._cleaned_up_on_interrupt(build):
            return self._start(build).id

    def resume(self, build: RemoteBuild, run: str) -> BuiltImage:
        """Follow the run with this ID, which another command started; errors as of `_finish`."""
        with self._cleaned_up_on_interrupt(build):
            return self._finish(build, self.task_runs.session.tasks.get(run))

    @contextmanager
    def _cleaned_up_on_interrupt(self, build: RemoteBuild) -> Iterator[None]:
        """Cancel the runs if Ctrl-C or a signal ends the block, and delete candidates that were already pushed."""
        try:
            with self.task_runs.cancelled_on_interrupt():
                yield
        except (KeyboardInterrupt, Terminated):
            for run in self.task_runs.runs:
                self._discard(build, run)
            raise

    def _discard(self, build: RemoteBuild, run: Run) -> None:
        """Delete the candidate that *run*, whose image nobody wants, may have pushed before it ended.

        What is not certainly gone stays on record, for `image.clean`.
        """
        with suppress(AzuremlTasksError):
            run = run if run.ended else self.task_runs.session.tasks.get(run.id)
            candidates = candidate_repository(build.plan.repository)
            manifest = self.candidates.repositories.manifest(candidates, run.id)
            if run.ended and (not manifest or self.candidates.remove(manifest.digest)):
                self.records.forget_run(run.id)

    def _start(self, build: RemoteBuild) -> Run:
        candidates = candidate_repository(build.plan.repository)
        self._check(build)
        secrets = build_secrets.read_secrets(build.secrets)
        check_secrets(secrets)
        files = build.pieces.context_files
        if build.secrets:
            files += (without_secrets(),)
        if build.smoke_tests_itself:
            files += smoke_test_files(build.plan.smoke_test)

        def make_request(request: RunRequest) -> dict[str, Any]:
            confirm(build.context)  # A file may have changed between its hash and the upload.
            if build.uses_task:
                return request.task(build.task_file(), secrets)
            image = f"{candidates}:{RUN_ID}"
            return request.quick_build(image, build.context.sha256, no_cache=build.no_cache)

        run = self.task_runs.start(files, make_request)
        self.records.write_run(
            StartedRun(
                run=run.id,
                registry=build.plan.registry,
                names=build.plan.names,
                installed_at=build.pieces.installed_at,
            )
        )
        return run

    def _check(self, build: RemoteBuild) -> None:
        """Check what the registry and the identity must be able to do, before anything is sent.

        Raises:
            RegistryError: the registry runs no tasks, or a permission is missing.
        """
        session = self.task_runs.session
        session.tasks.refuse_dual_stack()
        permissions = Permissions(session=session, plan=build.plan, say=self.task_runs.reporter.say)
        permissions.check_build(with_layers=bool(build.pieces.cached_layers) or len(build.pieces.pieces) > 1)

    def _finish(self, build: RemoteBuild, run: Run) -> BuiltImage:
        """Follow *run* until it ends.

        Raises:
            BuildError: a step of the Dockerfile failed.
            SmokeTestError: the image failed its smoke test, and was not pushed or its candidate was deleted.
            RegistryError: the run may not push.
            RemoteBuildError: the run did not finish.
        """
        collector = EventCollector(marker=event_marker(build.plan.smoke_test))
        try:
            run, log = self.task_runs.follow(run, collector)
        except QueueTimeoutError:
            self._discard(build, run)
            raise
        if run.status != "Succeeded":
            self._discard(build, run)
            raise _error(build, run, log, collector)
        with stating(f"Run {run.id} has built the image. To finish: {resume_command(run.id)}"):
            image = self._candidate_image(build, run)
        if self.records.read_run(run.id):
            self._record_layers(build, run)
        self.task_runs.reporter.say(f"run {run.id}: {run.durations}; pushed {image.candidate}")
        if events := collector.closed_events():
            self._check_report(build, image, run, events)
        elif collector.was_cut:
            what = f"the log of run {run.id} was cut, so that its smoke test is not judged and has to be run again"
            self.task_runs.reporter.warn(Notice("log-cut", what))
        self.records.forget_run(run.id)
        return image

    def _record_layers(self, build: RemoteBuild, run: Run) -> None:
        """Record the cached layers that a run of this project has pushed, by their digests."""
        repository = registry_layers_repository(build.plan)
        for image in run.images:
            if image.repository == repository and is_layers_tag(image.tag) and is_digest(image.digest):
                self.layers.write(image.tag, image.digest, f"{build.plan.registry}/{repository}:{image.tag}")

    def _candidate_image(self, build: RemoteBuild, run: Run) -> BuiltImage:
        """Return the candidate that *run* has pushed, as it is in the registry."""
        plan, started = build.plan, self.records.read_run(run.id)
        digest = self._digest(build, run)
        candidate = self.candidates.find(digest)
        if not candidate:
            raise BuildError(
                f"Run {run.id} reports that it pushed {digest}, but the registry does not have it.",
                next_step="invoke image.build --engine acr",
                state="Nothing was built.",
            )
        config = self.candidates.repositories.config(*candidate)
        if plan.own_dockerfile:
            self._check_own(build, run, config)
        label, user = (config.get("Labels") or {}).get(CONTEXT_LABEL), config.get("User")
        context_sha256 = str(label) if is_hash(label) else build.context.sha256
        is_of_context = started and context_sha256 == build.context.sha256 and not plan.own_dockerfile
        parts = fingerprint_parts(plan, build.context, str(plan.base)) if is_of_context else {}
        return BuiltImage(
            id=digest,
            names=(started and started.names) or plan.names,
            engine="acr",
            context_sha256=context_sha256,
            user=str(user) if is_words(user) else "",
            candidate=f"{plan.registry}/{candidate_repository(plan.repository)}@{digest}",
            run=run.id,
            cached_layers=_cached_layers(build, run),
            fingerprint_parts=parts,
            installed_at=((started and started.installed_at) or int(time.time())) if parts else 0,
        )

    def _check_own(self, build: RemoteBuild, run: Run, config: Mapping[str, Any]) -> None:
        """Check the image of the project's own Dockerfile, and delete the candidate if it cannot serve.

        Raises:
            BuildError: it runs as root, or starts nothing.
        """
        try:
            for warning in check_image(build.plan, config):
                self.task_runs.reporter.warn(warning)
        except BuildError:
            self._discard(build, run)
            raise

    def _digest(self, build: RemoteBuild, run: Run) -> str:
        """Return the digest of the candidate that *run* has pushed, which ACR names; else the registry is asked.

        Raises:
            RemoteBuildError: neither knows it.
        """
        candidates = candidate_repository(build.plan.repository)
        for image in run.images:
            if image.repository == candidates and image.digest:
                return image.digest
        if manifest := self.candidates.repositories.manifest(candidates, run.id):
            return manifest.digest
        raise RemoteBuildError(
            f"Run {run.id} succeeded, but there is no image that it pushed to {candidates}.",
            next_step="Run the same command again.",
            state="Nothing was built.",
        )

    def _check_report(
        self, build: RemoteBuild, image: BuiltImage, run: Run, events: list[dict[str, Any]]
    ) -> None:
        """Compare the answers of the smoke test, of which the run has only compared the status codes."""
        report = report_from_events(build.plan, image, events)
        if not report.passed:
            self._discard(build, run)
            raise SmokeTestError(
                report_text(report), brief=failure_text(report), state="Nothing was published."
            )
        self.records.write_probe_events(image, build.plan.smoke_test.sha256, events)


def _error(build: RemoteBuild, run: Run, log: RunLog, collector: EventCollector) -> AzuremlTasksError:
    """Return the report of a failed smoke test, or else the error of the step that failed."""
    if collector.was_cut and run.status == "Failed":
        what = f"Run {run.id} failed, and its log was cut, so that its smoke test is not judged."
        return RemoteBuildError(what, next_step=f"To read the log again: {resume_command(run.id)}")
    if (events := collector.closed_events()) and run.status == "Failed":
        plan = build.plan
        image = BuiltImage(
            id="",
            names=plan.names,
            engine="acr",
            context_sha256=build.context.sha256,
            user=plan.user,
            run=run.id,
        )
        report = report_from_events(plan, image, events)
        if not report.passed:
            return SmokeTestError(
                report_text(report), brief=failure_text(report), state="Nothing was pushed."
            )
    return error_of_run(run, log)


def _cached_layers(build: RemoteBuild, run: Run) -> tuple[str, ...]:
    """Return the cached layers of the image: those that were in the registry, and those that the run has pushed."""
    repository = registry_layers_repository(build.plan)
    pushed = [image.digest for image in run.images if image.repository == repository and image.digest]
    reused = [build.pieces.cached_layers] if build.pieces.cached_layers else []
    return (*reused, *(f"{build.plan.registry}/{repository}@{digest}" for digest in pushed))
