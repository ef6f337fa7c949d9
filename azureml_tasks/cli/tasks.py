"""The tasks: each reads its flags, calls one command, and prints the result."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.cli.flags import FLAGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from azureml_tasks.cli.options import TaskRun

_IDLE_HELP = "no effect here; accepted because release has it"
_REPORT_OUTPUT_HELP = "write to this file; default: .azureml-image/report.html"
_ONE_IMAGE_HELP = "one of the table's images; needed if it has several"
_ENVIRONMENT = "invoke image.environment"
"""What follows a push."""
_OF_BUILD = ("secret", "allow-source-builds", "no-cache", "pull")
"""Flags of `release` for its build alone."""


class TaskSpec(NamedTuple):
    """A task before it is bound to a collection.

    Args:
        body: what it does; its docstring is the task's.
        flags: names of its flags, in the order of `invoke --help`.
        takes_command: whether it runs the words after `--`.
        takes_one_image: whether it refuses a table with several images if the run names none.
        idle: those of them that change nothing, so that the flags of `release` can be typed for its steps as well.
        recorded: those of which the build has recorded the value, so that a command to paste does not repeat it.
    """

    body: Callable[[TaskRun], None]
    flags: tuple[str, ...]
    takes_command: bool = False
    takes_one_image: bool = False
    idle: tuple[str, ...] = ()
    recorded: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The task's name, as it is typed."""
        return self.body.__name__.replace("_", "-")

    @property
    def repeated(self) -> set[str]:
        """The flags that a command to paste repeats if the run has them."""
        return {*self.flags} - {*self.idle, *self.recorded}

    def help_of(self, flag: str) -> str:
        """Return what `invoke --help` says of one of the task's flags."""
        if flag == "image" and self.takes_one_image:
            return _ONE_IMAGE_HELP
        if flag == "output" and self.name == "report":
            return _REPORT_OUTPUT_HELP
        return _IDLE_HELP if flag in self.idle else FLAGS[flag].help

    def run(self, run: TaskRun) -> None:
        """Say which flags change nothing, and do what the task does without them."""
        if given := [f"--{flag}" for flag in self.idle if run.flag(flag)]:
            run.console.say(f"{', '.join(given)}: no effect in {self.name}")
        used = {flag: value for flag, value in run.flags.items() if flag not in self.idle}
        self.body(run._replace(flags=used))


TASKS: list[TaskSpec] = []
"""Every task, in the order of declaration."""


def _task(
    *flags: str,
    idle: tuple[str, ...] = (),
    recorded: tuple[str, ...] = (),
    takes_command: bool = False,
    takes_one_image: bool = False,
) -> Callable[[Callable[[TaskRun], None]], Callable[[TaskRun], None]]:
    """Declare a task with *flags*, those that change nothing, `--image`, `--project` and `--root`; see `TaskSpec`."""

    def declare(body: Callable[[TaskRun], None]) -> Callable[[TaskRun], None]:
        every = (*flags, *idle, "image", "project", "root")
        TASKS.append(TaskSpec(body, every, takes_command, takes_one_image, idle, recorded))
        return body

    return declare


# Imports stand in the bodies: `invoke --list` needs the names alone.


@_task("from", "base", "keep-dockerfile", "json", takes_one_image=True)
def init(run: TaskRun) -> None:
    """Write the table from what there is: deployments, Dockerfiles, conda files."""
    from azureml_tasks.cli import init_report
    from azureml_tasks.commands.init import InitRequest, prepare, write

    request = InitRequest(files=tuple(run.flag("from")), keep_dockerfile=bool(run.flag("keep-dockerfile")))
    result = prepare(run.context, request, init_report.ask_in_terminal)
    console = run.console.without("base")  # The table has a base now.
    if console.collected:
        from azureml_tasks.cli.json_parts import init_parts

        console.collected.parts.update(init_parts(result, console.spell, dry=console.dry))
    written: list[str] = []
    try:
        write(run.context, result, on_written=lambda path: written.append(os.path.relpath(path)))
    finally:
        if console.collected:
            console.collected.parts["written"] = tuple(written)
    console.result(init_report.as_text(result, console.spell, dry=console.dry))


@_task("base", "engine", "registry", "tag", "secret", "allow-source-builds", "json")
def check(run: TaskRun) -> None:
    """Say what a build would do and what is wrong, without changing anything."""
    from azureml_tasks.cli import check_report
    from azureml_tasks.commands.check import check_images

    reports = check_images(run.context)
    errors = [report.error for _, report in reports if report.error]
    for each in errors:
        each.name_files_from_here(run.context.folder)
    if run.console.collected:
        from azureml_tasks.cli.json_parts import add_reports

        add_reports(run.console.collected, reports)
    run.console.result(check_report.all_as_text(reports))
    if errors:
        raise check_report.one_error(errors)


@_task("base", "engine", "registry", "fix", "json")
def doctor(run: TaskRun) -> None:
    """Say what is wrong with this machine and its accounts, and how to put it right."""
    from azureml_tasks.cli import doctor_report
    from azureml_tasks.commands.doctor import diagnose

    with doctor_report.spinner() as show:
        diagnosis = diagnose(run.context, fix=bool(run.flag("fix")), waiting=show)
    if run.console.collected:
        from azureml_tasks.cli.json_parts import doctor_parts

        run.console.collected.parts.update(doctor_parts(diagnosis, run.console.spell))
    width = doctor_report.terminal_width()
    text = doctor_report.as_text(diagnosis, run.console.spell, width=width)
    run.console.result(text, doctor_report.STYLES)
    if diagnosis.blocking:
        raise doctor_report.blocking_error(diagnosis)


@_task("base", "allow-source-builds", "builder", "output")
def dockerfile(run: TaskRun) -> None:
    """Print the Dockerfile."""
    from azureml_tasks.cli.output import output_file, write_text
    from azureml_tasks.commands.export import dockerfile_texts
    from azureml_tasks.context.own_outputs import DOCKERFILE_OF_IMAGE

    path, builder = output_file("--output", run.flag("output")), run.flag("builder")
    texts = dockerfile_texts(run.context, builder, flags=["--output"] if path else [])
    several = [f"{DOCKERFILE_OF_IMAGE}{name}\n{each.text}" for name, each in texts.items()]
    text = "\n".join(several if len(texts) > 1 else [each.text for each in texts.values()])
    flags = ["--builder", builder] if builder else []
    write_text(run, path, text, *flags, is_foreign=any(each.is_own for each in texts.values()))


@_task("base", "engine", "allow-source-builds", "output", takes_one_image=True)
def context(run: TaskRun) -> None:
    """Write the build context with its Dockerfile as a tar archive, for any builder."""
    from azureml_tasks.cli.output import output_file, refuse_terminal, write_archive
    from azureml_tasks.commands.export import context_archive

    path = output_file("--output", run.flag("output"))
    if not path:
        refuse_terminal()
    write_archive(run, path, context_archive(run.context))


@_task(
    "engine",
    "base",
    "registry",
    "tag",
    "secret",
    "allow-source-builds",
    "no-cache",
    "pull",
    "no-wait",
    "verbose",
    "json",
)
def build(run: TaskRun) -> None:
    """Build the image."""
    if run.flag("no-wait"):
        from azureml_tasks.cli.print_results import show_started_run
        from azureml_tasks.commands.resume import start

        start(run.context, no_cache=run.no_cache, on_started=lambda started: show_started_run(run, started))
        return
    from azureml_tasks.cli.job_summary import job_summary
    from azureml_tasks.cli.print_results import Steps
    from azureml_tasks.commands import pipeline

    steps = Steps(run)
    with job_summary(run, steps.results):
        built = pipeline.build(run.context, no_cache=run.no_cache, pull=run.pull, on_step=steps.show)
    is_served = len(built) == 1 and built[0].can_be_served
    serve = ", or with each change of the code: invoke image.serve" if is_served else ""
    run.console.next_step(f"invoke image.smoke-test{serve}")


@_task("run", "engine", "registry", "verbose", "json")
def resume(run: TaskRun) -> None:
    """Follow a remote build to its end."""
    from azureml_tasks.cli.job_summary import job_summary
    from azureml_tasks.cli.print_results import Steps
    from azureml_tasks.commands.resume import resume as resume_run

    steps = Steps(run)
    with job_summary(run, steps.results):
        resume_run(run.context, run.flag("run"), on_step=steps.show)


@_task(
    "engine",
    "base",
    "registry",
    "junit",
    "verbose",
    "json",
    idle=("tag", *_OF_BUILD, "untested"),
    recorded=("registry",),
)
def smoke_test(run: TaskRun) -> None:
    """Run the built image as Azure ML would, and test that it serves."""
    from azureml_tasks.cli.job_summary import job_summary
    from azureml_tasks.cli.output import output_file
    from azureml_tasks.cli.print_results import Steps
    from azureml_tasks.commands import pipeline
    from azureml_tasks.commands.image_smoke_test import refuse_failed

    output_file("--junit", run.flag("junit"))
    steps = Steps(run)
    with job_summary(run, steps.results):
        results = pipeline.smoke_test(run.context, on_step=steps.show)
        refuse_failed(*results)
    is_mounted = all(each.delivery == "mount" for each in results)
    run.console.next_step(f"{_ENVIRONMENT} --deployment" if is_mounted else "invoke image.push")


@_task(
    *("port", "debug", "build", "engine", "base", "registry"),
    *("tag", "secret", "allow-source-builds", "verbose"),
    takes_one_image=True,
)
def serve(run: TaskRun) -> None:
    """Serve the built image here, with each change of the code, until Ctrl-C."""
    from azureml_tasks.cli.serve_options import BuildKey, ports_of
    from azureml_tasks.commands.serve import serve as serve_image
    from azureml_tasks.commands.serve_session import ServeRequest

    key = BuildKey.of_terminal()
    request = ServeRequest(
        ports=ports_of(run),
        build=bool(run.flag("build")),
        line=run.console.log_line,
        offers=key.is_open,
        wants_build=key.was_pressed,
    )
    serve_image(run.context, request)


@_task("engine", "base", "as-root", takes_command=True, takes_one_image=True)
def shell(run: TaskRun) -> None:
    """Open a shell in the built image, or run the command after `--` in it."""
    from invoke.exceptions import Exit

    from azureml_tasks.commands.shell import shell as shell_in_image

    if code := shell_in_image(run.context, run.command, as_root=bool(run.flag("as-root"))):
        raise Exit("", code)


@_task(takes_one_image=True)
def logs(run: TaskRun) -> None:
    """Print what the last container of smoke test or serve printed."""
    from azureml_tasks.cli.output import write_text
    from azureml_tasks.commands.shell import last_log

    write_text(run, None, last_log(run.context), is_foreign=True)


@_task(
    "engine",
    "base",
    "registry",
    "tag",
    "untested",
    "verbose",
    "json",
    idle=(*_OF_BUILD, "junit"),
    recorded=("tag",),
)
def push(run: TaskRun) -> None:
    """Push the image that passed its smoke test."""
    from azureml_tasks.cli.job_summary import job_summary
    from azureml_tasks.cli.print_results import Steps
    from azureml_tasks.commands import pipeline

    steps = Steps(run)
    with job_summary(run, steps.results):
        pushed = pipeline.push(run.context, untested=bool(run.flag("untested")), on_step=steps.show)
    if pushed:
        run.console.next_step(_ENVIRONMENT)


@_task(
    *("engine", "base", "registry", "tag", "secret", "allow-source-builds"),
    *("no-cache", "pull", "junit", "untested", "verbose", "json"),
)
def release(run: TaskRun) -> None:
    """Build, smoke-test and push; stop at the first step that fails."""
    from azureml_tasks.cli.job_summary import job_summary
    from azureml_tasks.cli.output import output_file
    from azureml_tasks.cli.print_results import Steps
    from azureml_tasks.commands import pipeline

    output_file("--junit", run.flag("junit"))
    steps = Steps(run)
    with job_summary(run, steps.results):
        released = pipeline.release(
            run.context,
            no_cache=run.no_cache,
            pull=run.pull,
            untested=bool(run.flag("untested")),
            on_step=steps.show,
        )
    if any(each.push for each in released):
        run.console.next_step(_ENVIRONMENT)


@_task("output", "name", "deployment", "endpoint", "instance-type", "json")
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
    if run.console.collected:
        from azureml_tasks.cli.json_parts import image_yaml

        run.console.collected.parts["images"] = image_yaml(texts)
    write_text(run, path, "---\n".join(texts.values()), *flags)
    if path and run.console.collected and not run.console.dry:
        run.console.collected.parts["written"] = str(path)


@_task("base", "registry", "output")
def report(run: TaskRun) -> None:
    """Write a page about the image: its parts, its start and answers, its changes."""
    from azureml_tasks.cli.output import output_file, write_page
    from azureml_tasks.commands.report import report_page

    path = output_file("--output", run.flag("output"))
    write_page(run, path, report_page(run.context))


@_task("engine", "prune", "verbose", "json")
def cache(run: TaskRun) -> None:
    """List the cached layers that later builds start from."""
    from azureml_tasks.cli.print_results import show_cache, show_removed
    from azureml_tasks.commands import cache as commands

    if run.flag("prune"):
        if not commands.prune(run.context, on_removed=lambda name: show_removed(run, name)):
            run.console.say("there are no cached layers to remove")
        return
    entries = commands.list_layers(run.context)
    if run.console.collected:
        run.console.collected.parts["layers"] = tuple(entries)
    show_cache(run, entries)


@_task("engine")
def clean(run: TaskRun) -> None:
    """Remove the image that was built last, its cached layers and the records."""
    from azureml_tasks.cli.print_results import show_removed
    from azureml_tasks.commands.clean import clean as clean_project

    clean_project(run.context, on_removed=lambda name: show_removed(run, name))
