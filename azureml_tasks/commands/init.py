"""From what a team has to the table: read the sources, decide, then write. Nothing that exists is overwritten."""

from __future__ import annotations

import codecs
import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_tasks.commands.init_smoke_test import with_request, with_timeout
from azureml_tasks.commands.init_sources import answers, opened, read_chosen, typed
from azureml_tasks.commands.new_files import NewFile, write_files
from azureml_tasks.config import image_tables
from azureml_tasks.config.problems import FILE
from azureml_tasks.errors import FileProblem, Problem, SettingsError, stating
from azureml_tasks.migration import kept_dockerfile
from azureml_tasks.migration.draft import (
    Draft,
    Fixed,
    answered,
    draft,
    in_order,
    table_paths,
    with_base,
    with_reading,
    without,
)
from azureml_tasks.migration.missing_code import (
    DEFAULT_CODE,
    copies_unnamed_code,
    script_question,
    scripts_to_choose,
    without_code,
)
from azureml_tasks.migration.packages.conda_for_base import conda_for_base, named_base
from azureml_tasks.migration.questions import Choice, Question
from azureml_tasks.migration.reading import Outcome
from azureml_tasks.migration.refused_values import without_refused
from azureml_tasks.migration.secret_texts import without_secrets
from azureml_tasks.migration.sources import read_sources
from azureml_tasks.migration.surroundings import Surroundings
from azureml_tasks.migration.table.comparison import differences
from azureml_tasks.migration.table.project_name import naming_keys, project_name
from azureml_tasks.migration.table.table_place import TablePlace, placed_text, table_place
from azureml_tasks.migration.table.table_text import addition, project_text
from azureml_tasks.migration.table.tasks_file import TEXT, tasks_file
from azureml_tasks.plain_text import shell_join
from azureml_tasks.project import git
from azureml_tasks.project.base_images import CURRENT, FOR_MLFLOW
from azureml_tasks.project.paths import leaves
from azureml_tasks.project.root import given_root
from azureml_tasks.text_file import LARGEST_TEXT, UnreadableFile, decode, read_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from azureml_tasks.commands.init_sources import Ask
    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.migration.reading import Reading
    from azureml_tasks.migration.search.folder import PassedOver
    from azureml_tasks.migration.table.comparison import Difference
    from azureml_tasks.migration.table.tasks_file import TasksFile

_BASE_FLAG = "--base"
_MOST_LINES = 3
"""Lines that a message names."""
_WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, kw_only=True)
class InitRequest:
    """What the flags ask for.

    Args:
        files: to read, relative to the current folder; empty to search the project's folder.
        keep_dockerfile: whether a Dockerfile of the sources is kept as it is.
    """

    files: tuple[str, ...] = ()
    keep_dockerfile: bool = False


@dataclass(frozen=True, kw_only=True)
class InitResult:
    """What `prepare` returns.

    Args:
        readings: of each source, in the order in which they were read.
        table: that the sources make, in the order of the settings.
        differences: from the table that exists; None if there was none.
        files: that were written, or would be without --dry.
        tasks: the file that gives Invoke the tasks.
        next_steps: commands, in order.
        notes: on what to do next, in sentences.
        adds: what the image has that no source says, in clauses.
        passed_over: what a search of the folder saw and did not take.
    """

    readings: tuple[Reading, ...]
    table: Mapping[str, Any]
    differences: tuple[Difference, ...] | None
    files: tuple[NewFile, ...]
    tasks: TasksFile
    next_steps: tuple[str, ...]
    notes: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether the table says all that the sources say, and no source says less."""
        is_same = self.differences is None or not self.differences
        return bool(self.readings) and is_same and not self.adds and all(map(_is_whole, self.readings))


def _is_whole(reading: Reading) -> bool:
    return reading.is_whole and not reading.keeps_dockerfile


def prepare(run: RunContext, request: InitRequest, ask: Ask) -> InitResult:
    """Read what the team has, and decide what to write; nothing is written.

    Args:
        run: the run.
        request: what the flags ask for.
        ask: asks what only a person can decide.

    Raises:
        SettingsError: a source cannot be read, something is ambiguous and nobody can be asked, or pyproject.toml takes
            no table.
    """
    with stating("Nothing was written."):
        surroundings = _surroundings(run)
        content = _pyproject(surroundings.folder)
        place = _place(run, decode(content or b""))
        readings, base, passed_over = read_chosen(run, request.files, surroundings, ask)
        known_base = str(base[0].value) if base else named_base(readings)
        readings = without_refused(conda_for_base(readings, known_base, surroundings))
        readings = _with_kept_dockerfile(readings, request, ask)
        drafted = _settled(draft(readings, base), ask)
        adds: tuple[str, ...] = ()
        if place.existing is None:
            drafted = _with_base(drafted, surroundings, ask)
            adds = _adds(drafted.table, surroundings)  # Its script may become a source, which then names it.
            drafted = _with_code(drafted, surroundings, ask)
        return replace(_result(place, content, drafted, surroundings, passed_over), adds=adds)


def write(
    run: RunContext, result: InitResult, *, on_written: Callable[[Path], None] = lambda _: None
) -> None:
    """Write the files of *result*.

    Args:
        run: the run.
        result: of `prepare`.
        on_written: takes the path of each file as it is written.

    Raises:
        SettingsError: a file came into being or was changed meanwhile.
        MachineError: a file cannot be written.
    """
    write_files(result.files, run.reporter, on_written)


def _surroundings(run: RunContext) -> Surroundings:
    folder = run.folder.resolve()
    if run.root:
        given_root(folder, run.root)
        return Surroundings(folder=folder, root=Path(run.root.value).resolve())
    return Surroundings(folder=folder, root=git.work_tree(folder) or folder)


def _place(run: RunContext, text: str) -> TablePlace:
    """Return where the table goes."""
    image = str(run.chosen.value) if run.chosen else ""
    if run.chosen and (error := image_tables.NAME.error(image)):
        what = f'is "{image}", which {error}'
        raise SettingsError([Problem(run.chosen.source, 0, what, image_tables.NAME.fix)])
    return table_place(text, image)


def _pyproject(folder: Path) -> bytes | None:
    """Return the content of pyproject.toml; None if there is none.

    Raises:
        SettingsError: it cannot be read, or nothing can be added to it.
    """
    path = folder / FILE
    if leaves(folder, path):
        fix = "Copy it into the project."
        raise SettingsError([FileProblem(FILE, 0, "is a link that leaves the project", fix)])
    try:
        content = read_bytes(path, LARGEST_TEXT)
        is_utf8 = decode(content).encode() == content.removeprefix(codecs.BOM_UTF8)
    except FileNotFoundError:
        if path.is_symlink():
            raise SettingsError([FileProblem(FILE, 0, "is a link to nothing", "Remove it.")]) from None
        return None
    except UnreadableFile as error:
        raise SettingsError([FileProblem(FILE, 0, error.why, error.fix)]) from error
    if not is_utf8:
        raise SettingsError([FileProblem(FILE, 0, "is not UTF-8", "Save it as UTF-8.")])
    if not os.access(path, os.W_OK) or not path.stat().st_mode & _WRITABLE:
        raise SettingsError([FileProblem(FILE, 0, "may only be read", f"chmod u+w {typed(FILE, folder)}")])
    return content


def _with_kept_dockerfile(readings: Sequence[Reading], request: InitRequest, ask: Ask) -> tuple[Reading, ...]:
    """Return *readings* with a Dockerfile kept as it is, if the run or the answer of a person wants it."""
    files = kept_dockerfile.dockerfiles(readings)
    if request.keep_dockerfile and len(files) != 1:
        what = "keeps one Dockerfile, and the sources have " + (str(len(files)) if files else "none")
        raise SettingsError([Problem("--keep-dockerfile", 0, what, "Name the one: --from Dockerfile")])
    if request.keep_dockerfile:
        return kept_dockerfile.keep_dockerfile(readings)
    if len(files) == 1 and files[0].keeps_dockerfile and ask(kept_dockerfile.question(files[0])) == 0:
        return kept_dockerfile.keep_dockerfile(readings)
    return tuple(readings)


def _settled(drafted: Draft, ask: Ask) -> Draft:
    """Return *drafted* without conflicts.

    Raises:
        SettingsError: nobody can be asked; with all conflicts.
    """
    while drafted.conflicts:
        conflict = drafted.conflicts[0]
        index = ask(conflict.question())
        if index is None:
            raise SettingsError([each.problem() for each in drafted.conflicts])
        drafted = answered(drafted, conflict, conflict.values[index])
    return drafted


def _with_base(drafted: Draft, surroundings: Surroundings, ask: Ask) -> Draft:
    """Return *drafted* with a base, or with a Dockerfile.

    Raises:
        SettingsError: no source names one, and nobody can be asked.
    """
    if "base" in drafted.table or "dockerfile" in drafted.table:
        return drafted
    bases = (FOR_MLFLOW, *CURRENT) if _serves_mlflow(drafted.table, surroundings) else CURRENT
    question = Question(
        subject="base",
        what=_no_base(drafted),
        asks="Which image does yours extend?",
        choices=tuple(Choice(name, (_BASE_FLAG, name)) for name in bases),
    )
    index = ask(question)
    if index is None:
        raise SettingsError([question.problem()])
    readings = conda_for_base(drafted.merged.readings, bases[index], surroundings)
    return with_base(drafted, readings, Fixed(("base",), bases[index], "your answer"))


def _with_code(drafted: Draft, surroundings: Surroundings, ask: Ask) -> Draft:
    """Return *drafted* with the script that answers, and without values that need one if there is none.

    Raises:
        SettingsError: the code has several scripts, and nobody can be asked.
    """
    scripts = scripts_to_choose(drafted.table, surroundings)
    if len(scripts) > 1:
        clear = [reading.source.name for reading in drafted.readings]
        scripts = [
            script for _, script in answers([script_question(scripts)], clear, surroundings.folder, ask)
        ]
    for reading in read_sources(opened(scripts, surroundings), surroundings):
        drafted = _settled(with_reading(drafted, reading), ask)
    return without(drafted, without_code(drafted.table, surroundings))


def _no_base(drafted: Draft) -> str:
    """Return that no source names a base, with the lines that would: their reasons name the flag."""
    lines = [
        f"{reading.source.name}:{line.line}: {line.why}"
        for reading in drafted.merged.readings
        for line in reading.lines
        if line.outcome is Outcome.LEFT_OVER and _BASE_FLAG in line.why
    ]
    return "; ".join(["no source names an image to extend", *lines[:_MOST_LINES]])


def _serves_mlflow(table: Mapping[str, Any], surroundings: Surroundings) -> bool:
    """Return whether *table* has an MLflow model, and no code that serves it."""
    model = table.get("model")
    return "code" not in table and bool(model) and surroundings.locate(f"{model}/MLmodel").kind == "file"


def _result(
    place: TablePlace,
    content: bytes | None,
    drafted: Draft,
    surroundings: Surroundings,
    passed_over: Sequence[PassedOver],
) -> InitResult:
    """Return what is to be written, and what is next."""
    folder, table = surroundings.folder, drafted.table
    files: list[NewFile] = []
    notes = _notes(drafted, folder)
    if place.existing is None:
        table, request, note = with_request(table, surroundings)
        table = with_timeout(table, drafted.readings)
        table, file = _table_file(place, content, table, folder)
        files += [*request, file]
        notes += note
    tasks = tasks_file(folder, surroundings.root)
    if not tasks.exists:
        files.append(NewFile(path=tasks.path, text=TEXT))
    names = {reading.source.name for reading in drafted.readings} | table_paths(table)
    return InitResult(
        readings=drafted.readings,
        table=table,
        differences=None if place.existing is None else _differences(place.existing, table),
        files=tuple(files),
        tasks=tasks,
        next_steps=_next_steps(drafted, folder),
        notes=tuple(notes),
        passed_over=tuple(each for each in passed_over if not _is_named(each.name, names)),
    )


def _differences(existing: Mapping[str, Any], table: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Return how the table that exists differs from *table*, without secrets: they are printed."""
    return tuple(
        each._replace(
            table=without_secrets(each.table, each.key.rpartition(".")[2]),
            sources=without_secrets(each.sources, each.key.rpartition(".")[2]),
        )
        for each in differences(existing, table)
    )


def _adds(table: Mapping[str, Any], surroundings: Surroundings) -> tuple[str, ...]:
    """Return what the image has that no source says."""
    why = f"the image gets the folder {DEFAULT_CODE}, which is there, and which no source names"
    return (why,) if copies_unnamed_code(table, surroundings) else ()


def _is_named(name: str, named: Collection[str]) -> bool:
    """Return whether *name* is one of *named*, or lies in one of them."""
    parts = name.split("/")
    return any("/".join(parts[:length]) in named for length in range(1, len(parts) + 1))


def _notes(drafted: Draft, folder: Path) -> list[str]:
    """Return how to keep a Dockerfile whose effects the table does not have."""
    return [
        f"the table makes another image than {each.source.name} does. To keep {each.source.name} as it is, "
        "remove the table again, and: invoke image.init --keep-dockerfile "
        f"--from {shell_join([typed(each.source.name, folder)])}"
        for each in drafted.readings
        if each.keeps_dockerfile
    ]


def _table_file(
    place: TablePlace, content: bytes | None, table: Mapping[str, Any], folder: Path
) -> tuple[Mapping[str, Any], NewFile]:
    """Return the table with what [project] does not give, and pyproject.toml with it."""
    path = folder / FILE
    if content is None:
        text = project_text(project_name(folder)) + placed_text(place, table, {})
        return table, NewFile(path=path, text=text)
    naming = naming_keys(place.document, folder, git.read(folder), place.image)
    naming = {key: value for key, value in naming.items() if key not in (place.top or {})}
    table = in_order({**table, **naming})
    text = placed_text(place, table, {"tags": "[project] has no version"} if "tags" in naming else {})
    return table, NewFile(path=path, text=addition(decode(content), text), before=content)


def _next_steps(drafted: Draft, folder: Path) -> tuple[str, ...]:
    steps = []
    if "root" in drafted.table and not git.tracks(folder / FILE):
        steps.append(f"git add {typed(FILE, folder)}")
    steps.append("invoke image.check")
    flags = {name.replace("_", "-"): value for reading in drafted.readings for name, value in reading.flags}
    if {"endpoint", "instance-type"} <= flags.keys():
        words = "".join(f" --{name} {shell_join([value])}" for name, value in flags.items())
        steps.append(f"invoke image.environment --deployment{words}")
    return tuple(steps)
