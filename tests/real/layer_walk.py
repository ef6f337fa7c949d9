"""A project that is built several times, and the cached layers after each build."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import docker

    from tests.real.built_project import Built

__all__ = ["SAVED", "Walk"]

SAVED = "saved cached layers: azureml-tasks.invalid/NAME/layers:TAG"


@dataclass(kw_only=True)
class Walk:
    """A project that is built several times, each time with one change.

    Args:
        built: the project.
        client: of the engine.
        messages: step -> messages about cached layers.
        ids: step -> the image ID.
        layers: step -> the cached layers on the engine after it, name -> ID.
    """

    built: Built
    client: docker.DockerClient
    messages: dict[str, list[str]] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    layers: dict[str, dict[str, str]] = field(default_factory=dict)

    def step(self, name: str) -> None:
        """Build, and note the result."""
        output = "\n".join(self.built.run("image.build"))
        self.note(name, output)

    def note(self, name: str, output: str) -> None:
        """Note the messages, the image and the cached layers."""
        lines = re.sub(r"/layers:[0-9a-f]{32}", "/layers:TAG", output).splitlines()
        pattern = r"(using|adding|saved|removed|cached) .*/layers:TAG.*"
        self.messages[name] = [line for line in lines if re.fullmatch(pattern, line)]
        self.ids[name] = self.built.id
        repository = f"azureml-tasks.invalid/{self.built.name}/layers"
        images = self.client.images.list(name=repository)
        self.layers[name] = {tag: str(image.id) for image in images for tag in image.tags}
