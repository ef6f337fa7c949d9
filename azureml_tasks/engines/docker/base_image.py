"""The base image on the engine: found or pulled, and checked before any build step."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from azureml_tasks.engines.docker.runtime_user import has_user
from azureml_tasks.engines.docker.socket_http import UnreadableAnswer
from azureml_tasks.errors import BuildError, SettingsError
from azureml_tasks.notice import Notice
from azureml_tasks.project.base_images import ENTRY_SCRIPT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.errors import AzuremlTasksError
    from azureml_tasks.image_reference import Reference
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.reporter import Reporter

_ADD_SERVER = (
    'Write: server = "azmlinfsrv", which adds the inference server\nor name an inference image of Azure ML'
)
_IDLE = re.compile(r"(.*/)?(ba|da|a|z)?sh|(.*/)?python[\d.]*")
"""Programs that end at once if nobody types: what a base without a server runs."""
_ALIKE = 0.9
"""How alike two references must be (`difflib`) for one to be a misspelling of the other."""
_USUAL_USER = "dockeruser"
"""That of Azure ML's inference images."""
_SERVER_VARIABLE = "AZUREML_INFERENCE_SERVER_HTTP_ENABLED"
"""Set in the inference images alone: Azure/azureml-assets, mlflow-model-inference/context/Dockerfile."""


@dataclass(frozen=True, kw_only=True)
class BaseImage:
    """The base image as the engine has it.

    Args:
        id: `sha256:…`.
        platform: such as `linux/amd64`.
        env: its variables.
        user: its runtime user; "" is root.
        entrypoint: its ENTRYPOINT, empty in Azure ML's images.
        command: its CMD, `runsvdir /var/runit` in Azure ML's images.
        driver: the engine's storage driver, such as `overlay2`; "" if the engine does not tell.
        has_user: whether it has the runtime user of the plan; False if nobody has looked.
    """

    id: str
    platform: str
    env: Mapping[str, str]
    user: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    driver: str = ""
    has_user: bool = False


def prepare_base(
    client: EngineClient, plan: Plan, reporter: Reporter, folder: Path, *, pull: bool
) -> BaseImage | None:
    """Find or pull the base image of *plan* and check that it can be extended.

    Args:
        client: the engine.
        plan: the image.
        reporter: shows the pull and the warnings.
        folder: of the records, where the known users of a base image are kept.
        pull: whether to pull it even if the engine has it.

    Returns:
        the base image; None under --dry if the engine does not have it.

    Raises:
        BuildError: it does not exist, or lacks something that the plan needs.
        SettingsError: it has no entry script, and the table names none.
        RegistryError: its registry refuses.
    """
    base = find_base(client, str(plan.base))
    if pull or not base:
        argv = client.docker_command("pull", "--platform", plan.platform, str(plan.base))
        if not reporter.effect(argv):
            return None
        pull_base(client, plan.base, plan.platform, reporter)
        base = find_base(client, str(plan.base))
        if not base:
            what = f"The base {plan.base} was pulled, but the engine does not have it."
            raise BuildError(what, next_step="docker images")
    _check_base(plan, base)
    for warning in () if plan.adds_server else _warnings(plan, base):
        reporter.warn(warning)
    return replace(base, has_user=has_user(client, plan, base.id, reporter, folder, save=True))


def check_base(client: EngineClient, plan: Plan, reporter: Reporter, folder: Path) -> None:
    """Check that the base can be extended, if the engine has it; arguments and errors as of `prepare_base`."""
    if plan.own_dockerfile:  # It decides about its base, and the built image is looked at.
        return
    if base := find_base(client, str(plan.base)):
        _check_base(plan, base)
        if plan.user != _USUAL_USER:  # To look for it in each check would take time.
            has_user(client, plan, base.id, reporter, folder, save=False)


def find_base(client: EngineClient, reference: str) -> BaseImage | None:
    """Return the base image if the engine has it."""
    image = client.inspect_image(reference)
    if not image:
        return None
    config: dict[str, Any] = image.get("Config") or {}
    platform = [image.get(name) for name in ("Os", "Architecture", "Variant")]
    if not all(platform[:2]):
        raise UnreadableAnswer(f"{reference} has no Os or Architecture")
    return BaseImage(
        id=str(image["Id"]),
        platform="/".join(filter(None, platform)),
        env=_variables(config),
        user=config.get("User") or "",
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        driver=str((image.get("GraphDriver") or {}).get("Name", "")),
    )


def variables_of(client: EngineClient, reference: str) -> Mapping[str, str] | None:
    """Return the environment variables that an image sets; None if the engine does not have it."""
    image = client.inspect_image(reference)
    return _variables(image.get("Config") or {}) if image else None


def _variables(config: Mapping[str, Any]) -> dict[str, str]:
    return dict(pair.partition("=")[::2] for pair in config.get("Env") or [])


def pull_base(
    client: EngineClient, reference: Reference, platform: str, reporter: Reporter, *, named_in: str = ""
) -> None:
    """Pull an image that a build starts from.

    Args:
        client: the engine.
        reference: of the image.
        platform: such as `linux/amd64`.
        reporter: shows the pull.
        named_in: the Dockerfile that names the image; "" for the table, or a flag.

    Raises:
        BuildError: it does not exist, or not for this platform.
        RegistryError: its registry refuses.
    """
    from azureml_tasks.engines.docker.pull import pull_image
    from azureml_tasks.engines.docker.registry_errors import Cause, cause_of

    by = reference.digest or reference.tag
    with reporter.step(f"pulling {reference} for {platform}", announced=True):
        if message := pull_image(client, reference.name, by, reporter, platform=platform):
            error = _pull_error(reference, platform, message, named_in)
            # Why the pull of a misspelt name fails, with and without a network.
            causes = {Cause.NOT_FOUND, Cause.NOT_FOUND_OR_FORBIDDEN, Cause.UNKNOWN_HOST, Cause.TEMPORARY}
            is_here = client.inspect_image(str(reference)) is not None  # It is pulled again.
            if cause_of(message) in causes and not is_here and (near := near_image(client, reference)):
                error.next_step = f"{near}\n{error.next_step}"
            raise error


def near_image(client: EngineClient, reference: Reference) -> str:
    """Ask whether a tag on the engine is meant that is much like *reference*; "" if there is none."""
    from difflib import get_close_matches

    near = get_close_matches(str(reference), client.list_tags(), n=1, cutoff=_ALIKE)
    return f"Did you mean {near[0]}, which the engine has?" if near else ""


def _pull_error(reference: Reference, platform: str, message: str, named_in: str) -> AzuremlTasksError:
    from azureml_tasks.engines.docker.registry_errors import Cause, cause_of, registry_error

    if "no matching manifest for " in message or "does not match the specified platform" in message:
        fix = "Set platform to one of the base; Azure ML's own images are for linux/amd64."
        what = f"The base {reference} is not made for {platform}."
        return BuildError(what, next_step=fix, said=f"its registry said: {message}")
    cause = cause_of(message)
    if cause is Cause.NOT_FOUND:
        fix = "Look at its registry's list of tags, or name another base, in "
        fix += named_in or "the table or by --base"
        what = f"The base {reference} does not exist."
        return BuildError(what, next_step=fix, said=f"its registry said: {message}")
    host, host_from = reference.host or "docker.io", named_in or 'base = "…" in the table, or --base'
    return registry_error(host, f"the pull of {reference}", message, cause=cause, host_from=host_from)


def _check_base(plan: Plan, base: BaseImage) -> None:
    if not (base.platform + "/").startswith(plan.platform + "/"):
        fix = f'Write: platform = "{base.platform}"\nor name a base that is made for {plan.platform}'
        what = f"The base {plan.base} is made for {base.platform}, not for {plan.platform}."
        raise BuildError(what, next_step=fix)
    if plan.missing_code and ENTRY_SCRIPT not in base.env:
        raise SettingsError([plan.missing_code])
    if plan.adds_server:
        if base.env.get(_SERVER_VARIABLE):
            fix = 'Remove from pyproject.toml: server = "azmlinfsrv"\nor name a base that has no server'
            raise BuildError(f"The base {plan.base} has an inference server.", next_step=fix)
        return
    if _has_environment(plan, base):
        return
    if plan.python:
        what = f"The base {plan.base} sets no AZUREML_CONDA_ENVIRONMENT_PATH, so its Python is not known."
        raise BuildError(what, next_step=_ADD_SERVER)
    command = " ".join(base.command)
    if _IDLE.fullmatch(command) or not (base.command or base.entrypoint):
        runs = f"and its command, {command}, serves nothing" if command else "and it has no command"
        what = (
            f"The base {plan.base} is no inference image: it sets no AZUREML_CONDA_ENVIRONMENT_PATH, {runs}."
        )
        raise BuildError(what, next_step=_ADD_SERVER)


def _has_environment(plan: Plan, base: BaseImage) -> bool:
    """Return whether the base, or the table unless pip needs it, names the Python environment of the server."""
    return "AZUREML_CONDA_ENVIRONMENT_PATH" in (base.env if plan.python else {**base.env, **plan.env})


def _warnings(plan: Plan, base: BaseImage) -> list[Notice]:
    """Return what only the base decides and differs from Azure ML's images."""
    warnings = []
    if not _has_environment(plan, base):
        warnings.append(
            "the base sets no AZUREML_CONDA_ENVIRONMENT_PATH, unlike Azure ML's inference images; "
            'if nothing answers on port 5001, write: server = "azmlinfsrv"'
        )
    if base.entrypoint:
        entrypoint = " ".join(base.entrypoint)
        warnings.append(f"the base has an ENTRYPOINT ({entrypoint}), unlike Azure ML's images")
    if base.command != ("runsvdir", "/var/runit"):
        warnings.append(f"the base's CMD is {' '.join(base.command) or 'empty'}, not runsvdir /var/runit")
    return [Notice("base-differs", what) for what in warnings]
