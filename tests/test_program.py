"""The program `azureml-image`: the tasks without a tasks.py, in a folder that is not trusted."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

import pytest

from azureml_tasks.cli.entry_point import main
from tests import consumers
from tests.cases import lay_out
from tests.consumers import azureml_image, consumer, environment, invoke, project
from tests.fake_engine import ready_engine
from tests.machine import invoke_cli

if TYPE_CHECKING:
    from pathlib import Path

HELP = """\
Usage: azureml-image [--core-opts] <subcommand> [--subcommand-opts] ...

Core options:

  --complete                         print what could be typed next, for the
                                     completion of a shell
  --print-completion-script=STRING   print what makes a shell complete tasks
                                     and flags: bash, zsh or fish
  -e, --echo                         print each command before it runs
  -h [STRING], --help[=STRING]       print this, or what a task does and its
                                     flags
  -l, --list                         list the tasks
  -R, --dry                          print each step as the command that would
                                     do it, and do nothing
  -V, --version                      print the version

"""
NO_TABLE = """\
pyproject.toml: does not exist in FOLDER
    Make it from the files that you have: azureml-image init
    or write it, with:
    [tool.azureml-image]
    base = "minimal-py312-inference"

1 problem; nothing was done.
"""
NO_COMPLETION = 'Completion for shell "tcsh" not supported (options are: bash, fish, zsh).'
PROGRAM = "azureml_tasks.cli.program"
TRAP = 'open("ran", "w").close()\n'
"""Code of a project that is not trusted."""
BOTH = "which azureml-image does not read: give them as flags or variables, or run the tasks with invoke\n"


def mistake(text: str) -> str:
    """Return what is printed for one mistake on the command line."""
    return f"{text}\n\n1 problem; nothing was done.\n"


HELPS = """\
import os
import sys

from invoke.main import program

from azureml_tasks.cli.entry_point import main

for task in sys.argv[1:]:
    for run, words in (program.run, ["invoke", "--help", f"image.{task}"]), (main, ["azureml-image", "--help", task]):
        print(end="\\0", flush=True)
        if not os.fork():
            sys.argv = words
            try:
                run()
            finally:
                sys.stdout.flush()
                os._exit(0)
        os.wait()
"""
"""Prints the help of each task twice, as both programs print it: to start them for each would take 20 s."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project without a tasks.py."""
    return lay_out({"pyproject.toml": project("demo")}, tmp_path)


def test_without_words_it_prints_its_help(tmp_path: Path) -> None:
    """`--help`, and nothing at all, print the flags and the tasks, in any folder."""
    bare, asked, listed = (azureml_image(tmp_path, *words) for words in ((), ("--help",), ("--list",)))

    assert (0, "", bare) == (bare.code, bare.err, asked)
    assert HELP + listed.out == bare.out
    assert listed.out.startswith("Subcommands:\n\n  build         Build the image.\n")


def test_it_has_the_tasks_and_flags_of_invoke(tmp_path: Path) -> None:
    """Each task of `invoke --list` is there, with the same flags; a terminal of any encoding can print them."""
    consumer(tmp_path)
    listed = [line.split()[0] for line in invoke(tmp_path, "--list").out.splitlines() if "image." in line]
    tasks = [task.removeprefix("image.") for task in listed]
    words = [sys.executable, "-c", HELPS, *tasks]
    ended = subprocess.run(words, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True)
    first, *helps = ended.stdout.split("\0")
    options = [text.partition("Docstring:")[2] for text in helps]

    assert {"build", "smoke-test"} <= set(tasks)
    assert ("", 2 * len(tasks)) == (first, len([text for text in options if "--project" in text]))
    assert options[::2] == options[1::2]
    assert all(text.isascii() for text in helps)


def test_the_version(tmp_path: Path) -> None:
    """One line, for a bug report."""
    ended = azureml_image(tmp_path, "--version")

    assert (0, "azureml-image 0.1.0\n", "") == (ended.code, ended.out, ended.err)


def test_a_folder_without_anything(tmp_path: Path) -> None:
    """The message says what is missing, and how to begin."""
    ended = azureml_image(tmp_path, "check")

    assert (2, NO_TABLE) == (ended.code, ended.err)


def test_commands_are_spelled_as_they_are_typed_here(folder: Path) -> None:
    """The next step of a report and that of an error name the program, with the flags of this run."""
    with ready_engine() as engine:
        env = {"DOCKER_HOST": engine.host}
        checked = azureml_image(folder, "check", "--registry=r.io", env=env)
        pushed = azureml_image(folder, "push", "--registry=r.io", env=env)

    assert "next       nothing is built yet: azureml-image build --registry r.io\n" in checked.out
    expected = "Nothing is built here yet.\n    azureml-image build --registry r.io\nNothing was pushed.\n"
    assert (4, expected) == (pushed.code, pushed.err)


def test_dry_and_echo(folder: Path) -> None:
    """Before or after the task, `--dry` prints what would be done, and `--echo` what is done."""
    with ready_engine() as engine:
        env = {"DOCKER_HOST": engine.host}
        before, after, variable = (
            azureml_image(folder, *words, env={**env, **more})
            for words, more in (
                (["--dry", "build"], {}),
                (["build", "--dry"], {}),
                (["build"], {"INVOKE_RUN_DRY": "1"}),
            )
        )
    echoed = azureml_image(folder, "--echo", "build")

    assert (0, before, before) == (before.code, after, variable)
    assert "azureml-image context | docker build " in before.out.replace("\\\n", "")
    assert 3 == echoed.code


def test_the_project_is_named_from_here(tmp_path: Path) -> None:
    """`--project` is relative to the current folder, and commands to paste repeat it."""
    lay_out({"services/a/pyproject.toml": project("a"), "sub/x": ""}, tmp_path)
    with ready_engine() as engine:
        ended = azureml_image(
            tmp_path / "sub", "check", "--project=../services/a", env={"DOCKER_HOST": engine.host}
        )

    assert "nothing is built yet: azureml-image build --project ../services/a\n" in ended.out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["biuld"], 'biuld: is not a task\n    Did you mean "build"?'),
        (["image.build"], 'image.build: is not a task\n    Did you mean "build"?'),
        (["--help", "biuld"], 'biuld: is not a task\n    Did you mean "build"?'),
        (["check", "it's"], "it's: is not a task\n    Tasks: "),
        (["--help", "it's"], "it's: is not a task\n    Tasks: "),
        (["build", "--no-cahce"], '--no-cahce: is not known\n    Did you mean "--no-cache"?'),
        (["build", "--drry"], '--drry: is not known\n    Did you mean "--dry"?'),
        (["--dri", "build"], '--dri: is not known\n    Did you mean "--dry"?'),
        (["build", "--tga", "1"], '--tga: is not known\n    Did you mean "--tag"?'),
        (["build", "--frob"], "--frob: is not known\n    azureml-image --help build"),
        (["--frob", "build"], "--frob: is not known\n    azureml-image --help"),
        (["-x"], "-x: is not known\n    azureml-image --help"),
        (
            ["--no-cache", "build"],
            "--no-cache: is a flag of a task\n    Type it after the task: azureml-image build --no-cache",
        ),
        (
            ["--json", "build"],
            "--json: is a flag of a task\n    Type it after the task: azureml-image build --json",
        ),
        (["--json"], "--json: is a flag of a task\n    Type it after the task: azureml-image init --json"),
        (
            ["--junit", "build"],
            "--junit: is not a flag of the task build\n    It is one of: smoke-test, release",
        ),
        (
            ["build", "--junit", "x"],
            "--junit: is not a flag of the task build\n    It is one of: smoke-test, release",
        ),
        (["build", "--base"], "--base: needs a value\n    azureml-image --help build"),
        (["build", "--tag"], "--tag: needs a value\n    Give it a value, or leave it out."),
        (["--list", "build", "--base"], "--base: needs a value\n    azureml-image --help build"),
        (["--print-completion-script"], "--print-completion-script: needs a value\n    azureml-image --help"),
        (
            ["--print-completion-script", "tcsh"],
            f"azureml-image: {NO_COMPLETION}\n    azureml-image --help",
        ),
        (["--config", "x.yaml", "check"], "--config: is not known\n    azureml-image --help"),
    ],
)
def test_what_was_mistyped(words: list[str], text: str, tmp_path: Path) -> None:
    """A word that is no task and a flag that is none end with 2, and with what may be meant."""
    ended = azureml_image(tmp_path, *words)

    expected = mistake(text)
    if text.endswith("Tasks: "):
        assert ended.err.startswith(text)
    else:
        assert expected == ended.err
    assert (2, "") == (ended.code, ended.out)


def test_a_variable_of_invoke_that_cannot_be_read(folder: Path) -> None:
    """It is a mistake of the person who set it, and no traceback."""
    ended = azureml_image(folder, "check", env={"INVOKE_RUN_WATCHERS": "x"})

    cause = "Can't adapt an environment string into a <class 'list'>!"
    text = f"a variable of Invoke: cannot be read: {cause}\n    env | grep ^INVOKE_"
    assert (2, mistake(text)) == (ended.code, ended.err)


@pytest.mark.parametrize("words", [["--list"], ["check"], ["--help", "build"], ["build", "--dry"]])
def test_nothing_of_the_folder_is_loaded(words: list[str], tmp_path: Path) -> None:
    """Neither tasks.py, nor Invoke's configuration, nor a module that has the name of one that is imported."""
    modules = ("tasks", "invoke", "typing", "docker", "tomli", "azureml_tasks", "requests", "sitecustomize")
    files = {f"{name}.py": TRAP for name in modules}
    lay_out({"pyproject.toml": project("demo"), **files, "invoke/__init__.py": TRAP}, tmp_path)

    azureml_image(tmp_path, *words, env={"INVOKE_RUNTIME_CONFIG": "invoke.py"})

    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("invoke.yaml", "azureml_image:\n  registry: file.io\n"),
        ("invoke.json", '{"azureml_image": {"registry": "file.io"}}'),
        ("tasks.py", 'ns = Collection(azureml_tasks.collection(registry="file.io"))\n'),
    ],
)
def test_options_that_are_not_read_are_named(name: str, text: str, folder: Path) -> None:
    """What the project sets for Invoke does not count, and a warning says so."""
    (folder / name).write_text(text)

    ended = azureml_image(folder, "dockerfile")

    assert (0, f"warning: {name} sets options, {BOTH}") == (ended.code, ended.err)


def test_the_users_configuration_is_not_read_either(folder: Path) -> None:
    """The program has one source of options fewer, and says so; a tasks.py with two lines sets nothing."""
    lay_out(
        {"home/.invoke.yaml": "azureml_image:\n  engine: nonsense\n", "tasks.py": consumers.TASKS}, folder
    )

    ended = azureml_image(folder, "dockerfile", env={"HOME": str(folder / "home")})

    assert (0, f"warning: FOLDER/home/.invoke.yaml sets options, {BOTH}") == (ended.code, ended.err)


def test_files_that_cannot_be_looked_at(folder: Path) -> None:
    """A FIFO does not hold the program, and a folder is none of Invoke's files."""
    os.mkfifo(folder / "tasks.py")
    (folder / "invoke.yaml").mkdir()

    ended = azureml_image(folder, "dockerfile")

    assert (0, "") == (ended.code, ended.err)


@pytest.mark.parametrize("words", ["--list", "--help build", "--version", "--print-completion-script bash"])
def test_what_invoke_prints_ends_as_our_results_do(words: str, tmp_path: Path) -> None:
    """Exit 141 if nobody reads it, 3 if the disk is full, and no message of Python's."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as unread, open("/dev/full", "wb") as full:  # noqa: PTH123 -- a descriptor and a device
        ended = [
            invoke_cli.run_program(
                words.split(), folder=tmp_path, env=environment(), into={1: stdout.fileno()}
            )
            for stdout in (unread, full)
        ]

    expected = [(141, b""), (3, b"The disk of this machine is full.\n    df -h\n")]
    assert expected == [(each.code, each.err) for each in ended]


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "Interrupted"), (signal.SIGTERM, 143, "Terminated")]
)
def test_a_signal(number: signal.Signals, code: int, word: str, folder: Path) -> None:
    """Ctrl-C ends with 130, and SIGTERM with 143, while an engine is asked that does not answer."""
    with tempfile.TemporaryDirectory(prefix="engine-") as short, socket.socket(socket.AF_UNIX) as engine:
        engine.bind(f"{short}/s")
        engine.listen()
        child = subprocess.Popen(
            invoke_cli.program_words(["check"]),
            cwd=folder,
            env=environment(DOCKER_HOST=f"unix://{short}/s"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with child, engine.accept()[0]:
            child.send_signal(number)
            _, err = child.communicate()

    expected = (code, f"{word}. Everything that was started has been stopped and removed.\n")
    assert expected == (child.returncode, err)


def test_ctrl_c_while_the_program_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends with 130 as well, and there is no traceback: nothing has begun."""

    class Interrupted:
        def find_spec(self, name: str, *_: object) -> None:
            if name == PROGRAM:
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, PROGRAM, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])

    assert 130 == main()


BASH = shutil.which("bash") or "bash"
COMPLETED = """\
source <(azureml-image --print-completion-script bash)
complete -p azureml-image
completed() {
    COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _complete_azureml-image azureml-image "${COMP_WORDS[COMP_CWORD]}"
    echo "${COMPREPLY[@]}"
}
completed azureml-image bu
completed azureml-image build --no-
completed azureml-image --ver
completed azureml-image check \\'x
"""


def test_a_shell_completes_tasks_and_flags(tmp_path: Path) -> None:
    """The script for bash completes what was begun."""
    script = tmp_path / "bin" / "azureml-image"
    python, flag, text = invoke_cli.program_words([])
    # As pip writes it for a path with a blank: the same text for a shell and for Python.
    begin = f"#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n"
    lay_out({"bin/azureml-image": begin + text}, tmp_path)
    script.chmod(0o755)
    ended = subprocess.run(
        [BASH, "-c", COMPLETED],
        env=environment(PATH=f"{script.parent}:{os.environ['PATH']}"),
        capture_output=True,
        text=True,
        check=False,
    )

    first, *rest = ended.stdout.splitlines()
    assert "complete -o default -F _complete_azureml-image azureml-image" == first
    completions = [sorted(line.split()) for line in rest]
    expected = [["build"], ["--no-cache", "--no-wait"], ["--version"], []]
    assert (expected, "", "-c") == (completions, ended.stderr, flag)
