"""`invoke image.shell` and `invoke image.logs` on a real engine: in a pipe, in a terminal, and what a signal leaves."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
from typing import TYPE_CHECKING

import pytest

from tests.machine import invoke_cli
from tests.real.small_project import SCORE, small_project, small_table
from tests.real.smoke_image import with_smoke_test
from tests.real.support import consumer, environment_of, project_removed_after, tags_of, unique

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import docker

    from tests.machine.clients import Client
    from tests.real.support import Consumer

pytestmark = pytest.mark.usefixtures("no_container_is_left")

ARGUMENTS = (
    "image.shell",
    "--",
    "sh",
    "-c",
    'printf "<%s>" "$@"; exit 7',
    "name",
    "a  b",
    "",
    "$HOME",
    "--",
    "-l",
)


def shell(project: Consumer, *words: str, stdin: str = "") -> tuple[int, str, str]:
    """Return the exit code, stdout and stderr, without the engine's line, of a shell with this *stdin*."""
    if not stdin:
        ended = project.invoke("image.shell", *words)
        return ended.code, ended.stdout, "".join(ended.stderr.splitlines(keepends=True)[1:])
    completed = subprocess.run(
        invoke_cli.words(("image.shell", *words)),
        cwd=project.folder,
        env=dict(project.env),
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return completed.returncode, completed.stdout, "".join(completed.stderr.splitlines(keepends=True)[1:])


def in_terminal(project: Consumer, *words: str, steps: Sequence[tuple[str, str]]) -> tuple[int, str, bool]:
    """Run `invoke WORDS` in a terminal of 30 lines with 100 columns, and after each text that it shows type another.

    Returns:
        The exit code, what was shown, and whether the terminal's settings are what they were before.
    """
    invoke_cli.compiled()
    primary, secondary = pty.openpty()
    fcntl.ioctl(secondary, termios.TIOCSWINSZ, struct.pack("4H", 30, 100, 0, 0))
    before, shown, place = termios.tcgetattr(secondary), b"", 0
    with subprocess.Popen(
        invoke_cli.words(words),
        cwd=project.folder,
        env=dict(project.env),
        stdin=secondary,
        stdout=secondary,
        stderr=secondary,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 -- one system call
    ) as process:
        for awaited, typed in (*steps, ("\r\nexit\r\n", "")):
            while awaited.encode() not in shown[place:]:
                ready, _, _ = select.select([primary], [], [], 1)
                assert ready or process.poll() is None, shown
                shown += os.read(primary, 4096) if ready else b""
            place = len(shown)
            os.write(primary, typed.encode())
        code = process.wait()
    same = before == termios.tcgetattr(secondary)
    os.close(primary)
    os.close(secondary)
    return code, shown.decode(), same


def test_a_command(smoke_project: Consumer, tmp_path: Path) -> None:
    """Each argument arrives as it was, the exit code is the command's, and the user is the image's or root."""
    project = with_smoke_test(smoke_project, tmp_path, 'env = { HOW = "it is tested" }\n')
    ended = project.invoke(*ARGUMENTS)
    assert (7, "<a  b><><$HOME><--><-l>") == (ended.code, ended.stdout), ended.stderr

    assert (0, "it is tested\ndockeruser\n", "") == shell(project, "--", "sh", "-c", "printenv HOW; whoami")
    assert (0, "root\n", "") == shell(project, "--as-root", "--", "whoami")
    code, out, err = shell(project, "--", "no-such-program")
    sentence = "no-such-program was not found in the image, or it is a script whose interpreter was not"
    assert (127, "", sentence) == (code, out, err.splitlines()[-1])
    assert project.records() == [".gitignore", "build.json"]


def test_a_pipe(smoke_project: Consumer) -> None:
    """A shell reads its commands from stdin up to its end; stdout and stderr stay apart."""
    stdin = "read -r line\nfirst line\necho got $line\necho bad >&2\nexit 3\n"
    assert (3, "got first line\n", "bad\n") == shell(smoke_project, stdin=stdin)
    assert (0, "a\nb\n", "") == shell(smoke_project, "--", "sort", stdin="b\na\n")


def test_a_terminal(smoke_project: Consumer) -> None:
    """A terminal is one in the container, and has its settings back afterwards; Ctrl-C is the container's."""
    steps = [
        # A Ctrl-C that comes between two commands of bash is bash's own, so the one that says something waits.
        ("$ ", "tty; sh -c 'echo $((6 * 7)) is there; exec sleep 600'\n"),
        ("42 is there", "\x03"),
        ("$ ", 'echo code $?; until [ "$(stty size)" = "30 100" ]; do :; done; exit 5\n'),
    ]
    code, shown, same = in_terminal(smoke_project, "image.shell", steps=steps)

    assert (5, True) == (code, same), shown
    assert "\r/dev/pts/0\r\n" in shown
    assert "code 130\r\n" in shown


@pytest.mark.parametrize(("by", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal(by: signal.Signals, code: int, smoke_project: Consumer) -> None:
    """The command ends with its container."""
    wait = ("--", "sh", "-c", "echo here now >&2; sleep 600")
    ended = smoke_project.interrupted("image.shell", *wait, at="here now", by=by)

    last = "Everything that was started has been stopped and removed."
    assert (code, "", True) == (ended.code, ended.stdout, ended.stderr.endswith(f". {last}\n")), ended.stderr


def test_what_is_killed(docker_client: docker.DockerClient, smoke_project: Consumer) -> None:
    """The next command of the project removes the container of one that was killed."""
    wait = ("--", "sh", "-c", "echo here now >&2; sleep 600")
    smoke_project.interrupted("image.shell", *wait, at="here now", by=signal.SIGKILL)
    of = {"ancestor": smoke_project.record("build.json")["id"]}
    (left,) = docker_client.api.containers(all=True, filters=of)
    name = left["Names"][0].removeprefix("/")

    stderr = smoke_project.invoke("image.cache").stderr
    assert f"removed what a killed run left: container {name}\n" in stderr


TABLE = """\
run = [
    {{ command = "echo one > /one.txt", after = "apt" }},
    {{ command = "test {operator} /one.txt", after = "code" }},
]
"""


@pytest.mark.parametrize("client", ["26.1", "26.1-buildx"])
def test_after_a_failed_build(
    client: str,
    clients: Mapping[str, Client],
    docker_client: docker.DockerClient,
    tiny_base: str,
    tmp_path: Path,
) -> None:
    """It is opened before the step that failed, and removed; the next build that succeeds ends that.

    After kill -9 the next command removes it.
    """
    name = unique("shell")
    files = small_project(name)
    files["pyproject.toml"] = small_table(name, tiny_base, TABLE.format(operator="!"))
    project = consumer(tmp_path / name, files, environment_of(clients[client], tmp_path))
    with project_removed_after(docker_client, name):
        assert project.invoke("image.build").code == 4
        code, out, err = shell(
            project, "--", "sh", "-c", "id -un; cat /one.txt /var/azureml-app/score.py; exit 3"
        )
        step = 'the last build failed at: RUN ["/bin/sh", "-c", "test ! /one.txt"]\n'
        assert (3, f"root\none\n{SCORE}", True) == (code, out, step in err), err
        # BuildKit repeats a line that was not yet done.
        (image,) = set(re.findall(r"(?:writing image sha256:|Successfully built )(\w{12})", err))
        # What the legacy builder has made stays without a name: it is the cache of the next build.
        assert ([["<none>:<none>"]] if client == "26.1" else []) == names_of(docker_client, image)

        wait = ("--", "sh", "-c", "echo here now >&2; sleep 600")
        project.interrupted("image.shell", *wait, at="here now", by=signal.SIGKILL)
        pattern = r"removed what a killed run left: (container|image) (\S+)"
        left = re.findall(pattern, project.invoke("image.cache").stderr)
        assert ["container", "image"] == [kind for kind, _ in left]
        assert [] == tags_of(docker_client, left[1][1])

        table = small_table(name, "azureml-stand-in/tiny:1", TABLE.format(operator="-f"))
        (project.folder / "pyproject.toml").write_text(table, encoding="utf-8")
        assert project.invoke("image.build").code == 0
        assert (0, "dockeruser\n", "") == shell(project, "--", "id", "-un")
        assert project.records() == [".gitignore", "build.json"]


def names_of(client: docker.DockerClient, image: str) -> list[list[str]]:
    """Return the names of the image whose ID begins so; nothing if it is gone."""
    images = client.api.images(all=True)
    return [each["RepoTags"] for each in images if each["Id"].startswith(f"sha256:{image}")]


def test_dry(smoke_project: Consumer) -> None:
    """The commands that --dry prints do the same when they are pasted."""
    dry = smoke_project.invoke("--dry", *ARGUMENTS)
    lines = dry.stdout.splitlines()
    shown = [re.sub(r"sha256:\w+|azureml-image-\w+-1|run=\w+", "…", line) for line in lines]
    labels = "--label azureml-tasks.smoke-test=1 --label azureml-tasks.…"
    words = """-c 'printf "<%s>" "$@"; exit 7' name 'a  b' '' '$HOME' -- -l"""
    expected = [
        f"docker create --name … {labels} --interactive --entrypoint sh … {words}",
        "docker start --attach --interactive '--detach-keys=ctrl-^,ctrl-^' …",
        "docker rm --force --volumes …",
    ]
    assert (0, expected) == (dry.code, shown)
    assert smoke_project.paste("\n".join([lines[0], f"{lines[1]} || code=$?", lines[2]])).stdout.splitlines()[
        1:
    ] == [f"<a  b><><$HOME><--><-l>{lines[2].rpartition(' ')[2]}"]


def test_the_log(smoke_project: Consumer, tmp_path: Path) -> None:
    """What the last container printed, also of a smoke test that failed or was interrupted, until the next one runs."""
    project = with_smoke_test(smoke_project, tmp_path, 'env = { HOW = "import fails" }\n')
    before, failed, after = (project.invoke(f"image.{task}") for task in ("logs", "smoke-test", "logs"))

    nothing = "No container has run to its end here yet, so there is no log.\n    invoke image.smoke-test\n"
    assert (4, "", nothing) == (before.code, before.stdout, before.stderr)
    assert (5, 0, True) == (failed.code, after.code, "No module named 'no_such_module'" in after.stdout)
    assert (project.folder / ".azureml-image" / "smoke-test.log").read_text(encoding="utf-8") == after.stdout
