"""A run of a command becomes one run for each image of the table, in order, or for the one that it names."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from azureml_tasks.commands.run_context import refuse_foreign_records
from azureml_tasks.commands.run_plan import planned_image, unused_secrets
from azureml_tasks.commands.shared_by_images import Shared
from azureml_tasks.config.problems import is_variable
from azureml_tasks.errors import AzuremlTasksError, Problem, SettingsError, stating
from azureml_tasks.project.load import image_names

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.config.problems import Override

T = TypeVar("T")
_OF_ONE_IMAGE = ("base", "tags")
"""Keys of which a value for this run is for one image."""


def image_runs(
    run: RunContext, *, uses: Collection[str] = (), flags: Sequence[str] = (), others: bool = False
) -> list[RunContext]:
    """Return a run for each image, or for the one that the run names; the run itself if the table is the image.

    Args:
        run: the run.
        uses: those of `base` and `tags` that the command uses; another one of them is no mistake here.
        flags: of the command that are for one image, such as `--output`.
        others: return runs for the images that the run does not name as well.

    Raises:
        SettingsError: the table does not have the image; it has several, and something is for one image; or the records
            are not this machine's own.
    """
    if run.image:
        return [run]
    names = image_names(run.folder)
    if run.chosen and run.chosen.value not in names:
        raise SettingsError([_unknown(run.chosen, names)])
    if not names:
        return [run]
    chosen = (run.chosen.value,) if run.chosen else names
    if len(chosen) > 1 and (problems := _of_one_image(run, names, uses, flags)):
        raise SettingsError(problems)
    every = names if others else chosen
    for name in every:  # Before anything of them is read.
        refuse_foreign_records(run._replace(image=name))
    table = {key: value for key, value in run.overrides.items() if key not in _OF_ONE_IMAGE}
    records = run._replace(image=names[0]).records
    shared = Shared(names=names, hashes=records.file_hashes(is_shared=len(every) < len(names)))
    reporters = run.reporter.for_images(every) if len(every) > 1 else [run.reporter]
    return [
        run._replace(
            image=name,
            reporter=reporter,
            shared=shared,
            overrides=run.overrides if len(chosen) == 1 and name in chosen else table,
        )
        for name, reporter in zip(every, reporters, strict=True)
    ]


def planned_runs(
    run: RunContext, *, uses: Collection[str] = (), flags: Sequence[str] = (), others: bool = False
) -> list[RunContext]:
    """Return the runs of `image_runs`, with the tables of all images read, so that all their mistakes are reported.

    Raises:
        SettingsError: with everything that is wrong in the table and in the files it names, for all images.
    """
    runs = image_runs(run, uses=uses, flags=flags, others=others)
    if runs[0].image:
        plans = for_all(runs, lambda each: planned_image(each, each.file_hashes()))
        for warning in unused_secrets(run, plans):
            run.reporter.warn(warning)
    return runs


def for_all(runs: Sequence[RunContext], command: Callable[[RunContext], T]) -> list[T]:
    """Return what *command* returns for each run; mistakes in the tables of several images are reported together.

    Raises:
        SettingsError: with the mistakes of all runs.
        AzuremlTasksError: the first other error.
    """
    results: list[T] = []
    errors: list[SettingsError] = []
    for run in runs:
        try:
            with _spelled_for(run):
                results.append(command(run))
        except SettingsError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise SettingsError(
            [problem for error in errors for problem in error.problems], state=errors[0].state
        )
    return results


@contextmanager
def of_image(runs: Sequence[RunContext], index: int, done: str, *, state: str = "") -> Iterator[None]:
    """Do one step of one image; add to an error what became of the other images.

    Args:
        runs: of all images.
        index: of the one.
        done: the participle of the step, such as "built".
        state: what did and did not happen, if the error does not say it.
    """
    try:
        with _spelled_for(runs[index]), stating(""):
            yield
    except AzuremlTasksError as error:
        if len(runs) == 1:
            error.state = error.state or state or f"Nothing was {done}."
            raise
        names = [run.image for run in runs]
        own = f"Image {names[index]}: {error.state}" if error.state else state
        not_done = names[index + 1 :] if error.state else names[index:]
        lists = {f"Images {done}": names[:index], f"Images not {done}": not_done}
        error.state = " ".join(
            [
                *([own] if own else []),
                *(f"{title}: {', '.join(images)}." for title, images in lists.items() if images),
            ]
        )
        raise


@contextmanager
def _spelled_for(run: RunContext) -> Iterator[None]:
    """Let the commands to paste in an error name the image that it is about."""
    try:
        yield
    except AzuremlTasksError as error:
        if run.image:
            error.next_step, error.state = map(run.reporter.spell, (error.next_step, error.state))
        raise


def _unknown(chosen: Override, names: Sequence[str]) -> Problem:
    if names:
        what = f'is "{chosen.value}", which is not an image of the table'
        return Problem(chosen.source, 0, what, f"Images: {', '.join(names)}.")
    what = f'is "{chosen.value}", but the table has no images: it is the image itself'
    return Problem(chosen.source, 0, what, "Leave it out.")


def _of_one_image(
    run: RunContext, names: Sequence[str], uses: Collection[str], flags: Sequence[str]
) -> list[Problem]:
    """Return a problem for each value that is for one image, where the run is for several."""
    sources = [run.overrides[key].source for key in _OF_ONE_IMAGE if key in uses and key in run.overrides]
    what = f"is for one image, and the table has several: {', '.join(names)}"
    add = f"Add: --image {names[0]}"
    return [
        Problem(source, 0, what, f"{add}\nor: unset {source}" if is_variable(source) else add)
        for source in (*sources, *flags)
    ]
