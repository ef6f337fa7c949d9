"""A build that is handed off: by a quick build, or by a task that also smoke-tests; its end is a candidate."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from azureml_tasks.config.settings import Acr
from azureml_tasks.context.build_context import confirm
from azureml_tasks.engines.acr import az_commands, cloud_smoke_test
from azureml_tasks.engines.acr.build_pieces import Route, route, whole
from azureml_tasks.engines.acr.candidates import repository_of
from azureml_tasks.engines.acr.preflight import refuse_names, refuse_secrets, refuse_smoke_test
from azureml_tasks.engines.acr.run_failure import Times, output_image
from azureml_tasks.engines.acr.run_follower import StuckError
from azureml_tasks.engines.acr.run_outcome import Outcome
from azureml_tasks.engines.acr.smoke_test import report_from_events
from azureml_tasks.engines.acr.task_file import RUN_ID, TaskFile
from azureml_tasks.errors import AzuremlTasksError, SmokeTestError, Terminated, stating
from azureml_tasks.project import build_secrets
from azureml_tasks.smoke.report import report_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.engines.acr.candidates import Candidates
    from azureml_tasks.engines.acr.remote_build import RemoteBuild
    from azureml_tasks.engines.acr.tasks_api import Request, Run
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.project.model import BuildSecret
    from azureml_tasks.registry.api import RegistryApi
    from azureml_tasks.reporter import Reporter
    from azureml_tasks.state.records import Records

__all__ = ["Build", "announced", "build_of"]


@dataclass(frozen=True, kw_only=True)
class Build:
    """One build in the cloud.

    Args:
        plan: what is built, with its registry.
        context: from which files.
        smoke_test: whether the run smoke-tests the image before it pushes it.
        route: what it builds.
    """

    plan: Plan
    context: BuildContext
    smoke_test: bool
    route: Route

    @property
    def by_task(self) -> bool:
        """Whether it takes a multi-step task: a quick build is one build, tests nothing and mounts no secrets."""
        return self.smoke_test or len(self.route.pieces) > 1 or bool(self._secrets)

    @property
    def _outcome(self) -> Outcome:
        return Outcome(plan=self.plan, context=self.context, on=self.route.on)

    @property
    def _secrets(self) -> tuple[BuildSecret, ...]:
        return self.plan.secrets if self.route.installs else ()

    def routed(self, repositories: RegistryApi, reporter: Reporter, *, no_cache: bool) -> Build:
        """The same build, from the longest prefix that *repositories* have."""
        found = route(self.plan, self.context, repositories, reporter, no_cache=no_cache)
        return replace(self, route=found)

    def file(self) -> TaskFile:
        """The task that builds, smoke-tests where it is to, and pushes."""
        return TaskFile(
            plan=self.plan,
            image=self.route.pieces[-1].image,
            context_sha256=self.context.sha256,
            pieces=self.route.pieces,
            smoke_test=self.smoke_test,
            timeout=(self.plan.acr or Acr()).timeout,
        )

    def run(
        self, hand_off: RemoteBuild, candidates: Candidates, records: Records, *, no_cache: bool
    ) -> BuiltImage:
        """Start it and follow it to its end; the candidate, which is recorded with its evidence."""
        with self._stopping(hand_off, candidates, records):
            run = self.start(hand_off, records, no_cache=no_cache)
            return self.finish(run, hand_off, candidates, records)

    def leave(
        self, hand_off: RemoteBuild, candidates: Candidates, records: Records, *, no_cache: bool
    ) -> str:
        """Start it and leave it alone; the run's id."""
        with self._stopping(hand_off, candidates, records):
            return self.start(hand_off, records, no_cache=no_cache).id

    def attach(self, run: str, hand_off: RemoteBuild, candidates: Candidates, records: Records) -> BuiltImage:
        """Follow the run of this id to its end, whoever started it; what comes back is as of `run`."""
        with self._stopping(hand_off, candidates, records):
            return self.finish(hand_off.session.tasks.get(run), hand_off, candidates, records)

    @contextmanager
    def _stopping(self, hand_off: RemoteBuild, candidates: Candidates, records: Records) -> Iterator[None]:
        """Where Ctrl-C or SIGTERM ends the block, the run ends, and what it has pushed by then goes too."""
        try:
            with hand_off.stopping():
                yield
        except (KeyboardInterrupt, Terminated):
            for run in hand_off.runs:
                self._tidy(run, hand_off, candidates)
            records.forget_run()
            raise

    def start(self, hand_off: RemoteBuild, records: Records, *, no_cache: bool) -> Run:
        """Send the context and put the run into the queue; it is recorded, so that it can be attached to."""
        hand_off.session.repositories.sign_in(repository_of(self.plan.repository))
        secrets = build_secrets.read(self._secrets)
        refuse_secrets(secrets)
        more = cloud_smoke_test.files(self.plan.smoke_test) if self.smoke_test else ()

        def ask(request: Request) -> dict[str, Any]:
            confirm(self.context)  # What was sent may be other files than were looked at.
            if not self.by_task:
                image = f"{repository_of(self.plan.repository)}:{RUN_ID}"
                return request.quick_build(image, self.context.sha256, no_cache=no_cache)
            return request.task(self.file(), secrets)

        run = hand_off.start((*self.route.members, *more), ask)
        records.write_run(run.id, self.plan.registry)
        return run

    def finish(self, run: Run, hand_off: RemoteBuild, candidates: Candidates, records: Records) -> BuiltImage:
        """Follow *run* to its end.

        Raises:
            BuildError: a step of the Dockerfile failed.
            SmokeTestError: the image did not pass, and is not in the registry.
            RegistryError: the run may not push.
            HandOffError: it came to no end of its own.
        """
        collector = cloud_smoke_test.Collector(mark=cloud_smoke_test.marker(self.plan.smoke_test))
        try:
            now, seen = hand_off.follow(run, collector)
        except StuckError:
            records.forget_run()
            raise
        events = collector.events()
        if now.status != "Succeeded":
            records.forget_run()
            raise self._outcome.error(now, seen, events)
        again = f"invoke image.attach {now.id} --engine acr"
        with stating(f"Run {now.id} has built it. Take it up again with: {again}"):
            image = self._outcome.image(now, candidates)
        records.forget_run()
        hand_off.reporter.say(f"run {now.id}: {Times.of(now)}; pushed {image.candidate}")
        if events:
            self._judge(image, events, candidates, records)
        return image

    def _tidy(self, run: Run, hand_off: RemoteBuild, candidates: Candidates) -> None:
        """Where a run came to its end before it could be cancelled, its candidate goes too."""
        with suppress(AzuremlTasksError):
            now = hand_off.session.tasks.get(run.id)
            if now.status == "Succeeded":
                candidates.remove(output_image(now, self.plan.repository).digest)

    def _judge(
        self, image: BuiltImage, events: list[dict[str, Any]], candidates: Candidates, records: Records
    ) -> None:
        """The cloud compares statuses; the answers themselves are compared here, and what differs goes again."""
        found = report_from_events(self.plan, image, events)
        if not found.passed:
            candidates.remove(image.id)
            raise SmokeTestError(report_text(found), state="Nothing was published.")
        records.write_evidence(image, self.plan.smoke_test.sha256, events)


def build_of(plan: Plan, context: BuildContext, *, smoke_test: bool) -> Build:
    """The build of the whole image of *plan*, which has its registry; what a run cannot do is refused."""
    refuse_names(plan)
    if smoke_test:
        refuse_smoke_test(plan)
    return Build(plan=plan, context=context, smoke_test=smoke_test, route=whole(plan, context))


def announced(build: Build, reporter: Reporter) -> bool:
    """Say what is done; whether it is to be done."""
    unpacked = reporter.effect(az_commands.unpack(), before=f"invoke image.context{reporter.flags} | ")
    if build.by_task:
        return unpacked & reporter.effect(az_commands.run(build.plan), file=str(build.file()))
    return unpacked & reporter.effect(az_commands.build(build.plan, build.context.sha256))
