"""A command that is forked for a test is what a person's is: see `tests.machine.command_server`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cases import lay_out
from tests.consumers import environment
from tests.machine import invoke_cli

LOOK = """\
import atexit, os, random, signal, sys, threading
from invoke.tasks import task

@task
def look(c):
    atexit.register(print, "at its end")
    print(sys.path, sys.argv, sys.flags, sys.warnoptions, sys.orig_argv[:1], os.getcwd())
    print(sorted(os.environ.items()), os.readlink("/proc/self/fd/0"), sorted(map(int, os.listdir("/proc/self/fd"))))
    print([signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD)])
    print(sys.stdout.encoding, sys.stdout.errors, sys.stdin.encoding, threading.enumerate()[0].name)
    print(sys.modules["__main__"].__file__, "requests.py" in os.listdir(), file=sys.stderr)

@task
def fail(c):
    sys.exit("gone")

@task
def die(c):
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)

@task
def sub(c):
    c.run("echo from a shell; exit 3")
"""


def started(folder: Path, *words: str, env: dict[str, str]) -> invoke_cli.Done:
    """Run `invoke` by a Python of its own."""
    ended = subprocess.run(
        invoke_cli.words(words),
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return invoke_cli.Done(code=ended.returncode, out=ended.stdout, err=ended.stderr)


@pytest.mark.parametrize(
    ("words", "more"),
    [
        ("look", {}),
        ("look", {"PYTHONUTF8": "1", "PYTHONHASHSEED": "7", "LANG": "C"}),
        ("fail", {}),
        ("die", {}),
        ("sub", {}),
        ("--list", {}),
        ("no-such-task", {}),
    ],
)
def test_a_forked_command_is_one_that_was_started(words: str, more: dict[str, str], tmp_path: Path) -> None:
    """Its code and output are the same, with all that a program can see of where and how it runs."""
    folder = lay_out({"tasks.py": LOOK}, tmp_path)
    env = environment(LC_ALL="C.UTF-8", **more)

    assert started(folder, words, env=env) == invoke_cli.run([words], folder=folder, env=env)


@pytest.mark.parametrize("name", ["json.py", "requests.py", "yaml/__init__.py"])
def test_a_project_may_hide_a_module(name: str, tmp_path: Path) -> None:
    """What stands beside tasks.py is imported in place of what was imported before the fork."""
    module = name.removesuffix(".py").removesuffix("/__init__")
    files = {"tasks.py": f"import {module} as module\nprint(module.__file__)\n", name: ""}
    folder = lay_out(files, tmp_path)

    ended = invoke_cli.run(["--list"], folder=folder, env=environment())

    assert f"{folder / name}" == ended.out.decode().partition("\n")[0]
