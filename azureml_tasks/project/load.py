"""Read a project: the table and every file that it names, or all of its problems at once."""

from __future__ import annotations

import os
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_tasks.config.allowed_registries import AllowedRegistries
from azureml_tasks.config.problems import FILE, spell
from azureml_tasks.config.reader import read, read_image_names
from azureml_tasks.config.toml_positions import locate
from azureml_tasks.context.file_hashes import FileHashes
from azureml_tasks.errors import FileProblem, Problem, SettingsError
from azureml_tasks.image_reference import Reference, expand_base
from azureml_tasks.notice import Notice
from azureml_tasks.plain_text import shell_join
from azureml_tasks.project import (
    base_images,
    copied_files,
    cross_checks,
    git,
    image_repositories,
    naming,
    variables,
)
from azureml_tasks.project.answering_code import AnsweringCode, answering_code, in_doubt
from azureml_tasks.project.build_secrets import wanted_secrets
from azureml_tasks.project.code import Code, read_code, script_source
from azureml_tasks.project.cross_checks import variable_warnings
from azureml_tasks.project.ignore_files import copied_folders, read_ignore_files
from azureml_tasks.project.mlflow import own_script
from azureml_tasks.project.model import Facts, NoRevision, OwnScript, Project, Revision
from azureml_tasks.project.model_folder import model_warnings, refuse_name_without_model
from azureml_tasks.project.mounted_delivery import MOUNT, mounted_delivery, refuse_missing_extra_files
from azureml_tasks.project.own_dockerfile import read_own_dockerfile, whole_project
from azureml_tasks.project.paths import ProjectReader, leaves, path_in_root
from azureml_tasks.project.root import find_root, given_root
from azureml_tasks.project.smoke_test import read_smoke_test
from azureml_tasks.project.smoke_test_requests import (
    form_warnings,
    header_warnings,
    json_warnings,
)
from azureml_tasks.requirements.install_step import PythonStep, python_step
from azureml_tasks.requirements.lines import normalize_name
from azureml_tasks.text_file import UnreadableFile, read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from azureml_tasks.config.problems import Override, Place, Problems
    from azureml_tasks.config.settings import Settings
    from azureml_tasks.project.conda_file import CondaPart
    from azureml_tasks.requirements.files import RequirementsTree
    from azureml_tasks.requirements.wanted_python import WantedPython


_NO_BASE = Reference(host="", repository="", tag="", digest="")
"""For a Dockerfile that starts from `scratch`, or from what only the builder knows."""


def load(
    folder: str | Path,
    overrides: Mapping[str, Override] | None = None,
    hashes: FileHashes | None = None,
    allowed_registries: AllowedRegistries = AllowedRegistries(),  # noqa: B008 -- a frozen value
    *,
    root: Override | None = None,
    image: str = "",
    wait_for_git: Callable[[], Revision | NoRevision] | None = None,
) -> Project:
    """Read the project in *folder*, or one of its images if its table has several.

    Args:
        folder: the folder of pyproject.toml.
        overrides: values that replace keys of the table in this run, by key.
        hashes: spare files that have not changed from being read again; None to read all.
        allowed_registries: that the table may name.
        root: folder that the files must be in, an absolute path, in place of the table's; None if the run names none.
        image: which of the table's images; "" if the table itself is the image.
        wait_for_git: returns the commit, if the caller has begun to read it.

    Raises:
        SettingsError: with everything that is wrong in the table and in the files it names.
        BuildError: a file changes while it is read.
    """
    project = Path(folder).resolve()
    overrides = {**(overrides or {}), **({"root": given_root(project, root)} if root else {})}
    wait_for_git = wait_for_git or git.start_reading(project)
    settings, problems = read(table_text(project), overrides, image)
    top = find_root(project, settings, problems)
    if problems.is_bad(("root",)):  # What the other keys name cannot be looked for.
        raise SettingsError([*problems])
    inner = project.relative_to(top).as_posix()
    ignored = read_ignore_files(
        top,
        inner,
        copied_folders(project, inner, settings),
        settings.exclude,
        problems,
        dockerfile=path_in_root(settings.dockerfile, inner) if settings.dockerfile else "",
    )
    reader = ProjectReader(
        root=top,
        folder=inner,
        settings=settings,
        problems=problems,
        matcher=ignored.rules,
        hashes=hashes or FileHashes(file=Path(os.devnull)),
    )
    facts = _facts(reader, wait_for_git, ignored.warnings)
    cross_checks.refuse_other_registries(settings, allowed_registries, problems)
    cross_checks.refuse_base_beside_secrets(settings, facts.base, allowed_registries, problems)
    if problems:
        in_question = [in_doubt(facts.missing_code)] if facts.missing_code else []
        raise SettingsError([*problems, *in_question])
    return Project(folder=project, root=top, settings=settings, facts=facts)


def image_names(folder: str | Path) -> tuple[str, ...]:
    """Return the names of the images of the project in *folder*, in order; empty if its table itself is the image.

    Args:
        folder: the folder of pyproject.toml.

    Raises:
        SettingsError: there is no such file or table, or the file cannot be read.
    """
    return read_image_names(table_text(Path(folder).resolve()))


def table_text(root: Path) -> str:
    """Return the text of pyproject.toml in *root*.

    Raises:
        SettingsError: there is none, it leaves the folder, or it cannot be read.
    """
    if leaves(root, root / FILE):
        fix = "Copy it into the project."
        raise SettingsError([FileProblem(FILE, 0, "is a link that leaves the project", fix)])
    try:
        return read_text(root / FILE)
    except FileNotFoundError:
        fix = (
            "Make it from the files that you have: invoke image.init\n"
            'or write it, with:\n[tool.azureml-image]\nbase = "minimal-py312-inference"'
        )
        if above := _folder_above(root):
            fix = f"For the table in a folder above, add: --project {shell_join([above])}\nor {fix[0].lower()}{fix[1:]}"
        raise SettingsError([FileProblem(FILE, 0, f"does not exist in {root}", fix)]) from None
    except UnreadableFile as error:
        raise SettingsError([FileProblem(FILE, 0, error.why, error.fix)]) from error


def table_line(folder: Path) -> int:
    """Return the line of our table in the pyproject.toml of *folder*; 0 if it has no line of its own."""
    return locate(table_text(folder)).get(("tool", "azureml-image"), 0)


def _folder_above(root: Path) -> str:
    """Return the nearest folder above *root* whose pyproject.toml has our table; "" if there is none."""
    for folder in root.parents:
        try:
            read_image_names(read_text(folder / FILE))
        except (OSError, UnreadableFile, SettingsError):
            continue
        return str(folder)
    return ""


def _facts(
    reader: ProjectReader, wait_for_git: Callable[[], Revision | NoRevision], warnings: Sequence[Notice]
) -> Facts:
    settings, problems = reader.settings, reader.problems
    project = problems.document.get("project")
    project = project if isinstance(project, dict) else {}
    today = datetime.now(timezone.utc).date()
    poetry = naming.poetry_table(problems.document)
    base_images.refuse_docker_hub(settings.base, problems)
    base_images.refuse_misspelt(settings.base, problems)
    base = expand_base(settings.base) or Reference(host="", repository="missing", tag="", digest="")
    repository = naming.repository(settings, project, problems)
    dockerfile = read_own_dockerfile(reader)
    if dockerfile:
        base, code, python, conda, mounted = dockerfile.base or _NO_BASE, Code(), None, None, None
        answering, own, files = AnsweringCode(), OwnScript(), whole_project(reader)
    else:
        code = read_code(reader)
        answering = answering_code(reader, code, base)
        own = own_script(reader, code, base)
        conda, trees = _conda(reader, base), copied_files.requirements(reader)
        mounted = mounted_delivery(reader, code, base, trees)
        refuse_missing_extra_files(reader, code)
        python, files = _python(reader, trees, conda), copied_files.code_and_model(reader, code)
    smoke_test, source = read_smoke_test(reader), script_source(reader, code)
    revision = wait_for_git()
    labels = naming.labels(settings, project, revision, base, title=repository, epoch=_epoch(problems))
    naming.refuse_wrong_version(project, problems)
    image_repositories.refuse_same_names(problems)
    base_images.refuse_server(settings.server, base, problems)
    app_root = variables.app_root(settings, base)
    ours = variables.own_variables(
        entry_script=code.entry_script if not mounted else "",  # Azure ML names it itself.
        has_model=bool(settings.model),
        python_path=code.python_path,
        app_root=app_root,
        mlflow_folder=own.model_folder,
    )
    env = variables.resolve(settings.env, ours, problems, variables.earlier_variables(settings, app_root))
    if mounted:
        env = variables.of_deployment(settings.env, env, problems)
    cross_checks.refuse_double_variables(settings, code, problems)
    refuse_name_without_model(reader)
    cross_checks.refuse_two_registries(problems)
    cross_checks.refuse_long_lines(settings, env.env, problems)
    cross_checks.refuse_labels_of_several_lines(labels, settings, problems)
    return Facts(
        project=project,
        base=base,
        repository=repository,
        family=image_repositories.family(problems),
        tags=()
        if settings.delivery == MOUNT
        else naming.tags(settings, naming.tag_values(project, revision, today, os.environ, poetry), problems),
        labels=labels,
        entry_script=code.entry_script,
        code=tuple(code.folders.by_name.values()),
        env=env.env,
        wanted_variables=env.of_base,
        app_root=app_root,
        python=python,
        files=files,
        has_model=bool(settings.model) and not dockerfile,
        smoke_test=smoke_test._replace(default_script=answering.stands_in),
        revision=revision,
        today=today,
        secrets=wanted_secrets(settings, problems),
        own_script=own,
        unread_script=code.unread,
        missing_code=answering.missing,
        wanted_pythons=(*(conda.wanted_pythons if conda else ()), *_unknown_pythons(python, base, problems)),
        mounted=mounted,
        warnings=(
            *warnings,
            *_warnings(settings, project, revision, problems.line_of),
            *(conda.file.warnings if conda else ()),
            *(own.warnings if own.serves else code.warnings),
            *([unread_warning(code.unread)] if code.unread else []),
            *variable_warnings(settings, problems.line_of),
            *header_warnings(reader),
            *json_warnings(reader.settings.smoke_test, smoke_test.requests),
            *(form_warnings(smoke_test.requests, source) if source else ()),
            *model_warnings(reader, files, reader.name(code.folders.source_of(code.entry_script)), source),
            *(dockerfile.warnings if dockerfile else ()),
        ),
        own_dockerfile=dockerfile,
        base_line=problems.line_of(("base",)) if problems.is_written(("base",)) else 0,
    )


def _unknown_pythons(
    python: PythonStep | None, base: Reference, problems: Problems
) -> tuple[WantedPython, ...]:
    """Return what lock files say of Python if only the base itself tells its version; else report what does not fit."""
    wishes, known = python.wanted_pythons if python else (), base_images.named_python(base)
    if not wishes or not known:
        return wishes
    from azureml_tasks.requirements.wanted_python import accepts

    problems.extend(
        base_images.python_problem(wish, base, known) for wish in wishes if not accepts(wish, known)
    )
    return ()


def unread_warning(problem: Problem) -> Notice:
    """Return the warning for what this machine's Python finds wrong with the entry script."""
    python = ".".join(map(str, sys.version_info[:2]))
    why = f"Python {python}, which runs this command, cannot read the entry script: {problem.what}"
    what = f"{why}. The smoke test shows whether the image's Python can."
    return Notice("script-unread", what, problem.file, problem.line)


def _conda(reader: ProjectReader, base: Reference) -> CondaPart | None:
    """Read the conda file of the table; None if there is none."""
    if not reader.settings.conda or reader.problems.is_bad(("conda",)):
        return None
    from azureml_tasks.project import conda_file  # few tables need its library

    return conda_file.read(reader, base)


def _python(
    reader: ProjectReader, listed: Sequence[RequirementsTree], conda: CondaPart | None
) -> PythonStep | None:
    settings, problems = reader.settings, reader.problems
    trees = [*listed, *([conda.pip_part] if conda and conda.pip_part else [])]
    groups = problems.valid_items("dependency-groups", settings.dependency_groups)
    extras = problems.valid_items("extras", settings.extras)
    parts: list[tuple[Place, dict[str, str]]] = [
        *((("dependency-groups", index), {"group": name}) for index, name in groups),
        *((("extras", index), {"extra": name}) for index, name in extras),
        *([(("project-dependencies",), {})] if settings.project_dependencies else []),
    ]
    requirements: dict[str, None] = {}
    covered = {part for tree in trees for part in tree.covers}
    for place, part in parts:
        name = next(iter(part.values()), "")
        if (str(place[0]), normalize_name(name)) in covered:
            continue  # A lock file has it, with versions.
        from azureml_tasks.requirements.pyproject import (
            declared_requirements,  # few tables need its libraries
        )

        declared, wrong = declared_requirements(problems.document, **part)
        requirements |= dict.fromkeys(declared)
        for what, fix in wrong:
            problems.add(place, f"{spell(place)}: {what}", fix)
    requirements |= {text: None for _, text in problems.valid_items("pip", settings.pip)}
    return python_step(
        tuple(requirements),
        trees,
        lambda path: (
            conda.member if conda and path == conda.file.path else copied_files.python_file(reader, path)
        ),
        conda=conda.file if conda else None,
        downloads=bool(settings.secrets),
        folder=reader.folder,
        adds_server=settings.server is not None,
        collects=bool(settings.packages_folder),
    )


def _epoch(problems: Problems) -> int | None:
    """Return SOURCE_DATE_EPOCH, https://reproducible-builds.org/specs/source-date-epoch/; None if it is not set."""
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if text is None:
        return None
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(naming.LAST_SECOND))
    if not is_number or int(text) > naming.LAST_SECOND:
        fix = "export SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)"
        what = f'"{text}" is not a number of seconds since 1970'
        problems.extend([Problem("SOURCE_DATE_EPOCH", 0, what, fix)])
        return None
    return int(text)


def _warnings(
    settings: Settings,
    project: Mapping[str, Any],
    revision: Revision | NoRevision,
    line_of: Callable[[Place], int],
) -> list[Notice]:
    warnings = []
    if isinstance(revision, NoRevision) and revision.unexpected:
        what = f"the image gets no revision label: {revision.why}"
        warnings.append(Notice("no-revision", what, fix=revision.fix))
    if any("{version}" in tag for tag in settings.tags) and naming.is_dynamic(project, "version"):
        what = '[project].version is dynamic, so the tag has "latest" in its place'
        warnings.append(Notice("no-version", what))
    warnings += [
        Notice.of_key(
            "system-package",
            f'apt package "{name}" is for the system\'s Python, which does not run the server: '
            "add its PyPI package to `pip` instead",
            FILE,
            line_of(("apt", index)),
        )
        for index, name in enumerate(settings.apt)
        if name.startswith("python3-")
    ]
    return warnings
