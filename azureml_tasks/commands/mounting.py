"""Carry out `delivery = "mount"`: make the folder of packages, and run the base with the code in its container.

`project/mounted_delivery.py` reads from the table what is mounted. Here is what commands do with it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.commands.build_step import build_step
from azureml_tasks.context.context_file import ContextFile
from azureml_tasks.errors import FileProblem, SettingsError
from azureml_tasks.project.model import MountedCode
from azureml_tasks.project.mounted_delivery import MARK
from azureml_tasks.project.paths import files_below
from azureml_tasks.requirements.install_step import FOLDER
from azureml_tasks.text_file import UnreadableFile, read_bytes

if TYPE_CHECKING:
    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.commands.prepare import Prepared
    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.project.mounted_delivery import MountedDelivery

_LARGEST_MARK = 10_000  # bytes


def base_to_run(prepared: Prepared) -> BuiltImage:
    """Return the base as the image to run; it is pulled if the engine does not have it."""
    image = prepared.engine.base_as_image(prepared.plan)
    return image._replace(context_sha256=prepared.context.sha256)


def with_code(run: RunContext, prepared: Prepared, image: BuiltImage) -> Prepared:
    """Return what to test, with the code that the container gets; make the folder of packages if it is not up to date.

    Raises:
        SettingsError: the folder of packages holds something else.
        BuildError: the packages cannot be installed.
    """
    plan, mounted = prepared.plan, _mounted(prepared.plan)
    if mounted.packages_folder:
        _update_packages(run, prepared, image)
    code = MountedCode(
        name=_name(mounted),
        script=mounted.script,
        files=tuple(members(plan)),
        variables={**mounted.variables, **plan.env},
        packages=str(Path(mounted.root, mounted.packages_folder)) if mounted.packages_folder else "",
        packages_name=_packages_name(mounted) if mounted.packages_folder else "",
    )
    smoke_test = plan.smoke_test._replace(mounted=code, sha256=mount_sha256(plan, prepared.context))
    return prepared._replace(plan=plan._replace(smoke_test=smoke_test))


def mount_sha256(plan: Plan, context: BuildContext) -> str:
    """Return the SHA-256 over all that is mounted, how the base is told of it, and the smoke test, in hexadecimal."""
    parts = [context.sha256, str(plan.base), _mounted(plan).variables, dict(plan.env), plan.smoke_test.sha256]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def inputs_sha256(plan: Plan, context: BuildContext) -> str:
    """Return the SHA-256 over what a container with the code depends on beside the code, in hexadecimal."""
    packages = context.parts.get("python", "")
    parts = [packages, str(plan.base), _mounted(plan).variables, _mounted(plan).script, dict(plan.env)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def refuse_old_packages(plan: Plan, context: BuildContext) -> None:
    """Refuse to deploy a folder of packages that was not made from the requirements as they are now.

    Raises:
        SettingsError: it is missing or out of date.
    """
    mounted = _mounted(plan)
    if not mounted.packages_folder:
        return
    made_from = _read_mark(Path(mounted.root, mounted.packages_folder))
    if made_from.rpartition(" ")[2] != context.parts.get("python", ""):
        what = "does not hold the packages that the table asks for now" if made_from else "is not made yet"
        raise SettingsError([FileProblem(mounted.packages_folder, 0, what, "invoke image.smoke-test")])


def _mounted(plan: Plan) -> MountedDelivery:
    if not plan.mounted:
        raise AssertionError("only for plans whose code is mounted")
    return plan.mounted


def _name(mounted: MountedDelivery) -> str:
    return Path(mounted.root, mounted.code).resolve().name


def _packages_name(mounted: MountedDelivery) -> str:
    return Path(mounted.packages_folder).relative_to(mounted.code).as_posix()


def _update_packages(run: RunContext, prepared: Prepared, image: BuiltImage) -> None:
    plan, mounted = prepared.plan, _mounted(prepared.plan)
    folder = Path(mounted.root, mounted.packages_folder)
    made_from = f"{image.id} {prepared.context.parts.get('python', '')}"
    mark = _read_mark(folder)
    if mark == made_from:
        run.reporter.say(f"packages are up to date: {mounted.packages_folder}")
        return
    if folder.exists() and not mark and any(folder.iterdir()):
        what = "is the folder for packages, and holds something else, which would be removed"
        fix = "Name another folder that is not there yet: packages-folder"
        raise SettingsError([FileProblem(mounted.packages_folder, 0, what, fix)])
    files = [file for file in plan.files if file.name.startswith(f"{FOLDER}/")]
    title = f"installing packages for {mounted.packages_folder} in a container of {plan.base}"
    with build_step(run, title, announced=True):
        prepared.engine.make_packages_folder(image, files, folder, made_from)


def _read_mark(folder: Path) -> str:
    """Return what the folder states that it was made from; "" if it has no such mark."""
    try:
        mark = json.loads(read_bytes(folder / MARK, _LARGEST_MARK))
    except (FileNotFoundError, UnreadableFile, ValueError, RecursionError):
        return ""
    made_from = mark.get("made_from") if isinstance(mark, dict) else None
    return made_from if isinstance(made_from, str) else ""


def members(plan: Plan) -> list[ContextFile]:
    """Return the members of the archive for the container: the code, in a folder of its name, and the packages."""
    mounted = _mounted(plan)
    name = _name(mounted)
    members = [
        file._replace(name=f"{name}/{file.name.partition('/')[2]}")
        for file in plan.files
        if file.name.startswith("code/")
    ]
    packages = Path(mounted.root, mounted.packages_folder)
    if not mounted.packages_folder or not packages.is_dir():
        return members
    _refuse_links(packages, mounted)
    inside = f"{name}/{_packages_name(mounted)}"
    return members + [
        ContextFile(
            name=f"{inside}/{path.relative_to(packages).as_posix()}",
            source=str(path),
            size=path.stat().st_size,
            executable=bool(path.stat().st_mode & 0o100),
        )
        for path in files_below(packages)
        if path.name != MARK
    ]


def _refuse_links(packages: Path, mounted: MountedDelivery) -> None:
    """Refuse a folder of packages with links: the one that we make has none, and one may lead out of the project.

    Raises:
        SettingsError: it has one.
    """
    link = next((path for path in files_below(packages) if path.is_symlink()), None)
    if link:
        name = link.relative_to(mounted.root).as_posix()
        fix = f"Remove the folder {mounted.packages_folder}, which the next smoke test makes again."
        raise SettingsError([FileProblem(name, 0, "is a link, and a folder of packages has none", fix)])
