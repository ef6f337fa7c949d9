"""The engine `acr`."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from azureml_tasks.built_image import BuiltImage, PushedTag
from azureml_tasks.config.settings import Acr
from azureml_tasks.engines.acr import az_commands, orphans
from azureml_tasks.engines.acr.build_pieces import whole_image
from azureml_tasks.engines.acr.candidates import SUFFIX, Candidates, candidate_repository
from azureml_tasks.engines.acr.layer_store import RegistryLayerStore, layer_records
from azureml_tasks.engines.acr.permissions import Permissions
from azureml_tasks.engines.acr.preflight import check_dockerfile, check_repository, check_smoke_test
from azureml_tasks.engines.acr.remote_build import RemoteBuild, RemoteBuilder, announce_task
from azureml_tasks.engines.acr.session import Session, open_session
from azureml_tasks.engines.acr.smoke_test import (
    report_of_build_run,
    smoke_test_in_cloud,
    smoke_test_locally,
    smoke_test_task,
)
from azureml_tasks.engines.acr.task_runs import TaskRuns
from azureml_tasks.errors import BuildError, EngineError, RegistryError
from azureml_tasks.planning.plan import BUILDKIT, SECRET_MOUNTS
from azureml_tasks.registry.auth import ACR_USER
from azureml_tasks.state.failed_step import FailedStep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.context.context_file import ContextFile
    from azureml_tasks.engines.docker.engine import DockerEngine
    from azureml_tasks.engines.docker.shell import Inside
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.project.model import SmokeTestPlan
    from azureml_tasks.reporter import Reporter
    from azureml_tasks.smoke.container_protocol import AnsweringServer
    from azureml_tasks.smoke.report import Report
    from azureml_tasks.state.records import Records


@dataclass(kw_only=True)
class AcrEngine:
    """Builds, smoke-tests and publishes in a registry; see `protocol.Engine` for each operation.

    Args:
        plan: of the command.
        records: of the project.
        reporter: gets output.
        local: the local engine, which runs smoke tests; None if none answers, and they run in the cloud.
        project: its folder.
        sessions: of the command, by the options of the table and the registry; its images share them.
    """

    plan: Plan
    records: Records
    reporter: Reporter
    local: DockerEngine | None
    project: Path
    sessions: dict[tuple[Acr, str], Session] = field(default_factory=dict)
    name: str = "acr"
    features: frozenset[str] = frozenset({SECRET_MOUNTS, BUILDKIT})

    @cached_property
    def session(self) -> Session:
        """The signed-in session, opened when it is first needed."""
        key = self.plan.acr or Acr(), self.plan.registry
        if key not in self.sessions:
            self.sessions[key] = open_session(*key, self.reporter)
        return self.sessions[key]

    @property
    def registry(self) -> str:
        """The login server; REGISTRY under --dry if only Azure knows it."""
        return self.plan.registry or ("REGISTRY" if self.reporter.dry else self.session.registry.login_server)

    def describe(self) -> str:
        """Return which registry builds, and where the smoke test runs."""
        acr = self.plan.acr or Acr()
        registry = self.plan.registry or f"the registry of workspace {acr.workspace}"
        place = (
            f"on the local engine at {self.local.client.host}"
            if self.local
            else "in the cloud, because no local engine answers"
        )
        return f"Azure Container Registry {registry} ({acr.cloud}); smoke test {place}"

    def title(self) -> str:
        """Return what `describe` returns: a person needs all of it."""
        return self.describe()

    def planned_image(self, plan: Plan, context: BuildContext) -> BuiltImage:
        """Return the image without an ID."""
        return BuiltImage(
            id="", names=plan.names, engine=self.name, context_sha256=context.sha256, user=plan.user
        )

    def base_id(self, plan: Plan) -> str:
        """Return the reference: the registry does not tell whether its tag has moved, so cached layers expire."""
        return str(plan.base)

    def missing_helper(self, registry: str) -> None:
        """Return None: this engine signs in to Azure by itself."""

    def base_python(self, plan: Plan) -> tuple[int, int] | None:
        """Return the version of the base's Python if the local engine has the base; None otherwise."""
        return self.local.base_python(plan) if self.local else None

    def base_variables(self, plan: Plan) -> Mapping[str, str] | None:
        """Return the variables that the base sets if the local engine has the base; None otherwise."""
        return self.local.base_variables(plan) if self.local else None

    def check_base(self, plan: Plan) -> None:
        """Do nothing: the agent pulls the base, which may be another one than this machine's."""

    def base_as_image(self, plan: Plan) -> BuiltImage:
        """Refuse: where code is mounted into the base, there is nothing to build in a registry."""
        what = f"{plan.repository} is delivered by mounting its code, which needs no remote build."
        raise EngineError(what, next_step="Use the local engine: leave out --engine acr")

    def make_packages_folder(
        self, image: BuiltImage, files: Sequence[ContextFile], folder: Path, made_from: str
    ) -> None:
        """Do nothing: `base_as_image` has refused."""

    def check_push(self, plan: Plan) -> None:
        """Check that the registry lets the signed-in identity give a candidate its final tags; not under --dry.

        What needs no registry is checked first.
        """
        check_repository(plan)
        if not self.local:
            check_smoke_test(plan)
        if not self.reporter.dry:
            plan = self._with_registry(plan)
            Permissions(session=self.session, plan=plan, say=self.reporter.say).check_push()

    def tag_image(self, image: BuiltImage, names: Sequence[str]) -> None:
        """Do nothing: a candidate gets its tags when it is pushed."""

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
        """Run a remote build and return the candidate image.

        Args:
            plan: the image.
            context: its files.
            no_cache: ignore cached layers.
            pull: no effect: an agent always pulls the base.
            smoke_test: smoke-test the image in the cloud before it is pushed, if there is no local engine.
            previous: no effect.
            keep_failure: takes what failed; of the steps of a remote build nothing is on this machine.
        """
        del pull, previous
        build = self._remote_build(plan, context, no_cache=no_cache, smoke_test=smoke_test)
        if not build.announce(self.reporter):
            return self.planned_image(plan, context)
        try:
            return self._builder(plan).build(self._after_cached_layers(build))
        except BuildError as error:
            keep_failure(FailedStep(self.name, error.what))
            raise

    def start(self, plan: Plan, context: BuildContext, *, no_cache: bool) -> str:
        """Start a remote build, and return the ID of its run; "" under --dry."""
        build = self._remote_build(plan, context, no_cache=no_cache, smoke_test=True)
        if not build.announce(self.reporter):
            return ""
        return self._builder(plan).start(self._after_cached_layers(build))

    def resume(self, plan: Plan, context: BuildContext, run: str) -> BuiltImage:
        """Follow a run that `start` has started, and return its candidate image."""
        if not self.reporter.effect(az_commands.logs(plan, run)):
            return self.planned_image(plan, context)
        plan = self._with_registry(plan)
        build = RemoteBuild(plan=plan, context=context, pieces=whole_image(plan, context))
        return self._builder(plan).resume(build, run)

    def image_bytes(self, image: BuiltImage) -> None:
        """Return None: a registry knows only how large the compressed layers are."""

    def exists(self, image: BuiltImage) -> bool:
        """Return whether the registry has the image.

        Raises:
            RegistryError: it was built in another registry.
        """
        registry = image.names[0].partition("/")[0]
        if registry.lower() != self.registry.lower():
            what = f"The image was built in {registry}, not in {self.registry}."
            fix = f"invoke image.build --engine acr --registry {self.registry}"
            raise RegistryError(what, next_step=fix)
        return self.reporter.dry or self._candidates.find(image.id) is not None

    def smoke_test(self, plan: Plan, image: BuiltImage, keep_log: Callable[[str], None]) -> Report | None:
        """Smoke-test the candidate on the local engine, or else in the cloud; None under --dry."""
        candidates = f"{self.registry}/{candidate_repository(plan.repository)}"
        if self.local:
            name = self._candidate_name(plan, image)
            return smoke_test_locally(plan, image, name, self.local, self._login, keep_log)
        if report := report_of_build_run(plan, image, self.records):
            return report
        check_smoke_test(plan)
        if self.reporter.dry and not image.id and not plan.secrets:
            return None  # The run of the build, which was announced, includes the smoke test.
        task = smoke_test_task(plan, f"{candidates}@{image.id or 'DIGEST'}", image.context_sha256)
        unpack = self.reporter.effect(az_commands.unpack(), before=az_commands.WRITE_CONTEXT)
        if not unpack & announce_task(plan, task, self.reporter):
            return None
        return smoke_test_in_cloud(plan, image, self._reference(image), self._task_runs(plan), self.records)

    @contextmanager
    def answering(self, plan: Plan, image: BuiltImage) -> Iterator[AnsweringServer]:
        """Pull the candidate to the local engine, and run it there for the block, once its health check answers."""
        local = self._engine_here("a server")
        with (
            local.pulled(self._reference(image), self._login) as local_id,
            local.answering(plan, image._replace(id=local_id)) as server,
        ):
            yield server

    def run_inside(self, image: BuiltImage, smoke_test: SmokeTestPlan, inside: Inside) -> int:
        """Pull the candidate to the local engine, and run a command in it there; return its exit code."""
        from azureml_tasks.engines.docker.shell import run_inside

        local, name = self._engine_here("a shell"), self._candidate_name(self.plan, image)
        with local.pulled(name, self._login) as local_id:
            # Under --dry there is no local ID, and the announced commands show the name.
            return run_inside(local, image._replace(id=local_id or name), smoke_test, inside)

    def _engine_here(self, what_for: str) -> DockerEngine:
        """Return the local engine.

        Args:
            what_for: what needs it, such as "a shell".

        Raises:
            EngineError: none answers.
        """
        if self.local:
            return self.local
        what = f"No local engine answers, and {what_for} needs one: it pulls the image and runs it here."
        raise EngineError(what, next_step="docker context ls")

    def _candidate_name(self, plan: Plan, image: BuiltImage) -> str:
        """Return the name by which the candidate is pulled; under --dry there may be none yet."""
        if not self.reporter.dry:
            return self._reference(image)
        return f"{self.registry}/{candidate_repository(plan.repository)}@{image.id or 'DIGEST'}"

    def digest(self, image: BuiltImage) -> str:
        """Return the candidate's digest, which its copies have as well; `sha256:DIGEST` under --dry without one."""
        return image.id or "sha256:DIGEST"

    def push(self, image: BuiltImage, name: str, *, never_moves: bool = False) -> PushedTag:
        """Copy the candidate to *name*; return its digest, which the registry confirms, and what was there before."""
        repository, _, tag = name.partition("/")[2].rpartition(":")
        source = f"{self.registry}/{candidate_repository(repository)}@{image.id or 'DIGEST'}"
        target = f"{repository}:{tag}"
        command = az_commands.copy(self.registry, source, target, force=not never_moves)
        if not self.reporter.effect(command):
            return PushedTag(digest="")
        return self._candidates.publish(image.id, tag, never_moves=never_moves)

    def discard_candidate(self, image: BuiltImage) -> None:
        """Delete the candidate."""
        reference = f"{candidate_repository(self.plan.repository)}@{image.id or 'DIGEST'}"
        if not self.reporter.effect(az_commands.delete(self.registry, reference)):
            return
        if self._candidates.remove(image.id):
            self.records.forget_candidate(image)
            self.reporter.say(f"deleted the candidate image {self.registry}/{reference}")

    def layer_store(self, plan: Plan) -> RegistryLayerStore:
        """Return the cached layers of *plan* in the registry."""
        return RegistryLayerStore(
            repositories=self.session.repositories, plan=self._with_registry(plan), reporter=self.reporter
        )

    def remove_leftovers(self) -> list[str]:
        """Remove what killed runs have left on the local engine."""
        return self.local.remove_leftovers() if self.local else []

    def remove(self, image: BuiltImage) -> list[str]:
        """Delete every recorded candidate, and return those that were deleted."""
        recorded = dict.fromkeys([*self.records.waiting_candidates(), image.candidate])
        return [candidate for candidate in recorded if candidate and self._remove_candidate(candidate)]

    def remove_orphans(self) -> Iterator[str]:
        """Delete the candidates of runs that were started here and whose images nobody took over; yield each."""
        if not orphans.announce(self.records, self.reporter):
            return
        yield from orphans.Orphans(
            candidates=self._candidates,
            tasks=self.session.tasks,
            records=self.records,
            reporter=self.reporter,
        ).remove()

    def _remove_candidate(self, candidate: str) -> bool:
        repository, _, digest = candidate.partition("/")[2].partition("@")
        if not self.reporter.effect(az_commands.delete(self.registry, f"{repository}@{digest}")):
            return False
        return replace(self._candidates, repository=repository.removesuffix(SUFFIX)).remove(digest)

    def _remote_build(
        self, plan: Plan, context: BuildContext, *, no_cache: bool, smoke_test: bool
    ) -> RemoteBuild:
        """Return the build of the whole image, after checking that a run can do it."""
        plan = self._with_registry(plan)
        smoke_test = smoke_test and not self.local
        check_repository(plan)
        check_dockerfile(plan)
        if smoke_test:
            check_smoke_test(plan)
        return RemoteBuild(
            plan=plan,
            context=context,
            pieces=whole_image(plan, context),
            smoke_test=smoke_test,
            no_cache=no_cache,
        )

    def _after_cached_layers(self, build: RemoteBuild) -> RemoteBuild:
        layers = layer_records(build.plan, self.project)
        return build.after_cached_layers(self.session.repositories, layers, self.reporter)

    def _builder(self, plan: Plan) -> RemoteBuilder:
        return RemoteBuilder(
            task_runs=self._task_runs(plan),
            candidates=self._candidates,
            records=self.records,
            layers=layer_records(self._with_registry(plan), self.project),
        )

    def _task_runs(self, plan: Plan) -> TaskRuns:
        return TaskRuns(session=self.session, plan=self._with_registry(plan), reporter=self.reporter)

    @property
    def _candidates(self) -> Candidates:
        return Candidates.of(self.session, self.plan.repository, self.reporter)

    def _reference(self, image: BuiltImage) -> str:
        """Return the image by its digest: another release of the same files may have published its candidate."""
        candidate = self._candidates.find(image.id)
        repository = candidate[0] if candidate else candidate_repository(self.plan.repository)
        return f"{self.registry}/{repository}@{image.id}"

    def _login(self) -> tuple[str, str]:
        return ACR_USER, self.session.repositories.auth.refresh_token()

    def _with_registry(self, plan: Plan) -> Plan:
        return plan if plan.registry else plan._replace(registry=self.registry)
