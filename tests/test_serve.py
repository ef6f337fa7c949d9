"""`image.serve`: what is put into a container, what needs a build, the curl, the launch configuration, the refusals."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import shlex
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import cast

import pytest

import azureml_tasks
from azureml_tasks import signals
from azureml_tasks.built_image import BuiltImage
from azureml_tasks.cli.console import Console
from azureml_tasks.cli.options import TaskRun
from azureml_tasks.cli.serve_options import BuildKey
from azureml_tasks.cli.tasks import serve as serve_task
from azureml_tasks.commands import pipeline, serve
from azureml_tasks.commands.mounting import inputs_sha256
from azureml_tasks.commands.prepare import Prepared
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.commands.serve_session import End, ServeRequest
from azureml_tasks.commands.served_code import code_in_image
from azureml_tasks.commands.watched_files import folders_to_watch, watched
from azureml_tasks.config.problems import Override
from azureml_tasks.config.settings import Run
from azureml_tasks.context.build_context import BuildContext, new_context
from azureml_tasks.context.context_file import ContextFile
from azureml_tasks.engines.docker.container import DockerContainer
from azureml_tasks.engines.docker.debugger import debugged, debugger_files
from azureml_tasks.engines.docker.served_container import FollowedLog, Ports, ServedContainer
from azureml_tasks.engines.protocol import Engine
from azureml_tasks.errors import EngineError, MachineError, SettingsError, Terminated
from azureml_tasks.incremental.code_changes import CodeChanges, build_reasons, code_changes, skipped_commands
from azureml_tasks.incremental.fingerprint import fingerprint_parts
from azureml_tasks.planning.dockerfile import render
from azureml_tasks.planning.plan import Plan
from azureml_tasks.project.load import load
from azureml_tasks.project.model import MountedCode, SmokeTestFile, SmokeTestPlan, SmokeTestRequest
from azureml_tasks.project.mounted_delivery import MountedDelivery
from azureml_tasks.smoke.launch_configuration import launch_configuration, path_mappings
from azureml_tasks.smoke.log_excerpt import LogExcerpt
from azureml_tasks.smoke.request_command import curl_command, needs_file
from tests.cases import lay_out
from tests.consumers import consumer, invoke
from tests.plans import plan
from tests.stub_engine import StubEngine

BASE = "sha256:base"
OUTSIDE = """\
[project]
name = "scoring"
version = "1.0"

[tool.azureml-image]
base = "minimal-py312-inference"
root = ".."
code = "../shared"
entry-script = "deep/score.py"
"""
BEFORE = {"code/a.py": "file 1", "code/b/c.py": "file 2", "code/b/d.py": "file 3", "model/m": "file 4"}


@pytest.mark.parametrize(
    ("now", "changes"),
    [
        (BEFORE, CodeChanges()),
        ({**BEFORE, "model/m": "file 5"}, CodeChanges()),
        ({**BEFORE, "code/a.py": "file 9"}, CodeChanges(("code/a.py",), (), "code/a.py has changed")),
        ({**BEFORE, "code/a.py": "program 1"}, CodeChanges(("code/a.py",), (), "code/a.py has changed")),
        (
            {**BEFORE, "code/e/f/g.py": "file 9"},
            CodeChanges(("code/e/", "code/e/f/", "code/e/f/g.py"), (), "code/e/f/g.py is new"),
        ),
        (
            {name: BEFORE[name] for name in ("code/a.py", "code/b/d.py")},
            CodeChanges((), ("code/b/c.py",), "code/b/c.py is gone"),
        ),
        ({"code/a.py": "file 1"}, CodeChanges((), ("code/b",), "code/b/c.py is gone, code/b/d.py is gone")),
        (
            {"code/a.py/x.py": "file 1", "code/b": "file 2"},
            CodeChanges(
                ("code/a.py/", "code/a.py/x.py", "code/b"),
                ("code/a.py", "code/b"),
                "code/a.py is gone, code/a.py/x.py is new, code/b is new, 2 more files differ",
            ),
        ),
        (
            {**BEFORE, "code/empty/": "folder -"},
            CodeChanges(("code/empty/",), (), "folders of the code have changed"),
        ),
    ],
)
def test_code_changes(now: Mapping[str, str], changes: CodeChanges) -> None:
    """Members that differ are put, new folders before what is in them, and what is gone is removed once."""
    assert changes == code_changes(BEFORE, now)


def context_of(planned: Plan, files: Mapping[str, str]) -> BuildContext:
    """Return the context of *planned* with these files."""
    members = (ContextFile(name=name, data=text.encode(), size=len(text)) for name, text in files.items())
    return new_context(tuple(sorted(members)), render(planned))


FILES = {"code/score.py": "1", "model/weights": "2", "python/requirements.txt": "3"}


@pytest.mark.parametrize(
    ("files", "changed", "reasons"),
    [
        ({}, {}, ()),
        ({"code/score.py": "9", "code/new.py": ""}, {}, ()),
        ({}, {"labels": {"commit": "another"}}, ()),
        ({"model/weights": "9"}, {}, ("model: model/weights has changed",)),
        (
            {"code/score.py": "9", "python/requirements.txt": "9"},
            {},
            ("python: python/requirements.txt has changed",),
        ),
        (
            {"code/score.py": "9"},
            {"env": {"MODE": "fast"}},
            ("the variables, the place of the code or the commands after it differ",),
        ),
        ({}, {"apt": ("curl",)}, ("system: apt or a command of run has changed",)),
        ({}, {"user": "nobody"}, ("the user is nobody, and was dockeruser",)),
    ],
)
def test_build_reasons(files: dict[str, str], changed: dict[str, object], reasons: tuple[str, ...]) -> None:
    """Code needs no build, nor do labels; everything else of the table and its files does."""
    before = plan()
    context = context_of(before, FILES)
    image = BuiltImage(
        id="i",
        names=("demo:1",),
        engine="docker",
        context_sha256=context.sha256,
        user=before.user,
        fingerprint_parts=fingerprint_parts(before, context, BASE),
    )
    now = before._replace(**changed)  # type: ignore[arg-type]  # keys of the table as the case writes them
    now_context = context_of(now, {**FILES, **files})

    assert reasons == build_reasons(now, now_context, BASE, image, context.contents)

    without_base = [
        f"{each}; the engine does not have the base base:1" for each in reasons if "place" in each
    ]
    assert without_base == [
        each for each in build_reasons(now, now_context, "", image, context.contents) if "place" in each
    ]


def test_unrecorded_files() -> None:
    """An image of which too little is recorded needs a build."""
    image = BuiltImage(id="i", names=("demo:1",), engine="docker", context_sha256="")
    context = context_of(plan(), FILES)

    assert ("it is not recorded what the image was built of",) == build_reasons(
        plan(), context, BASE, image, {}
    )


def test_skipped_commands() -> None:
    """Commands of the table that follow the code do not run for code that is put into a container."""
    runs = (Run(command="first", after="pip"), Run(command="compile it", after="code"))

    assert ["compile it"] == skipped_commands(plan(runs=runs))


@pytest.mark.parametrize(
    ("app_root", "variables", "mounted", "folder"),
    [
        ("/var/azureml-app", {"AML_APP_ROOT": "/other"}, False, "/var/azureml-app"),
        ("${AML_APP_ROOT:-/var/azureml-app}", {"AML_APP_ROOT": "/other/"}, False, "/other"),
        ("${AML_APP_ROOT:-/var/azureml-app}", {}, False, "/var/azureml-app"),
        ("/var/azureml-app", {}, True, "/var/azureml-app/src"),
    ],
)
def test_where_code_is(app_root: str, variables: dict[str, str], mounted: bool, folder: str) -> None:
    """It lies where the Dockerfile has copied it to, or where Azure ML mounts it."""
    code = MountedCode(name="src", script="score.py", files=(), variables={})
    planned = plan(app_root=app_root, smoke_test=SmokeTestPlan(mounted=code if mounted else None))

    assert folder == code_in_image(planned, context_of(planned, FILES), FILES, variables).folder


@pytest.mark.parametrize(
    ("files", "changed", "is_same"),
    [
        ({"code/score.py": "9"}, {}, True),
        ({"python/requirements.txt": "9"}, {}, False),
        ({}, {"env": {"MODE": "fast"}}, False),
        ({}, {"mounted": MountedDelivery("/p", "src", "other.py")}, False),
    ],
)
def test_mounted_inputs(files: dict[str, str], changed: dict[str, object], is_same: bool) -> None:
    """Of mounted code, another container is needed for all but the code itself."""
    before = plan(mounted=MountedDelivery("/p", "src", "score.py"))
    now = before._replace(**changed)  # type: ignore[arg-type]  # as the case writes them

    hashes = {
        inputs_sha256(each, context_of(each, members))
        for each, members in ((before, FILES), (now, {**FILES, **files}))
    }
    assert is_same == (len(hashes) == 1)


def test_folders_to_watch(tmp_path: Path) -> None:
    """Those outside of the project are watched as well, each once."""
    outside = tmp_path / "shared"
    sources = [tmp_path / "p" / "code" / "a.py", outside / "b.py", outside / "deep" / "c.py"]
    files = tuple(ContextFile(name=f"code/{each.name}", source=str(each)) for each in sources)

    assert [str(tmp_path / "p"), str(outside)] == folders_to_watch(tmp_path / "p", plan(files=files))


def test_a_folder_of_code_is_watched_whole(tmp_path: Path) -> None:
    """A file may come into a part of it that has none yet."""
    shared = tmp_path / "shared"
    lay_out(
        {"p/pyproject.toml": OUTSIDE, "shared/deep/score.py": "def init(): ...\ndef run(data): ...\n"},
        tmp_path,
    )

    read = azureml_tasks.plan(load(tmp_path / "p", root=Override(str(tmp_path), "--root")))

    assert [str(tmp_path / "p"), str(shared)] == folders_to_watch(tmp_path / "p", read)


def request(body: bytes = b"", method: str = "POST", **headers: str) -> SmokeTestRequest:
    """Return a request to `/score`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return SmokeTestRequest("r", "/score?x=1&y=2", body, 200, None, 0, 5, method, named)


@pytest.mark.parametrize(
    ("sent", "file", "words"),
    [
        (None, "", ["http://h:1/health"]),
        (
            request(b'{"it\'s": "@a"}', Content_Type="application/json"),
            "",
            [
                "http://h:1/score?x=1&y=2",
                "--header",
                "Content-Type: application/json",
                "--data-raw",
                '{"it\'s": "@a"}',
            ],
        ),
        (
            request(b"\0", Content_Type="image/png", X_Empty=""),
            "my file",
            [
                *("http://h:1/score?x=1&y=2", "--header", "Content-Type: image/png", "--header", "X-Empty;"),
                *("--data-binary", "@my file"),
            ],
        ),
        (request(), "", ["http://h:1/score?x=1&y=2", "--header", "Content-Type:", "--data-raw", ""]),
        (request(method="GET"), "", ["http://h:1/score?x=1&y=2"]),
        (request(method="HEAD"), "", ["http://h:1/score?x=1&y=2", "--head"]),
        (
            request(method="GET")._replace(path="/score?x=[1]&y={2}"),
            "",
            ["--globoff", "http://h:1/score?x=[1]&y={2}"],
        ),
        (
            request(b"1", "PUT", Content_Type="text/plain"),
            "",
            [
                *("http://h:1/score?x=1&y=2", "--request", "PUT", "--header", "Content-Type: text/plain"),
                *("--data-raw", "1"),
            ],
        ),
    ],
)
def test_curl(sent: SmokeTestRequest | None, file: str, words: list[str]) -> None:
    """It sends the first request, quoted for a shell, or asks for the health."""
    smoke_test = SmokeTestPlan(requests=(sent,) if sent else (), health="/health")

    assert ["curl", *words] == shlex.split(curl_command(smoke_test, "http://h:1", file))


@pytest.mark.parametrize(
    ("body", "expected"), [(b'{"a": 1}', False), (b"\xff", True), (b"a\nb", True), (b"x" * 3000, True)]
)
def test_needs_file(body: bytes, expected: bool) -> None:
    """A body that is long, or no line of text, does not stand in a command."""
    assert expected == needs_file(body)


def test_launch_configuration(tmp_path: Path) -> None:
    """The innermost folder comes first; one outside of the project has its whole path.

    No name becomes a variable of the editor, which can be a command of it.
    """
    scripts = {
        f"{tmp_path}/p/code/score.py": "/var/azureml-app/score.py",
        f"{tmp_path}/p/code/deep/a.py": "/var/azureml-app/deep/a.py",
        f"{tmp_path}/shared/lib/b.py": "/var/azureml-app/lib/b.py",
        f"{tmp_path}/p/c.py": "/var/azureml-app/tools/c.py",
        f"{tmp_path}/p/${{command:a.b}}/d.py": "/var/azureml-app/d.py",
        f"{tmp_path}/p/e.py": "/${input:a}/e.py",
    }
    text = launch_configuration("demo", 5678, path_mappings(scripts, tmp_path / "p"))

    assert {
        "name": "Attach to demo",
        "type": "debugpy",
        "request": "attach",
        "connect": {"host": "127.0.0.1", "port": 5678},
        "pathMappings": [
            {"localRoot": "${workspaceFolder}", "remoteRoot": "/var/azureml-app/tools"},
            {"localRoot": "${workspaceFolder}/code", "remoteRoot": "/var/azureml-app"},
            {"localRoot": f"{tmp_path}/shared", "remoteRoot": "/var/azureml-app"},
        ],
    } == json.loads(text)


def test_what_a_debugger_needs() -> None:
    """The container gets Python files alone, and one worker that no time-out ends; its own port may be taken."""
    files = debugger_files()
    entry = "/tmp/azureml_image_debug_entry.py"  # noqa: S108 -- a folder of the container
    env = debugged(SmokeTestPlan(port=5678, env={"OWN": "1"}), {"AZUREML_ENTRY_SCRIPT": "deep/score.py"}).env

    names = [Path(file.name) for file in files if not file.name.endswith("/")]
    assert {".py", "attach"} == {
        name.suffix if name.suffix == ".py" else name.name.partition("_")[0] for name in names
    }
    assert {"tmp/debugpy/", "tmp/debugpy/__init__.py", entry[1:]} <= {file.name for file in files}
    assert {
        "OWN": "1",
        "AZUREML_ENTRY_SCRIPT": entry,
        "AZUREML_IMAGE_DEBUG_SCRIPT": "deep/score.py",
        "AZUREML_IMAGE_DEBUG_PORT": "5679",
        "WORKER_COUNT": "1",
        "WORKER_PRELOAD": "false",
        "WORKER_TIMEOUT": "0",
        "SCORING_TIMEOUT_MS": "86400000",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    } == env


NO_PORTS = """\
--debug: is "0", which is not a port
    Ports: 1 to 65535.

--port: is "80a", which is not a port
    Ports: 1 to 65535.

2 problems; nothing was done.
"""
NOT_IN_ACR = """\
image.serve needs an image on a local engine, and not one in Azure Container Registry.
    invoke image.serve --engine docker --build
Nothing was started.
"""


def test_the_key_for_a_build() -> None:
    """In a terminal b and Enter ask for a build, anything else does not; without one nobody is asked."""
    controller, terminal = pty.openpty()
    program = "from tests.test_serve import press; press()"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[1],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 -- one system call
    ) as process:
        shown = ""
        for awaited, typed in (("open: True", "x\n"), ("pressed: False", "b\n"), ("pressed: True", "")):
            while awaited not in shown:
                shown += os.read(controller, 4096).decode()
            os.write(controller, typed.encode())
        assert 0 == process.wait()
    os.close(controller)
    os.close(terminal)

    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "open: False\n" == ended.stdout


def press() -> None:
    """Say what the key of this process's terminal does with two lines that are typed."""
    key = BuildKey.of_terminal()
    sys.stdout.write(f"open: {key.is_open}\n")
    sys.stdout.flush()
    for _ in range(2 if key.is_open else 0):
        select.select([0], [], [])
        sys.stdout.write(f"pressed: {key.was_pressed()}\n")
        sys.stdout.flush()


def test_the_task_asks_the_terminal_for_builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is typed while it serves is the key's; the offer is made if there is a terminal."""
    key = BuildKey(is_open=True)
    requests: list[ServeRequest] = []
    monkeypatch.setattr(BuildKey, "of_terminal", lambda: key)
    monkeypatch.setattr(serve, "serve", lambda _, request: requests.append(request))
    run = RunContext(folder=tmp_path, reporter=Console())

    serve_task(TaskRun("serve", run, Console(), {}, no_cache=False, pull=False))

    (request,) = requests
    assert (True, key.was_pressed, False) == (request.offers, request.wants_build, request.build)


class FakeOutput:
    """A container whose output comes in blocks."""

    def __init__(self, *blocks: bytes) -> None:
        self.blocks = blocks

    def attach(self, **_: bool) -> Iterator[bytes]:
        """Return the blocks."""
        return iter(self.blocks)


class Machine:
    """This machine in the place of a container whose variables name a proxy that does not answer."""

    client = SimpleNamespace(is_local=True)

    def lines(self, argv: Sequence[str]) -> Iterator[str]:
        """Run a command, and yield the lines of its stdout."""
        env = {**os.environ, "http_proxy": "http://127.0.0.1:9", "no_proxy": ""}
        ended = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
        yield from ended.stdout.splitlines()


class Healthy(BaseHTTPRequestHandler):
    """Answers each GET with 200."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(HTTPStatus.OK)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name of the base class
        """Print nothing."""


class Trickling(Healthy):
    """Sends the header of its answer byte for byte, so that each comes in time and the last one late."""

    def do_GET(self) -> None:
        """Answer."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        with suppress(OSError):  # The client has gone.
            for _ in range(60):
                self.wfile.write(b"x")
                Event().wait(0.1)
            self.wfile.write(b"\r\n\r\n")


def server_here(port: int) -> ServedContainer:
    """Return a container whose server is one of this machine."""
    return ServedContainer(
        container=cast("DockerContainer", Machine()),
        smoke_test=SmokeTestPlan(port=port),
        name="c",
        port=port,
        reporter=Console(),
        log=FollowedLog(print),
        variables={},
    )


def test_an_answer_that_trickles() -> None:
    """It is no answer yet: the time for it covers all of it, so that changes of the project are seen meanwhile."""
    with HTTPServer(("127.0.0.1", 0), Trickling) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        served = server_here(server.server_port)

        answers = served.status(), served.answers_inside()
        server.shutdown()

    assert (0, False) == answers


def test_the_health_inside_a_container_is_asked_through_no_proxy() -> None:
    """A proxy that the container has for its own requests does not know the container's loopback."""
    with HTTPServer(("127.0.0.1", 0), Healthy) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        served = server_here(server.server_port)

        answers = any(served.answers_inside() for _ in range(20))  # `image.serve` asks again too.
        server.shutdown()

    assert answers


def test_what_a_program_of_the_image_prints_is_not_kept() -> None:
    """`rm` and `killall` are the image's own: only the end of what they print counts."""
    api = SimpleNamespace(
        exec_create=lambda *_, **__: {"Id": "5" * 64},
        exec_start=lambda *_, **__: (b"%65535d\n" % number for number in range(50)),
        exec_inspect=lambda _: {"ExitCode": 3},
    )
    client = SimpleNamespace(sdk=SimpleNamespace(api=api), docker_command=lambda *words: [*words])
    container = SimpleNamespace(id="c", client=client, state=lambda: SimpleNamespace(running=True))
    served = ServedContainer(
        container=cast("DockerContainer", container),
        smoke_test=SmokeTestPlan(),
        name="c",
        port=0,
        reporter=Console(),
        log=FollowedLog(print),
        variables={},
    )

    with pytest.raises(EngineError) as failed:
        served.remove(["/app/score.py"])

    printed = f"rm said: {49:65535d}\n"
    assert printed == failed.value.said


def test_a_followed_log() -> None:
    """Lines come as they were printed, also if blocks divide them; a reader that goes away is known."""
    lines: list[str] = []
    log = FollowedLog(lines.append)
    before = log.is_over()
    log.follow(FakeOutput(b"one\ntw", b"o\n", b"\x1b[2Jthree"))
    log.end()
    gone = FollowedLog(refuse_line)
    gone.follow(FakeOutput(b"one\ntwo\n"))
    gone.end()

    assert (False, ["one", "two", "three"], None) == (before, lines, log.failure)
    assert isinstance(gone.failure, BrokenPipeError)


NGINX = """\
2026/11/30 14:59:08 [error] 10#10: *1 connect() failed (111: Connection refused) while connecting to upstream, client: \
172.17.0.1, server: , request: "GET / HTTP/1.1", upstream: "http://127.0.0.1:31311/", host: "127.0.0.1:5001"
"""


def test_health_checks_that_nginx_refuses_are_no_lines_of_the_log() -> None:
    """While the server behind it starts there would be a row of them; a refused request of a person is shown."""
    lines: list[str] = []
    log = FollowedLog(lines.append)
    refused = NGINX.replace("GET / ", "POST /score ")
    log.follow(FakeOutput(NGINX.encode(), refused.encode(), b"ready\n"))
    log.end()

    assert [refused.rstrip(), "ready"] == lines


def refuse_line(_line: str) -> None:
    """Take no line."""
    raise BrokenPipeError


RUNNING = "1 0 runsvdir", "2 1 azmlinfsrv", "3 2 azmlinfsrv", "4 1 nginx"
RELOADED = "docker exec --user 0 demo killall -HUP azmlinfsrv\n"


@pytest.mark.parametrize(
    ("variables", "processes", "code", "echo"),
    [
        ({}, RUNNING, 0, RELOADED),
        ({}, RUNNING, 127, RELOADED),
        ({"WORKER_PRELOAD": "true"}, RUNNING, 0, ""),
        ({"GUNICORN_CMD_ARGS": "--preload"}, RUNNING, 0, ""),
        ({}, RUNNING[:2], 0, ""),
        ({}, (*RUNNING, "5 3 python3"), 0, ""),
    ],
)
def test_a_server_that_loads_code_again(
    variables: dict[str, str],
    processes: tuple[str, ...],
    code: int,
    echo: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its workers load the code, unless gunicorn did, there are none yet, or one has started a program."""
    listed = {"Processes": [line.split() for line in processes]}
    sdk = SimpleNamespace(top=lambda **_: listed)
    client = SimpleNamespace(docker_command=lambda *words: ["docker", *words])
    monkeypatch.setattr(ServedContainer, "_run", lambda *_: (code, ""))
    container = ServedContainer(
        container=cast("DockerContainer", SimpleNamespace(container=sdk, client=client)),
        smoke_test=SmokeTestPlan(),
        name="demo",
        port=5001,
        reporter=Console(echo=True),
        log=FollowedLog(print),
        variables=variables,
    )

    assert (echo != "" and code == 0) == container.reload()
    assert echo == capsys.readouterr().err


BATCH = """\
serve: is for a server, and the table's smoke test calls the script of a batch deployment
    invoke image.smoke-test
"""
OTHER_SERVER = """\
--debug: is for an entry script of Azure ML's server, and the image has another server
    Let the server's own command start debugpy.
"""


@pytest.mark.parametrize(
    ("smoke_test", "message"),
    [
        (SmokeTestPlan(mini_batch=(SmokeTestFile("a", "/a", b""),)), BATCH),
        (SmokeTestPlan(is_azure_server=False), OTHER_SERVER),
    ],
)
def test_what_has_no_server(
    smoke_test: SmokeTestPlan, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a server nothing is served, and only a script is debugged."""
    run = RunContext(folder=consumer(tmp_path, files=CODE), reporter=Console())
    engine = cast("Engine", StubEngine(reporter=Console()))
    prepared = Prepared(plan(smoke_test=smoke_test), context_of(plan(), {}), engine)
    monkeypatch.setattr(serve, "prepare_built_image", lambda _: prepared)
    request = ServeRequest(ports=Ports(5001, 5678), build=False, line=print)

    with pytest.raises(SettingsError) as caught:
        serve.serve(run, request)

    assert f"{message}\n1 problem; nothing was started." == str(caught.value)


@pytest.mark.parametrize("builds", [False, True])
def test_the_build_flag_builds_first(builds: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `--build` the image is built before it is served; a need for another container serves again."""
    steps = list[str]()
    ends = iter([End.OTHER_CONTAINER, End.OVER])

    def served(*_: object) -> End:
        steps.append("serve")
        return next(ends)

    monkeypatch.setattr(pipeline, "build", lambda *_, **__: steps.append("build"))
    monkeypatch.setattr(serve, "_serve", served)
    run = RunContext(folder=consumer(tmp_path, files=CODE), reporter=Console())

    serve.serve(run, ServeRequest(ports=Ports(5001, 0), build=builds, line=print))

    assert [*(["build"] if builds else []), "serve", "serve"] == steps


def test_a_line_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    """No terminal and no CI system obeys it."""
    Console().log_line("\x1b[31m##vso[task.x]y\x07")

    assert "# #vso[task.x]y\ufffd\n" == capsys.readouterr().out


CODE = {"code/score.py": "def init(): ...\ndef run(data): ...\n"}


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (
            ("--port", "80a", "--debug", "0"),
            2,
            NO_PORTS,
        ),
        (
            ("--debug", "5001"),
            2,
            "--debug: is 5001, which is the server's port\n    --debug 5678\n\n1 problem; nothing was done.\n",
        ),
        (
            ("--engine", "acr"),
            3,
            NOT_IN_ACR,
        ),
        (
            (),
            4,
            "Nothing is built here yet.\n    invoke image.serve --build\nNothing was started.\n",
        ),
    ],
)
def test_refusals(words: tuple[str, ...], code: int, message: str, tmp_path: Path) -> None:
    """Each says what comes next."""
    ended = invoke(consumer(tmp_path, files=CODE), "image.serve", *words)

    assert (code, "", message) == (ended.code, ended.out, ended.err)


@pytest.mark.parametrize(
    ("packages", "words"),
    [
        (["watchfiles"], ()),
        (["debugpy"], ("--debug", "5678")),
        (["watchfiles", "debugpy"], ("--debug", "5678")),
    ],
)
def test_missing_packages(packages: list[str], words: tuple[str, ...], tmp_path: Path) -> None:
    """All of them are named at once, with the line that installs them."""
    folder = consumer(tmp_path, files=CODE)
    hide = f"import sys\nsys.modules.update(dict.fromkeys({packages!r}))\n"
    tasks = folder / "tasks.py"
    tasks.write_text(hide + tasks.read_text(encoding="utf-8"), encoding="utf-8")
    ended = invoke(folder, "image.serve", *words)

    assert (3, f"    pip install {' '.join(packages)}\nNothing was started.") == (
        ended.code,
        ended.err.partition("\n")[2].rstrip(),
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("from watchfiles.none import x\n", "No module named 'watchfiles.none'"),
        (None, "it has no __init__.py"),
    ],
)
def test_a_broken_package(text: str | None, why: str, tmp_path: Path) -> None:
    """It is no traceback, and the line that installs it replaces what is there."""
    (tmp_path / "watchfiles").mkdir()
    if text:
        (tmp_path / "watchfiles/__init__.py").write_text(text, encoding="utf-8")
    program = (
        f"import sys\nsys.path[:] = [{str(tmp_path)!r}, *(each for each in sys.path if 'site-packages' not in each)]\n"
        "from azureml_tasks.commands.watched_files import refuse_missing_packages\n"
        "from azureml_tasks.errors import EngineError\n"
        "try:\n    refuse_missing_packages(debugs=False)\n"
        "except EngineError as error:\n    print(error)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(azureml_tasks.__file__).parent.parent)}
    ended = subprocess.run(
        [sys.executable, "-c", program], env=env, check=True, capture_output=True, text=True
    )

    assert ended.stdout == (
        f"watchfiles cannot be imported: {why}.\n    pip install --force-reinstall watchfiles\n"
    )


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        (OSError("OS file watch limit reached. about [/p]"), "max_user_watches"),
        (
            RuntimeError("Error creating recommended watcher: Too many open files (os error 24)"),
            "max_user_instances",
        ),
        (OSError("Input/output error (os error 5)"), ""),
    ],
)
def test_folders_that_the_system_does_not_watch(
    error: Exception, fix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only an error about a limit says how to raise one, and the one that is reached."""

    def refuse(*_: object, **_more: object) -> Iterator[None]:
        raise error
        yield

    monkeypatch.setattr("watchfiles.watch", refuse)
    with pytest.raises(MachineError) as raised:
        next(watched([str(tmp_path)], []))

    assert (str(error) in raised.value.what, fix in raised.value.next_step) == (True, True)
    assert bool(raised.value.next_step) is bool(fix)


def test_a_limit_of_the_system_is_no_folder_that_may_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The option of watchfiles ignores both, so it is set only after it has met a folder that it may not read."""
    asked: list[bool] = []

    def refuse(*_: object, ignore_permission_denied: bool, **_more: object) -> Iterator[set[str]]:
        asked.append(ignore_permission_denied)
        if not ignore_permission_denied:
            raise PermissionError
        yield {"changed"}

    monkeypatch.setattr("watchfiles.watch", refuse)

    assert ([True], [False, True]) == (list(watched([str(tmp_path)], [])), asked)


def test_a_folder_that_is_gone_is_not_watched(tmp_path: Path) -> None:
    """The next reading of the project says that it is gone."""
    assert next(watched([str(tmp_path), str(tmp_path / "gone")], [])) is False


def test_a_signal_whose_exception_was_dropped_ends_the_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python drops what a signal handler raises while an object is cleared away."""
    monkeypatch.setattr(signals, "received", [signal.SIGTERM])

    with pytest.raises(Terminated):
        next(watched([str(tmp_path)], []))


def test_a_log_that_cannot_be_kept_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is said of an engine that is silent: why it is has been said."""
    (tmp_path / ".azureml-image").write_text("", encoding="utf-8")
    run = RunContext(folder=tmp_path, reporter=Console())

    def silent(_: float) -> LogExcerpt:
        raise EngineError("The engine does not answer.")

    for log in (silent, lambda _: LogExcerpt("a line", 1)):
        serve.keep_log(run, cast("ServedContainer", SimpleNamespace(container=SimpleNamespace(log=log))))

    warnings = capsys.readouterr().err.splitlines()
    assert [True] == ["what the container printed was not kept for image.logs: " in line for line in warnings]
