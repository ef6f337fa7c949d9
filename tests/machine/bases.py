"""The stand-in base images, made on an engine where they are absent."""

from __future__ import annotations

import functools
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import docker
from docker.errors import ImageNotFound

from tests.machine import apt, builder_cache, extra_recipes, recipe

__all__ = ["NAMES", "copy", "ensure", "mcr_answers"]

NAMES: Mapping[str, str] = {
    "amlenv": "azureml-stand-in/minimal:amlenv",
    "curated": "azureml-stand-in/minimal:curated",
    "tiny": "azureml-stand-in/tiny:1",
    "plain": "azureml-stand-in/plain:1",
    "training": "azureml-stand-in/training:1",
    "mlflow": "azureml-stand-in/mlflow-py311-inference:1",
}
"""Family -> image. `tiny` holds a shell, a few commands and the user, nothing that could serve."""

_LABEL = "azureml-stand-in.recipe"
_LOCK = Path(__file__).parents[2] / ".machine" / "bases.lock"
_TRIES = 3
_MCR = "https://mcr.microsoft.com/v2/"
_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def mcr_answers(*, timeout: float = 5.0) -> bool:
    """Whether Microsoft's registry can be reached from here, within *timeout* seconds."""
    try:
        with urllib.request.urlopen(_MCR, timeout=timeout) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def ensure(client: docker.DockerClient, family: str) -> str:
    """Make the stand-in of *family* on the client's engine, unless it is there as written in the recipe.

    Args:
        client: the engine that shall have the image.
        family: one of `recipe.FAMILIES` or `extra_recipes.FAMILIES`.

    Returns:
        The image's name, to be used as a base.

    Raises:
        NotPossibleError: the image cannot be made here.
    """
    name = NAMES[family]
    if needed := extra_recipes.NEEDS.get(family):
        ensure(client, needed)
    context = _context(_files() if family in recipe.FAMILIES else _extra_files(client, family))
    digest = hashlib.sha256(context).hexdigest()
    _LOCK.parent.mkdir(exist_ok=True)
    with apt.alone(_LOCK):
        if _label(client, name) != digest:
            _ensure_root(client)
            apt.say(f"building the stand-in base {name}")
            _build(client, family, context=context, label=digest)
    return name


def copy(family: str, source: docker.DockerClient, target: docker.DockerClient) -> str:
    """Take the stand-in of *family* from one engine to another, unless it is there; returns its name.

    Raises:
        NotPossibleError: the image cannot be made on the first engine.
    """
    name = ensure(source, family)
    if _label(target, name) != _label(source, name):
        apt.say(f"copying the stand-in base {name} to the other engine")
        target.images.load(source.images.get(name).save(named=name))  # type: ignore[arg-type]  # sent as it comes
    return name


def _label(client: docker.DockerClient, name: str) -> str | None:
    try:
        labels: dict[str, str] = client.images.get(name).labels
    except ImageNotFound:
        return None
    return labels.get(_LABEL)


def _ensure_root(client: docker.DockerClient) -> None:
    name, _, tag = recipe.root_tag().rpartition(":")
    if client.images.list(name=recipe.root_tag()):
        return
    apt.need_mmdebstrap(why="the stand-in base images")
    apt.say("making a small Debian for the stand-in base images (about 30 s)")
    with tempfile.TemporaryDirectory(prefix="azureml-tasks-") as folder:
        archive = Path(folder, "root.tar")
        apt.run("mmdebstrap", *recipe.APT_ROOT, str(archive))
        client.api.import_image_from_file(str(archive), repository=name, tag=tag)


def _build(client: docker.DockerClient, family: str, *, context: bytes, label: str) -> None:
    error, output = _ended(client, family, context=context, label=label)
    for _ in range(_TRIES - 1):
        if builder_cache.has_lost_an_image(error):
            error, output = _ended(client, family, context=context, label=label)
    if error:
        raise apt.NotPossibleError(f"the stand-in base cannot be built: {error}\n{output[-2000:]}")


def _ended(client: docker.DockerClient, family: str, *, context: bytes, label: str) -> tuple[str, str]:
    """Build once; return the error, "" if there is none, and the output before it."""
    lines = client.api.build(
        fileobj=io.BytesIO(context),
        custom_context=True,
        target=family if family in recipe.FAMILIES else "",
        tag=NAMES[family],
        labels={_LABEL: label},
        rm=True,
        forcerm=True,
        decode=True,
    )
    output: list[str] = []
    for line in lines:
        if "error" in line:
            return str(line["error"]), "".join(output)
        output.append(line.get("stream", ""))
    return "", "".join(output)


def _files() -> dict[str, str]:
    files = {f"files/{path}": text for path, text in recipe.FILES.items()}
    files |= {f"files/{path}": text for path, text in _machine_files().items()}
    files["Dockerfile"] = recipe.dockerfile()
    return files


def _extra_files(client: docker.DockerClient, family: str) -> dict[str, str]:
    other = NAMES[extra_recipes.NEEDS[family]]
    return {
        **extra_recipes.FILES.get(family, {}),
        **{f"files/{path}": text for path, text in _machine_files().items()},
        # So that it changes with the other one.
        "other": str(client.images.get(other).id),
        "Dockerfile": extra_recipes.dockerfile(family, other),
    }


def _machine_files() -> dict[str, str]:
    """Return what a company's base has: without its certificates nothing can be installed behind its proxy."""
    files = {"etc/pip.conf": _pip_conf()}
    if _CA_BUNDLE.exists():
        files["etc/ssl/certs/ca-certificates.crt"] = _CA_BUNDLE.read_text(encoding="utf-8")
    return files


@functools.cache
def _pip_conf() -> str:
    """What this machine's pip is told about indexes, without folders, which an image does not have."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    lines = ["[global]", f"cert = {_CA_BUNDLE}"]
    for key in ("index-url", "extra-index-url"):
        values = [line.partition("=")[2].strip("'\"") for line in listed.splitlines() if f".{key}=" in line]
        addresses = [
            word for value in values for word in value.split() if word.startswith(("http://", "https://"))
        ]
        lines += [f"{key} = {' '.join(addresses)}"] if addresses else []
    return "\n".join([*lines, ""])


def _context(files: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, text in sorted(files.items()):
            member = tarfile.TarInfo(path)
            member.size = len(text.encode())
            member.mode = 0o755 if os.path.basename(path) in {"run", "finish"} else 0o644  # noqa: PTH119
            archive.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()
