"""What a hand-off cannot do, refused before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.errors import EngineError, Problem, SettingsError
from azureml_tasks.found import FILE

if TYPE_CHECKING:
    from azureml_tasks.planning import Plan

__all__ = ["refuse_names", "refuse_proof"]

_LONGEST = 255 - len("/candidate")


def refuse_names(plan: Plan) -> None:
    """Refuse a repository whose candidates could not be told from its images.

    Raises:
        SettingsError: its name ends as candidates' do, or leaves them no room.
    """
    fix = 'Write: name = "scoring"'
    if plan.repository.endswith("/candidate") or len(plan.repository) > _LONGEST:
        what = f'the name "{plan.repository}" is for ACR too long, or ends in "/candidate", where candidates wait'
        raise SettingsError([Problem(FILE, 0, what, fix)])


def refuse_proof(plan: Plan) -> None:
    """Refuse what a smoke test in the cloud cannot do.

    Raises:
        EngineError: it would mount a model, or limit memory, for which a task has no word.
    """
    wanted = [
        *(["mount a model (smoke-test.model)"] if plan.proof.model else []),
        *(["limit memory (smoke-test.memory)"] if plan.proof.memory else []),
    ]
    if wanted:
        fix = 'Run it where a Docker engine answers, or bake the model in: model = "…"; leave smoke-test.memory out'
        raise EngineError(f"A smoke test in the cloud cannot {' or '.join(wanted)}.", next_step=fix)
