"""What a hand-off cannot do, refused before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.config.dockerfile_line import LONGEST_LINE
from azureml_tasks.config.problems import FILE
from azureml_tasks.engines.acr.task_file import to_the_letter, variables
from azureml_tasks.errors import EngineError, Problem, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.planning.plan import Plan

__all__ = ["refuse_names", "refuse_secrets", "refuse_smoke_test"]

_LONGEST = 255 - len("/candidate")
_INDENT = len("      - ")
_SECRET = 64 * 1024
"""Linux bounds one argument at 128 KiB, and what a shell would expand is escaped."""


def refuse_names(plan: Plan) -> None:
    """Refuse a repository whose candidates could not be told from its images.

    Raises:
        SettingsError: its name ends as candidates' do, or leaves them no room.
    """
    why = ""
    if plan.repository.endswith("/candidate"):
        why = 'ends in "/candidate", where the candidates of another one would wait'
    elif len(plan.repository) > _LONGEST:
        why = f"is longer than {_LONGEST} characters, which leaves its candidates no room"
    if why:
        what = f'the name "{plan.repository}" {why}'
        raise SettingsError([Problem(FILE, 0, what, 'Write: name = "scoring"')])


def refuse_secrets(secrets: Mapping[str, bytes]) -> None:
    """Refuse what the agent cannot write into a file: it puts a secret into one argument of a shell.

    Raises:
        SettingsError: one is too long, or holds a NUL.
    """
    fix = "Leave out what pip does not need, or build where a Docker engine answers."
    problems = [
        Problem(FILE, 0, f"tool.azureml-image.secrets.{name} {why}, which no agent of ACR takes", fix)
        for name, value in secrets.items()
        if (
            why := "holds a NUL"
            if b"\0" in value
            else "is longer than 64 KiB"
            if len(value) > _SECRET
            else ""
        )
    ]
    if problems:
        raise SettingsError(problems)


def refuse_smoke_test(plan: Plan) -> None:
    """Refuse what a smoke test in the cloud cannot do.

    Raises:
        EngineError: it would mount a model, or limit memory, for which a task has no word; or its variables
            are too long for the agent, which drops what follows a line of 64 KiB of a task file without a word,
            and puts all of them into one argument of a shell, which Linux bounds at 128 KiB.
    """
    length = sum(_INDENT + len(to_the_letter(each)) for each in variables(plan))
    smoke_test = plan.smoke_test
    refused = [
        (smoke_test.model, "mount a model (smoke-test.model)", 'bake the model in: model = "…"'),
        (smoke_test.memory, "limit memory (smoke-test.memory)", "leave smoke-test.memory out"),
        (length > LONGEST_LINE, "set 64 KiB of variables (smoke-test.env)", "shorten smoke-test.env"),
    ]
    if wanted := [(what, fix) for is_wanted, what, fix in refused if is_wanted]:
        whats, fixes = zip(*wanted, strict=True)
        fix = f"Run it where a Docker engine answers, or {', and '.join(fixes)}"
        raise EngineError(f"A smoke test in the cloud cannot {' or '.join(whats)}.", next_step=fix)
