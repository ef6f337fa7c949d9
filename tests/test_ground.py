"""Where a layer of code is laid, as an engine says it of a container that is never started."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from azureml_tasks.archive import TIME
from azureml_tasks.context import Context
from azureml_tasks.context_file import ContextFile
from azureml_tasks.engines.builder import Builder
from azureml_tasks.engines.building import Build
from azureml_tasks.engines.endpoint import Endpoint
from azureml_tasks.engines.ground import Ground
from azureml_tasks.engines.loading import loaded
from azureml_tasks.engines.steps import Steps
from azureml_tasks.engines.top_layer import Folder
from azureml_tasks.terminal import Terminal
from tests.acr_plans import plan
from tests.engine_at_a_socket import Engine, answering, said

AT = "/v1.41/containers/mine"
CREATE, REMOVE = "POST /v1.41/containers/create?name=mine", f"DELETE {AT}?force=1&v=1"
VAR, APP = (f"GET {AT}/archive?path=%2F{path}" for path in ("var", "var%2Fazureml-app"))
A, B = (f"HEAD {AT}/archive?path=%2Fvar%2Fazureml-app%2F{name}" for name in ("a.py", "b%26c"))
FOLDERS = (Folder("var", 0o755, 0, 0, 5), Folder("var/azureml-app", 0o1750, 1000, 1001, 7))


def folder(given: Folder, *, kind: bytes = tarfile.DIRTYPE, more: dict[str, str] | None = None) -> bytes:
    """An archive of a folder, as the engine gives it, with something in it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT, pax_headers={}) as archive:
        info = tarfile.TarInfo(given.name.rpartition("/")[2])
        info.type, info.mode, info.uid, info.gid = kind, 0o40000 | given.mode, given.uid, given.gid
        info.mtime, info.pax_headers = given.mtime, more or {}
        archive.addfile(info)
        archive.addfile(tarfile.TarInfo("inside"))
    return packed.getvalue()


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An engine with both folders, in which `a.py` and `b&c` are free."""
    monkeypatch.setattr("azureml_tasks.engines.containers.new_name", lambda: "mine")
    with answering() as found:
        found.answers = {
            CREATE: said({"Id": "1"}, 201),
            VAR: (200, folder(FOLDERS[0])),
            APP: (200, folder(FOLDERS[1])),
            REMOVE: (204, b""),
        }
        yield found


def endpoint(engine: Engine) -> Endpoint:
    """That engine."""
    return Endpoint(
        context="default", host=engine.host, version="1", is_podman=False, api="1.41", has_buildkit=True
    )


def below(engine: Engine, notes: Path, *names: str) -> tuple[Folder, ...]:
    """What is found of the image."""
    return Ground(endpoint(engine), notes).below("sha256:1", names)


def test_it_is_looked_at_once(engine: Engine, tmp_path: Path) -> None:
    """The folders are as the image has them; the container is removed, and the next one asks nobody."""
    found = [below(engine, tmp_path, "b&c", "a.py"), below(engine, tmp_path, "a.py")]

    assert [FOLDERS, FOLDERS] == found
    assert [CREATE, VAR, APP, A, B, REMOVE] == engine.asked
    assert [{"Image": "sha256:1", "Cmd": ["true"], "Entrypoint": []}] == [*map(json.loads, engine.sent)]


def test_a_name_that_is_new_is_looked_for(engine: Engine, tmp_path: Path) -> None:
    """Of a name that nobody looked for it is not known whether it is free."""
    below(engine, tmp_path, "a.py")
    engine.asked.clear()

    assert (FOLDERS, True) == (below(engine, tmp_path, "a.py", "b&c"), B in engine.asked)


def test_where_a_name_is_taken_there_is_no_place(engine: Engine, tmp_path: Path) -> None:
    """What is there may be a link, a folder of another mode, anything; that it is there is noted."""
    engine.answers[B] = (200, b"")

    found = [below(engine, tmp_path, "a.py", "b&c"), below(engine, tmp_path, "a.py", "b&c")]

    assert ([(), ()], 1, FOLDERS) == (found, engine.asked.count(B), below(engine, tmp_path, "a.py"))


def test_a_folder_that_is_not_there_is_made_as_copying_makes_it(engine: Engine, tmp_path: Path) -> None:
    """It is root's, for everybody to read."""
    del engine.answers[APP]

    assert (FOLDERS[0], Folder("var/azureml-app", 0o755, 0, 0, TIME)) == below(engine, tmp_path, "a.py")


@pytest.mark.parametrize(
    "there",
    [
        pytest.param(folder(FOLDERS[1], kind=tarfile.SYMTYPE), id="a link"),
        pytest.param(folder(FOLDERS[1], kind=tarfile.REGTYPE), id="a file"),
        pytest.param(folder(FOLDERS[1]._replace(mode=0o2755)), id="a folder that hands down its group"),
        pytest.param(folder(FOLDERS[1], more={"SCHILY.xattr.user.a": "b"}), id="a folder with an attribute"),
    ],
)
def test_what_is_no_plain_folder_is_no_place(there: bytes, engine: Engine, tmp_path: Path) -> None:
    """A layer with a folder of its name would put that in its place."""
    engine.answers[APP] = (200, there)

    assert ((), ()) == (below(engine, tmp_path, "a.py"), below(engine, tmp_path, "a.py"))
    assert 1 == engine.asked.count(CREATE)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        pytest.param(CREATE, said({"message": "no"}, 500), id="no container"),
        pytest.param(A, (500, b""), id="no word of a name"),
    ],
)
def test_where_nobody_can_tell_there_is_no_place(
    asked: str, answer: tuple[int, bytes], engine: Engine, tmp_path: Path
) -> None:
    """It is asked again the next time, and no container stays."""
    engine.answers[asked] = answer

    assert ((), ()) == (below(engine, tmp_path, "a.py"), below(engine, tmp_path, "a.py"))
    assert [2, 2] == [engine.asked.count(CREATE), engine.asked.count(REMOVE)]


def test_the_last_images_are_noted(engine: Engine, tmp_path: Path) -> None:
    """Which are those that somebody may come back to."""
    for number in range(20):
        Ground(endpoint(engine), tmp_path).below(f"sha256:{number}", ["a.py"])

    noted = json.loads((tmp_path / "ground.json").read_bytes())
    assert [f"sha256:{number}" for number in range(4, 20)] == [*noted]


@pytest.mark.parametrize(
    "noted",
    [
        pytest.param([], id="no table"),
        pytest.param({"folders": []}, id="no names"),
        pytest.param({"folders": [], "free": ["a.py"]}, id="names without an answer"),
        pytest.param({"folders": ["var"], "free": {"a.py": True}}, id="folders by name alone"),
        pytest.param({"folders": [["var", 493]], "free": {"a.py": True}}, id="folders with less to them"),
    ],
)
def test_a_note_of_another_form_is_none(noted: object, engine: Engine, tmp_path: Path) -> None:
    """Another version of ours may have written it: the container is looked at again, and the note made anew."""
    file = tmp_path / "ground.json"
    file.write_text(json.dumps({"sha256:1": noted}), encoding="utf-8")

    assert FOLDERS == below(engine, tmp_path, "a.py")
    expected = {"sha256:1": {"folders": list(map(list, FOLDERS)), "free": {"a.py": True}}}
    assert expected == json.loads(file.read_bytes())


def test_very_many_names_are_not_looked_for(engine: Engine, tmp_path: Path) -> None:
    """Each takes as long as some files take to be copied."""
    assert ((), []) == (below(engine, tmp_path, *map(str, range(201))), engine.asked)


# What the engine says to the layer

BELOW = {
    "Id": "sha256:1",
    "Architecture": "amd64",
    "Os": "linux",
    "Config": {},
    "RootFS": {"Layers": ["sha256:a"]},
}
PAST = [{"Created": 1, "CreatedBy": "ADD a b", "Size": 1, "Comment": ""}]
CODE = Context(
    files=(ContextFile(name="code/"), ContextFile(name="code/a.py")),
    dockerfile="FROM prefix:1\nCOPY code/ /var/azureml-app/\nUSER dockeruser\n",
    sha256="c0",
)
LOAD = "POST /v1.41/images/load?quiet=1"


def load(engine: Engine, notes: Path) -> str:
    """The id of what is loaded."""
    engine.answers["GET /v1.41/images/prefix:1/json"] = said(BELOW)
    engine.answers["GET /v1.41/images/prefix:1/history"] = said(PAST)
    legacy = Builder(kind="legacy", why="")
    build = Build(endpoint(engine), legacy, Terminal(), notes, Steps(), by_api=True)
    return loaded(build, plan(), CODE, "prefix:1")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(said({"message": "no room"}, 500), "no room", id="it does not begin"),
        pytest.param(said({"error": "no\x1b[1mroom"}), "noroom", id="it ends in an error"),
        pytest.param(said({"stream": "Loaded"}), "it has no image of this id afterwards", id="another id"),
    ],
)
def test_what_the_engine_does_not_take_is_built(
    answer: tuple[int, bytes],
    expected: str,
    engine: Engine,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is said why, and left to the builder."""
    engine.answers[LOAD] = answer

    assert "" == load(engine, tmp_path)
    assert (
        f"the code is loaded as one layer\nthe engine does not take it, so it is built: {expected}\n"
    ) == capsys.readouterr().err


def test_where_there_is_no_place_nothing_is_loaded(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is said either: the builder says what it does."""
    engine.answers[A] = (200, b"")

    assert ("", "", False) == (load(engine, tmp_path), capsys.readouterr().err, LOAD in engine.asked)
