"""What `--json` has of the report of a check, for tests that call the command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from azureml_tasks.cli.json_output import Collected
from azureml_tasks.cli.json_parts import add_reports
from azureml_tasks.typed_json import encode

if TYPE_CHECKING:
    from azureml_tasks.commands.check import CheckReport
    from azureml_tasks.commands.run_context import RunContext

__all__ = ["report_of"]


def report_of(run: RunContext, report: CheckReport) -> dict[str, Any]:
    """Return the object of the image, with the errors that the whole output has."""
    collected = Collected()
    add_reports(collected, [(run, report)])
    (image,) = encode(collected.parts["images"])
    return {**image, "errors": encode(tuple(collected.failures))}
