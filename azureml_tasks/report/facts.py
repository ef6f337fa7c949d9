"""What is known of an image, for its page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from azureml_tasks.report.layers import Layers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.report.contents import Contents
    from azureml_tasks.report.layers import Layer


@dataclass(frozen=True, kw_only=True)
class LastPush:
    """The image that was pushed last.

    Args:
        reference: `login-server/repository@sha256:…`.
        tags: that it was pushed with.
        at: when, in seconds since 1970; 0 if that is not known.
        is_same: whether it is the image of the page.
        layers: its own and its base's, the first one first; empty if the engine does not have it any more.
        contents: None if they are not known.
        files: SHA-256 or kind of each member of its build context, by name; empty if they are not known.
        problem: why layers or contents are not known; "" if they are.
    """

    reference: str
    tags: tuple[str, ...]
    at: float
    is_same: bool
    layers: tuple[Layer, ...] = ()
    contents: Contents | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """An image as its page shows it.

    Args:
        repository: its name.
        references: all names.
        id: of the engine, or the digest in a registry.
        base: reference of its base; "" if a Dockerfile of the project's own names none.
        platform: such as `linux/amd64`.
        user: its runtime user.
        built_at: seconds since 1970; 0 if that is not known.
        size: bytes of all layers; 0 if that is not known.
        next_step: what `image.check` says; "" if an error keeps a build from starting.
        warnings: of check and of the last smoke test.
        layers: its history.
        layers_problem: why there is none; "" if there is.
        contents: its files and packages; None if they are not known.
        contents_problem: why not; "" if they are.
        base_contents: the same of its base; None if they are not known.
        smoke: the record of the smoke test that this image passed; None if there is none.
        memory_limit: bytes of the smoke test's limit; 0 for none.
        files: SHA-256 or kind of each member of its build context, by name; empty if they are not known.
        last_push: None if no push is recorded.
        table: the lines of pyproject.toml that describe it, without secrets.
    """

    repository: str
    references: tuple[str, ...]
    id: str
    base: str
    platform: str
    user: str
    next_step: str
    table: str
    built_at: float = 0
    size: int = 0
    warnings: tuple[str, ...] = ()
    layers: Layers = field(default_factory=lambda: Layers((), ()))
    layers_problem: str = ""
    contents: Contents | None = None
    contents_problem: str = ""
    base_contents: Contents | None = None
    smoke: Mapping[str, Any] | None = None
    memory_limit: int = 0
    files: Mapping[str, str] = field(default_factory=dict)
    last_push: LastPush | None = None
