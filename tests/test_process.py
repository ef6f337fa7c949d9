"""Other programs: what goes in, what comes out, and how they end."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import threading
from typing import TYPE_CHECKING

import pytest

from azureml_tasks.process import Finished, MissingProgram, capture, hand_over, stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ECHO = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"
WAIT = "import signal, sys; print('ready', flush=True); signal.pause()"


def python(program: str) -> list[str]:
    """The words that run *program*."""
    return [sys.executable, "-c", program]


def run(
    program: str, feed: Iterator[bytes] | list[bytes], env: dict[str, str] | None = None
) -> tuple[int, list[str]]:
    """Exit code and lines of a program that is fed."""
    lines: list[str] = []
    return stream(python(program), env=env or {}, feed=feed, line=lines.append), lines


def test_capture_gives_all_that_was_said(tmp_path: Path) -> None:
    """Exit code, stdout and stderr are kept apart; folder and variables are as asked for; there is no input."""
    program = (
        "import os, sys; print(os.getcwd(), os.environ['ADDED'], repr(sys.stdin.read()));"
        "sys.stderr.buffer.write(b'caf\\xe9'); sys.exit(3)"
    )

    finished = capture(python(program), cwd=tmp_path, env={"ADDED": "it"})

    expected = Finished(code=3, stdout=f"{tmp_path} it ''\n", stderr="caf\N{REPLACEMENT CHARACTER}")
    assert expected == finished


def test_a_program_that_is_not_there_is_named() -> None:
    """Both ways of running say which program is not on PATH."""
    with pytest.raises(MissingProgram, match=r"\Ano-such-program\Z"):
        capture(["no-such-program", "x"])
    with pytest.raises(MissingProgram, match=r"\Ano-such-program\Z"):
        stream(["no-such-program"], env={}, feed=[], line=print)


def test_what_is_fed_arrives_whole() -> None:
    """Blocks larger than any pipe go in while lines come out, in order and without their ends."""
    blocks = [b"%07d\r\n" % number * 1000 for number in range(100)]

    code, lines = run(ECHO, blocks)

    assert (0, [f"{number:07}" for number in range(100) for _ in range(1000)]) == (code, lines)


def test_a_program_that_reads_nothing_ends_as_it_ends() -> None:
    """One that ends before it has read its input is none of our errors: its exit code says why."""
    assert (4, ["no"]) == run("import sys; print('no'); sys.exit(4)", [b"x" * 1_000_000] * 4)


def test_lines_come_as_they_are_printed() -> None:
    """A line arrives while the program still waits for its input, which here waits for the line."""
    lines: list[str] = []
    came = threading.Event()

    def line(text: str) -> None:
        lines.append(text)
        came.set()

    def feed() -> Iterator[bytes]:
        came.wait()
        yield b"second"

    program = "import sys; print('first', flush=True); print(sys.stdin.read())"
    code = stream(python(program), env={}, feed=feed(), line=line)

    assert (0, ["first", "second"]) == (code, lines)


def test_stderr_comes_with_stdout() -> None:
    """Both streams are one, in the order of printing; variables are added to those of this process."""
    program = "import os, sys; print(os.environ['ADDED'], flush=True); print('err', file=sys.stderr)"

    assert (0, ["it", "err"]) == run(program, [], {"ADDED": "it"})


def test_a_feed_that_fails_ends_the_program() -> None:
    """What goes wrong while feeding is raised, once the program has been ended."""

    def feed() -> Iterator[bytes]:
        yield b"begin"
        raise ValueError("the file is gone")

    with pytest.raises(ValueError, match=r"\Athe file is gone\Z"):
        run("import signal; signal.pause()", feed())


@pytest.mark.parametrize("raised", [KeyboardInterrupt, ValueError])
def test_an_interrupt_ends_the_program_first(
    raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Ctrl-C or an error comes meanwhile, the program is told to end, and has ended when it goes on."""
    children: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def started(*words: object, **options: object) -> subprocess.Popen[bytes]:
        children.append(start(*words, **options))  # type: ignore[call-overload]
        return children[-1]

    def line(text: str) -> None:
        raise raised(text)

    monkeypatch.setattr("subprocess.Popen", started)
    monkeypatch.setattr("azureml_tasks.process._GRACE", 60.0)

    with pytest.raises(raised, match=r"\Aready\Z"):
        stream(python(WAIT), env={}, feed=[], line=line)
    assert [-signal.SIGTERM] == [child.returncode for child in children]
    for child in children:
        assert child.stdout is not None
        child.stdout.close()


def test_a_program_that_ignores_the_request_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does not end when asked to is killed after its grace."""
    monkeypatch.setattr("azureml_tasks.process._GRACE", 0.0)
    children: list[int] = []

    def line(text: str) -> None:
        children.append(int(text))
        raise KeyboardInterrupt

    program = (
        "import os, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print(os.getpid(), flush=True)\nwhile True: signal.pause()"
    )
    with pytest.raises(KeyboardInterrupt):
        stream(python(program), env={}, feed=[], line=line)

    gone = capture(["kill", "-0", str(children[0])])
    assert 1 == gone.code


def test_what_the_program_started_ends_with_it(tmp_path: Path) -> None:
    """A plug-in that outlives docker's client, and ignores the request to end, is killed with it."""
    lifeline = tmp_path / "lifeline"
    os.mkfifo(lifeline)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    plug_in = f"{deaf}; file = open({str(lifeline)!r}, 'w'); {WAIT}"
    program = (
        f"import subprocess, sys; words = [sys.executable, '-c', {plug_in!r}];"
        "child = subprocess.Popen(words, stdout=subprocess.PIPE);"
        "print(child.stdout.readline(), flush=True); child.wait()"
    )

    def line(_text: str) -> None:
        raise KeyboardInterrupt

    reading = os.open(lifeline, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_lines(program, line)

        # The end of the file is there once no process holds it open for writing.
        ready, _, _ = select.select([reading], [], [], 60)
        assert ([reading], b"") == (ready, os.read(reading, 1))
    finally:
        os.close(reading)


def test_our_streams_are_handed_over(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Its stdin, stdout and stderr are ours; the exit code is its own; one that is not there is named."""
    (tmp_path / "given").write_text("given")
    words = f"import os, sys; {ECHO}; print(os.environ['ADDED'], file=sys.stderr); sys.exit(7)"
    before = os.dup(0)
    try:
        with (tmp_path / "given").open() as stdin:
            os.dup2(stdin.fileno(), 0)
        code = hand_over(python(words), env={"ADDED": "it"})
    finally:
        os.dup2(before, 0)
        os.close(before)

    assert (7, ("given", "it\n")) == (code, tuple(capfd.readouterr()))
    with pytest.raises(MissingProgram, match="no-such-program"):
        hand_over(["no-such-program"], env={})


TAKE_OVER = """\
import signal, sys
from azureml_tasks.process import hand_over

def stop(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGTERM, stop)
child = "import signal, tty; tty.setraw(0); signal.signal(15, signal.SIG_IGN); print('raw', flush=True); signal.pause()"
try:
    hand_over([sys.executable, "-c", child], env={})
except KeyboardInterrupt:
    sys.exit(5)
"""


def test_a_terminal_is_put_back() -> None:
    """A program that is killed leaves the terminal as it was, although it had changed it."""
    controller, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    with subprocess.Popen(
        python(TAKE_OVER), stdin=terminal, stdout=terminal, start_new_session=True
    ) as child:
        try:
            shown = os.read(controller, 1)  # What is written at once may come in pieces.
            during = termios.tcgetattr(terminal)
            child.send_signal(signal.SIGTERM)
            code = child.wait(60)
        finally:
            child.kill()
    after = termios.tcgetattr(terminal)
    os.close(controller)
    os.close(terminal)

    assert b"r" == shown
    assert (5, True, True) == (code, before != during, before == after)


def test_what_has_our_streams_ends_with_us() -> None:
    """After kill -9 it is killed, too, also if it ignores SIGTERM, as docker's client does."""
    child = (
        "import os, signal; signal.signal(15, signal.SIG_IGN); print(os.getpid(), flush=True); signal.pause()"
    )
    words = f"from azureml_tasks.process import hand_over; hand_over({python(child)!r}, env={{}})"
    with subprocess.Popen(python(words), stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        parent.kill()

        # The end of its output is there once no process holds it open.
        assert "" == parent.stdout.read()


def run_lines(program: str, line: Callable[[str], None]) -> int:
    """Run a program whose lines are taken by *line*."""
    return stream(python(program), env={}, feed=[], line=line)


def test_a_variable_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """None takes a variable away from the program alone."""
    monkeypatch.setenv("TAKEN", "1")
    program = "import os; print(os.environ.get('TAKEN'), os.environ['ADDED'])"

    captured = capture(python(program), env={"TAKEN": None, "ADDED": "it"})
    lines: list[str] = []
    stream(python(program), env={"TAKEN": None, "ADDED": "it"}, feed=[], line=lines.append)

    assert ("None it\n", ["None it"]) == (captured.stdout, lines)


def test_a_captured_program_is_fed() -> None:
    """Its whole standard input is given at once."""
    assert "fed" == capture(python(ECHO), feed=b"fed").stdout
