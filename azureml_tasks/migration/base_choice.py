"""The base for an image that a deployment or an environment names: the same, or one with the Python that is wanted.

Azure ML makes a conda environment of its own for a conda file, with the Python that the file names. Here the packages
are installed for the Python of the base, so the base must have that version.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.image_reference import MCR, Reference, parse
from azureml_tasks.migration.base_image import base_key, brings_server
from azureml_tasks.project.base_images import named_python
from azureml_tasks.requirements.wanted_python import accepts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.requirements.wanted_python import WantedPython

SERVER = "azmlinfsrv"
_WITH_SERVER = {
    (3, 12): "minimal-py312-inference",
    (3, 11): "curated/minimal-py311-inference",
}
"""Python → the inference image that has it: those that Azure ML documents or publishes, and that are maintained."""
_OLDEST, _NEWEST = 9, 13
"""Minor versions of Python: the oldest of the inference server, azureml-inference-server-http 1.5.1, and the newest."""
_OF_OPENMPI = re.compile(
    r"openmpi4\.1\.0-ubuntu22\.04|openmpi5\.0-(?:ubuntu24\.04|cuda12\.[456]-ubuntu2[24]\.04|cuda1[23]\.[18]-ubuntu24\.04)"
)
"""Images for training whose Miniconda has Python 3.10: Azure/AzureML-Containers, README.md (2026-03)."""
_NO_SERVER = "it starts no inference server"
_PYTHON_TAG = re.compile(r"3\.(?P<minor>[0-9]{1,2})(?![0-9])")


class Base(NamedTuple):
    """A base.

    Args:
        name: for the key `base`; "" if there is none.
        adds_server: whether the table needs `server = "azmlinfsrv"`.
        why: the reason of that, or of having no base, for a person.
        differs: why it is another image than the source's; "" if it is the same.
        python: what the conda file has to change; "" if nothing, as far as it is known.
        takes_conda: whether a table with this base can name the conda file.
        may_serve: whether the image may have the server that is added.
    """

    name: str = ""
    adds_server: bool = False
    why: str = ""
    differs: str = ""
    python: str = ""
    takes_conda: bool = True
    may_serve: bool = False


def choose_base(image: str, pythons: Sequence[WantedPython], *, serves: bool = False) -> Base:
    """Return the base for *image*.

    Args:
        image: a reference, as the source has it.
        pythons: what a conda file that is installed on it wants.
        serves: whether the source tells that the image has the server, if its name does not.
    """
    reference = parse(image)
    if reference is None:
        return Base(why=f'"{image}" is no image reference')
    if image.startswith("azureml/"):
        hub = f'"{image}" is on Docker Hub, where Azure ML has no images'
        return Base(why=f"{hub}: write {MCR}{image.removeprefix('azureml/')}")
    python = known_python(reference)
    known = brings_server(reference)
    has_server = serves if known is None else known
    why = _NO_SERVER if known is False else "its name does not say that it has the inference server"
    base = Base(base_key(reference), not has_server, "" if has_server else why, may_serve=known is None)
    wish = next((wish for wish in pythons if not (python and accepts(wish, python))), None)
    return _with_python(base, reference, python, wish) if wish else base


def _with_python(
    base: Base, reference: Reference, python: tuple[int, int] | None, wish: WantedPython
) -> Base:
    """Return *base*, or another one with the Python that *wish* names, which *python* of the base is not."""
    minors = [minor for minor in range(_NEWEST, _OLDEST - 1, -1) if accepts(wish, (3, minor))]
    has = f"{wish.file} wants {wish.text}"
    if not minors:
        old = f"{has}, and the inference server needs Python 3.{_OLDEST} or later: change it"
        return base._replace(python=old, takes_conda=named_python(reference) is None)
    if not python:
        return base._replace(python=f"{has}: the build fails with another Python")
    has = f"{has}, and {base.name} has Python {python[0]}.{python[1]}"
    if _has_gpu(reference):
        gpu = f"{has}: change it, or name an image that has CUDA and this Python"
        return base._replace(python=gpu, takes_conda=named_python(reference) is None)
    has += ", so another image is taken"
    if chosen := _WITH_SERVER.get((3, minors[0])):
        return Base(chosen, differs=has)
    return Base(f"python:3.{minors[0]}-slim", adds_server=True, why=_NO_SERVER, differs=has)


def _has_gpu(reference: Reference) -> bool:
    return re.search(r"cuda|gpu", str(reference)) is not None


def known_python(reference: Reference) -> tuple[int, int] | None:
    """Return the version of an image's Python, such as (3, 12); None if it is not known."""
    if python := named_python(reference):
        return python
    name = reference.name.removeprefix(MCR)
    if reference.name.startswith(MCR) and _OF_OPENMPI.fullmatch(name):
        return (3, 10)
    if reference.name in {"python", "docker.io/library/python", "docker.io/python"}:
        match = _PYTHON_TAG.match(reference.tag)
        return (3, int(match["minor"])) if match else None
    return None
