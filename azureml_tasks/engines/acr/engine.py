"""Azure Container Registry as an engine: its tasks build and smoke-test, a copy in the registry publishes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.config.settings import Acr
from azureml_tasks.engines.acr import az_commands
from azureml_tasks.engines.acr.build import Build, announced, build_of
from azureml_tasks.engines.acr.build_pieces import whole
from azureml_tasks.engines.acr.candidates import Candidates, final_of, repository_of
from azureml_tasks.engines.acr.layer_store import RegistryLayerStore
from azureml_tasks.engines.acr.preflight import refuse_smoke_test
from azureml_tasks.engines.acr.remote_build import RemoteBuild
from azureml_tasks.engines.acr.session import Session, open_session
from azureml_tasks.engines.acr.smoke_test import (
    report_of_build_run,
    smoke_test_in_cloud,
    smoke_test_locally,
    smoke_test_task,
)
from azureml_tasks.errors import RegistryError
from azureml_tasks.planning.plan import SECRET_MOUNTS
from azureml_tasks.registry.auth import ACR_USER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.engines.docker.engine import DockerEngine
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.reporter import Reporter
    from azureml_tasks.smoke.report import Report
    from azureml_tasks.state.records import Records

__all__ = ["AcrEngine"]


@dataclass(kw_only=True)
class AcrEngine:
    """A registry that builds; see `base.Engine` for what each operation is.

    Args:
        plan: of the command.
        records: what earlier commands left, and this one leaves.
        reporter: where words go.
        local: the engine of this machine for the smoke test; None if none answers, and the cloud is used.
    """

    plan: Plan
    records: Records
    reporter: Reporter
    local: DockerEngine | None
    name: str = "acr"
    features: frozenset[str] = frozenset({SECRET_MOUNTS})

    @cached_property
    def session(self) -> Session:
        """Signed in, and the registry found; asked for when it is first needed."""
        return open_session(self.plan.acr or Acr(), self.plan.registry, self.reporter)

    @property
    def registry(self) -> str:
        """The login server; under --dry nobody asks the workspace for it."""
        return self.plan.registry or ("REGISTRY" if self.reporter.dry else self.session.registry.login_server)

    def describe(self) -> str:
        """Which registry, and where the image is smoke-tested."""
        acr = self.plan.acr or Acr()
        where = self.plan.registry or f"the registry of workspace {acr.workspace}"
        here = self.local and f"on the local engine at {self.local.client.host}"
        smoke_test = here or "in the cloud, since no local engine answers"
        return f"Azure Container Registry {where} ({acr.cloud}); smoke test {smoke_test}"

    def planned_image(self, plan: Plan, context: BuildContext) -> BuiltImage:
        """The image as far as it is known before it is built: it has no id yet."""
        return BuiltImage(
            id="", names=plan.names, engine=self.name, context_sha256=context.sha256, user=plan.user
        )

    def base_id(self, plan: Plan) -> str:
        """The reference: whether its tag has moved nobody here can tell, which is why prefixes on it grow old."""
        return str(plan.base)

    def tag_image(self, image: BuiltImage, names: Sequence[str]) -> None:
        """A candidate gets its names when it is published."""

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
        """Hand the build off; what comes back is a candidate, which has passed if the cloud smoke-tests it.

        Args:
            plan: what is built.
            context: from which files.
            no_cache: whether the prefixes that the registry keeps are left alone, and made anew.
            pull: of no effect, since each run pulls the base.
            smoke_test: whether the cloud smoke-tests it before it is pushed, if no local engine does.
            previous: of no effect, since the registry tells what it has.
        """
        del pull, previous
        build = build_of(self._named(plan), context, smoke_test=smoke_test and not self.local)
        if not announced(build, self.reporter):
            return self.planned_image(plan, context)
        found = build.routed(self.session.repositories, self.reporter, no_cache=no_cache)
        return found.run(self.hand_off(plan), self.candidates, self.records, no_cache=no_cache)

    def start(self, plan: Plan, context: BuildContext, *, no_cache: bool) -> str:
        """Hand the build off and do not wait; the run's id."""
        build = build_of(self._named(plan), context, smoke_test=not self.local)
        if not announced(build, self.reporter):
            return ""
        routed = build.routed(self.session.repositories, self.reporter, no_cache=no_cache)
        return routed.leave(self.hand_off(plan), self.candidates, self.records, no_cache=no_cache)

    def attach(self, plan: Plan, context: BuildContext, run: str) -> BuiltImage:
        """Follow a run that was started before to its end, as build does; its id is *run*."""
        named = self._named(plan)
        build = Build(plan=named, context=context, smoke_test=True, route=whole(named, context))
        if not self.reporter.effect(az_commands.logs(plan, run)):
            return self.planned_image(plan, context)
        return build.attach(run, self.hand_off(plan), self.candidates, self.records)

    def exists(self, image: BuiltImage) -> bool:
        """Whether the registry has it, waiting or published; RegistryError for one that was built in another."""
        if (host := image.names[0].partition("/")[0]).lower() != self.registry.lower():
            fix = f"invoke image.build --engine acr --registry {self.registry}"
            what = f"The image was built in {host}, and {self.registry} is another registry."
            raise RegistryError(what, next_step=fix)
        return self.reporter.dry or self.candidates.find(image.id) is not None

    def smoke_test(self, plan: Plan, image: BuiltImage) -> Report | None:
        """Smoke-test the candidate: on the local engine if one answers, else in the cloud, unless its run did."""
        source = f"{self.registry}/{repository_of(plan.repository)}"
        if self.local:
            name = f"{source}@{image.id or 'DIGEST'}" if self.reporter.dry else self._by_digest(image)
            return smoke_test_locally(plan, image, name, self.local, self._login)
        if report := report_of_build_run(plan, image, self.records):
            return report
        refuse_smoke_test(plan)
        if self.reporter.dry and not image.id:
            return None  # The run that would build would smoke-test.
        file = smoke_test_task(plan, f"{source}@{image.id}", image.context_sha256)
        if not self.reporter.effect(az_commands.run(plan), file=str(file)):
            return None
        return smoke_test_in_cloud(plan, image, self._by_digest(image), self.hand_off(plan), self.records)

    def _by_digest(self, image: BuiltImage) -> str:
        """Where the image is to be pulled from: its candidate may have been published by another release."""
        found = self.candidates.find(image.id)
        repository = found[0] if found else repository_of(self.plan.repository)
        return f"{self.registry}/{repository}@{image.id}"

    def _login(self) -> tuple[str, str]:
        return ACR_USER, self.session.repositories.auth.refresh_token()

    def push(self, image: BuiltImage, name: str) -> str:
        """Copy the candidate to *name*; its digest stays, and the registry confirms it."""
        repository, _, tag = name.partition("/")[2].rpartition(":")
        source = f"{self.registry}/{repository_of(repository)}@{image.id or 'DIGEST'}"
        if not self.reporter.effect(az_commands.copy(self.registry, source, f"{repository}:{tag}")):
            return ""
        return self.candidates.publish(image.id, tag)

    def discard_candidate(self, image: BuiltImage) -> None:
        """Delete the candidate: it is published, or has failed."""
        repository = repository_of(self.plan.repository)
        if not self.reporter.effect(
            az_commands.delete(self.registry, f"{repository}@{image.id or 'DIGEST'}")
        ):
            return
        if self.candidates.remove(image.id):
            self.records.candidate_is_gone(image)
            self.reporter.say(f"removed the candidate {self.registry}/{repository}@{image.id}")

    def layer_store(self, plan: Plan) -> RegistryLayerStore:
        """Those of the repository of its prefixes."""
        at = self.session.repositories
        return RegistryLayerStore(repositories=at, plan=self._named(plan), reporter=self.reporter)

    def remove(self, image: BuiltImage) -> list[str]:
        """Delete every candidate of the records that still waits."""
        waiting = dict.fromkeys([*self.records.waiting(), image.candidate])
        return [each for each in waiting if each and self._removed(each)]

    def _removed(self, candidate: str) -> bool:
        repository, _, digest = candidate.partition("/")[2].partition("@")
        effect = self.reporter.effect(az_commands.delete(self.registry, f"{repository}@{digest}"))
        return effect and replace(self.candidates, repository=final_of(repository)).remove(digest)

    @property
    def candidates(self) -> Candidates:
        """Those of the plan's repository."""
        return Candidates.of(self.session, self.plan.repository, self.reporter)

    def hand_off(self, plan: Plan) -> RemoteBuild:
        """The way of *plan* through the tasks of this registry."""
        return RemoteBuild(session=self.session, plan=self._named(plan), reporter=self.reporter)

    def _named(self, plan: Plan) -> Plan:
        return plan if plan.registry else plan._replace(registry=self.registry)
