"""Check an image that a Dockerfile of the project's own has made: its user, what it starts, and its ports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from azureml_tasks.errors import BuildError
from azureml_tasks.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.planning.plan import Plan

_ROOT = ("", "0", "root")
_NOT_KEPT = "The image was built, and is not kept."


def check_image(plan: Plan, config: Mapping[str, Any]) -> list[Notice]:
    """Refuse an image that runs as root or that starts nothing, and return warnings.

    Args:
        plan: with the own Dockerfile.
        config: of the image, https://github.com/opencontainers/image-spec/blob/main/config.md.

    Raises:
        BuildError: with everything that is wrong.
    """
    path = plan.own_dockerfile.name if plan.own_dockerfile else "Dockerfile"
    wrong, fixes = [], []
    user = str(config.get("User") or "")
    if user.partition(":")[0] in _ROOT:
        wrong.append(f"runs as root: its USER is {user or 'not set'}")
        fixes.append("Add at the end: USER dockeruser, or another user that the image has")
    if not (config.get("Entrypoint") or config.get("Cmd")):
        wrong.append("starts nothing: it has neither CMD nor ENTRYPOINT")
        fixes.append('Add: CMD ["runsvdir", "/var/runit"], or the command that starts your server')
    if wrong:
        what = f"The image of {path} {', and '.join(wrong)}."
        raise BuildError(what, next_step="\n".join(fixes), state=_NOT_KEPT)
    return _port_warnings(plan, config)


def refuse_user(plan: Plan, user: str, ids: Mapping[str, str]) -> None:
    """Refuse a runtime user by name that the image does not have, or that is root under another name.

    Args:
        plan: with the own Dockerfile.
        user: of the image, without its group.
        ids: of the users of its /etc/passwd, by name.

    Raises:
        BuildError: naming the user.
    """
    path = plan.own_dockerfile.name if plan.own_dockerfile else "Dockerfile"
    why = "" if ids.get(user, "0") != "0" else "is root" if user in ids else "is not in its /etc/passwd"
    if why:
        what = f"The image of {path} has USER {user}, which {why}."
        fix = f"Make the user in a stage that ends the image: RUN useradd --create-home {user}"
        raise BuildError(what, next_step=fix, state=_NOT_KEPT)


def _port_warnings(plan: Plan, config: Mapping[str, Any]) -> list[Notice]:
    exposed = config.get("ExposedPorts")
    ports = sorted(str(port) for port in exposed) if isinstance(exposed, dict) else []
    port = plan.smoke_test.port
    if not ports or not {f"{port}", f"{port}/tcp"}.isdisjoint(ports):
        return []
    what = f"the image exposes {', '.join(ports)}, and smoke-test.port is {port}, to which requests will go"
    return [Notice("port", what)]
