"""The image that is extended: found or pulled, and looked at before any work."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.engines.docker import notes
from azureml_tasks.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import docker

    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.reporter import Reporter


__all__ = ["BaseImage", "BaseLookup", "check", "find", "has_user", "is_not_there", "pull_base"]

_COLONS = 6
"""Of a line of /etc/passwd, `name:password:uid:…`: passwd(5)."""
_NOT_THERE = (
    r"manifest.* not found|manifest unknown|name unknown|repository does not exist|not found: manifest"
)


class BaseImage(NamedTuple):
    """The image that is extended, as the engine has it.

    Args:
        id: the engine's own name for it, `sha256:…`.
        platform: what it is made for, such as `linux/amd64`.
        env: its variables.
        user: its runtime user; "" is root.
        entrypoint: its ENTRYPOINT, empty in Azure ML's images.
        command: its CMD, `runsvdir /var/runit` in Azure ML's images.
        driver: the storage driver that has it, such as `overlay2`; "" where the engine does not say.
    """

    id: str
    platform: str
    env: Mapping[str, str]
    user: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    driver: str = ""


def find(client: EngineClient, reference: str) -> BaseImage | None:
    """The base as the engine has it; None where it has not."""
    found = client.inspect_image(reference)
    if found is None:
        return None
    config: dict[str, Any] = found.get("Config") or {}
    variant = found.get("Variant") or ""
    parts = [found["Os"], found["Architecture"], *([variant] if variant else [])]
    return BaseImage(
        id=str(found["Id"]),
        platform="/".join(parts),
        env=dict(pair.partition("=")[::2] for pair in config.get("Env") or []),
        user=config.get("User") or "",
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        driver=str((found.get("GraphDriver") or {}).get("Name", "")),
    )


def pull_base(sdk: docker.DockerClient, plan: Plan, reporter: Reporter) -> None:
    """Pull the base, with a line for each layer.

    Raises:
        BuildError: its registry does not have it, or not for this platform.
        RegistryError: its registry refuses or cannot be reached.
    """
    from docker.errors import APIError

    from azureml_tasks.engines.docker.layer_progress import shown

    reference = plan.base
    reporter.say(f"pulling {reference} for {plan.platform}")
    by = reference.digest or reference.tag
    try:
        events = sdk.api.pull(reference.name, tag=by, platform=plan.platform, stream=True, decode=True)
        for event in shown(events, reporter):
            if "error" in event:
                raise _pull_error(plan, event["error"])
    except APIError as error:
        raise _pull_error(plan, str(error.explanation or error)) from error


def is_not_there(said: str) -> bool:
    """Whether a registry *said* that it has no such image."""
    return re.search(_NOT_THERE, said) is not None


def _pull_error(plan: Plan, said: str) -> Exception:
    if is_not_there(said):
        fix = "Look at its registry's list of tags, or name another base, in the table or by --base"
        return BuildError(
            f"The base {plan.base} does not exist.", next_step=fix, said=f"its registry said: {said}"
        )
    if "no matching manifest" in said or "does not match the specified platform" in said:
        fix = "Set platform to one that the base is made for; Azure ML's own are made for linux/amd64."
        return BuildError(f"The base {plan.base} is not made for {plan.platform}.", next_step=fix, said=said)
    from azureml_tasks.engines.docker.registry_errors import registry_error

    named = 'base = "…" in the table, or --base'
    return registry_error(plan.base.host or "docker.io", f"the pull of {plan.base}", said, named=named)


def check(plan: Plan, base: BaseImage) -> list[str]:
    """Compare what the plan needs with the base; warnings of what only the base decides.

    Raises:
        BuildError: the base is for another platform, or has not what a step needs.
    """
    if not (base.platform + "/").startswith(plan.platform + "/"):
        fix = f'Write: platform = "{base.platform}"\nor name a base that is made for {plan.platform}'
        raise BuildError(
            f"The base {plan.base} is made for {base.platform}, not for {plan.platform}.", next_step=fix
        )
    if plan.python and "AZUREML_CONDA_ENVIRONMENT_PATH" not in base.env:
        fix = "Name one of Azure ML's inference images, or one that extends it."
        what = f"The base {plan.base} sets no AZUREML_CONDA_ENVIRONMENT_PATH, so its Python is not known."
        raise BuildError(what, next_step=fix)
    warnings = []
    if base.entrypoint:
        warnings.append(
            f"the base has an ENTRYPOINT ({' '.join(base.entrypoint)}), which Azure ML's images have not"
        )
    if base.command != ("runsvdir", "/var/runit"):
        warnings.append(f"the base's CMD is {' '.join(base.command) or 'empty'}, not runsvdir /var/runit")
    return warnings


def has_user(sdk: docker.DockerClient, base: BaseImage, user: str) -> bool:
    """Whether the base's /etc/passwd has *user*, and not as root by another name."""
    import io
    import tarfile

    from docker.errors import NotFound

    from azureml_tasks.engines.docker.container import new_name
    from azureml_tasks.engines.interrupts import to_its_end

    name, lines = new_name(), []
    try:
        to_its_end(partial(sdk.api.create_container, base.id, command=["true"], entrypoint=[], name=name))
        stream, _ = sdk.api.get_archive(name, "/etc/passwd")  # A base without this file has no user.
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as packed:
            member = packed.extractfile("passwd")
            lines = member.read().decode(errors="replace").splitlines() if member else []
    except NotFound:
        return False
    finally:
        with suppress(NotFound):
            sdk.api.remove_container(name, force=True)
    fields = (line.split(":") for line in lines if line.count(":") == _COLONS)
    entries = {field[0]: field[2] for field in fields}
    return entries.get(user, "0") != "0"


_FILE = "users.json"


class BaseLookup(NamedTuple):
    """A look at the base of an image.

    Args:
        client: the engine.
        reporter: where words go.
        folder: of the records, where it is noted which base has which user.
    """

    client: EngineClient
    reporter: Reporter
    folder: Path

    def at(self, plan: Plan, *, pull: bool) -> BaseImage | None:
        """The base of *plan*; None under --dry where it is not here.

        Raises:
            BuildError: it does not exist, or is not what the plan needs.
            RegistryError: its registry refuses.
        """
        found = self._found(plan, pull=pull)
        if not found:
            return None
        for warning in check(plan, found):
            self.reporter.warn(warning)
        if not plan.user.isdigit() and not self._has_user(found, plan):
            fix = 'Write: user = "dockeruser", or name a user that the base has and that is not root'
            raise BuildError(f'The base {plan.base} has no runtime user "{plan.user}".', next_step=fix)
        return found

    def _found(self, plan: Plan, *, pull: bool) -> BaseImage | None:
        found = find(self.client, str(plan.base))
        if found and not pull:
            return found
        argv = self.client.docker_command("pull", "--platform", plan.platform, str(plan.base))
        if not self.reporter.effect(argv):
            return None
        pull_base(self.client.sdk, plan, self.reporter)
        found = find(self.client, str(plan.base))
        if not found:
            what = f"The base {plan.base} was pulled, and the engine does not have it."
            raise BuildError(what, next_step="docker images")
        return found

    def _has_user(self, found: BaseImage, plan: Plan) -> bool:
        """Whether the base has the plan's user; under --dry nobody looks."""
        look = self.client.docker_command("run", "--rm", "--entrypoint", "cat", str(plan.base), "/etc/passwd")
        if not self.reporter.effect(look):
            return True
        file = self.folder / _FILE
        noted = notes.read(file).get(found.id)
        known = set(map(str, noted)) if isinstance(noted, list) else set()
        if plan.user in known:
            return True
        if not has_user(self.client.sdk, found, plan.user):
            return False
        notes.write(file, {found.id: sorted(known | {plan.user})})
        return True
