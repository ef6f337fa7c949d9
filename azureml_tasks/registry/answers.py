"""What a registry answers, read with care: a proxy, or another program, may answer in its place."""

from __future__ import annotations

import json
import re
from typing import Any

from azureml_tasks.errors import RegistryError
from azureml_tasks.image_reference import DIGEST

_ANY_DIGEST = r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[A-Za-z0-9=_-]+"
"""https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests"""
_FIX = "Check the network between this machine and the registry, and run the same command again."


def is_digest(text: str) -> bool:
    """Return whether *text* is a digest, `sha256:` and 64 digits."""
    return re.fullmatch(DIGEST, text) is not None


def unreadable(what: str) -> RegistryError:
    """Return the error for an answer that is not what the registry's API says; *what* is a sentence."""
    return RegistryError(what, next_step=_FIX)


def object_of(content: bytes, subject: str) -> dict[str, Any]:
    """Return the JSON object in *content*.

    Raises:
        RegistryError: it holds none; the text begins with *subject*.
    """
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise unreadable(f"{subject} is not a JSON object.")
    return value


def tags_of(content: bytes, subject: str) -> list[str]:
    """Return the tags in one page of a list.

    Raises:
        RegistryError: it is none; the text begins with *subject*.
    """
    tags = object_of(content, f"{subject} in an answer that").get("tags") or []
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise unreadable(f"{subject} in another form.")
    return tags


def manifest_parts(content: bytes, digest: str) -> list[dict[str, Any]]:
    """Return the descriptors of config and layers in the manifest *digest*; none for an index of several platforms.

    https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#properties

    Raises:
        RegistryError: it is no manifest.
    """
    manifest = object_of(content, f"The manifest {digest} of the registry")
    if "config" not in manifest:
        return []
    layers = manifest.get("layers")
    parts = [manifest["config"], *(layers if isinstance(layers, list) else [None])]
    if not all(map(_is_descriptor, parts)):
        raise unreadable(f"The manifest {digest} of the registry names a config or a layer in another form.")
    return parts


def _is_descriptor(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("digest"), str):
        return False
    size = value.get("size")
    is_named = re.fullmatch(_ANY_DIGEST, value["digest"]) is not None
    return is_named and type(size) is int and 0 <= size < 2**63
