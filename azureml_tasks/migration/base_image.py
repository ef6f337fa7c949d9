"""What a source's base image is in terms of the table: the key `base`, and whether it serves by itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from azureml_tasks.image_reference import MCR, expand_base

if TYPE_CHECKING:
    from azureml_tasks.image_reference import Reference

_WITHOUT_SERVER = frozenset({
    "bitnami", "condaforge", "continuumio", "huggingface", "jupyter", "library", "mambaorg", "nvidia", "pytorch",
    "rapidsai", "rocker", "rstudio", "tensorflow",
})  # fmt: skip
"""Publishers on Docker Hub. None of their images contains Azure ML's inference server."""
_HOSTS_WITHOUT_SERVER = ("ghcr.io", "nvcr.io", "public.ecr.aws", "quay.io", "registry.access.redhat.com")
_DOCKER_HUB = ("", "docker.io", "registry-1.docker.io")


def base_key(reference: Reference) -> str:
    """Return the value of `base` for an image, in its short form if it has one."""
    text = str(reference)
    if reference.tag == "latest" and not reference.digest:
        text = reference.name
    short = text.removeprefix(MCR)
    return short if short != text and expand_base(short) == expand_base(text) else str(reference)


def is_public(reference: Reference) -> bool:
    """Return whether an image is of a registry from which everybody pulls."""
    return reference.host in {*_DOCKER_HUB, *_HOSTS_WITHOUT_SERVER, "mcr.microsoft.com"}


def brings_server(reference: Reference) -> bool | None:
    """Return whether an image has Azure ML's inference server, by its name; None if only the image tells.

    The names of Azure ML's images that serve have the word: `minimal-py312-inference`, `inference-base-2204`
    (Azure/azureml-assets, assets/inference/environments). Its others are for training and have no server in them.
    """
    publisher, _, name = reference.repository.rpartition("/")
    if reference.host in _HOSTS_WITHOUT_SERVER:
        return False
    if reference.host in _DOCKER_HUB and (publisher or "library") in _WITHOUT_SERVER:
        return False
    if "inference" in name:
        return True
    return False if str(reference).startswith("mcr.microsoft.com/") else None


def serves_otherwise(reference: Reference) -> bool:
    """Return whether an image has a server of its own, by its name, such as `tensorflow/serving`."""
    is_other = brings_server(reference) is not True
    return (
        is_other and re.search(r"serv|triton|plumber|vllm|sglang|inference", reference.repository) is not None
    )
