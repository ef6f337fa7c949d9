"""A shell, or a command, in what a Dockerfile makes up to the step at which the last build failed.

The Dockerfile is cut before the step and built again: the steps before it succeeded, so that they are in the builder's
cache. What the step itself mounts from the build context is put into the container, so that its command can be tried.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.engines.docker.api_build import takes_archives
from azureml_tasks.engines.docker.api_errors import translate_errors
from azureml_tasks.engines.docker.base_image import find_base
from azureml_tasks.engines.docker.build import Build
from azureml_tasks.engines.docker.buildx_command import build_command
from azureml_tasks.engines.docker.leftovers import (
    container_name,
    keep_image,
    temporary_reference,
    tracked_run,
)
from azureml_tasks.engines.docker.shell import check_client, run_in
from azureml_tasks.engines.docker.socket_http import RefusedError
from azureml_tasks.errors import BuildError
from azureml_tasks.project.model import SmokeTestPlan
from azureml_tasks.state.runs import Thing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.context.context_file import ContextFile
    from azureml_tasks.engines.docker.engine import DockerEngine
    from azureml_tasks.engines.docker.shell import Inside
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.state.failed_step import FailedStep
    from azureml_tasks.state.runs import Run

_MOUNT = re.compile(
    r"--mount=type=bind,(?:rw,)?source=(?P<source>[\w/.-]+),target=(?P<target>/[\w/.-]+)(?=\s)"
)
"""As `planning.dockerfile` writes it: a folder of the build context."""


def run_before_step(
    engine: DockerEngine, plan: Plan, context: BuildContext, failed: FailedStep, file: Path, inside: Inside
) -> int:
    """Build what comes before a step, run a command in it, and return its exit code; 0 under --dry.

    The image is removed afterwards. The legacy builder's is also its cache, so there it only loses its name.

    Args:
        engine: that ran the step.
        plan: the image; of its secrets those that the steps before this one take.
        context: the files.
        failed: the step.
        file: has the Dockerfile of *failed*; for the commands that are announced.
        inside: the command.

    Raises:
        BuildError: a step before it fails now, or the cached layers are gone that it was built on.
        EngineError: there is no docker client, or the engine cannot create the container.
    """
    client, whole = engine.client, context
    check_client(engine.reporter)
    context = _cut(context, failed.dockerfile)
    with translate_errors(client.host), tracked_run(client, engine.folder, engine.reporter) as run:
        container, name = container_name(run), temporary_reference(run)
        folder = _announce(engine, run, plan, context, failed, file, name)
        copies = tuple((f"{folder / source}/.", target) for source, target in _mounts(failed.step))
        image = BuiltImage(id=name, names=(name,), engine=engine.name, context_sha256="")
        if engine.reporter.dry:
            run.forget(Thing("image", name))
        else:
            image = image._replace(id=_build(engine, run, plan, context, failed))
        inside = inside._replace(files=tuple(_mounted(failed.step, whole)), copies=copies)
        code = run_in(engine, run, container, image, SmokeTestPlan(), inside)
    for argv in (["rm", "-r", str(folder)], client.docker_command("rmi", name, *failed.images)):
        engine.reporter.effect(argv)
    return code


def _build(engine: DockerEngine, run: Run, plan: Plan, context: BuildContext, failed: FailedStep) -> str:
    """Build what comes before the step, and return the image ID."""
    client = engine.client
    base = find_base(client, str(plan.base)) if plan.base.repository else None
    by_api = base is not None and not plan.own_dockerfile and takes_archives(client, base.driver)
    build = Build(
        client=client,
        builder=engine.builder,
        reporter=engine.reporter,
        tracked=run,
        takes_archives=by_api,
        adds_labels=False,  # With them the legacy builder makes an image that is none of its cache.
    )
    _name_images(engine, run, failed)
    engine.folder.mkdir(parents=True, exist_ok=True)
    with engine.reporter.step("build up to the step that failed"):
        image_id = build.run(plan, context, no_cache=False)
    is_cache = engine.builder.kind == "legacy" and not build.uses_api_buildkit(context)
    if is_cache and base:
        keep_image(client, run, image_id, base.id)
    return image_id


def _cut(context: BuildContext, dockerfile: str) -> BuildContext:
    """Return the build context of a Dockerfile that was cut, without folders that it does not copy."""
    if context.own_name:  # It may copy anything.
        return context._replace(dockerfile=dockerfile)
    tops = {file.name.partition("/")[0] for file in context.files}
    used = {top for top in tops if f"COPY {top}/ " in dockerfile or f"source={top}," in dockerfile}
    files = tuple(file for file in context.files if file.name.partition("/")[0] in used)
    return context._replace(files=files, dockerfile=dockerfile)


def _name_images(engine: DockerEngine, run: Run, failed: FailedStep) -> None:
    """Give images the references again by which the Dockerfile names them, until *run* ends.

    Raises:
        BuildError: one is gone.
    """
    for name, image_id in failed.images.items():
        run.note(Thing("image", name))
        try:
            engine.client.tag_image(image_id, name)
        except RefusedError as error:
            what = f"The cached layers that the last build was based on, {image_id[:19]}, are gone from the engine."
            raise BuildError(what, next_step="invoke image.build") from error


def _mounts(step: str) -> Iterator[tuple[str, str]]:
    """Yield each folder of the build context that *step* mounts, and where in the container."""
    for mount in _MOUNT.finditer(step):
        yield mount["source"], mount["target"]


def _mounted(step: str, context: BuildContext) -> Iterator[ContextFile]:
    """Yield the files that *step* mounts from the build context, by their paths in the container."""
    for source, target in _mounts(step):
        for file in context.files:
            if file.name.startswith(f"{source}/"):
                yield file._replace(name=f"{target[1:]}{file.name.removeprefix(source)}")


def _announce(
    engine: DockerEngine,
    run: Run,
    plan: Plan,
    context: BuildContext,
    failed: FailedStep,
    file: Path,
    name: str,
) -> Path:
    """Announce the commands that build what comes before the step as *name*; return the folder with its context."""
    say, client = engine.reporter.effect, engine.client
    folder = run.records / f"{run.new_name()}-context"
    dockerfile = folder / context.dockerfile_name
    for reference, image_id in failed.images.items():
        say(client.docker_command("tag", image_id, reference))
    say(["mkdir", "--parents", str(folder)])
    say(["tar", "--extract", "--file=-", f"--directory={folder}"], before="invoke image.context | ")
    say(["cp", str(file), str(dockerfile)])
    argv = build_command(
        client, engine.builder, plan, context, no_cache=False, names=[name], dockerfile=str(dockerfile)
    )
    say([*argv[:-1], str(folder)], before="DOCKER_BUILDKIT=1 " if engine.builder.kind == "buildkit" else "")
    return folder
