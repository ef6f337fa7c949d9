"""What `image.doctor` is about: the run, the images of its table if there is one, and docker's configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.engines.docker.docker_config import DockerConfig, read_docker_config
from azureml_tasks.engines.doctor_finding import Finding, Status, of_error
from azureml_tasks.errors import EngineError, FileProblem, SettingsError
from azureml_tasks.project.outline import Outline, outlines, without_table

if TYPE_CHECKING:
    from azureml_tasks.commands.run_context import RunContext


class Subject(NamedTuple):
    """What the checks are about.

    Args:
        run: the run.
        images: of the table, or what the run says without one.
        config: docker's configuration; empty if it cannot be used.
        findings: what reading these has found.
    """

    run: RunContext
    images: tuple[Outline, ...]
    config: DockerConfig
    findings: tuple[Finding, ...]


def read_subject(run: RunContext) -> Subject:
    """Read the table, as far as it tells without its files, and docker's configuration.

    Raises:
        SettingsError: what the run itself says is wrong.
    """
    findings: list[Finding] = []
    chosen = str(run.chosen.value) if run.chosen else ""
    try:
        images = outlines(run.folder, run.overrides, chosen)
        if count := images[0].problems:
            what = f"pyproject.toml has {count} mistake{'s' if count > 1 else ''}"
            why = "Nothing can be built before they are corrected."
            findings.append(Finding("table", Status.NOTE, what, why, "invoke image.check"))
    except SettingsError as error:
        if not all(isinstance(problem, FileProblem) for problem in error.problems):
            raise
        images = (without_table(run.overrides),)
        problem = error.problems[0]
        why = "Base and registry are not known, unless --base and --registry name them."
        what = f"{problem.file}{f':{problem.line}' if problem.line else ''} {problem.what}"
        findings.append(Finding("table", Status.NOTE, what, why, "invoke image.init"))
    try:
        config = read_docker_config()
    except EngineError as error:
        config = DockerConfig()
        why = "Neither docker nor these tasks can sign in, or find the engine."
        findings.append(of_error("docker configuration", error, Status.BLOCKS, why))
    return Subject(run, images, config, tuple(findings))
