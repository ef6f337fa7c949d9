"""Whether the image has code that can answer: a smoke test that nothing of the project answers proves nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.config.problems import spell
from azureml_tasks.notice import Notice
from azureml_tasks.project.base_images import ENTRY_SCRIPT, brings_script
from azureml_tasks.project.script_search import entry_scripts, how_to_name

if TYPE_CHECKING:
    from azureml_tasks.config.problems import Place
    from azureml_tasks.config.settings import Settings
    from azureml_tasks.errors import FileProblem, Problem
    from azureml_tasks.image_reference import Reference
    from azureml_tasks.project.code import Code
    from azureml_tasks.project.paths import ProjectReader

_NO_SCRIPT = 'Write: code = "FOLDER", the folder of the script that defines init() and run()'


class AnsweringCode(NamedTuple):
    """What answers in the image.

    Args:
        stands_in: whether our stand-in may serve, as nothing has to answer.
        missing: the problem if the base brings no script of its own, which only the base tells; None for none.
    """

    stands_in: bool = False
    missing: FileProblem | None = None


def answering_code(reader: ProjectReader, code: Code, base: Reference) -> AnsweringCode:
    """Report what has to be answered if there is neither code nor another script that can answer.

    Args:
        reader: of the project.
        code: of the image.
        base: the base image, which may bring a script of its own.
    """
    settings, problems = reader.settings, reader.problems
    names_script = ENTRY_SCRIPT in {**settings.env, **settings.smoke_test.env}
    has_own = False if settings.server else brings_script(base)
    if code.folders or names_script or has_own:
        return AnsweringCode(missing=code.missing)
    place = what_needs_code(settings)
    if not place:
        return AnsweringCode(stands_in=True)
    if problems.is_bad(("code",)) or problems.is_bad(("entry-script",)):
        return AnsweringCode()  # Reported already.
    scripts = entry_scripts(reader.root, reader.matcher, reader.folder)
    fix = how_to_name([*map(reader.name, scripts)]) or _NO_SCRIPT
    what = f"{spell(place)} is set, and the image has no code that {_purpose(place)}"
    if has_own is False:
        problems.add(place, what, fix)
        return AnsweringCode()
    return AnsweringCode(missing=problems.problem_at(place, what, fix))


def in_doubt(missing: Problem) -> Problem:
    """Return the problem *missing* with what makes it none."""
    return missing._replace(what=f"{missing.what}. That is right only if the base brings a script of its own")


def undecided(missing: Problem) -> Notice:
    """Return the warning for *missing* while the base is not on the engine."""
    what = f"{in_doubt(missing).what}, which is not known before the base is on the engine. The smoke test shows it."
    return Notice("script-unknown", what, missing.file, missing.line, missing.fix)


def what_needs_code(settings: Settings) -> Place:
    """Return the key because of which something has to answer; () if there is none."""
    smoke_test = settings.smoke_test
    if smoke_test.request or smoke_test.requests:
        return ("smoke-test", "request" if smoke_test.request else "requests")
    if smoke_test.mini_batch:
        return ("smoke-test", "mini-batch")
    return ("model",) if settings.model else ()


def _purpose(place: Place) -> str:
    return "loads the model" if place == ("model",) else "answers"
