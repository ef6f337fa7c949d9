"""Image references as Docker reads them, and the short names of Azure ML's own images."""

from __future__ import annotations

import re
from typing import NamedTuple

MCR = "mcr.microsoft.com/azureml/"
"""The repository of Azure ML's inference images:
https://learn.microsoft.com/azure/machine-learning/concept-prebuilt-docker-images-inference."""

NO_REGISTRY = "azureml-tasks.invalid"
"""A host that never resolves (RFC 2606): an image with such a name is on one engine only. Ours alone."""
KEPT_SUFFIXES = ("/layers", "/candidate")
"""Ends of repositories that are kept: of cached layers, and of candidate images in a registry."""

# Grammar: https://pkg.go.dev/github.com/distribution/reference, which engines and registries use.
_PORT = r"(?::[0-9]{1,5})?"
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\]){_PORT}"
REPOSITORY = rf"{_COMPONENT}(?:/{_COMPONENT})*"
TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
DIGEST = r"sha256:[a-f0-9]{64}"
REFERENCE = rf"(?:{HOST}/)?{REPOSITORY}(?::{TAG})?(?:@{DIGEST})?"

_PARTS = rf"(?P<name>(?:{HOST}/)?{REPOSITORY})(?::(?P<tag>{TAG}))?(?:@(?P<digest>{DIGEST}))?"
_SHORT = rf"(?:curated/)?[a-z0-9.-]+-inference(?::{TAG})?(?:@{DIGEST})?"
_LONGEST_NAME = 255


class Reference(NamedTuple):
    """An image reference: `host/repository:tag@digest`. An optional part that is missing is ""."""

    host: str
    repository: str
    tag: str
    digest: str

    @property
    def name(self) -> str:
        """The name: the reference without tag and digest."""
        return f"{self.host}/{self.repository}" if self.host else self.repository

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return self.name + tag + (f"@{self.digest}" if self.digest else "")


def parse(text: str) -> Reference | None:
    """Parse *text* as Docker does; return None if it is not an image reference.

    The first component is a registry host only if it contains a dot or a colon or is `localhost`.
    """
    match = re.fullmatch(_PARTS, text)
    if not match or len(match["name"]) > _LONGEST_NAME:
        return None
    host, _, repository = match["name"].partition("/")
    if not (repository and ("." in host or ":" in host or host == "localhost")):
        host, repository = "", match["name"]
    if not re.fullmatch(REPOSITORY, repository):
        return None
    return Reference(host=host, repository=repository, tag=match["tag"] or "", digest=match["digest"] or "")


def expand_base(text: str) -> Reference | None:
    """Parse the key `base`: add Microsoft's registry to a short name, and the tag `latest` if there is no version."""
    short = re.fullmatch(_SHORT, text) is not None
    reference = parse(MCR + text if short else text)
    if reference and not reference.tag and not reference.digest:
        return Reference(host=reference.host, repository=reference.repository, tag="latest", digest="")
    return reference
