"""Extend an Azure ML inference image, test that it serves, and push what passed.

Everything about the image stands in [tool.azureml-image] of pyproject.toml; flags say how this run goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.tasks import task

from azureml_tasks.cli.exit_handling import ending_well

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from invoke.context import Context
    from invoke.tasks import Task

    from azureml_tasks.cli.options import Options

__all__ = [
    "attach",
    "build",
    "check",
    "clean",
    "context",
    "dockerfile",
    "environment",
    "ns",
    "prefixes",
    "push",
    "release",
    "smoke_test",
]

_HELP = {
    "base": "image to extend, instead of the table's",
    "engine": "what builds: docker, acr (Azure Container Registry), or auto: docker where it answers, else acr",
    "junit": "write the report as JUnit XML to this file",
    "no-cache": "build every step anew",
    "project": "folder of the project, relative to the current one",
    "pull": "ask the base's registry for a newer one first",
    "registry": "login server, instead of the table's",
    "tag": "tag instead of the table's, as --tag=TAG; may be repeated",
    "untested": "push although the image has not passed its smoke test",
}


def _resolve(c: Context, task: Task[Any], flags: Mapping[str, Any]) -> Options:
    # Here and in the tasks: `invoke --list` needs names alone, so what does the work is imported later.
    from azureml_tasks.cli.options import resolve

    return resolve(c, task, flags)


def _help(*names: str, **more: str) -> dict[str, str]:
    return {name: _HELP[name] for name in names} | more


@task(
    auto_shortflags=False,
    default=True,
    iterable=["tag"],
    help=_help("base", "engine", "registry", "tag", "project", json="print the report as JSON"),
)
def check(
    c: Context,
    base: str | None = None,
    engine: str | None = None,
    registry: str | None = None,
    tag: list[str] | None = None,
    project: str | None = None,
    json: bool = False,
) -> None:
    """Say what would happen and everything that is wrong, touching nothing."""
    with ending_well(check, project):
        from azureml_tasks.commands import check as checking

        flags = {"base": base, "engine": engine, "registry": registry, "tags": tag, "project": project}
        job = _resolve(c, check, flags).job
        job.reporter.result(checking.as_json(job) if json else checking.as_text(job))


@task(
    auto_shortflags=False,
    help=_help(
        "base",
        "project",
        builder="what it is for: any builder (the default), or buildkit",
        output="write it to this file instead of stdout",
    ),
)
def dockerfile(
    c: Context,
    base: str | None = None,
    builder: str | None = None,
    project: str | None = None,
    output: str | None = None,
) -> None:
    """Print the Dockerfile."""
    with ending_well(dockerfile, project):
        from azureml_tasks.commands import export as writing

        options = _resolve(c, dockerfile, {"base": base, "project": project})
        writing.write_dockerfile(options.job, builder, options.file("--output", output))


@task(auto_shortflags=False, help=_help("base", "project", output="write it to this file instead of stdout"))
def context(
    c: Context, base: str | None = None, project: str | None = None, output: str | None = None
) -> None:
    """Write the build context with its Dockerfile as a tar archive, for any builder."""
    with ending_well(context, project):
        from azureml_tasks.commands import export as writing

        options = _resolve(c, context, {"base": base, "project": project})
        writing.write_context(options.job, options.file("--output", output))


@task(
    auto_shortflags=False,
    iterable=["tag"],
    help=_help(
        "base",
        "engine",
        "registry",
        "tag",
        "no-cache",
        "pull",
        "project",
        **{"no-wait": "hand the build off and do not wait; image.attach finishes it"},
    ),
)
def build(
    c: Context,
    engine: str | None = None,
    base: str | None = None,
    registry: str | None = None,
    tag: list[str] | None = None,
    no_cache: bool = False,
    pull: bool = False,
    no_wait: bool = False,
    project: str | None = None,
) -> None:
    """Build the image."""
    with ending_well(build, project):
        flags = {"engine": engine, "base": base, "registry": registry, "tags": tag, "project": project}
        options = _resolve(c, build, {**flags, "no_cache": no_cache, "pull": pull})
        if no_wait:
            from azureml_tasks.commands import resume as attaching

            attaching.start(options.job, no_cache=options.no_cache)
            return
        from azureml_tasks.commands import pipeline

        pipeline.build(options.job, no_cache=options.no_cache, pull=options.pull)


@task(
    auto_shortflags=False,
    help=_help("engine", "registry", "project", run="ID of the run; default: the last one started here"),
)
def attach(
    c: Context,
    run: str = "",
    engine: str | None = None,
    registry: str | None = None,
    project: str | None = None,
) -> None:
    """Finish a build that was handed off: follow its run to its end."""
    with ending_well(attach, project):
        from azureml_tasks.commands import resume as attaching

        flags = {"engine": engine, "registry": registry, "project": project}
        attaching.attach(_resolve(c, attach, flags).job, run)


@task(auto_shortflags=False, help=_help("engine", "junit", "project"))
def smoke_test(
    c: Context, engine: str | None = None, junit: str | None = None, project: str | None = None
) -> None:
    """Run the image that was built as Azure ML would, and test that it serves."""
    with ending_well(smoke_test, project):
        from azureml_tasks.commands import pipeline

        options = _resolve(c, smoke_test, {"engine": engine, "project": project})
        pipeline.smoke_test(options.job, junit_file=options.file("--junit", junit))


@task(auto_shortflags=False, help=_help("engine", "registry", "untested", "project"))
def push(
    c: Context,
    engine: str | None = None,
    registry: str | None = None,
    untested: bool = False,
    project: str | None = None,
) -> None:
    """Push the image that passed its smoke test."""
    with ending_well(push, project):
        from azureml_tasks.commands import pipeline

        job = _resolve(c, push, {"engine": engine, "registry": registry, "project": project}).job
        pipeline.push(job, untested=untested)


@task(
    auto_shortflags=False,
    iterable=["tag"],
    help=_help("base", "engine", "registry", "tag", "no-cache", "pull", "junit", "untested", "project"),
)
def release(
    c: Context,
    engine: str | None = None,
    base: str | None = None,
    registry: str | None = None,
    tag: list[str] | None = None,
    no_cache: bool = False,
    pull: bool = False,
    junit: str | None = None,
    untested: bool = False,
    project: str | None = None,
) -> None:
    """Build, smoke-test and push, stopping at the first that fails."""
    with ending_well(release, project):
        from azureml_tasks.commands import pipeline

        flags = {"engine": engine, "base": base, "registry": registry, "tags": tag, "project": project}
        options = _resolve(c, release, {**flags, "no_cache": no_cache, "pull": pull})
        pipeline.release(
            options.job,
            no_cache=options.no_cache,
            pull=options.pull,
            junit_file=options.file("--junit", junit),
            untested=untested,
        )


@task(
    auto_shortflags=False,
    help=_help(
        "project",
        output="write it to this file instead of stdout",
        name="name of the environment, instead of the image's",
        deployment="a managed online deployment of that environment instead",
        endpoint="the deployment's endpoint",
        **{"instance-type": "the deployment's size of virtual machine, such as Standard_DS3_v2"},
    ),
)
def environment(
    c: Context,
    output: str | None = None,
    name: str | None = None,
    deployment: bool = False,
    endpoint: str | None = None,
    instance_type: str | None = None,
    project: str | None = None,
) -> None:
    """Print the Azure ML environment of what was pushed, as YAML."""
    with ending_well(environment, project):
        from azureml_tasks.commands import environment as deploying

        words = {"name": name, "endpoint": endpoint, "instance_type": instance_type}
        options = _resolve(c, environment, {"project": project, **words})
        asked = deploying.Asked(deployment=deployment, **{key: word or "" for key, word in words.items()})
        deploying.write(options.job, asked, options.file("--output", output))


@task(
    auto_shortflags=False,
    help=_help("engine", "project", prune="remove those that the project as it stands has no use for"),
)
def prefixes(c: Context, engine: str | None = None, prune: bool = False, project: str | None = None) -> None:
    """List the images that later builds start from."""
    with ending_well(prefixes, project):
        from azureml_tasks.commands import cache as keeping

        job = _resolve(c, prefixes, {"engine": engine, "project": project}).job
        (keeping.prune if prune else keeping.show)(job)


@task(auto_shortflags=False, help=_help("engine", "project"))
def clean(c: Context, engine: str | None = None, project: str | None = None) -> None:
    """Remove the image that build recorded, and the records."""
    with ending_well(clean, project):
        from azureml_tasks.commands import clean as cleaning

        cleaning.clean(_resolve(c, clean, {"engine": engine, "project": project}).job)


ns = Collection(
    "image",
    check,
    dockerfile,
    context,
    build,
    attach,
    smoke_test,
    push,
    release,
    environment,
    prefixes,
    clean,
)
