"""The tasks: each reads its flags, calls one command, and prints the result."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from azureml_tasks.cli.options import TaskRun


class Flag(NamedTuple):
    """A flag of one or more tasks.

    Args:
        help: what `invoke --help` says.
        is_switch: whether it takes no value.
        is_repeated: whether it may be given several times.
    """

    help: str
    is_switch: bool = False
    is_repeated: bool = False


FLAGS: Mapping[str, Flag] = {
    "allow-source-builds": Flag(
        "let packages without a wheel be built while secrets are mounted: their code can read the secrets",
        is_switch=True,
    ),
    "base": Flag("image to extend, instead of the table's"),
    "builder": Flag("builder that the text is for: any (default) or buildkit"),
    "deployment": Flag("print a managed online deployment of that environment instead", is_switch=True),
    "endpoint": Flag("name of the deployment's endpoint"),
    "engine": Flag(
        "engine that builds: docker, acr (Azure Container Registry) or auto (docker if it answers, else acr)"
    ),
    "fix": Flag("run the commands that are harmless and change this machine alone", is_switch=True),
    "from": Flag(
        "file to read, relative to the current folder; may be repeated; default: what is in the project's folder",
        is_repeated=True,
    ),
    "image": Flag("one of the table's images; default: all, in order"),
    "instance-type": Flag("VM size of the deployment, such as Standard_DS3_v2"),
    "json": Flag("print the report as JSON", is_switch=True),
    "junit": Flag("write the report to this file as JUnit XML"),
    "keep-dockerfile": Flag(
        "let the table name the Dockerfile, and say nothing in its place", is_switch=True
    ),
    "name": Flag("name of the environment, instead of the image's"),
    "no-cache": Flag("build every step again", is_switch=True),
    "no-wait": Flag("start a remote build and do not wait; the task resume finishes it", is_switch=True),
    "output": Flag("write to this file instead of stdout"),
    "project": Flag("folder of the project, relative to the current folder"),
    "prune": Flag("remove cached layers that the project no longer uses", is_switch=True),
    "pull": Flag("pull a newer base first", is_switch=True),
    "registry": Flag("login server, instead of the table's"),
    "root": Flag("folder above the project that its files must be in, relative to the current folder"),
    "run": Flag("ID of the run; default: the last one started here"),
    "secret": Flag(
        "where a secret that the table wants is: netrc=FILE, netrc=env:VARIABLE or netrc=default; may be repeated",
        is_repeated=True,
    ),
    "tag": Flag("tag instead of the table's, as --tag=TAG; may be repeated", is_repeated=True),
    "untested": Flag("push although the image has not passed its smoke test", is_switch=True),
}
"""Every flag, declared once."""


class TaskSpec(NamedTuple):
    """A task before it is bound to a collection.

    Args:
        body: what it does; its docstring is the task's.
        flags: names of its flags, in the order of `invoke --help`.
    """

    body: Callable[[TaskRun], None]
    flags: tuple[str, ...]

    @property
    def name(self) -> str:
        """The task's name, as it is typed."""
        return self.body.__name__.replace("_", "-")


TASKS: list[TaskSpec] = []
"""Every task, in the order of declaration."""


def _task(*flags: str) -> Callable[[Callable[[TaskRun], None]], Callable[[TaskRun], None]]:
    """Declare a task with *flags*, `--image`, `--project` and `--root`."""

    def declare(body: Callable[[TaskRun], None]) -> Callable[[TaskRun], None]:
        TASKS.append(TaskSpec(body=body, flags=(*flags, "image", "project", "root")))
        return body

    return declare


# Imports stand in the bodies: `invoke --list` needs the names alone.


@_task("from", "base", "keep-dockerfile", "json")
def init(run: TaskRun) -> None:
    """Write the table from what there is: deployments, Dockerfiles, conda files."""
    from azureml_tasks.cli import init_report
    from azureml_tasks.commands.init import InitRequest, prepare, write

    request = InitRequest(files=tuple(run.flag("from")), keep_dockerfile=bool(run.flag("keep-dockerfile")))
    result = prepare(run.context, request, init_report.ask_in_terminal)
    console, is_json = run.console.without("base"), run.flag("json")  # The table has the base now.
    if not (is_json and console.dry):  # The JSON has the texts itself.
        write(run.context, result)
    as_text = init_report.as_json if is_json else init_report.as_text
    console.result(as_text(result, console.spell, dry=console.dry))


@_task("base", "engine", "registry", "tag", "secret", "allow-source-builds", "json")
def check(run: TaskRun) -> None:
    """Say what a build would do and what is wrong, without changing anything."""
    from azureml_tasks.cli import check_report
    from azureml_tasks.commands.check import check_images
    from azureml_tasks.errors import AzuremlTasksError

    try:
        reports = check_images(run.context)
    except AzuremlTasksError as error:
        error.name_files_from_here(run.context.folder)
        if run.flag("json"):
            run.console.result(check_report.problems_json(error, run.console.spell))
        raise
    errors = [report.error for _, report in reports if report.error]
    for each in errors:
        each.name_files_from_here(run.context.folder)
    as_text = check_report.all_as_json if run.flag("json") else check_report.all_as_text
    run.console.result(as_text(reports))
    if errors:
        raise check_report.one_error(errors)


@_task("base", "engine", "registry", "fix", "json")
def doctor(run: TaskRun) -> None:
    """Say what is wrong with this machine and its accounts, and how to put it right."""
    from azureml_tasks.cli import doctor_report
    from azureml_tasks.commands.doctor import diagnose

    # Under --dry its commands are results as well, and would stand before the JSON, which has them.
    fix = bool(run.flag("fix")) and not (run.flag("json") and run.console.dry)
    with doctor_report.spinner() as show:
        diagnosis = diagnose(run.context, fix=fix, waiting=show)
    if run.flag("json"):
        run.console.result(doctor_report.as_json(diagnosis, run.console.spell))
    else:
        width = doctor_report.terminal_width()
        run.console.result(doctor_report.as_text(diagnosis, run.console.spell, width=width))
    if diagnosis.blocking:
        raise doctor_report.blocking_error(diagnosis)


@_task("base", "allow-source-builds", "builder", "output")
def dockerfile(run: TaskRun) -> None:
    """Print the Dockerfile."""
    from azureml_tasks.cli.output import output_file, write_text
    from azureml_tasks.commands.export import dockerfile_texts

    path, builder = output_file("--output", run.flag("output")), run.flag("builder")
    texts = dockerfile_texts(run.context, builder, flags=["--output"] if path else [])
    several = [f"# tool.azureml-image.images.{name}\n{each.text}" for name, each in texts.items()]
    text = "\n".join(several if len(texts) > 1 else [each.text for each in texts.values()])
    flags = ["--builder", builder] if builder else []
    write_text(run, path, text, *flags, is_foreign=any(each.is_own for each in texts.values()))


@_task("base", "engine", "allow-source-builds", "output")
def context(run: TaskRun) -> None:
    """Write the build context with its Dockerfile as a tar archive, for any builder."""
    from azureml_tasks.cli.output import output_file, refuse_terminal, write_archive
    from azureml_tasks.commands.export import context_archive

    path = output_file("--output", run.flag("output"))
    if not path:
        refuse_terminal()
    write_archive(run, path, context_archive(run.context))


@_task("engine", "base", "registry", "tag", "secret", "allow-source-builds", "no-cache", "pull", "no-wait")
def build(run: TaskRun) -> None:
    """Build the image."""
    if run.flag("no-wait"):
        from azureml_tasks.cli.print_results import show_started_run
        from azureml_tasks.commands.resume import start

        start(run.context, no_cache=run.no_cache, on_started=lambda run_id: show_started_run(run, run_id))
        return
    from azureml_tasks.cli.print_results import show_build
    from azureml_tasks.commands import pipeline

    pipeline.build(
        run.context, no_cache=run.no_cache, pull=run.pull, on_step=lambda built: show_build(run, built)
    )


@_task("run", "engine", "registry")
def resume(run: TaskRun) -> None:
    """Follow a remote build to its end."""
    from azureml_tasks.cli.print_results import show_build
    from azureml_tasks.commands.resume import resume as resume_run

    resume_run(run.context, run.flag("run"), on_step=lambda built: show_build(run, built))


@_task("engine", "base", "junit")
def smoke_test(run: TaskRun) -> None:
    """Run the built image as Azure ML would, and test that it serves."""
    from azureml_tasks.cli.output import output_file
    from azureml_tasks.cli.print_results import Steps
    from azureml_tasks.commands import pipeline
    from azureml_tasks.commands.steps import refuse_failed
    from azureml_tasks.errors import stating

    output_file("--junit", run.flag("junit"))
    results = pipeline.smoke_test(run.context, on_step=Steps(run).show)
    with stating("Nothing was pushed."):
        refuse_failed(*results)


@_task("engine", "base", "registry", "untested")
def push(run: TaskRun) -> None:
    """Push the image that passed its smoke test."""
    from azureml_tasks.cli.print_results import show_push
    from azureml_tasks.commands import pipeline

    untested = bool(run.flag("untested"))
    pipeline.push(run.context, untested=untested, on_step=lambda result: show_push(run, result))


@_task(
    *("engine", "base", "registry", "tag", "secret", "allow-source-builds"),
    *("no-cache", "pull", "junit", "untested"),
)
def release(run: TaskRun) -> None:
    """Build, smoke-test and push; stop at the first step that fails."""
    from azureml_tasks.cli.output import output_file
    from azureml_tasks.cli.print_results import Steps
    from azureml_tasks.commands import pipeline

    output_file("--junit", run.flag("junit"))
    pipeline.release(
        run.context,
        no_cache=run.no_cache,
        pull=run.pull,
        untested=bool(run.flag("untested")),
        on_step=Steps(run).show,
    )


@_task("output", "name", "deployment", "endpoint", "instance-type")
def environment(run: TaskRun) -> None:
    """Print the Azure ML environment of the pushed image as YAML."""
    from azureml_tasks.cli.output import output_file, write_text
    from azureml_tasks.commands.environment import EnvironmentRequest, environment_texts

    path = output_file("--output", run.flag("output"))
    request = EnvironmentRequest(
        name=run.flag("name"),
        deployment=bool(run.flag("deployment")),
        endpoint=run.flag("endpoint"),
        instance_type=run.flag("instance-type"),
        folder=path.parent if path else None,
    )
    flags = ["--name", request.name] if request.name else []
    if request.deployment:
        flags += ["--deployment", "--endpoint", request.endpoint, "--instance-type", request.instance_type]
    texts = environment_texts(run.context, request, flags=["--output"] if path else [])
    write_text(run, path, "---\n".join(texts), *flags)


@_task("engine", "prune")
def cache(run: TaskRun) -> None:
    """List the cached layers that later builds start from."""
    from azureml_tasks.cli.print_results import show_cache, show_removed
    from azureml_tasks.commands import cache as commands

    if run.flag("prune"):
        commands.prune(run.context, on_removed=lambda name: show_removed(run, name))
    else:
        show_cache(run, commands.list_layers(run.context))


@_task("engine")
def clean(run: TaskRun) -> None:
    """Remove the image that was built last, its cached layers and the records."""
    from azureml_tasks.cli.print_results import show_removed
    from azureml_tasks.commands.clean import clean as clean_project

    clean_project(run.context, on_removed=lambda name: show_removed(run, name))
