"""What is refused because of the engine, and because of what its base decides."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from azureml_tasks.config.problems import fixed_at_source
from azureml_tasks.errors import EngineError, SettingsError
from azureml_tasks.notice import Notice
from azureml_tasks.project.base_images import ENTRY_SCRIPT, python_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.config.problems import Override
    from azureml_tasks.engines.protocol import Engine
    from azureml_tasks.errors import Problem
    from azureml_tasks.planning.plan import Plan


def refuse_missing_features(engine: Engine, planned: Plan) -> None:
    """Refuse an engine that cannot do what the table asks for.

    Raises:
        EngineError: with the ways to get what is missing.
    """
    from azureml_tasks.planning.plan import FEATURE_HELP

    if missing := sorted(planned.required_features - engine.features):
        what = f"The engine {engine.name} cannot {' or '.join(missing)}, which {planned.needed_by}."
        raise EngineError(what, next_step="\n".join(FEATURE_HELP[feature] for feature in missing))


def refuse_by_base(engine: Engine, planned: Plan) -> None:
    """Refuse what only the base decides, if it is on the engine.

    That is an entry script that its Python cannot read either, requests or a model without code if the base brings no
    script of its own, and variables that `env` takes from the base and that it does not set.

    Raises:
        SettingsError: with the mistakes.
    """
    problems: list[Problem] = []
    if planned.unread_script:
        python = engine.base_python(planned)
        if python and python <= sys.version_info[:2]:
            problems.append(planned.unread_script)
    variables = engine.base_variables(planned) if planned.missing_code or planned.wanted_variables else None
    if planned.missing_code and variables is not None and ENTRY_SCRIPT not in variables:
        problems.append(planned.missing_code)
    if variables is not None:
        problems += [each for name, each in planned.wanted_variables.items() if not variables.get(name)]
    if problems:
        raise SettingsError(problems)


def compare_pythons(
    engine: Engine | None, planned: Plan, overrides: Mapping[str, Override]
) -> tuple[list[Problem], list[Notice]]:
    """Compare the Python that a conda file or a lock file wants with that of the base.

    Args:
        engine: that may have the base; None if it does not answer.
        planned: the image.
        overrides: values that replace keys of the table in this run, by key.

    Returns:
        Problems if it is another one, and warnings if it is not known.
    """
    if not planned.wanted_pythons:
        return [], []
    from azureml_tasks.requirements.wanted_python import accepts

    wishes, base = planned.wanted_pythons, planned.base
    if python := engine.base_python(planned) if engine else None:
        sources = {key: override.source for key, override in overrides.items()}
        problems = [python_problem(wish, base, python) for wish in wishes if not accepts(wish, python)]
        return [fixed_at_source(each, sources) for each in problems], []
    unknown = (
        f"was not compared with the Python of {base}, which is not known before the base is on the engine"
    )
    return [], [Notice("python-unknown", f'"{wish.text}" {unknown}', wish.file, wish.line) for wish in wishes]
