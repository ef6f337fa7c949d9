"""Installations of a Dockerfile: what `apt`, `pip`, `requirements` and `conda` say of them, and what differs."""

from __future__ import annotations

import json
import posixpath
import re
from typing import TYPE_CHECKING

from azureml_tasks.image_reference import parse
from azureml_tasks.migration.dockerfile.apt_commands import AptInstall
from azureml_tasks.migration.dockerfile.pip_commands import PipInstall
from azureml_tasks.migration.dockerfile.stage import APT, PIP, RUNTIME_USER
from azureml_tasks.migration.reading import Kind, Outcome
from azureml_tasks.project.base_images import named_python
from azureml_tasks.requirements.lines import normalize_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from azureml_tasks.migration.dockerfile.conda_commands import CondaEnvironment
    from azureml_tasks.migration.dockerfile.stage import Copied, Stage
    from azureml_tasks.migration.surroundings import Located

    Install: TypeAlias = AptInstall | PipInstall | CondaEnvironment

_BASE_ENVIRONMENTS = frozenset({
    "", "amlenv", "/opt/miniconda/envs/amlenv", "/azureml-envs/minimal", "$AZUREML_CONDA_ENVIRONMENT_PATH",
    "${AZUREML_CONDA_ENVIRONMENT_PATH}",
})  # fmt: skip
"""The environment of the server in Azure ML's inference images: microsoft/azureml-inference-server issue 83, and
Azure/azureml-assets, assets/inference/environments/minimal-py311-inference/context/Dockerfile."""


_SHARED_USERS = ("", "root", "0", RUNTIME_USER)
"""Users whose packages everybody has: dockeruser owns the environment of the server."""


def is_base(stage: Stage, environment: str) -> bool:
    """Return whether an environment is that of the server, or one for which that serves."""
    name = environment.rstrip("/")
    return name in _BASE_ENVIRONMENTS or name in stage.replaced


def replace_environment(stage: Stage, conda: CondaEnvironment) -> None:
    """Note an environment that a Dockerfile makes, and for which the base's own serves here."""
    if not _extends_base(stage, conda):
        stage.replaced |= {conda.environment, *_paths_of(stage, conda.environment)}


def _extends_base(stage: Stage, conda: CondaEnvironment) -> bool:
    return (
        not conda.creates and conda.environment in _BASE_ENVIRONMENTS - {""} and not stage.makes_environment
    )


def _paths_of(stage: Stage, environment: str) -> set[str]:
    """Return the paths under which a Dockerfile names an environment of conda."""
    if not environment or "/" in environment:
        return {environment}
    folders = ["/opt/miniconda/envs", "/opt/conda/envs", "/azureml-envs"]
    values = [stage.shell_value(name) or "" for name in (*stage.env, *stage.arguments)]
    return {f"{folder.rstrip('/')}/{environment}" for folder in (*folders, *values) if folder.startswith("/")}


def copied_file(stage: Stage, folder: str, path: str) -> tuple[Copied, Located] | None:
    """Return what was copied to *path*, relative to *folder* of the image, and where it is in the project."""
    return stage.source_of(path_in(stage, folder, path))


def path_in(stage: Stage, folder: str, path: str) -> str:
    """Return a path of the image that a command in *folder* names."""
    return posixpath.normpath(
        posixpath.join(folder or "/", stage.absolute(path) if path.startswith("$") else path)
    )


def note_install(stage: Stage, line: int, install: Install, folder: str) -> None:
    """Say what became of an installation.

    Args:
        stage: the image.
        line: of the instruction.
        install: the command.
        folder: of the image, that it runs in.
    """
    if isinstance(install, AptInstall):
        _note_apt(stage, line, install)
    elif isinstance(install, PipInstall):
        _note_pip(stage, line, install, folder)
    else:
        _note_conda(stage, line, install, folder)


def _note_apt(stage: Stage, line: int, install: AptInstall) -> None:
    why = f"apt = {json.dumps(list(install.packages))}"
    stage.set(("apt",), list(install.packages), line)
    stage.steps.append((APT, line))
    if install.has_recommended:
        stage.note(line, Outcome.CHANGED, f"{why}, without the packages that they recommend")
    else:
        stage.note(line, Outcome.KEY, why)


def _note_pip(stage: Stage, line: int, install: PipInstall, folder: str) -> None:
    """Note an installation that `pip` and `requirements` say."""
    stage.steps.append((PIP, line))
    differences = _pip_differences(stage, install)
    for file in install.files:
        _requirements(stage, line, file, folder, differences)
    for option in install.options:
        name, _, value = option.partition(" ")
        if name in ("-c", "--constraint") and (limits := copied_file(stage, folder, value)):
            stage.installed.add(limits[0])
    for other in install.others:
        stage.left_over(line, _advice(other))
    stage.pips += [(line, requirement, tuple(differences)) for requirement in install.requirements]


def _pip_differences(stage: Stage, install: PipInstall) -> list[str]:
    differences = []
    if install.upgrades and not (
        install.requirements and not install.files and all("==" in each for each in install.requirements)
    ):
        differences.append("a version that the base has and that fits is not replaced by a newer one")
    if install.has_login:
        differences.append('an address has a login: write secrets = ["netrc"] or ["pip-conf"]')
    elif install.options:
        differences.append(f"without {' '.join(install.options)}: a requirements file can have such a line")
    if stage.configures_pip:
        differences.append(f"pip of the build may lack what line {stage.configures_pip} configures")
    if other := _other_python(stage, install):
        differences.append(f"into the environment of the server, not for Python {other}")
    if stage.user not in _SHARED_USERS:
        differences.append(f"for every user, not for {stage.user} alone")
    if not is_base(stage, install.environment):
        differences.append(f"into the environment of the server, not into {install.environment}")
    elif stage.path_lines and not stage.replaced and not install.environment:
        differences.append(
            f"into the environment of the server, also if line {stage.path_lines[0]} names another"
        )
    return differences


def _other_python(stage: Stage, install: PipInstall) -> str:
    """Return the version that a command of pip names, if the base is known to have another one; "" for none."""
    base = parse(stage.base)
    known = named_python(base) if base and install.python else None
    return install.python if known and install.python != "{}.{}".format(*known) else ""


def _advice(other: str) -> str:
    if other.endswith(".whl"):
        return f"{other}: list the wheel in a requirements file, by its path in the project"
    return (
        f"{other}: the project itself is not installed. Its dependencies are by project-dependencies = true, "
        "and its code is copied by code; or list its wheel in a requirements file"
    )


def _note_file(stage: Stage, line: int, kind: Kind, folder: str, file: str) -> str:
    """Note a file that packages are installed from, and return its name in the project; "" if it is not copied."""
    copied = copied_file(stage, folder, file)
    if not copied:
        stage.left_over(line, f"{file} is not one of the copied files")
        return ""
    each, located = copied
    stage.installed.add(each)
    stage.refer(kind, line, located.name)
    return located.name


def _requirements(stage: Stage, line: int, file: str, folder: str, differences: Sequence[str]) -> None:
    if re.match(r"[a-z+]+://", file):
        stage.left_over(line, f"{file} is not a file of the project: copy it into the project")
        return
    name = _note_file(stage, line, Kind.REQUIREMENTS, folder, file)
    if not name:
        return
    why = f"requirements = [{json.dumps(name, ensure_ascii=False)}]"
    stage.note(line, Outcome.CHANGED if differences else Outcome.KEY, "; ".join([why, *differences]))


def _note_conda(stage: Stage, line: int, conda: CondaEnvironment, folder: str) -> None:
    """Note an environment that conda makes or changes by a file."""
    stage.steps.append((PIP, line))
    replace_environment(stage, conda)
    if stage.makes_environment:
        what = "it makes the environment of the server, which the base does not have"
        stage.keep(line, f"{what}: the key conda extends one")
        return
    name = _note_file(stage, line, Kind.CONDA, folder, conda.file)
    if not name:
        return
    stage.conda_files.append(name)
    why = f"conda = {json.dumps(name, ensure_ascii=False)}"
    if _extends_base(stage, conda):
        differences = [f"without {' '.join(conda.options)}"] if conda.options else []
    else:
        name = conda.environment or "the one that the file names"
        differences = [f"its packages go into the base's own environment, in place of another one, {name}"]
    stage.note(line, Outcome.CHANGED if differences else Outcome.KEY, "; ".join([why, *differences]))


def decide_pips(stage: Stage) -> None:
    """Set the requirements for pip: of one project the last one counts, as in the Dockerfile."""
    last = {_project(requirement): (line, requirement) for line, requirement, _ in stage.pips}
    kept: dict[tuple[int, tuple[str, ...]], list[str]] = {}
    for line, requirement, differences in stage.pips:
        other, text = last[_project(requirement)]
        if (other, text) == (line, requirement):
            kept.setdefault((line, differences), []).append(requirement)
        else:
            stage.note(line, Outcome.KEY, f"{requirement} gives way to {text} of line {other}")
    for (line, differences), requirements in kept.items():
        texts = list(dict.fromkeys(requirements))
        stage.set(("pip",), texts, line)
        outcome = Outcome.CHANGED if differences else Outcome.KEY
        stage.note(line, outcome, "; ".join([f"pip = {json.dumps(texts)}", *differences]))


def _project(requirement: str) -> str:
    return normalize_name(re.split(r"[^\w.-]", requirement, maxsplit=1)[0])
