"""Steps as a terminal shows them, in a terminal of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from azureml_tasks.cli.ci_groups import groups_of
from azureml_tasks.cli.console import Console
from azureml_tasks.cli.progress import PROGRESS
from azureml_tasks.reporter import BuilderStep
from tests.cases import lay_out
from tests.consumers import environment, project
from tests.documentation import ROOT
from tests.terminal import in_terminal

if TYPE_CHECKING:
    from collections.abc import Callable

SCRIPT = """\
import signal, sys, time
from invoke.exceptions import Exit
from azureml_tasks.cli.console import Console
from azureml_tasks.cli.exit_handling import exit_on_error
from azureml_tasks.engines.build_log import BuildLog
from azureml_tasks.engines.step_error import failed_step

signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGUSR1}})

def wait_until_seen():
    signal.sigwait({{signal.SIGUSR1}})

console, log = Console(verbose={verbose}), BuildLog()

def build(text, add_line):
    for line in text.splitlines():
        console.output(line, add_line(log, line))

try:
    with exit_on_error("invoke image."):
{body}
except Exit as end:
    sys.stderr.write(end.message + "\\n" if end.message else "")
    sys.exit(end.code)
"""
BUILDKIT = """\
#1 [internal] load build context
#1 DONE 0.0s
#2 [1/4] FROM base:1
#2 CACHED
#3 [2/4] RUN echo hello && echo this command is longer than the line of a terminal
#4 [3/4] COPY code/ /code/
#3 0.1 hello
#3 0.2 \x1b[31mred\x1b[0m ##[error]no
#4 DONE 0.3s
#3 DONE 71.9s
#5 [4/4] RUN make
"""
FAILED = """\
#5 0.1 compiling
#5 0.2 cannot compile
#5 ERROR: exit code: 2
------
 > [4/4] RUN make:
0.2 cannot compile
------
ERROR: failed to solve: exit code: 2
"""
LEGACY = """\
Step 1/4 : FROM base:1
 ---> 123
Step 2/4 : RUN echo hello
 ---> Using cache
 ---> 124
Step 3/4 : USER me
 ---> 125
Step 4/4 : RUN make
 ---> Running in 126
compiling
"""


def script(body: str, *, verbose: bool = False) -> str:
    """Return a program with *body* where the body of a task is."""
    return SCRIPT.format(body="\n".join(f"        {line}" for line in body.splitlines()), verbose=verbose)


def built(text: str, builder: str = "buildkit", *, more: str = "console.say('built')") -> str:
    """Return the body of a build whose builder prints *text*."""
    add_line = f"BuildLog.add_{builder}_line"
    return f"with console.step('build a:1'):\n    build({text!r}, {add_line})\n    {more}\nconsole.say('after it')"


DONE = """\
  ✓ FROM base:1                                     cached
  ✓ COPY code/ /code/                                  0.3 s
  ✓ RUN echo hello && echo this command is lo...1 min 12 s
  built
  ✓ RUN make                                           0.0 s
✓ build a:1                                            0.0 s
after it
"""


def plain(text: str) -> str:
    """Return *text* with N in place of times, without what stands before them."""
    return re.sub(r" +\d+\.\d s", " N s", text).rstrip("\n")


def test_each_step_that_has_succeeded_is_one_line(tmp_path: Path) -> None:
    """It has its time, and what the builder printed is gone; BuildKit runs several at once."""
    shown = in_terminal(script(built(BUILDKIT)), tmp_path)

    assert (0, plain(DONE), True) == (shown.code, shown.screen, shown.is_restored)


def test_what_the_builder_prints_is_shown_while_its_step_runs(tmp_path: Path) -> None:
    """It is dimmed and cleaned."""
    body = built(BUILDKIT.partition("#4 DONE")[0], more="wait_until_seen()")

    shown = in_terminal(script(body), tmp_path, meanwhile=once("[error]no", signal.SIGUSR1))

    assert "\x1b[2m    hello\x1b[0m" in shown.raw
    assert "\x1b[2m    red # #[error]no\x1b[0m" in shown.raw


def test_steps_of_the_legacy_builder(tmp_path: Path) -> None:
    """They run one after the other; one that only sets a value has no line."""
    shown = in_terminal(script(built(LEGACY, "legacy")), tmp_path)

    expected = """\
  ✓ FROM base:1 N s
  ✓ RUN echo hello                                  cached
  ✓ RUN make N s
  built
✓ build a:1 N s
after it"""
    assert expected == shown.screen


def test_a_step_that_fails_is_shown_in_full_and_once(tmp_path: Path) -> None:
    """Its lines stay, and the message that follows repeats none of them; nor does it show the builder's summary."""
    shown = in_terminal(script(built(BUILDKIT + FAILED, more="raise failed_step(log)")), tmp_path)

    expected = """\
  ✗ RUN make N s
    compiling
    cannot compile
    ERROR: exit code: 2
✗ build a:1 N s
A build step failed: RUN make"""
    assert (4, expected) == (shown.code, "\n".join(shown.screen.splitlines()[-6:]))


INSTALLED = """\
Step 1/1 : RUN "$P/bin/python" /tmp/azureml-image/install.py
Collecting lerning
ERROR: No matching distribution found for lerning
pip could not install the requirements:
    requirements.txt:3: lerning
    pip said: No matching distribution found for lerning
The image was not built.
"""


def test_the_cause_of_a_failed_installation_comes_last(tmp_path: Path) -> None:
    """It is in the message alone."""
    shown = in_terminal(script(built(INSTALLED, "legacy", more="raise failed_step(log)")), tmp_path)

    expected = """\
  ✗ install the Python packages N s
    Collecting lerning
    ERROR: No matching distribution found for lerning
✗ build a:1 N s
The Python packages cannot be installed.
    pip could not install the requirements:
        requirements.txt:3: lerning
        pip said: No matching distribution found for lerning"""
    assert (4, expected) == (shown.code, shown.screen)


def test_verbose_folds_nothing(tmp_path: Path) -> None:
    """Every line stays, also of a step that succeeds."""
    shown = in_terminal(script(built(LEGACY, "legacy"), verbose=True), tmp_path)

    expected = """\
  Step 1/4 : FROM base:1
   ---> 123
  ✓ FROM base:1 N s
  Step 2/4 : RUN echo hello
  ✓ RUN echo hello                                  cached
   ---> Using cache
   ---> 124
  Step 3/4 : USER me
   ---> 125
  Step 4/4 : RUN make
   ---> Running in 126
  compiling
  ✓ RUN make N s
  built
✓ build a:1 N s
after it"""
    assert expected == shown.screen


BAR = """\
with console.step('push a:1'):
    console.layer('abc', current=500_000, total=2_000_000)
    blocks = console.progress([b'a' * 600, b'b' * 600], 1200, 'sending')
    next(blocks), next(blocks)
    console.update('asking again')
    wait_until_seen()
    list(blocks)
    console.layer('abc', current=2_000_000, total=2_000_000, arrived='pushed')
"""


def test_bars_go_away(tmp_path: Path) -> None:
    """What is long has a bar with its sizes while it lasts."""
    shown = in_terminal(script(BAR), tmp_path, meanwhile=once("asking again", signal.SIGUSR1))

    parts = ("sending", "600 bytes of 1.2 kB", "500.0 kB of 2.0 MB", "asking again")
    assert (["✓ push a:1 N s"], []) == (
        shown.screen.splitlines(),
        [part for part in parts if part not in shown.raw],
    )


def test_no_color_switches_colours_off(tmp_path: Path) -> None:
    """The lines are the same; nothing has a colour or is dimmed."""
    body, meanwhile = (
        built(BUILDKIT, more="wait_until_seen()\n    console.say('built')"),
        once("make", signal.SIGUSR1),
    )

    shown = in_terminal(script(body), tmp_path, environment={"NO_COLOR": "1"}, meanwhile=meanwhile)

    assert (plain(DONE), False, True) == (shown.screen, "m" in codes(shown.raw), "A" in codes(shown.raw))


def codes(raw: str) -> set[str]:
    """Return the final characters of the terminal's codes in *raw*."""
    return set(re.findall(r"\x1b\[[0-9;?]*([A-Za-z])", raw))


PLAIN = f"{LEGACY}built\n"


@pytest.mark.parametrize(
    ("variable", "first", "last"),
    [
        ({"TERM": "dumb"}, "", ""),
        ({"GITHUB_ACTIONS": "true"}, "::group::build a:1\n", "::endgroup::\n"),
        ({"TF_BUILD": "True"}, "##[group]build a:1\n", "##[endgroup]\n"),
    ],
)
def test_a_dumb_terminal_and_a_ci_system_get_plain_lines(
    variable: dict[str, str], first: str, last: str, tmp_path: Path
) -> None:
    """There are no codes in them; the CI system gets a group, which it folds."""
    shown = in_terminal(script(built(LEGACY, "legacy")), tmp_path, environment=variable)

    expected = f"{first}{PLAIN}{last}after it\n"
    assert (0, expected) == (shown.code, shown.raw.replace("\r\n", "\n"))


def test_a_command_that_a_builder_prints_can_be_pasted(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of our scripts in the image names a task, which is shown as it is typed here."""
    shown: list[str] = []

    def output(line: str, step: BuilderStep, *, folded: bool) -> bool:
        shown.extend([line, step.text])
        return folded

    monkeypatch.setattr(PROGRESS, "output", output)
    hint = "    invoke image.build --allow-source-builds"
    Console(task_prefix="azureml-image ").output(f"#5 0.1 {hint}", BuilderStep("#5", "RUN pip", text=hint))

    expected = "    azureml-image build --allow-source-builds"
    assert [f"#5 0.1 {expected}", expected] == shown


@pytest.mark.parametrize(
    ("variable", "title"),
    [("GITHUB_ACTIONS", "::group::build a%2520b"), ("TF_BUILD", "##[group]build a%20b")],
)
def test_a_percent_sign_in_the_title_of_a_group(variable: str, title: str) -> None:
    """GitHub Actions reads it as an escape, and Azure Pipelines shows it as it is."""
    groups = groups_of({variable: "true"})

    assert groups is not None
    assert title == groups.title("build a%20b")


def test_a_pipe_gets_plain_lines(tmp_path: Path) -> None:
    """As before there were steps."""
    ended = subprocess.run(
        [sys.executable, "-c", script(built(LEGACY, "legacy"))],
        cwd=tmp_path,
        capture_output=True,
        check=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name not in {"GITHUB_ACTIONS", "TF_BUILD"}},
    )

    assert ("", f"{PLAIN}after it\n") == (ended.stdout, ended.stderr)


BUILD = """\
import sys
from azureml_tasks.cli.console import Console
from azureml_tasks.cli.entry_point import main
from azureml_tasks.engines.docker import engine
from tests.stub_engine import StubEngine

engine.open_docker = lambda *_, **__: StubEngine(reporter=Console())
sys.argv = ["azureml-image", "build", "--project", FOLDER]
code = main()
sys.stdout.write(f"{code} {'rich' in sys.modules}\\n")
"""


def test_a_build_in_a_pipe_does_not_load_rich(tmp_path: Path) -> None:
    """It is only for a terminal: a build in CI starts without it."""
    lay_out(
        {"pyproject.toml": project("demo"), "code/score.py": "def init(): ...\ndef run(d): ...\n"}, tmp_path
    )

    ended = subprocess.run(
        [sys.executable, "-c", BUILD.replace("FOLDER", repr(str(tmp_path)))],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        check=True,
        text=True,
    )

    assert "demo:1.2.3\n0 False\n" == ended.stdout, ended.stderr


WAITS = built(LEGACY, "legacy", more="while True: time.sleep(0.1)")
"""`signal.pause` would miss a signal that comes just before it."""
STOPPED = "Everything that was started has been stopped and removed."


@pytest.mark.parametrize(
    ("number", "code", "how"),
    [
        (signal.SIGINT, 130, f"Interrupted. {STOPPED}"),
        (signal.SIGTERM, 143, f"Terminated. {STOPPED}"),
        (signal.SIGKILL, -9, ""),
    ],
)
def test_a_signal_leaves_the_terminal_as_it_was(
    number: signal.Signals, code: int, how: str, tmp_path: Path
) -> None:
    """What is live goes away, except after a kill; the cursor is never hidden, so that it is there in any case."""
    shown = in_terminal(script(WAITS), tmp_path, meanwhile=once("compiling", number))

    assert (code, True, set()) == (shown.code, shown.is_restored, codes(shown.raw) & set("hl"))
    if how:
        expected = f"  ✗ RUN make N s\n✗ build a:1 N s\n{how}"
        assert expected == "\n".join(shown.screen.splitlines()[2:])


def once(text: str, number: signal.Signals) -> Callable[[subprocess.Popen[bytes], str], bool]:
    """Return what sends a signal as soon as the terminal has *text*."""

    def send(child: subprocess.Popen[bytes], written: str) -> bool:
        if text not in written:
            return False
        child.send_signal(number)
        return True

    return send


def test_a_reader_that_goes_away_ends_what_is_live(tmp_path: Path) -> None:
    """The exit code is that of a broken pipe, and nothing stays on the screen but what has ended."""
    body = "with console.step('build a:1'):\n    console.result('a:1')\n"

    shown = in_terminal(script(body), tmp_path, close_stdout=True)

    assert (141, "✗ build a:1 N s", True) == (shown.code, shown.screen, shown.is_restored)


def test_an_archive_whose_reader_goes_away(tmp_path: Path) -> None:
    """Its bar goes away, too."""
    body = "from azureml_tasks.cli.streams import write_bytes\n"
    body += "write_bytes(console.progress([b'a' * 600_000] * 3, 1_800_000, 'packing'))"

    shown = in_terminal(script(body), tmp_path, close_stdout=True)

    assert (141, "") == (shown.code, shown.screen)


COLOURED = """\
console.result("ok      python\\nblocks  engine\\n        why: ok", {"ok": "good", "blocks": "bad"})
console.warn(Notice("other", "an old base"))
console.next_step("invoke image.push")
raise BuildError("Nothing is built.", next_step="invoke image.build")
"""


@pytest.mark.parametrize("is_coloured", [True, False])
def test_colours(is_coloured: bool, tmp_path: Path) -> None:
    """What is good, what is wrong and what comes next have colours of their own, and commands to paste have none."""
    imports = "from azureml_tasks.errors import BuildError\nfrom azureml_tasks.notice import Notice\n"

    shown = in_terminal(
        script(imports + COLOURED), tmp_path, environment={"NO_COLOR": "" if is_coloured else "1"}
    )

    expected = """\
\x1b[32mok\x1b[0m      python
\x1b[31mblocks\x1b[0m  engine
        why: ok
\x1b[33mwarning: an old base\x1b[0m
\x1b[1mnext: invoke image.push\x1b[0m
\x1b[31mNothing is built.\x1b[0m
    invoke image.build
"""
    expected = expected if is_coloured else re.sub(r"\x1b\[\d+m", "", expected)
    assert (4, expected) == (shown.code, shown.raw.replace("\r\n", "\n"))
