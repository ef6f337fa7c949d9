"""Read and check `delivery = "mount"`: what Azure ML mounts into the base, which then needs no image of the project.

https://learn.microsoft.com/azure/machine-learning/how-to-prebuilt-docker-images-inference-python-extensibility
describes both ways to packages: a requirements file that each start installs, and a folder that travels with the code.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.config.problems import spell
from azureml_tasks.image_reference import MCR
from azureml_tasks.project.base_images import adds_no_packages
from azureml_tasks.project.paths import kind_of, leaves
from azureml_tasks.project.variables import names_of_base
from azureml_tasks.requirements.kinds import lock_kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from azureml_tasks.config.problems import Place, Problems
    from azureml_tasks.config.settings import Settings
    from azureml_tasks.image_reference import Reference
    from azureml_tasks.project.code import Code
    from azureml_tasks.project.paths import ProjectReader
    from azureml_tasks.requirements.files import RequirementsTree

MOUNT = "mount"
"""The value of `delivery` for a delivery without an image."""
MARK = ".azureml-image.json"
"""In the folder of packages: what it was made from. A folder without it is somebody else's, and is never replaced."""
REQUIREMENTS_VARIABLE = "AZUREML_EXTRA_REQUIREMENTS_TXT"
PACKAGES_VARIABLE = "AZUREML_EXTRA_PYTHON_LIB_PATH"
"""Both name a path relative to the folder of the entry script: the images' run script, in Azure/azureml-assets
assets/training/model_management/environments/mlflow-model-inference/context."""
_FILE_VARIABLES = (REQUIREMENTS_VARIABLE, PACKAGES_VARIABLE, "AZUREML_EXTRA_CONDA_YAML")
_OF_AN_IMAGE = (
    "apt",
    "server",
    "model",
    "python-path",
    "run",
    "user",
    "labels",
    "secrets",
    "shared-layers",
    "cached-layers-max-age",
    "acr",
    "tags",
)
"""Keys that say what an image of the project holds or how it is made."""
_FEW = 5
"""Packages: installing more at each start takes long."""
_AT_START = ("pip", "dependency-groups", "extras", "project-dependencies")
"""Keys whose packages no requirements file in the code lists."""


class MountedDelivery(NamedTuple):
    """What Azure ML mounts into the base instead of an image.

    Args:
        root: absolute path of the folder that the following paths are relative to.
        code: folder of the code.
        script: entry script, relative to that folder.
        requirements: the file that each start installs, relative to the folder of the script; "" for none.
        packages: the folder of packages, relative to the folder of the script; "" for none.
        packages_folder: the same folder; "" for none.
    """

    root: str
    code: str
    script: str
    requirements: str = ""
    packages: str = ""
    packages_folder: str = ""

    @property
    def variables(self) -> dict[str, str]:
        """The variables that tell the base where the packages are."""
        paths = {REQUIREMENTS_VARIABLE: self.requirements, PACKAGES_VARIABLE: self.packages}
        return {name: path for name, path in paths.items() if path}


def mounted_delivery(
    reader: ProjectReader, code: Code, base: Reference, trees: Sequence[RequirementsTree]
) -> MountedDelivery | None:
    """Return what is mounted, and report what is wrong with it; None for an image.

    Args:
        reader: of the project.
        code: its code.
        base: the base image.
        trees: the requirements files with those that they include.
    """
    settings, problems = reader.settings, reader.problems
    if settings.delivery != MOUNT:
        if problems.is_written(("packages-folder",)):
            what = f'{spell(("packages-folder",))} is for {spell(("delivery",))} = "mount"'
            fix = "Remove it: an image has its packages in the base's Python."
            problems.add(("packages-folder",), what, fix)
        return None
    _refuse_what_needs_an_image(reader)
    if not code.entry_script:
        if not problems.is_bad(("code",)) and not problems.is_bad(("entry-script",)):
            what = f'{spell(("delivery",))} is "mount", and there is no entry script to mount'
            problems.add(("delivery",), what, 'Write: code = "code", the folder with score.py')
        return None
    if "" not in code.folders.by_name:
        what = f'{spell(("delivery",))} is "mount", and Azure ML mounts one folder of code'
        problems.add(("code",), what, 'Write: code = "FOLDER", one that holds all of them')
        return None
    folder = code.folders.by_name[""]
    has_packages = bool(trees) or any(problems.is_written((key,)) for key in ("conda", *_AT_START))
    if has_packages:
        _refuse_curated(base, problems)
    packages = _packages_folder(reader, folder) if settings.packages_folder else ""
    if not settings.packages_folder:
        _refuse_what_no_start_installs(reader, folder, trees)
    at_start = trees[0].files[0] if trees and not settings.packages_folder else ""
    beside = posixpath.join(folder, posixpath.dirname(code.entry_script))
    return MountedDelivery(
        root=str(reader.root),
        code=folder,
        script=code.entry_script,
        requirements=posixpath.relpath(at_start, beside) if at_start else "",
        packages=posixpath.relpath(packages, beside) if packages and has_packages else "",
        packages_folder=packages if has_packages else "",
    )


def _refuse_what_needs_an_image(reader: ProjectReader) -> None:
    settings, problems = reader.settings, reader.problems
    for key in _OF_AN_IMAGE:
        if problems.is_written((key,)) and key not in problems.sources:
            what = f'{spell((key,))} needs an image, and {spell(("delivery",))} is "mount"'
            fix = "Remove it"
            if key == "model":
                fix = f'Azure ML mounts the model: smoke-test = {{ model = "{settings.model}" }}'
            problems.add((key,), what, f'{fix}\nor write: delivery = "image"')


def _refuse_curated(base: Reference, problems: Problems) -> None:
    """Refuse a base whose run script adds no packages."""
    if adds_no_packages(base):
        what = f"{spell(('base',))}: {base} adds no packages at its start, as curated minimal images do not"
        problems.add(("base",), what, 'Write: base = "minimal-py312-inference", or: delivery = "image"')


def _packages_folder(reader: ProjectReader, code: str) -> str:
    place: Place = ("packages-folder",)
    given = reader.settings.packages_folder or ""
    folder = reader.path(given)
    if reader.problems.is_bad(place):
        return ""
    if not folder or _is_outside(folder, code) or code == folder:
        name = reader.name(code)
        what = f'{spell(place)} is "{given}", which is not a folder in the code, {name}'
        reader.problems.add(place, what, f'Write: packages-folder = "{posixpath.join(name, "packages")}"')
        return ""
    # It is written and removed, so no link may lead there: neither its last part nor a folder between.
    path = reader.root / folder
    if path.resolve() != (reader.root / code).resolve() / posixpath.relpath(folder, code):
        what = f'{spell(place)} is "{given}", which leads through a link'
        reader.problems.add(place, what, "Name a folder in the code itself that is not there yet.")
        return ""
    if kind_of(path) not in ("", "folder"):
        what = f'{spell(place)} is "{given}", which is a {kind_of(path)}, not a folder'
        reader.problems.add(place, what, "Name a folder in the code that is not there yet.")
        return ""
    return folder


def _is_outside(path: str, folder: str) -> bool:
    return posixpath.relpath(path, folder).partition("/")[0] == ".."


def _refuse_what_no_start_installs(
    reader: ProjectReader, folder: str, trees: Sequence[RequirementsTree]
) -> None:
    """Refuse packages that no single requirements file in the code lists: a start installs one file."""
    problems, code = reader.problems, reader.name(folder)
    in_folder = (
        f'or: packages-folder = "{posixpath.join(code, "packages")}", which holds the packages themselves'
    )
    for key in ("conda", *_AT_START):
        if problems.is_written((key,)):
            what = f"{spell((key,))}: at its start the base installs one requirements file and nothing else"
            fix = f'Write these into a requirements file in {code}, and: requirements = "{code}/requirements.txt"'
            problems.add((key,), what, f"{fix}\n{in_folder}")
    if len(trees) > 1:
        names = ", ".join(reader.name(tree.files[0]) for tree in trees)
        what = f"{spell(('requirements',))} names {names}, and the base installs one file at its start"
        problems.add(("requirements",), what, f"Include the others in the first: -r FILE\n{in_folder}")
    for tree in trees[:1]:
        if lock_kind(tree.files[0]):
            what = f"{spell(('requirements',))}: the base installs no lock file at its start, as {tree.files[0]} is"
            problems.add(("requirements",), what, in_folder.removeprefix("or: ").partition(",")[0])
        for path in (*tree.files, *tree.wheels):
            if _is_outside(path, folder):
                name = reader.name(path)
                what = (
                    f"{spell(('requirements',))}: {name} is not in {code}, which is all that Azure ML mounts"
                )
                problems.add(("requirements",), what, f"Move it into {code}\n{in_folder}")


def refuse_missing_extra_files(reader: ProjectReader, code: Code) -> None:
    """Report variables of the images that name a file or folder which the code does not have.

    What is outside of the code is not looked for: a message would tell what this machine has.
    """
    settings = reader.settings
    if "" not in code.folders.by_name or settings.run:
        return  # A command may make the file.
    top = code.folders.by_name[""]
    beside = posixpath.normpath(posixpath.join(top, posixpath.dirname(code.entry_script)))
    tables: Mapping[str, Mapping[str, str]] = {"env": settings.env, "smoke-test.env": settings.smoke_test.env}
    for table, variables in tables.items():
        for name in _FILE_VARIABLES:
            value = variables.get(name, "")
            path = posixpath.normpath(posixpath.join(beside, value))
            if not value or posixpath.isabs(value):
                continue
            place: Place = (*table.split("."), name)
            if _is_outside(path, top):
                what = f'{spell(place)} is "{value}", which leads out of the code folder, {reader.name(top)}'
                reader.problems.add(
                    place, what, f"Name a path in {reader.name(top)}, which the base can read."
                )
            elif not leaves(reader.root, reader.root / path) and not kind_of(reader.root / path):
                what = f'{spell(place)} is "{value}", and {reader.name(path)} does not exist'
                fix = f"The path is relative to the folder of the entry script, {reader.name(beside)}."
                reader.problems.add(place, what, fix)


def lighter_way(settings: Settings, base: Reference, requirements: int, code: Sequence[str]) -> str:
    """Return one line that says that a project needs no image of its own, and what that costs; "" if it needs one.

    Args:
        settings: the table.
        base: the base image.
        requirements: how many packages the project asks for.
        code: folders of the code.
    """
    needs_image = (
        settings.apt
        or settings.server
        or settings.run
        or settings.model
        or settings.secrets
        or settings.python_path
        or settings.smoke_test.mini_batch  # What is mounted then is an online deployment's.
        or any(True for _ in names_of_base(settings.env))
        or len(code) != 1
    )
    is_prebuilt = str(base).startswith(MCR) and "/curated/" not in str(base)
    if needs_image or not is_prebuilt or requirements > _FEW or settings.delivery == MOUNT:
        return ""
    count = f"{requirements} package{'s' if requirements > 1 else ''}"
    cost = f"each start then installs {count if requirements else 'nothing'}"
    return f'no image: if you set delivery = "mount", Azure ML mounts the code into the base; {cost}'
