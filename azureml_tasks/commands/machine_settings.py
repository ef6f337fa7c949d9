"""What no file of a project decides: values that only a flag, an argument or a variable of the environment gives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.commands.secret_sources import secret_sources
from azureml_tasks.config.allowed_registries import AllowedRegistries, read_allowed_registries
from azureml_tasks.config.problems import Override
from azureml_tasks.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from azureml_tasks.project.build_secrets import SecretSource

ENVIRONMENT_PREFIX = "INVOKE_AZUREML_IMAGE_"
CACHE_SCOPE = "CACHE_SCOPE"
"""The variable, without its prefix, that says whose caches a run uses; pull requests and main do not share them."""
ALLOW_SOURCE_BUILDS = "ALLOW_SOURCE_BUILDS"
"""The variable, without its prefix, that lets packages be built from source while secrets are mounted."""
ROOT = "ROOT"
"""The variable, without its prefix, that names the folder that a project's files must be in."""
STATE = "STATE"
"""The variable, without its prefix, that names a folder for records, for a checkout that cannot be written."""
ENVIRONMENT_ONLY = frozenset({
    "ACR_AUDIENCE",
    ALLOW_SOURCE_BUILDS,
    "ALLOWED_REGISTRIES",
    CACHE_SCOPE,
    "RESOURCE_MANAGER",
    ROOT,
    "SECRET_NETRC",
    "SECRET_PIP_CONF",
    STATE,
})  # fmt: skip
"""Variables, without their prefix, that are no options: a project's files must not decide what they decide, so neither
the table nor Invoke's configuration can set them."""
BOOLEANS = {"1": True, "true": True, "0": False, "false": False}
"""What a variable that is a switch may hold, in lower case."""


class MachineSettings(NamedTuple):
    """What no file of a project decides; each is the part of a `RunContext` with its name."""

    cache_scope: str
    secrets: Mapping[str, SecretSource]
    source_builds: bool
    allowed_registries: AllowedRegistries
    state: Path | None
    root: Override | None


def read_machine_settings(
    environment: Mapping[str, str],
    problems: list[Problem],
    *,
    secrets: Sequence[str] = (),
    source_builds: bool = False,
    root: str = "",
    root_from: Path,
) -> MachineSettings:
    """Return what the run and the variables of *environment* decide.

    Args:
        environment: variables of this process.
        problems: receives each mistake.
        secrets: where secrets are, each `ID=SOURCE`; more than the variables say.
        source_builds: whether the run lets packages be built from source.
        root: the folder that the run names for the project's files; "" for the variable's.
        root_from: folder that *root* is relative to; the variable is relative to the current one.
    """
    return MachineSettings(
        cache_scope=_cache_scope(environment, problems),
        secrets=secret_sources(secrets, environment, problems),
        source_builds=_source_builds(environment, problems) or source_builds,
        allowed_registries=read_allowed_registries(environment, problems),
        state=_state_folder(environment, problems),
        root=_root_folder(root, root_from, environment, problems),
    )


def _cache_scope(environment: Mapping[str, str], problems: list[Problem]) -> str:
    variable = f"{ENVIRONMENT_PREFIX}{CACHE_SCOPE}"
    scope = environment.get(variable)
    if scope == "":
        fix = f"Name who trusts whom, such as: export {variable}=main\nor: unset {variable}"
        problems.append(Problem(variable, 0, "is empty", fix))
    return scope or ""


def _source_builds(environment: Mapping[str, str], problems: list[Problem]) -> bool:
    variable = f"{ENVIRONMENT_PREFIX}{ALLOW_SOURCE_BUILDS}"
    text = environment.get(variable, "")
    if text and text.lower() not in BOOLEANS:
        problems.append(Problem(variable, 0, f'must be 1, 0, true or false, got "{text}"'))
    return BOOLEANS.get(text.lower(), False)


def _state_folder(environment: Mapping[str, str], problems: list[Problem]) -> Path | None:
    """Return the folder for records, relative to the current one; None if they stay in the project."""
    variable = f"{ENVIRONMENT_PREFIX}{STATE}"
    text = environment.get(variable)
    if text is None:
        return None
    folder = Path(text).absolute()
    if not text or (folder.exists() and not folder.is_dir()):
        what = f'is "{text}", which is not a folder' if text else "is empty"
        fix = f"Name a folder that this user may write, or: unset {variable}"
        problems.append(Problem(variable, 0, what, fix))
    return folder


def _root_folder(
    given: str, given_from: Path, environment: Mapping[str, str], problems: list[Problem]
) -> Override | None:
    """Return the folder that the project's files must be in, if the run names one."""
    variable = f"{ENVIRONMENT_PREFIX}{ROOT}"
    source, text = ("--root", given) if given else (variable, environment.get(variable))
    if text is None:
        return None
    folder = (given_from / text if given else Path(text)).absolute()
    if not text or not folder.is_dir():
        what = f'is "{text}", but {folder} is not a folder' if text else "is empty"
        fix = "Name a folder above the project" + ("." if given else f", or: unset {variable}")
        problems.append(Problem(source, 0, what, fix))
    return Override(value=str(folder), source=source)
