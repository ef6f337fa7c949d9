"""A build of what only copies files, by the engine's own BuildKit and its reader of Dockerfiles, in one question.

The engine offers BuildKit's service where it offers its API, https://docs.docker.com/reference/api/engine/ ("Initialize
interactive session", POST /grpc for docker buildx); its messages are those of
https://github.com/moby/buildkit/blob/master/api/services/control/control.proto.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from azureml_tasks.engines.grpc import called
from azureml_tasks.engines.llb import definition
from azureml_tasks.engines.protobuf import field, table, tables_of
from azureml_tasks.engines.wire import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.context import Context

__all__ = ["solved"]

_SOLVE = "/moby.buildkit.v1.Control/Solve"
_REF, _EXPORTER, _FRONTEND, _ATTRIBUTES, _INPUTS = 1, 3, 6, 7, 10
"""Fields of a SolveRequest."""
_EXPORTED = 1
"""Field of a SolveResponse: what the exporter says."""


def solved(
    host: str, context: Context, *, platform: str, arguments: Mapping[str, str], no_cache: bool
) -> str:
    """The id of the image that *context* makes.

    Args:
        host: of the engine.
        context: its Dockerfile and files, which are sent whole.
        platform: such as `linux/amd64`.
        arguments: of the build, by name.
        no_cache: whether every step is done anew.

    Raises:
        RefusedError: the engine does not do it; why is not told in this way.
        BuildError: a file changed or went away since its size was read.
        ConnectionError, TimeoutError: the engine goes away.
    """
    files = definition(context.members)
    attributes = {"platform": platform, **{f"build-arg:{name}": text for name, text in arguments.items()}}
    message = b"".join([
        field(_REF, os.urandom(12).hex()),  # names this one question
        field(_EXPORTER, "moby"),
        field(_FRONTEND, "dockerfile.v0"),
        table(_ATTRIBUTES, {**attributes, **({"no-cache": ""} if no_cache else {})}),
        table(_INPUTS, {"context": files, "dockerfile": files}),
    ])  # fmt: skip
    try:
        return tables_of(called(host, _SOLVE, message), _EXPORTED)["containerimage.digest"]
    except (ValueError, KeyError) as error:
        raise RefusedError("its BuildKit names no image") from error
