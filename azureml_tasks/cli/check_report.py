"""The report of `image.check`, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.context.build_context import is_added, largest
from azureml_tasks.errors import SettingsError
from azureml_tasks.plain_text import one_line
from azureml_tasks.sizes import size_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from azureml_tasks.commands.check import CheckReport
    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.errors import AzuremlTasksError
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.project.own_dockerfile import OwnDockerfile

_LABEL_WIDTH = 10


def all_as_text(reports: Sequence[tuple[RunContext, CheckReport]]) -> str:
    """Return the reports of all images for people, each below the place of the image's table if there are several."""
    texts = [as_text(report, run.reporter.spell) for run, report in reports]
    if len(reports) == 1:
        return texts[0]
    places = [f"tool.azureml-image.images.{run.image}" for run, _ in reports]
    return "\n\n".join(f"{place}\n{text}" for place, text in zip(places, texts, strict=True))


def one_error(errors: Sequence[AzuremlTasksError]) -> AzuremlTasksError:
    """Return one error for those of several images: all mistakes of the table, or else the first error."""
    mistakes = [error for error in errors if isinstance(error, SettingsError)]
    if len(mistakes) < len(errors) or len(errors) == 1:
        return errors[0]
    return SettingsError([problem for error in mistakes for problem in error.problems], state=errors[0].state)


def as_text(report: CheckReport, spell: Callable[[str], str]) -> str:
    """Return the report for people.

    Args:
        report: of the check.
        spell: spells the tasks in a text as they are called here.
    """
    own = report.plan.own_dockerfile
    rows = [
        *_rows(
            "dockerfile" if own else "base",
            [f"{own.name if own else report.plan.base}, {report.plan.platform}"],
        ),
        *_rows("image", report.plan.names),
        *_rows("images" if own else "steps", report.steps),
        *_rows("instead", [report.plan.lighter_way] if report.plan.lighter_way else []),
        *_rows("buildkit", _buildkit(own) if own else []),
        *_rows(
            "secrets", [f"{each.id}: {each.source} {each.problem or 'is set'}" for each in report.secrets]
        ),
        *_rows("context", [report.context.summary]),
        *_rows("largest", _largest(report.context)),
        *_rows("smoke test", [_smoke_test(report.plan)]),
        *_rows("engine", [report.engine]),
        *_rows("rebuilt", [", ".join(report.rebuilt_stages)] if report.rebuilt_stages else []),
        *_rows("because", report.reasons),
        *_rows("next", [spell(report.next_step)] if report.next_step else []),
    ]
    return "\n".join(rows)


def _largest(context: BuildContext) -> list[str]:
    """Return the largest files of the project, and after them what azureml-tasks adds to the context."""
    rows = [(file.size, file.name) for file in largest(context.files)]
    if added := [file.size for file in context.files if is_added(file)]:
        rows.append((sum(added), f"{len(added)} file{'s' if len(added) > 1 else ''} that azureml-tasks adds"))
    return [f"{size_text(size):>9}  {text}" for size, text in rows]


def _buildkit(own: OwnDockerfile) -> list[str]:
    """Return what the Dockerfile needs of BuildKit, and the frontend that BuildKit would pull for it."""
    facts = own.facts
    frontend = [f"# syntax={facts.frontend}: BuildKit pulls and runs this image"] if facts.frontend else []
    return [*facts.buildkit, *frontend]


def _rows(label: str, texts: Sequence[str]) -> Iterator[str]:
    for index, text in enumerate(texts):
        yield f"{label if index == 0 else '':<{_LABEL_WIDTH}} {one_line(text)}".rstrip()


def _smoke_test(plan: Plan) -> str:
    if files := len(plan.smoke_test.mini_batch):
        return f"init() and run() with a mini-batch of {files} file{'s' if files > 1 else ''}; no server is asked"
    count, smoke_test = len(plan.smoke_test.requests), plan.smoke_test
    checks = ["start-up", "health check", *(["/swagger.json"] if smoke_test.is_azure_server else [])]
    if not count:
        return f"{', '.join(checks[:-1])} and {checks[-1]}; no request is set, so only start-up is proven"
    requests = f"{count} request{'s' if count > 1 else ''}, each {smoke_test.repeat} times"
    return f"{', '.join(checks)} and {requests}"
