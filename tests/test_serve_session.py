"""A session of `image.serve` that follows changes: what its container has afterwards, and what is said."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.cli.console import Console
from azureml_tasks.commands import pipeline, serve_session
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.commands.serve_session import End, ServeRequest, Session
from azureml_tasks.commands.served_code import ServedCode
from azureml_tasks.context.build_context import BuildContext, new_context
from azureml_tasks.context.context_file import ContextFile, blocks
from azureml_tasks.engines.docker import served_container
from azureml_tasks.engines.docker.client import EngineClient
from azureml_tasks.engines.docker.container import refused_start
from azureml_tasks.engines.docker.engine import DockerEngine
from azureml_tasks.engines.docker.served_container import FollowedLog, Ports, ServedContainer
from azureml_tasks.errors import AzuremlTasksError, BuildError, EngineError
from azureml_tasks.planning.dockerfile import render
from azureml_tasks.planning.plan import Plan
from azureml_tasks.project.model import SmokeTestPlan
from azureml_tasks.smoke.container_protocol import State
from tests.plans import plan


@dataclass
class FakeContainer:
    """A container whose files are a mapping of paths to contents; a folder has None."""

    files: dict[str, bytes | None]
    can_reload: bool = False
    starts: int = 0
    reloads: int = 0
    log: FollowedLog = field(default_factory=lambda: FollowedLog(print))

    def put(self, files: Sequence[ContextFile], _when: int) -> None:
        """Write *files*; one that cannot be read whole stays empty."""
        for file in files:
            path = f"/{file.name}".rstrip("/")
            self.files[path] = None if file.name.endswith("/") else b""
            if not file.name.endswith("/"):
                self.files[path] = b"".join(blocks(file))

    def remove(self, paths: Iterable[str]) -> None:
        """Remove *paths*, and what is in those that are folders."""
        for path in paths:
            for name in [name for name in self.files if name == path or name.startswith(f"{path}/")]:
                del self.files[name]

    def reload(self) -> bool:
        """Load the code again, unless the server cannot."""
        self.reloads += self.can_reload
        return self.can_reload

    def restart(self) -> None:
        """Count a start."""
        self.starts += 1

    def status(self) -> int:
        """Return that there is no answer yet."""
        return 0


@dataclass
class FakeEngine:
    """An engine that has the base."""

    client: EngineClient | None = None

    def base_id(self, _plan: Plan) -> str:
        """Return an ID."""
        return "sha256:base"


Reading = tuple[Plan, BuildContext] | AzuremlTasksError | OSError


def reading(folder: Path, files: Mapping[str, str], gone: Sequence[str] = ()) -> Reading:
    """Return the project with these *files* in its code, of which some are *gone* after they were hashed."""
    members = []
    for name, text in files.items():
        source = folder / name
        source.parent.mkdir(parents=True, exist_ok=True)
        if name not in gone:
            source.write_text(text, encoding="utf-8")
        path = str(folder / "gone" / name) if name in gone else str(source)
        data = ContextFile(name=f"code/{name}", data=text.encode(), size=len(text))
        members.append((ContextFile(name=f"code/{name}", source=path, size=len(text)), data))
    planned = plan(files=tuple(file for file, _ in members))
    return planned, new_context(tuple(sorted(data for _, data in members)), render(planned))


def follow(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    before: Mapping[str, str],
    readings: Sequence[Reading],
    needs: Sequence[tuple[str, ...]] = (),
    *,
    debugger: int = 0,
    can_reload: bool = False,
) -> FakeContainer:
    """Return the container of a project with the code *before* after these *readings*, one for each change."""
    request = ServeRequest(ports=Ports(5001, debugger), build=False, line=print)
    followed = session(monkeypatch, folder, before, readings, needs, request=request)
    container = cast("FakeContainer", followed.container)
    container.can_reload = can_reload
    followed.go_on()
    return container


def session(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    before: Mapping[str, str],
    readings: Sequence[Reading],
    needs: Sequence[tuple[str, ...]] = (),
    *,
    request: ServeRequest,
) -> Session:
    """Return the session of a project with the code *before*, which will be read as these *readings*."""
    left = iter(readings)
    reasons = iter([*needs, *[()] * len(readings)])
    monkeypatch.setattr(serve_session, "watched", lambda *_: [True] * len(readings))
    monkeypatch.setattr(serve_session, "build_reasons", lambda *_: next(reasons))
    monkeypatch.setattr(Session, "_read", lambda _: read(next(left)))
    planned, context = read(reading(folder, before))
    container = FakeContainer({f"/app/{name}": text.encode() for name, text in before.items()})
    run = RunContext(folder=folder, reporter=Console())
    return Session(
        run=run,
        each=run,
        request=request,
        engine=cast("DockerEngine", FakeEngine()),
        image=BuiltImage(id="i", names=("demo:1",), engine="docker", context_sha256=""),
        container=cast("ServedContainer", container),
        plan=planned,
        context=context,
        built_of=context.contents,
        code=ServedCode("/app", context.contents),
        address="http://127.0.0.1:5001",
    )


def read(each: Reading) -> tuple[Plan, BuildContext]:
    """Return what was read, or raise why it could not be."""
    if isinstance(each, Exception):
        raise each
    return each


SCORE = {"score.py": "1"}
MOVED = {"s2.py": "1"}


@pytest.mark.parametrize(
    ("now", "gone"),
    [
        (MOVED, ("s2.py",)),
        ({"a.py": "new", "s2.py": "1"}, ("s2.py",)),
        ({"score.py": "22"}, ("score.py",)),
        ({"score.py/in.py": "1"}, ("score.py/in.py",)),
    ],
)
@pytest.mark.parametrize("last", [SCORE, MOVED, {"score.py/in.py": "1"}])
def test_a_file_that_goes_while_it_is_put(
    now: dict[str, str],
    gone: tuple[str, ...],
    last: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next change gives the container exactly the code, also if that is as it was, and starts the server again."""
    readings = [reading(tmp_path / "now", now, gone), reading(tmp_path / "last", last)]
    container = follow(monkeypatch, tmp_path / "before", SCORE, readings)

    files = {name: text for name, text in container.files.items() if text is not None}
    assert ({f"/app/{name}": text.encode() for name, text in last.items()}, 1) == (files, container.starts)


@pytest.mark.parametrize(
    ("can_reload", "debugger", "others", "starts"),
    [
        (True, 0, {}, (1, 0)),
        (False, 0, {}, (0, 1)),
        (True, 5678, {}, (0, 1)),
        (True, 0, {"gunicorn.conf.py": ""}, (0, 1)),
        (True, 0, {"gunicorn.conf.py": None}, (0, 1)),
    ],
)
def test_what_is_started_again(
    can_reload: bool,
    debugger: int,
    others: dict[str, str | None],
    starts: tuple[int, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The server loads changed code again if that is enough; else its container is started again.

    A file that sets gunicorn up, and that goes (here None), may have made it load the code itself.
    """
    before = {**SCORE, **{name: text or "" for name, text in others.items()}}
    kept = {name: text for name, text in others.items() if text is not None}
    changed = reading(tmp_path / "now", {"score.py": "2", **kept})
    container = follow(
        monkeypatch,
        tmp_path / "before",
        before,
        [changed],
        debugger=debugger,
        can_reload=can_reload,
    )

    assert starts == (container.reloads, container.starts)


def test_what_is_removed_while_a_file_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is removed before the new files are there."""
    container = follow(monkeypatch, tmp_path / "before", SCORE, [reading(tmp_path / "now", MOVED, ["s2.py"])])

    assert ({"/app/score.py": b"1", "/app/s2.py": b""}, 0) == (container.files, container.starts)
    assert (
        "code/s2.py is new, code/score.py is gone: starting the server again\n"
        f"{tmp_path}/now/gone/s2.py changed while it was read.\n"
    ) == capsys.readouterr().err


@contextmanager
def serving(_engine: object, planned: Plan, *_: object) -> Iterator[None]:
    """Create a container, which takes 6 MB at least."""
    if planned.smoke_test.memory == "2m":
        refused = "Minimum memory limit allowed is 6MB"
        raise refused_start(cast("EngineClient", None), planned.smoke_test, refused)
    yield


REFUSED = """\
The engine could not run the image.
    See its message, and smoke-test.memory = "2m" in the table.
    docker said: Minimum memory limit allowed is 6MB
The server goes on with the code before this change.
what was wrong is corrected
the table's smoke-test asks for another container
"""


def test_a_container_that_the_engine_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named like a mistake in the table, and the one before it serves until the table is right."""
    monkeypatch.setattr(served_container, "serving", serving)
    _, context = read(reading(tmp_path / "before", SCORE))
    tables = [plan(smoke_test=SmokeTestPlan(memory=memory)) for memory in ("2m", "64m")]
    follow(monkeypatch, tmp_path / "before", SCORE, [(each, context) for each in tables])

    assert REFUSED == capsys.readouterr().err


def test_what_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistake, its correction, and a change that needs no build any more are said once, also if more is saved."""
    same = reading(tmp_path / "before", SCORE)
    mistake = [EngineError("There is a mistake."), EngineError("There is a mistake.")]
    readings = [same, *mistake, same, same, same]
    follow(monkeypatch, tmp_path / "before", SCORE, readings, needs=[("python: a.txt is new",)] * 2)

    assert UNDONE == capsys.readouterr().err


def test_a_file_that_goes_while_the_project_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An editor's temporary file ends nothing, and asks for nothing: the next change reads the project again."""
    same = reading(tmp_path / "before", SCORE)
    gone = FileNotFoundError(2, "No such file or directory", "code/4913")
    changed = BuildError("code/4913 changed while it was read.", next_step="Run the same command again.")
    follow(monkeypatch, tmp_path / "before", SCORE, [gone, same, changed, same])

    assert (
        "This machine reported an error: code/4913: No such file or directory.\n"
        "The server goes on with the code before this change.\n"
        "what was wrong is corrected\n"
        "code/4913 changed while it was read.\n"
        "The server goes on with the code before this change.\n"
        "what was wrong is corrected\n"
    ) == capsys.readouterr().err


UNDONE = """\
this needs a build:
  python: a.txt is new
    invoke image.serve --build
There is a mistake.
The server goes on with the code before this change.
what was wrong is corrected
no build is needed any more
"""


def test_a_folder_of_code_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named before the mistake that follows."""
    monkeypatch.chdir(tmp_path)
    in_code = reading(tmp_path / "code", SCORE)
    shutil.rmtree(tmp_path / "code")
    follow(monkeypatch, tmp_path / "before", SCORE, [in_code, EngineError("The image has no code.")])

    stderr = "the folder code is gone\nThe image has no code.\nThe server goes on with the code before this change.\n"
    assert stderr == capsys.readouterr().err


NEEDED = """\
this needs a build:
  python: a.txt is new
    Type b and Enter to build.
"""
NOT_BUILT = """\
A step failed.
The server goes on with the image before.
"""


@pytest.mark.parametrize(
    ("is_asked", "error", "expected"),
    [
        ([False, True], None, (1, End.OTHER_CONTAINER, NEEDED)),
        ([False, True], BuildError("A step failed."), (1, End.OVER, NEEDED + NOT_BUILT)),
        ([True, False], None, (0, End.OVER, NEEDED)),
    ],
    ids=["it builds", "the build fails", "nothing needed a build yet"],
)
def test_a_person_asks_for_a_build(
    is_asked: Sequence[bool],
    error: BuildError | None,
    expected: tuple[int, End, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The image is built while the container serves, and then another container serves the new image."""
    builds: list[RunContext] = []

    def build(run: RunContext, **_: bool) -> None:
        builds.append(run)
        if error:
            raise error

    monkeypatch.setattr(pipeline, "build", build)
    same, asked = reading(tmp_path / "before", SCORE), iter(is_asked)
    request = ServeRequest(
        Ports(5001, 0), build=False, line=print, offers=True, wants_build=lambda: next(asked)
    )
    needs = [(), ("python: a.txt is new",)]

    end = session(monkeypatch, tmp_path / "before", SCORE, [same, same], needs, request=request).go_on()

    assert expected == (len(builds), end, capsys.readouterr().err)


class RemoteContainer(FakeContainer):
    """A container whose port is on another machine, and which answers there."""

    def state(self) -> State:
        """Return that it runs once it was started."""
        return State(running=bool(self.starts), exit_code=0, out_of_memory=False)

    def start(self) -> None:
        """Count a start."""
        self.starts += 1

    def status(self) -> None:  # type: ignore[override]  # nobody listens at the port here
        """Return that nobody listens at the port here."""

    def answers_inside(self) -> bool:
        """Return that the health check passes inside the container."""
        return True


ELSEWHERE = """\
serving demo:1 at http://127.0.0.1:5001 of the engine's machine, HOST; Ctrl-C ends it
ready after N s, on the engine's machine: its port is not on this one
    curl http://127.0.0.1:5001/
"""


@pytest.mark.parametrize("host", ["tcp://builder:2375", "ssh://me@builder"])
def test_an_engine_on_another_machine(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The address is said to be there, and the health check is asked inside the container."""
    request = ServeRequest(ports=Ports(5001, 0), build=False, line=print)
    same = reading(tmp_path / "before", SCORE)
    served = session(monkeypatch, tmp_path / "before", SCORE, [same], [()], request=request)
    served.container = cast("ServedContainer", RemoteContainer(files={}))
    client = EngineClient(context="default", host=host, version="1", api="1.41")
    served.engine = cast("DockerEngine", FakeEngine(client))

    served.start()
    served.go_on()

    printed = re.sub(r"\d+\.\d\d s", "N s", capsys.readouterr().err)
    assert ELSEWHERE.replace("HOST", host) == printed


@dataclass
class EndedContainer(FakeContainer):
    """A container whose server has printed a traceback and then its settings, and has ended."""

    out_of_memory: bool = False

    def status(self) -> None:  # type: ignore[override]  # nobody listens at the port
        """Return that nobody listens at the port."""

    def state(self) -> State:
        """Return that it has ended."""
        self.log.printed.extend(f"{RAISED}\n\nServer Settings".splitlines())
        return State(running=False, exit_code=111, out_of_memory=self.out_of_memory)


RAISED = """\
2026-11-30 21:34:51,179 E [12] azmlinfsrv - Encountered Exception Traceback (most recent call last):
  File "/var/azureml-app/score.py", line 5, in init
    raise RuntimeError("no model today")
RuntimeError: no model today"""


@pytest.mark.parametrize(
    ("out_of_memory", "expected"),
    [
        (
            False,
            """\
the server has ended: exit code 111; the next change starts it again
    before/score.py:5: RuntimeError: no model today
""",
        ),
        (True, "the server has ended: no memory is left; the next change starts it again\n"),
    ],
    ids=["an exception", "no memory"],
)
def test_why_the_server_has_ended(
    out_of_memory: bool,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The last lines are about its end and, unless that is another cause, the last exception of the code."""
    monkeypatch.chdir(tmp_path)
    request = ServeRequest(ports=Ports(5001, 0), build=False, line=print)
    same = reading(tmp_path / "before", SCORE)
    served = session(monkeypatch, tmp_path / "before", SCORE, [same], [()], request=request)
    served.container = cast("ServedContainer", EndedContainer(files={}, out_of_memory=out_of_memory))
    served.code = served.code._replace(folder="/var/azureml-app")
    served.wait = serve_session._Wait(0.0)  # noqa: SLF001 -- a server that was started

    served.go_on()

    assert expected == capsys.readouterr().err
