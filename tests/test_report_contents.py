"""The list of an image's files and packages: what the script prints, and what is read of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from email.message import Message
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from azureml_tasks.cli.console import Console
from azureml_tasks.engines.docker.engine import open_docker
from azureml_tasks.in_image import list_contents
from azureml_tasks.report.contents import Contents, File, Listing, Package, added_files, parse_contents
from tests.fake_engine import IMAGE_ID, FakeEngine, json_answer, ready_engine


def test_files_of_a_folder(tmp_path: Path) -> None:
    """Each regular file is listed with size and time: no link, no folder, and of hard links the first one."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two").write_bytes(b"22")
    (tmp_path / "a").write_bytes(b"1")
    os.link(tmp_path / "a", tmp_path / "again")
    (tmp_path / "link").symlink_to("a")
    for path in (tmp_path / "a", tmp_path / "b" / "two"):
        os.utime(path, (7, 7))

    assert [(f"{tmp_path}/a", 1, 7), (f"{tmp_path}/b/two", 2, 7)] == list(list_contents.walk(str(tmp_path)))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([("License-Expression", "MIT"), ("License", "ignored")], "MIT"),
        (
            [
                ("Classifier", "License :: OSI Approved :: MIT License"),
                ("Classifier", "Topic :: Software Development"),
                ("Classifier", "License :: OSI Approved :: BSD License"),
            ],
            "MIT License, BSD License",
        ),
        ([("License", "\nApache 2.0\nand the whole text")], "Apache 2.0"),
        ([("License", "x" * 300)], "x" * 200),
        ([], ""),
    ],
)
def test_licence(fields: list[tuple[str, str]], expected: str) -> None:
    """A licence is an expression, or the classifiers, or the first line of a text."""
    about = Message()
    for name, value in fields:
        about[name] = value

    assert expected == list_contents.licence(about)


def test_the_script_lists_this_machine(tmp_path: Path) -> None:
    """As `python -I -c`, it prints one object, with a package of PYTHONPATH and the size of its files."""
    package = tmp_path / "demo_one-1.0.dist-info"
    package.mkdir()
    (tmp_path / "demo_one.py").write_text("x = 1\n")
    (package / "METADATA").write_text(
        "Metadata-Version: 2.4\nName: Demo.One\nVersion: 1.0\nLicense-Expression: MIT\n"
    )
    (package / "RECORD").write_text("demo_one.py,,\n")
    main = (
        f"import runpy, sys; m = runpy.run_path({str(Path(list_contents.__file__))!r}); m['walk'].__globals__"
    )
    code = f"{main}.update(walk=lambda top: walk({str(tmp_path)!r})); walk = m['walk']; m['main']()"

    ended = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", code],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    contents = parse_contents(f"a line of something else\n{ended.stdout}")
    assert contents.packages is not None
    assert [Package("Demo.One", "1.0", "MIT", 6)] == [
        each for each in contents.packages if "Demo" in each.name
    ]
    assert 3 == contents.file_count
    assert f"{package}/METADATA" == contents.files[0].path


WHOLE: dict[str, Any] = {"files": [["/a", 1, 2]], "count": 1, "bytes": 1, "packages": [["a", "1", "MIT", 5]]}


def test_a_list_is_read() -> None:
    """The list becomes values; a Python that cannot list packages says null."""
    expected = Contents((File("/a", 1, 2),), 1, 1, (Package("a", "1", "MIT", 5),))

    assert expected == parse_contents(json.dumps(WHOLE))
    assert expected._replace(packages=None) == parse_contents(json.dumps({**WHOLE, "packages": None}))


WRONG: tuple[dict[str, Any], ...] = (
    {"files": [["/a", -1, 2]]},
    {"files": [["/a", 1]]},
    {"files": [["/a", True, 2]]},
    {"files": "x"},
    {"packages": [["a", 1, "MIT", 5]]},
    {"packages": {}},
    {"count": "1"},
    {"bytes": 2**70},
)


@pytest.mark.parametrize(
    "text", ["", "[]", "[" * 100_000, "no JSON", *(json.dumps({**WHOLE, **wrong}) for wrong in WRONG)]
)
def test_a_list_of_another_form_is_refused(text: str) -> None:
    """An image can print anything."""
    with pytest.raises(ValueError, match=r"\w"):
        parse_contents(text)


def test_files_that_the_base_does_not_have() -> None:
    """A file counts as added if path, size or time differ; of a base with a cut list, smaller files tell nothing."""
    base = Contents((File("/a", 9, 1), File("/b", 5, 1)), 2, 14, ())
    image = Contents((File("/a", 9, 2), File("/b", 5, 1), File("/c", 1, 1)), 3, 15, ())

    assert (File("/a", 9, 2), File("/c", 1, 1)) == added_files(image, base)
    assert (File("/a", 9, 2),) == added_files(image, base._replace(file_count=3))


CONTAINERS = "/v1.48/containers"
CREATED = {
    f"POST {CONTAINERS}/create?name=azureml-image-0-1": json_answer({"Id": "c1"}, 201),
    f"GET {CONTAINERS}/c1/json": json_answer({"Id": "c1"}),
}


def listing_of(
    answers: Mapping[str, tuple[int, bytes]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Listing, FakeEngine]:
    """Return what a container lists on an engine with these answers, and the engine."""
    monkeypatch.setattr("azureml_tasks.state.runs.secrets.token_hex", lambda _: "0")
    with ready_engine() as engine:
        engine.answers |= {**CREATED, **answers}
        monkeypatch.setenv("DOCKER_HOST", engine.host)
        docker = open_docker(folder, Console(), project=folder, keep=False)
        listing = docker.list_contents(IMAGE_ID)
        docker.client.sdk.close()
    return listing, engine


def test_an_image_whose_container_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine says why; it need not be the shell, which some images do not have."""
    refusal = {f"POST {CONTAINERS}/c1/start": json_answer({"message": "no space left on device"}, 500)}
    listing, _ = listing_of(refusal, tmp_path, monkeypatch)

    assert listing == Listing("", "a container of the image does not start: no space left on device")


def test_a_container_that_lists_too_long_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The base may be anybody's: its container has no network, and little memory, processes and time."""
    seconds: list[float] = []

    def timer(after: float, kill: Callable[[], None]) -> SimpleNamespace:
        seconds.append(after)
        return SimpleNamespace(start=kill, cancel=lambda: None)  # The time is over at once.

    monkeypatch.setattr("azureml_tasks.engines.docker.image_contents.Timer", timer)
    answers = {
        f"POST {CONTAINERS}/c1/start": (204, b""),
        f"POST {CONTAINERS}/c1/kill": (204, b""),
        f"GET {CONTAINERS}/c1/logs?stdout=1&stderr=0&follow=1": (200, b""),
        f"GET {CONTAINERS}/c1/logs?stdout=1&stderr=0&follow=0": (200, b""),
        f"POST {CONTAINERS}/c1/wait": json_answer({"StatusCode": 137}),
    }
    listing, engine = listing_of(answers, tmp_path, monkeypatch)

    limits = json.loads(engine.bodies[0])["HostConfig"]
    assert listing == Listing("", "listing them takes more than 600 s, or more memory than 2g")
    assert ([600], True) == (seconds, f"POST {CONTAINERS}/c1/kill" in engine.requests)
    assert ("none", True) == (limits["NetworkMode"], limits["ReadonlyRootfs"])
    assert (2 * 2**30, 64) == (limits["Memory"], limits["PidsLimit"])
