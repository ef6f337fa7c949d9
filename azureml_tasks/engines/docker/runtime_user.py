"""The runtime user: whether a base has it, or else a step of the build has made it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.engines.docker import notes
from azureml_tasks.engines.docker.users import read_users
from azureml_tasks.errors import BuildError
from azureml_tasks.state.record_forms import is_words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.reporter import Reporter

_FILE = "users.json"
"""In the folder of the records: the users that each base image has, by its ID."""
_ROOT = "0"


def has_user(
    client: EngineClient, plan: Plan, base_id: str, reporter: Reporter, records: Path, *, save: bool
) -> bool:
    """Return whether the base has the runtime user, or need not have it; refuse one that no step can make.

    Nothing is looked at under --dry, nor for the number of a user, which needs no name in the image.

    Args:
        client: the engine.
        plan: the image.
        base_id: the engine's ID of its base.
        reporter: announces the container in which the users are looked up.
        records: folder of the project's records.
        save: whether later commands may use what was found out.

    Raises:
        BuildError: the base has no such user, or it is root.
    """
    if plan.user.isdigit() or not reporter.effect(_command(client, str(plan.base))):
        return plan.user.isdigit()
    known = _known_users(records, base_id)
    if plan.user in known:
        return True
    uid = users_of(client, base_id, reporter, records).get(plan.user, "")
    if uid == _ROOT or not (uid or _may_make_users(plan)):
        raise BuildError(f'The base {plan.base} has no runtime user "{plan.user}".', next_step=_fix(plan))
    if uid and save:
        notes.write(records / _FILE, {base_id: sorted(known | {plan.user})})
    return bool(uid)


def refuse_user_not_made(
    client: EngineClient, plan: Plan, reporter: Reporter, records: Path, image_id: str
) -> None:
    """Refuse a built image without its runtime user, which the base does not have.

    Args:
        client: the engine.
        plan: the image.
        reporter: announces the container in which the users are looked up.
        records: folder of the project's records.
        image_id: the engine's ID of the built image.

    Raises:
        BuildError: it has no such user, or it is root.
    """
    reporter.effect(_command(client, image_id))
    uid = users_of(client, image_id, reporter, records).get(plan.user, "")
    if not uid:
        what = (
            f'Neither the base {plan.base} nor a step of the build has made the runtime user "{plan.user}".'
        )
        raise BuildError(what, next_step=_fix(plan))
    if uid == _ROOT:
        what = f'The runtime user "{plan.user}" of the built image is root, by its ID {_ROOT}.'
        raise BuildError(what, next_step=_fix(plan))


def _may_make_users(plan: Plan) -> bool:
    """Return whether a step may make users: the server's, a command of the project, or a package of the system."""
    return bool(plan.adds_server or plan.runs or plan.apt)


def _fix(plan: Plan) -> str:
    make = f'run = [{{ command = "useradd --create-home {plan.user}" }}]'
    return f'Write: user = "dockeruser"\nor name a user that is not root, which the base has or a run makes: {make}'


def _command(client: EngineClient, reference: str) -> list[str]:
    return client.docker_command("run", "--rm", "--entrypoint", "cat", reference, "/etc/passwd")


def _known_users(records: Path, base_id: str) -> set[str]:
    known = notes.read(records / _FILE).get(base_id)
    return set(filter(is_words, known)) if isinstance(known, list) else set()


def users_of(client: EngineClient, image_id: str, reporter: Reporter, records: Path) -> dict[str, str]:
    """Return the users of an image's /etc/passwd with their IDs, read from a container that is not started."""
    from azureml_tasks.engines.docker.unstarted_container import unstarted_container

    def blocks(path: str) -> Iterator[bytes] | None:
        archive = container.read(path)
        return archive.blocks if archive else None

    with unstarted_container(client, image_id, records, reporter) as container:
        return read_users(blocks)
