"""What came of a run that built: its candidate, or the error that says why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.engines.acr.candidates import repository_of
from azureml_tasks.engines.acr.layer_store import prefix_repository
from azureml_tasks.engines.acr.run_failure import failure, output_image
from azureml_tasks.engines.acr.smoke_test import report_from_events
from azureml_tasks.errors import BuildError, SmokeTestError
from azureml_tasks.planning.dockerfile import CONTEXT_LABEL
from azureml_tasks.smoke.report import report_text

if TYPE_CHECKING:
    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.engines.acr.candidates import Candidates
    from azureml_tasks.engines.acr.run_follower import Followed
    from azureml_tasks.engines.acr.tasks_api import Run
    from azureml_tasks.planning.plan import Plan

__all__ = ["Outcome"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What can come of one build in the cloud.

    Args:
        plan: what was built, with its registry.
        context: from which files.
        on: the prefix that it stands on, by its digest; "" for none.
    """

    plan: Plan
    context: BuildContext
    on: str

    def error(self, run: Run, seen: Followed, events: list[dict[str, Any]]) -> Exception:
        """A smoke test that failed says more than the step that ran it."""
        unpushed = BuiltImage(
            id="",
            names=self.plan.names,
            engine="acr",
            context_sha256=self.context.sha256,
            user=self.plan.user,
            run=run.id,
        )
        found = report_from_events(self.plan, unpushed, events) if events else None
        if found and not found.passed and run.status == "Failed":
            return SmokeTestError(report_text(found), state="Nothing was pushed.")
        return failure(run, seen)

    def image(self, run: Run, candidates: Candidates) -> BuiltImage:
        """The candidate that *run* has pushed, as the registry has it."""
        pushed = output_image(run, self.plan.repository)
        found = candidates.find(pushed.digest)
        if not found:
            what = f"Run {run.id} says that it pushed {pushed.digest}, and the registry does not have it."
            fix = "invoke image.build --engine acr"
            raise BuildError(what, next_step=fix, state="Nothing was built.")
        repository, manifest = found
        config = candidates.repositories.config(repository, manifest)
        labels = config.get("Labels") or {}
        return BuiltImage(
            id=pushed.digest,
            names=self.plan.names,
            engine="acr",
            context_sha256=str(labels.get(CONTEXT_LABEL) or self.context.sha256),
            user=str(config.get("User") or ""),
            candidate=f"{self.plan.registry}/{repository_of(self.plan.repository)}@{pushed.digest}",
            run=run.id,
            cached_layers=self._prefixes(run),
        )

    def _prefixes(self, run: Run) -> tuple[str, ...]:
        """What the image stands on, by digest: the prefix that was there, and those that the run has pushed."""
        where = prefix_repository(self.plan)
        pushed = [image.digest for image in run.images if image.repository == where and image.digest]
        made = [f"{self.plan.registry}/{where}@{digest}" for digest in pushed]
        return (*([self.on] if self.on else []), *made)
