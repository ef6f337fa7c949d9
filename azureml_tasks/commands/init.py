"""From what a team has to the table: read the sources, decide, then write. Nothing that exists is overwritten."""

from __future__ import annotations

import codecs
import os
import shlex
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_tasks.commands.new_files import NewFile, write_files
from azureml_tasks.config import image_tables
from azureml_tasks.config.problems import FILE
from azureml_tasks.errors import FileProblem, Problem, SettingsError, stating
from azureml_tasks.migration import image_origin, kept_dockerfile
from azureml_tasks.migration.comparison import differences
from azureml_tasks.migration.conda_for_base import conda_for_base, named_base
from azureml_tasks.migration.draft import Draft, Fixed, answered, draft, in_order, with_base
from azureml_tasks.migration.first_request import entry_script, first_request
from azureml_tasks.migration.folder import search
from azureml_tasks.migration.project_name import naming_keys, project_name
from azureml_tasks.migration.questions import Choice, Question, command_line
from azureml_tasks.migration.reading import Kind
from azureml_tasks.migration.refused_values import without_refused
from azureml_tasks.migration.sources import UnreadableSource, open_source, read_sources
from azureml_tasks.migration.surroundings import Surroundings
from azureml_tasks.migration.table_place import TablePlace, placed_text, table_place
from azureml_tasks.migration.table_text import addition, project_text
from azureml_tasks.migration.tasks_file import TEXT, tasks_file
from azureml_tasks.project import git
from azureml_tasks.project.base_images import CURRENT
from azureml_tasks.project.paths import leaves
from azureml_tasks.project.root import given_root
from azureml_tasks.text_file import LARGEST_TEXT, UnreadableFile, decode, read_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeAlias

    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.migration.comparison import Difference
    from azureml_tasks.migration.folder import PassedOver
    from azureml_tasks.migration.reading import Reading, Source
    from azureml_tasks.migration.tasks_file import TasksFile

_REQUEST_FILE = "sample-request.json"
_WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
Ask: TypeAlias = "Callable[[Question], int | None]"
"""Asks a question and returns the index of the choice; None if nobody can be asked."""


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
        passed_over: what a search of the folder saw and did not take.
    """

    readings: tuple[Reading, ...]
    table: Mapping[str, Any]
    differences: tuple[Difference, ...] | None
    files: tuple[NewFile, ...]
    tasks: TasksFile
    next_steps: tuple[str, ...]
    notes: tuple[str, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether the table says all that the sources say, and no source says less."""
        is_same = self.differences is None or not self.differences
        return bool(self.readings) and is_same and all(reading.is_whole for reading in self.readings)


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
        sources, base, passed_over = _sources(run, request, surroundings, ask)
        readings, base = _with_image_origin(sources, base, passed_over, surroundings, ask)
        known_base = str(base[0].value) if base else named_base(readings)
        readings = without_refused(conda_for_base(readings, known_base, surroundings))
        readings = _with_kept_dockerfile(readings, request, ask)
        drafted = _settled(draft(readings, base), ask)
        drafted = drafted if place.existing is not None else _with_base(drafted, surroundings, ask)
        return _result(place, content, drafted, surroundings, passed_over)


def write(run: RunContext, result: InitResult) -> None:
    """Write the files of *result*.

    Raises:
        SettingsError: a file came into being or was changed meanwhile.
        MachineError: a file cannot be written.
    """
    write_files(result.files, run.reporter)


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
        content.removeprefix(codecs.BOM_UTF8).decode()
    except FileNotFoundError:
        if path.is_symlink():
            raise SettingsError([FileProblem(FILE, 0, "is a link to nothing", "Remove it.")]) from None
        return None
    except UnreadableFile as error:
        raise SettingsError([FileProblem(FILE, 0, error.why, error.fix)]) from error
    except UnicodeDecodeError as error:
        raise SettingsError(
            [FileProblem(FILE, 0, f"is not UTF-8: {error.reason}", "Save it as UTF-8.")]
        ) from error
    if not os.access(path, os.W_OK) or not path.stat().st_mode & _WRITABLE:
        raise SettingsError([FileProblem(FILE, 0, "may only be read", f"chmod u+w {_typed(FILE, folder)}")])
    return content


def _sources(
    run: RunContext, request: InitRequest, surroundings: Surroundings, ask: Ask
) -> tuple[list[Source], list[Fixed], tuple[PassedOver, ...]]:
    """Return what to read, the base that the run gives, and what a search saw and did not take."""
    given = run.overrides.get("base")
    base = [Fixed(("base",), given.value, given.source)] if given else []
    if not request.files:
        sources, answered, passed_over = _searched(surroundings, ask)
        return sources, base or answered, passed_over
    names = [_name(file, surroundings.folder) for file in request.files]
    return _opened(names, surroundings), base, ()


def _opened(names: Sequence[str], surroundings: Surroundings) -> list[Source]:
    """Return the sources of *names*.

    Raises:
        SettingsError: with all that cannot be read.
    """
    sources, problems = [], []
    for name in names:
        try:
            sources.append(open_source(name, surroundings))
        except UnreadableSource as error:
            problems.append(error.problem)
    if problems:
        raise SettingsError(problems)
    return sources


def _searched(
    surroundings: Surroundings, ask: Ask
) -> tuple[list[Source], list[Fixed], tuple[PassedOver, ...]]:
    """Search the project's folder, and ask what is ambiguous in it."""
    found = search(surroundings)
    clear = [source.name for source in found.sources]
    answers = _answers(found.questions, clear, surroundings.folder, ask)
    named = [flags[1] for flags in answers if flags[:1] == ("--from",)]
    base = [Fixed(("base",), flags[1], "--base") for flags in answers if flags[:1] == ("--base",)]
    return [*found.sources, *_opened(named, surroundings)], base, found.passed_over


def _answers(
    questions: Sequence[Question], clear: Sequence[str], folder: Path, ask: Ask
) -> list[tuple[str, ...]]:
    """Return the flags of the choice that answers each of *questions*.

    Args:
        questions: to ask.
        clear: sources that are read in any case.
        folder: of the project.
        ask: asks one of them.

    Raises:
        SettingsError: nobody can be asked; with all questions, their choices, and a command that answers them.
    """
    answers: list[tuple[str, ...]] = []
    for question in questions:
        index = ask(question)
        if index is None:
            break
        answers.append(question.choices[index].flags)
    if len(answers) == len(questions):
        return answers
    shown = [_as_typed(question, folder) for question in questions]
    example = command_line(("invoke", "image.init"), [_typed(name, folder) for name in clear], shown)
    *first, last = sorted(question.problem() for question in shown)  # as the error orders them
    last = last._replace(fix=f"{last.fix}\nor answer all at once, such as: {example}")
    raise SettingsError([*first, last])


def _as_typed(question: Question, folder: Path) -> Question:
    """Return *question* with the files of its flags relative to the current folder."""
    choices = (
        choice._replace(flags=("--from", _typed(choice.flags[1], folder)))
        if choice.flags[:1] == ("--from",)
        else choice
        for choice in question.choices
    )
    return question._replace(choices=tuple(choices))


def _typed(name: str, folder: Path) -> str:
    return Path(os.path.relpath(folder / name)).as_posix()


def _name(file: str, folder: Path) -> str:
    """Return the name of a file that a person gives: relative to the project's folder, with "/"."""
    path = Path.cwd() / file
    home = path.resolve() if path.name in {"", ".."} else path.parent.resolve() / path.name
    return Path(os.path.relpath(home, folder)).as_posix()


def _with_image_origin(
    sources: Sequence[Source],
    base: list[Fixed],
    passed_over: Sequence[PassedOver],
    surroundings: Surroundings,
    ask: Ask,
) -> tuple[tuple[Reading, ...], list[Fixed]]:
    """Read *sources*, with the Dockerfile that makes their image if it is one that no source names.

    Raises:
        SettingsError: nobody can be asked which one it is.
    """
    readings = read_sources(sources, surroundings)
    unnamed = [each.name for each in passed_over if each.kind is Kind.DOCKERFILE]
    question = None if base else image_origin.question(readings, unnamed)
    if question:
        clear = [source.name for source in sources]
        ((flag, value),) = _answers([question], clear, surroundings.folder, ask)
        if flag == "--base":
            base = [Fixed(("base",), value, "your answer")]
        else:
            readings = read_sources([*sources, *_opened([value], surroundings)], surroundings)
    return image_origin.of_dockerfile(readings), base


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
    question = Question(
        subject="base",
        what="no source names an image to extend",
        asks="Which image does yours extend?",
        choices=tuple(Choice(name, ("--base", name)) for name in CURRENT),
    )
    index = ask(question)
    if index is None:
        raise SettingsError([question.problem()])
    readings = conda_for_base(drafted.merged.readings, CURRENT[index], surroundings)
    return with_base(drafted, readings, Fixed(("base",), CURRENT[index], "your answer"))


def _result(
    place: TablePlace,
    content: bytes | None,
    drafted: Draft,
    surroundings: Surroundings,
    passed_over: Sequence[PassedOver],
) -> InitResult:
    """Return what is to be written, and what is next."""
    folder, table, files = surroundings.folder, drafted.table, []
    notes: tuple[str, ...] = ()
    if place.existing is None:
        drafted, requests, notes = _with_request(drafted, surroundings)
        table, file = _table_file(place, content, drafted, folder)
        files += [file, *requests]
    tasks = tasks_file(folder, surroundings.root)
    if not tasks.exists:
        files.append(NewFile(path=tasks.path, text=TEXT))
    names = {reading.source.name for reading in drafted.readings}
    return InitResult(
        readings=drafted.readings,
        table=table,
        differences=None if place.existing is None else differences(place.existing, table),
        files=tuple(files),
        tasks=tasks,
        next_steps=_next_steps(drafted, folder),
        notes=notes,
        passed_over=tuple(each for each in passed_over if each.name not in names),
    )


def _with_request(drafted: Draft, surroundings: Surroundings) -> tuple[Draft, list[NewFile], tuple[str, ...]]:
    """Return *drafted* with a first request if it has none, the file to write for it, and what to say of it."""
    asked = drafted.table.get("smoke-test", {})
    script = entry_script(drafted.table)
    if not script or {"request", "requests", "mini-batch"} & asked.keys():
        return drafted, [], ()
    first = first_request(script, surroundings)
    if not first or (not first.file and os.path.lexists(surroundings.folder / _REQUEST_FILE)):
        return drafted, [], ()
    name = first.file or _REQUEST_FILE
    table = in_order({**drafted.table, "smoke-test": {**asked, "request": name}})
    files = [] if first.file else [NewFile(path=surroundings.folder / name, text=first.text)]
    return replace(drafted, table=table), files, (f"{_typed(name, surroundings.folder)} {first.why}",)


def _table_file(
    place: TablePlace, content: bytes | None, drafted: Draft, folder: Path
) -> tuple[Mapping[str, Any], NewFile]:
    """Return the table with what [project] does not give, and pyproject.toml with it."""
    path = folder / FILE
    if content is None:
        text = project_text(project_name(folder)) + placed_text(place, drafted.table, {})
        return drafted.table, NewFile(path=path, text=text)
    naming = naming_keys(place.document, folder, git.read(folder), place.image)
    naming = {key: value for key, value in naming.items() if key not in (place.top or {})}
    table = in_order({**drafted.table, **naming})
    text = placed_text(place, table, {"tags": "[project] has no version"} if "tags" in naming else {})
    return table, NewFile(path=path, text=addition(decode(content), text), before=content)


def _next_steps(drafted: Draft, folder: Path) -> tuple[str, ...]:
    steps = []
    if "root" in drafted.table and not git.tracks(folder / FILE):
        steps.append(f"git add {_typed(FILE, folder)}")
    steps.append("invoke image.check")
    flags = {name.replace("_", "-"): value for reading in drafted.readings for name, value in reading.flags}
    if {"endpoint", "instance-type"} <= flags.keys():
        words = "".join(f" --{name} {shlex.quote(value)}" for name, value in flags.items())
        steps.append(f"invoke image.environment --deployment{words}")
    return tuple(steps)
