"""Azure Container Registry as an engine: builds by its tasks, proof where a container can run, copies to publish."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from azureml_tasks.acr import commands, proving
from azureml_tasks.acr.announcing import announced
from azureml_tasks.acr.building import Build, build_of
from azureml_tasks.acr.candidates import Candidates, final_of, repository_of
from azureml_tasks.acr.handing_off import HandOff
from azureml_tasks.acr.kept import RegistryKeeper
from azureml_tasks.acr.limits import refuse_proof
from azureml_tasks.acr.registry_tokens import USER
from azureml_tasks.acr.route import whole
from azureml_tasks.acr.session import Session, open_session
from azureml_tasks.engines.images import Image
from azureml_tasks.errors import RegistryError
from azureml_tasks.planning import SECRETS
from azureml_tasks.settings import Acr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.context import Context
    from azureml_tasks.engines.docker import DockerEngine
    from azureml_tasks.planning import Plan
    from azureml_tasks.records import Records
    from azureml_tasks.report import Report
    from azureml_tasks.terminal import Terminal

__all__ = ["AcrEngine"]


@dataclass(kw_only=True)
class AcrEngine:
    """A registry that builds; see `base.Engine` for what each operation is.

    Args:
        plan: of the command.
        records: what earlier commands left, and this one leaves.
        terminal: where words go.
        local: the engine of this machine that proves; None where none answers, and the cloud proves.
    """

    plan: Plan
    records: Records
    terminal: Terminal
    local: DockerEngine | None
    name: str = "acr"
    can: frozenset[str] = frozenset({SECRETS})

    @cached_property
    def session(self) -> Session:
        """Signed in, and the registry found; asked for when it is first needed."""
        return open_session(self.plan.acr or Acr(), self.plan.registry, self.terminal)

    @property
    def registry(self) -> str:
        """The login server; under --dry nobody asks the workspace for it."""
        return self.plan.registry or ("REGISTRY" if self.terminal.dry else self.session.registry.login_server)

    def describe(self) -> str:
        """Which registry, and where the image is proven."""
        acr = self.plan.acr or Acr()
        where = self.plan.registry or f"the registry of workspace {acr.workspace}"
        here = self.local and f"on the local engine at {self.local.endpoint.host}"
        proof = here or "in the cloud, since no local engine answers"
        return f"Azure Container Registry {where} ({acr.cloud}); proof {proof}"

    def planned(self, plan: Plan, context: Context) -> Image:
        """The image as far as it is known before it is built: it has no id yet."""
        return Image(id="", names=plan.names, engine=self.name, context_sha256=context.sha256, user=plan.user)

    def base_id(self, plan: Plan) -> str:
        """The reference: whether its tag has moved nobody here can tell, which is why prefixes on it grow old."""
        return str(plan.base)

    def name_it(self, image: Image, names: Sequence[str]) -> None:
        """A candidate gets its names when it is published."""

    def build(
        self, plan: Plan, context: Context, *, no_cache: bool, pull: bool, proven: bool, before: Image | None
    ) -> Image:
        """Hand the build off; what comes back is a candidate, proven where the cloud proves.

        Args:
            plan: what is built.
            context: from which files.
            no_cache: whether the prefixes that the registry keeps are left alone, and made anew.
            pull: of no effect, since each run pulls the base.
            proven: whether the cloud proves it before it is pushed, where no local engine does.
            before: of no effect, since the registry tells what it has.
        """
        del pull, before
        build = build_of(self._named(plan), context, proves=proven and not self.local)
        if not announced(build, self.terminal):
            return self.planned(plan, context)
        found = build.routed(self.session.repositories, self.terminal, no_cache=no_cache)
        return found.run(self.hand_off(plan), self.candidates, self.records, no_cache=no_cache)

    def start(self, plan: Plan, context: Context, *, no_cache: bool) -> str:
        """Hand the build off and do not wait; the run's id."""
        build = build_of(self._named(plan), context, proves=not self.local)
        if not announced(build, self.terminal):
            return ""
        routed = build.routed(self.session.repositories, self.terminal, no_cache=no_cache)
        return routed.leave(self.hand_off(plan), self.candidates, self.records, no_cache=no_cache)

    def attach(self, plan: Plan, context: Context, run: str) -> Image:
        """Follow a run that was started before to its end, as build does; its id is *run*."""
        named = self._named(plan)
        build = Build(plan=named, context=context, proves=True, route=whole(named, context))
        if not self.terminal.effect(commands.logs(plan, run)):
            return self.planned(plan, context)
        return build.attach(run, self.hand_off(plan), self.candidates, self.records)

    def has(self, image: Image) -> bool:
        """Whether the registry has it, waiting or published; RegistryError for one that was built in another."""
        if (host := image.names[0].partition("/")[0]).lower() != self.registry.lower():
            fix = f"invoke image.build --engine acr --registry {self.registry}"
            what = f"The image was built in {host}, and {self.registry} is another registry."
            raise RegistryError(what, next_step=fix)
        return self.terminal.dry or self.candidates.find(image.id) is not None

    def prove(self, plan: Plan, image: Image) -> Report | None:
        """Prove the candidate: here where an engine answers, else in the cloud, unless its run did."""
        source = f"{self.registry}/{repository_of(plan.repository)}"
        if self.local:
            name = f"{source}@{image.id or 'DIGEST'}" if self.terminal.dry else self._by_digest(image)
            return proving.here(plan, image, name, self.local, self._login)
        if proven := proving.by_its_run(plan, image, self.records):
            return proven
        refuse_proof(plan)
        if self.terminal.dry and not image.id:
            return None  # The run that would build would prove.
        file = proving.task_file(plan, f"{source}@{image.id}", image.context_sha256)
        if not self.terminal.effect(commands.run(plan), file=str(file)):
            return None
        return proving.in_the_cloud(plan, image, self._by_digest(image), self.hand_off(plan), self.records)

    def _by_digest(self, image: Image) -> str:
        """Where the image is to be pulled from: its candidate may have been published by another release."""
        found = self.candidates.find(image.id)
        repository = found[0] if found else repository_of(self.plan.repository)
        return f"{self.registry}/{repository}@{image.id}"

    def _login(self) -> tuple[str, str]:
        return USER, self.session.tokens.refresh_token()

    def push(self, image: Image, name: str) -> str:
        """Copy the candidate to *name*; its digest stays, and the registry confirms it."""
        repository, _, tag = name.partition("/")[2].rpartition(":")
        source = f"{self.registry}/{repository_of(repository)}@{image.id or 'DIGEST'}"
        if not self.terminal.effect(commands.copy(self.registry, source, f"{repository}:{tag}")):
            return ""
        return self.candidates.publish(image.id, tag)

    def settle(self, image: Image) -> None:
        """Delete the candidate: it is published, or has failed."""
        repository = repository_of(self.plan.repository)
        if not self.terminal.effect(commands.delete(self.registry, f"{repository}@{image.id or 'DIGEST'}")):
            return
        if self.candidates.remove(image.id):
            self.records.candidate_is_gone(image)
            self.terminal.say(f"removed the candidate {self.registry}/{repository}@{image.id}")

    def keeper(self, plan: Plan) -> RegistryKeeper:
        """Those of the repository of its prefixes."""
        at = self.session.repositories
        return RegistryKeeper(repositories=at, plan=self._named(plan), terminal=self.terminal)

    def remove(self, image: Image) -> list[str]:
        """Delete every candidate of the records that still waits."""
        waiting = dict.fromkeys([*self.records.waiting(), image.candidate])
        return [each for each in waiting if each and self._removed(each)]

    def _removed(self, candidate: str) -> bool:
        repository, _, digest = candidate.partition("/")[2].partition("@")
        effect = self.terminal.effect(commands.delete(self.registry, f"{repository}@{digest}"))
        return effect and replace(self.candidates, repository=final_of(repository)).remove(digest)

    @property
    def candidates(self) -> Candidates:
        """Those of the plan's repository."""
        return Candidates.of(self.session, self.plan.repository, self.terminal)

    def hand_off(self, plan: Plan) -> HandOff:
        """The way of *plan* through the tasks of this registry."""
        return HandOff(session=self.session, plan=self._named(plan), terminal=self.terminal)

    def _named(self, plan: Plan) -> Plan:
        return plan if plan.registry else plan._replace(registry=self.registry)
