"""Where a run says that the secrets of its build are: flags over environment variables, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.errors import Problem
from azureml_tasks.project.build_secrets import (
    VARIABLES,
    SecretSource,
    secret_variable,
    source_help,
    source_problem,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FLAG = "--secret"


def secret_sources(
    flags: Sequence[str], environment: Mapping[str, str], problems: list[Problem]
) -> dict[str, SecretSource]:
    """Return where each secret is, by its ID.

    Args:
        flags: the values of `--secret`, each `ID=SOURCE`.
        environment: variables of this process.
        problems: receives each mistake; no message shows a source, for it may be the secret itself.
    """
    sources = {
        name: SecretSource(source=environment[variable], option=variable)
        for name in VARIABLES
        if (variable := secret_variable(name)) in environment
    }
    for text in flags:
        name, equals, source = text.partition("=")
        if not equals or name not in VARIABLES:
            what = f"must begin with {' or '.join(f'{known}=' for known in VARIABLES)}"
            problems.append(Problem(FLAG, 0, what, source_help("netrc")))
        else:
            sources[name] = SecretSource(source=source, option=FLAG)
    for name, (source, option) in sources.items():
        if what := source_problem(source):
            problems.append(Problem(option, 0, f"{name}: {what}", source_help(name)))
    return sources
