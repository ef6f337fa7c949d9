"""One build by docker's client: the command, and what it names the image that it made."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.engines.docker.builder_choice import Builder
    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.project.model import BuildSecret

__all__ = ["arguments", "command", "named_in", "naming"]


def command(
    client: EngineClient,
    builder: Builder,
    plan: Plan,
    context: BuildContext,
    *,
    no_cache: bool,
    names: Sequence[str] = (),
) -> list[str]:
    """The docker command that builds from an archive on its standard input, and gives the image *names*."""
    if builder.kind == "buildx":
        # The engine's own builder: another would neither see its images nor leave one there.
        start = client.docker_command(
            "buildx", "build", "--builder", client.context, "--load", "--provenance=false", "--sbom=false"
        )
    else:
        start = client.docker_command("build")
    options = ["--platform", plan.platform]
    options += [
        word for name, text in arguments(context).items() for word in ("--build-arg", f"{name}={text}")
    ]
    options += [part for name in names for part in ("--tag", name)]
    options += [part for secret in plan.secrets for part in ("--secret", _where(secret))]
    return [*start, *options, *(["--no-cache"] if no_cache else []), "-"]


def arguments(context: BuildContext) -> dict[str, str]:
    """The build arguments, by name."""
    return {"CONTEXT_SHA256": context.sha256} if context.has_hash_argument else {}


def _where(secret: BuildSecret) -> str:
    """Where docker's client finds a secret, as a line of CSV; its value is in no argument."""
    field = f"env={secret.env}" if secret.env else f"src={secret.file}"
    if '"' in field or "," in field:
        field = '"' + field.replace('"', '""') + '"'
    return f"id={secret.id},{field}"


def naming(builder: Builder) -> str:
    """The option for the file in which the client names the image, see `named_in`."""
    return "--metadata-file" if builder.kind == "buildx" else "--iidfile"


def named_in(text: str, builder: Builder) -> str:
    """The engine's id of the image that the file of this *text* names.

    The --iidfile of buildx names the image's configuration, by which an engine that keeps its images in containerd
    knows none; what its metadata call the image's digest is the id on every engine.
    """
    return str(json.loads(text)["containerimage.digest"]) if builder.kind == "buildx" else text.strip()
