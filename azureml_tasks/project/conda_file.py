"""The conda file that the table names, compared with the table and with the base."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.config.yaml_document import LARGEST_YAML
from azureml_tasks.context.context_file import ContextFile
from azureml_tasks.project import base_images
from azureml_tasks.project.copied_files import refuse_missing_files, requirements_text
from azureml_tasks.requirements.conda import CondaFile, Substitutes, read_conda, required_name
from azureml_tasks.requirements.files import read_tree
from azureml_tasks.requirements.wanted_python import accepts
from azureml_tasks.text_file import UnreadableFile, read_text

if TYPE_CHECKING:
    from azureml_tasks.config.settings import Settings
    from azureml_tasks.image_reference import Reference
    from azureml_tasks.project.paths import ProjectReader
    from azureml_tasks.requirements.files import RequirementsTree
    from azureml_tasks.requirements.wanted_python import WantedPython


class CondaPart(NamedTuple):
    """What a conda file adds to the packages that pip installs.

    Args:
        file: the conda file.
        pip_part: as a requirements file with those that it includes; None if there is no pip part.
        wanted_pythons: what it says of Python, if the base's name does not tell the version.
    """

    file: CondaFile
    pip_part: RequirementsTree | None
    wanted_pythons: tuple[WantedPython, ...]

    @property
    def member(self) -> ContextFile:
        """The member of the build context for the pip part."""
        data = self.file.pip_text.encode()
        return ContextFile(name=f"python/project/{self.file.path}", data=data, size=len(data))


def read(reader: ProjectReader, base: Reference) -> CondaPart | None:
    """Read the conda file of the table and report what is wrong with it; None if it cannot be read.

    Args:
        reader: of a project whose table names a conda file.
        base: the base image.
    """
    settings, problems = reader.settings, reader.problems
    path = reader.check_path(("conda",), settings.conda or "", "file")
    if not path:
        return None
    try:
        text = read_text(reader.root / path, largest=LARGEST_YAML)
    except UnreadableFile as error:
        problems.add_in_file(reader.name(path), 0, error.why, error.fix)
        return None
    file, mistakes = read_conda(reader.name(path), text, _substitutes(settings, base))
    file = replace(file, path=path)
    reader.extend_named(("conda",), path, (each._replace(file=path) for each in mistakes))
    for line, name in file.variables:
        if name not in settings.env:
            fix = f'Write in the table: env = {{ {name} = "…" }}, with the value of this line'
            problems.add_in_file(
                reader.name(path), line, f"sets the variable {name}, which only conda would set", fix
            )
    python = base_images.named_python(base)
    for wanted in file.pythons:
        if python and not accepts(wanted, python):
            problems.extend([base_images.python_problem(wanted, base, python)])
    return CondaPart(
        file=file,
        pip_part=_pip_part(reader, file) if file.pip else None,
        wanted_pythons=() if python else file.pythons,
    )


def _pip_part(reader: ProjectReader, file: CondaFile) -> RequirementsTree:
    tree, mistakes = read_tree(
        file.path,
        lambda name: requirements_text(reader, name),
        text=file.pip_text,
        folder=reader.folder,
    )
    reader.extend(mistakes)
    refuse_missing_files(reader, ("conda",), tree, tree.files[1:])
    return tree


def _substitutes(settings: Settings, base: Reference) -> Substitutes:
    """Return what the table itself has for packages of conda: for pip, in a shell command, by apt, or in the base."""
    pip = [required_name(text) for text in settings.pip]
    commands = [required_name(word) for run in settings.run for word in re.split(r"[\s'\"]+", run.command)]
    return Substitutes(
        names=frozenset((*pip, *commands)),
        apt=frozenset(name.partition("=")[0] for name in settings.apt),
        has_cuda="cuda" in base.repository,
    )
