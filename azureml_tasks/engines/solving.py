"""A build of what only copies files, by the engine's own BuildKit, whose reader of Dockerfiles we are.

The engine's own reader asks, each time, which foreign programs the machine can run, which takes longer than everything
else together. The engine offers BuildKit's services where it offers its API, for docker buildx; a build with a reader
outside of it is `client.Build` of https://github.com/moby/buildkit/blob/master/client/build.go, and the messages are
those of its api/services/control/control.proto and frontend/gateway/pb/gateway.proto.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

from azureml_tasks.dockerfile import base_of
from azureml_tasks.engines.grpc import services
from azureml_tasks.engines.image_config import UnfitError, configuration, copies_of, instructions
from azureml_tasks.engines.llb import definition, platform_of
from azureml_tasks.engines.protobuf import field, fields, table, table_of
from azureml_tasks.engines.wire import RefusedError
from azureml_tasks.reference import parse

if TYPE_CHECKING:
    from azureml_tasks.context import Context
    from azureml_tasks.planning import Plan

__all__ = ["solved"]

_BUILD = "/moby.buildkit.v1.Control/Solve"
_READER = "/moby.buildkit.v1.frontend.LLBBridge"
_BUILD_ID = "buildkit-controlapi-buildid"
"""The header that says which build a reader is the reader of."""
_CONFIG = "containerimage.config"


def solved(host: str, plan: Plan, context: Context, *, no_cache: bool) -> str:
    """The id of the image that *context* makes.

    Args:
        host: of the engine.
        plan: the image.
        context: files, and a Dockerfile that only copies and says, see `image_config.instructions`.
        no_cache: whether every step is done anew.

    Raises:
        RefusedError: the engine does not do it, or only who reads Dockerfiles can.
        BuildError: a file changed or went away since its size was read.
        ConnectionError, TimeoutError: the engine goes away.
    """
    steps = instructions(context.dockerfile)
    if steps is None:
        raise RefusedError("it does more than copy files")
    base, platform, build = _base(context.dockerfile), plan.platform, os.urandom(12).hex()
    wanted = definition(base, platform, context.files, copies_of(steps), no_cache=no_cache)
    with services(host) as engine:

        def ask(question: str, message: bytes) -> int:
            return engine.ask(f"{_READER}/{question}", message, {_BUILD_ID: build})

        whole = engine.ask(_BUILD, field(1, build) + field(3, "moby"))  # Ref, Exporter
        below = field(1, base) + field(2, platform_of(platform)) + field(3, "default")
        about = ask("ResolveImageConfig", below)  # Ref, Platform, ResolveMode: what is here is taken
        made = ask(
            "Solve", field(1, wanted) + field(5, 1) + field(6, 1)
        )  # Definition; may answer by a Result
        try:
            config = dict(fields(engine.answer(about)))[2]
            said = json.dumps(configuration(config, plan, context, steps, now=time.time()))
            result = dict(fields(engine.answer(made)))[3] + table(
                10, {_CONFIG: said.encode()}
            )  # its metadata
            ask("Return", field(1, result))
            return table_of(engine.answer(whole), 1)["containerimage.digest"]
        except UnfitError as error:
            raise RefusedError(str(error)) from error
        except (ValueError, KeyError) as error:
            raise RefusedError("its BuildKit does not answer as it should") from error


def _base(dockerfile: str) -> str:
    """The whole reference of what a Dockerfile stands on."""
    found = parse(base_of(dockerfile))
    if not found:
        raise RefusedError("what it stands on has no name")
    return found.whole
