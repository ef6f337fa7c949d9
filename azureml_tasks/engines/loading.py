"""A changed line of code as one layer that the engine loads: in two thirds of the time that its builders take.

Only where the layer is what a builder would make; wherever that cannot be told, the engine builds.
https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Image/operation/ImageLoad
"""

from __future__ import annotations

import json
import time
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from azureml_tasks.engines.finishing import remove_unnamed, to_its_end
from azureml_tasks.engines.ground import Ground
from azureml_tasks.engines.top_layer import loadable
from azureml_tasks.engines.wire import RefusedError, ask, image_path, send
from azureml_tasks.errors import Terminated
from azureml_tasks.terminal import clean

if TYPE_CHECKING:
    from azureml_tasks.context import Context
    from azureml_tasks.engines.building import Build
    from azureml_tasks.engines.endpoint import Endpoint
    from azureml_tasks.engines.top_layer import Loadable
    from azureml_tasks.planning import Plan

__all__ = ["loaded", "may_load"]


def may_load(build: Build, plan: Plan, context: Context) -> bool:
    """Whether *context* may be a layer to load, as far as its Dockerfile and the engine tell: code that is copied."""
    return plan.has_code and build.only_copies(context)


def loaded(build: Build, plan: Plan, context: Context, on: str) -> str:
    """Load *context* as one layer on an image.

    Args:
        build: the build that it is a part of.
        plan: the image.
        context: the code, and a Dockerfile that copies it and sets variables, labels and user.
        on: name or id of what it stands on.

    Returns:
        The image's id; "" where the engine is to build it.

    Raises:
        BuildError: a file changed or went away since its size was read.
    """
    if not may_load(build, plan, context):
        return ""
    endpoint, terminal = build.endpoint, build.terminal
    below, path = endpoint.image(on), f"/v{endpoint.api}{image_path(on)}/history"
    past = ask(endpoint.host, path)
    if not below or not past or past[0] != HTTPStatus.OK:
        return ""
    names = {file.name.split("/")[1] for file in context.files} - {""}
    folders = Ground(endpoint, build.scratch).below(str(below["Id"]), names)
    made = loadable(plan, context, below, past[1], folders, now=time.time()) if folders else None
    if not made:
        return ""
    terminal.say("the code is loaded as one layer")
    try:
        refused = to_its_end(partial(_refusal, endpoint, made))
    except (KeyboardInterrupt, Terminated):
        remove_unnamed(endpoint, made.id)
        raise
    if refused:
        terminal.say(f"the engine does not take it, so it is built: {clean(refused)}")
        return ""
    return made.id


def _refusal(endpoint: Endpoint, made: Loadable) -> str:
    """Load it; what the engine says where it does not take it."""
    try:
        events = [
            json.loads(line)
            for line in send(endpoint.host, f"/v{endpoint.api}/images/load?quiet=1", [made.archive])
        ]
    except RefusedError as error:
        return str(error)
    errors = [str(event["error"]) for event in events if "error" in event]
    return (errors or ["" if endpoint.image(made.id) else "it has no image of this id afterwards"])[0]
