"""The command of one build by docker's client, and the image ID that it writes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from azureml_tasks.plain_text import csv_field
from azureml_tasks.planning.dockerfile import image_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.engines.docker.builder_choice import Builder
    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.project.model import BuildSecret


def build_command(
    client: EngineClient,
    builder: Builder,
    plan: Plan,
    context: BuildContext,
    *,
    no_cache: bool,
    pull: bool = False,
    names: Sequence[str] = (),
    dockerfile: str = "",
) -> list[str]:
    """Return the docker command that builds from an archive on its standard input and tags the image with *names*.

    Args:
        client: of the engine.
        builder: that docker's client uses.
        plan: the image.
        context: the build context.
        no_cache: build every step.
        pull: pull the images that the project's own Dockerfile names.
        names: that the image gets.
        dockerfile: path of the project's own Dockerfile if it is not in the archive.
    """
    if builder.kind == "buildx":
        # The engine's own builder: any other would not see its images and would not leave one there.
        start = client.docker_command(
            "buildx", "build", "--builder", client.context, "--load", "--provenance=false", "--sbom=false"
        )
    else:
        start = client.docker_command("build")
    options = ["--platform", plan.platform]
    for name, text in build_arguments(context).items():
        options += ["--build-arg", f"{name}={text}"]
    if context.own_name:
        options += ["--file", dockerfile or context.own_name, *(["--pull"] if pull else [])]
        for name, text in image_labels(plan, context.sha256).items():
            options += ["--label", f"{name}={text}"]
    for name in names:
        options += ["--tag", name]
    for secret in plan.secrets:
        options += ["--secret", _secret_option(secret)]
    return [*start, *options, *(["--no-cache"] if no_cache else []), "-"]


def build_arguments(context: BuildContext) -> dict[str, str]:
    """Return the build arguments by name."""
    return {"CONTEXT_SHA256": context.sha256} if context.has_hash_argument else {}


def _secret_option(secret: BuildSecret) -> str:
    """Return where docker's client finds a secret, as a line of CSV; its value is in no argument."""
    place = f"env={secret.env}" if secret.env else f"src={secret.file}"
    return f"id={secret.id},{csv_field(place)}"


def image_file_option(builder: Builder) -> str:
    """Return the option for the file that `read_image_id` reads."""
    return "--metadata-file" if builder.kind == "buildx" else "--iidfile"


def read_image_id(text: str, builder: Builder) -> str:
    """Return the engine's ID of the image from the text of the file that the client wrote.

    The --iidfile of buildx has the digest of the image's configuration, which is no ID on an engine that keeps its
    images in containerd. The image digest in its metadata is the ID on every engine.
    """
    return str(json.loads(text)["containerimage.digest"]) if builder.kind == "buildx" else text.strip()
