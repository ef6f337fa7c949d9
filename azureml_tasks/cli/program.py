"""The program `azureml-image`: our tasks without a `tasks.py`.

It runs in a project that nobody has looked at yet, so it loads nothing of it: no `tasks.py`, and no configuration of
Invoke, which can name code. Its options are flags and the variables `INVOKE_AZUREML_IMAGE_…`.
"""

from __future__ import annotations

import sys
from contextlib import suppress

from invoke.collection import Collection
from invoke.config import Config
from invoke.exceptions import AmbiguousEnvVar, Exit, ParseError, UncastableEnvVar
from invoke.parser.argument import Argument
from invoke.program import Program

from azureml_tasks.cli.collection import BoundTask
from azureml_tasks.cli.exit_handling import exit_on_error
from azureml_tasks.cli.tasks import TASKS
from azureml_tasks.errors import Problem, SettingsError
from azureml_tasks.version import VERSION

NAME = "azureml-image"


class _WithoutFiles(Config):
    """A configuration of defaults, flags and variables, and of no file.

    What Invoke reads: https://docs.pyinvoke.org/en/stable/concepts/configuration.html
    """

    def load_base_conf_files(self) -> None:
        """Read no file of the system or the user."""

    def load_runtime(self, merge: bool = True) -> None:
        """Read no file that `INVOKE_RUNTIME_CONFIG` names."""


class AzuremlImage(Program):
    """Invoke's program with our tasks, and with those of its flags that mean something for them."""

    def __init__(self) -> None:
        tasks = Collection()
        for spec in TASKS:
            tasks.add_task(BoundTask(spec, "image", {}, NAME), default=False)
        super().__init__(
            version=VERSION,
            namespace=tasks,
            name=NAME,
            binary=NAME,
            binary_names=[NAME],
            config_class=_WithoutFiles,
        )

    def core_args(self) -> list[Argument]:
        """Return the flags that stand before a task."""
        switches = {
            ("dry", "R"): "print each step as the command that would do it, and do nothing",
            ("echo", "e"): "print each command before it runs",
            ("list", "l"): "list the tasks",
            ("version", "V"): "print the version",
            ("complete",): "print what could be typed next, for the completion of a shell",
        }
        return [
            *(Argument(names=names, kind=bool, default=False, help=text) for names, text in switches.items()),
            Argument(
                names=("help", "h"), optional=True, help="print this, or what a task does and its flags"
            ),
            Argument(
                names=("print-completion-script",),
                default="",
                help="print what makes a shell complete tasks and flags: bash, zsh or fish",
            ),
        ]

    def parse_core_args(self) -> None:
        """Parse the flags before a task, and add the default of each flag that only Invoke's own program has."""
        super().parse_core_args()
        for argument in super().core_args():
            if argument.name not in self.args:
                self.core[0].add_arg(argument)

    def parse_cleanup(self) -> None:
        """Do what needs no task; what is typed so far may end in an open quote, for which there is no completion.

        Raises:
            Exit: it was all that was wanted.
        """
        try:
            super().parse_cleanup()
        except ValueError:
            if not self.args.complete.value:
                raise
            raise Exit from None

    def steps(self, argv: list[str]) -> None:
        """Read *argv* and run its tasks: what `Program.run` does, without its exit codes.

        Raises:
            SettingsError: *argv* or a variable of Invoke is not understood.
            Exit: Invoke or a task ends.
        """
        try:
            self.create_config()
            self.parse_core(argv)
            self.parse_collection()
            self.parse_tasks()
            self.parse_cleanup()
            self.update_config()
            self.execute()
        except ParseError as error:
            from azureml_tasks.cli.usage_errors import usage_error

            raise usage_error(error, NAME, self.initial_context.flag_names()) from None
        except (AmbiguousEnvVar, UncastableEnvVar) as error:
            raise SettingsError(
                [Problem("a variable of Invoke", 0, f"cannot be read: {error}", "env | grep ^INVOKE_")]
            ) from None


def run() -> int:
    """Run the program with the words of this process, and return its exit code."""
    try:
        with exit_on_error(f"{NAME} ") as messages:
            try:
                AzuremlImage().steps(sys.argv)
            except SettingsError as error:  # Of the command line: a task makes an `Exit` of its own errors.
                from azureml_tasks.cli.usage_errors import print_as_json

                print_as_json(error, messages)
                raise
            finally:
                _flush()
    except Exit as end:
        if end.message:
            from azureml_tasks.cli.streams import write

            with suppress(OSError):
                write(sys.stderr, f"{end.message}\n")
        return end.code
    return 0


def _flush() -> None:
    """Write what Invoke has printed, of which `--list | head` reads no more than it wants.

    Raises:
        OSError: stdout cannot be written.
    """
    from azureml_tasks.cli.streams import discard

    try:
        sys.stdout.flush()
    except OSError:
        discard(sys.stdout)
        raise
