"""An image as one that the engine has and one layer of files on it, in the form in which engines load images.

An engine takes the layers below from its own store, so that the new one alone is sent. The form is that of `docker
save`, https://github.com/moby/docker-image-spec/blob/main/spec.md: "Combined Image JSON + Filesystem Changeset Format".
"""

from __future__ import annotations

import hashlib
import json
import re
from tarfile import DIRTYPE, PAX_FORMAT, TarInfo
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.archive import end_of_archive, member
from azureml_tasks.context_file import ContextFile
from azureml_tasks.dockerfile import CONTEXT_LABEL
from azureml_tasks.engines.history import ours, told
from azureml_tasks.planning import APP_ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from azureml_tasks.context import Context
    from azureml_tasks.planning import Plan

__all__ = ["Folder", "Loadable", "loadable"]

_CODE = "code/"
_WHITEOUT = ".wh."
"""What begins so in a layer's names removes a file of the layers below (the same specification, "Change sets")."""
_SET = ("ENV ", "LABEL ", "USER ")
"""Instructions that change no file, but what is said of the image."""
_SAYS = (
    *("ArgsEscaped", "Cmd", "Entrypoint", "Env", "ExposedPorts", "Healthcheck", "Labels", "Shell"),
    *("StopSignal", "StopTimeout", "User", "WorkingDir"),
)
"""What an image says of its containers."""
_OF_A_BUILDER = ("OnBuild", "Volumes")
"""What has a builder do more: instructions to carry out, and folders whose changes it leaves out."""


class Folder(NamedTuple):
    """A folder that an image has.

    Args:
        name: its path, without the first "/".
        mode: its permissions.
        uid: its owner.
        gid: its group.
        mtime: seconds since 1970 (UTC).
    """

    name: str
    mode: int
    uid: int
    gid: int
    mtime: int


class Loadable(NamedTuple):
    """An image to be loaded.

    Args:
        id: the SHA-256 of its configuration, `sha256:…`, which is what an engine with images of its own calls it.
        archive: what is sent.
    """

    id: str
    archive: bytes


def loadable(
    plan: Plan,
    context: Context,
    on: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    folders: Sequence[Folder],
    *,
    now: float,
) -> Loadable | None:
    """What *context* makes, as one layer on the image *on*.

    Args:
        plan: the image.
        context: its code, and a Dockerfile that copies it and sets variables, labels and user.
        on: what the engine says of the image below, see `Endpoint.image`.
        history: what it says of how that was made, the last step first.
        folders: those that the layer lies in, as the image below has them, the outer first.
        now: seconds since 1970 (UTC).

    Returns:
        None where a builder would do more than that, or the engine says too little.

    Raises:
        BuildError: a file changed or went away since its size was read.
    """
    steps, below = _instructions(context.dockerfile), on["RootFS"]["Layers"]
    past = told(history, len(below))
    if past is None or not _is_one_layer(steps, context) or any(map(on["Config"].get, _OF_A_BUILDER)):
        return None
    layer = b"".join(_layer(context, folders))
    diff_ids = [*below, f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    config = _configuration(plan, context, on, [*past, *ours(steps, now)], diff_ids)
    name = hashlib.sha256(config).hexdigest()
    # The layers that are there have names alone: nothing is read where the engine has what the configuration names.
    layers = [f"{diff_id.partition(':')[2]}.tar" for diff_id in diff_ids]
    manifest = [{"Config": f"{name}.json", "RepoTags": None, "Layers": layers}]
    files = {f"{name}.json": config, layers[-1]: layer, "manifest.json": json.dumps(manifest).encode()}
    packed = (ContextFile(name=path, data=data, size=len(data)) for path, data in files.items())
    archive = b"".join([*(block for file in packed for block in member(file)), end_of_archive()])
    return Loadable(id=f"sha256:{name}", archive=archive)


def _instructions(dockerfile: str) -> list[str]:
    """Each instruction after FROM on one line, as an image's history has it."""
    joined = re.sub(r" \\\n +", " ", dockerfile)
    return [line for line in joined.splitlines() if line and not line.startswith(("#", "FROM "))]


def _is_one_layer(steps: Sequence[str], context: Context) -> bool:
    copies = [step for step in steps if not step.startswith(_SET)]
    removes = any(f"/{_WHITEOUT}" in file.name for file in context.files)
    return copies == [f"COPY {_CODE} {APP_ROOT}/"] and not removes


def _layer(context: Context, folders: Sequence[Folder]) -> Iterator[bytes]:
    for folder in folders:
        info = TarInfo(folder.name)
        info.type, info.mode, info.mtime = DIRTYPE, folder.mode, folder.mtime
        info.uid, info.gid = folder.uid, folder.gid
        yield info.tobuf(PAX_FORMAT, "utf-8", "strict")
    for file in context.files:
        inside = file.name.removeprefix(_CODE)
        if inside:
            yield from member(file._replace(name=f"{APP_ROOT.lstrip('/')}/{inside}"))
    yield end_of_archive()


def _configuration(
    plan: Plan,
    context: Context,
    on: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    diff_ids: Sequence[str],
) -> bytes:
    before = on["Config"]
    variables = {**dict(pair.partition("=")[::2] for pair in before.get("Env") or []), **plan.env}
    labels = {**(before.get("Labels") or {}), **plan.labels, CONTEXT_LABEL: context.sha256}
    said = {
        **{name: before[name] for name in _SAYS if before.get(name)},
        "Env": [f"{name}={value}" for name, value in variables.items()],
        "Labels": labels,
        "User": plan.user,
    }
    where = {"architecture": on["Architecture"], "os": on["Os"], "variant": on.get("Variant")}
    return json.dumps({
        **{name: text for name, text in where.items() if text},
        "created": history[-1]["created"],
        "config": said,
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": history,
    }).encode()  # fmt: skip
