"""`invoke image.smoke-test` on a real engine: the record of a pass, JUnit XML, and signals."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.real.smoke_image import with_smoke_test

if TYPE_CHECKING:
    from pathlib import Path

    import docker

    from tests.real.support import Consumer

pytestmark = pytest.mark.usefixtures("no_container_is_left")


def test_record_of_a_pass(smoke_project: Consumer, tmp_path: Path) -> None:
    """The record of a pass has the image's ID, the smoke test's hash and the report, with the peak memory."""
    table = 'requests = [{ body = { do = "eat", megabytes = 300 } }]\nrepeat = 2\n'
    project = with_smoke_test(smoke_project, tmp_path, table)
    ended = project.invoke("image.smoke-test")
    assert ended.code == 0, ended.stderr
    record = project.record("smoke-test.json")
    image_id = project.record("build.json")["id"]
    peak = record["smoke"].pop("peak_memory")
    place = re.sub(r"\d+$", "PORT", record["smoke"].pop("place"))
    assert {"seconds", "reason"} == {name for wait in record["smoke"].pop("waits") for name in wait}

    check = {"outcome": "passed", "details": [], "seconds": 0.0}
    expected = {
        "id": image_id,
        "smoke_test_sha256": "0" * 64,
        "smoke": {
            "passed": True,
            "image": f"{smoke_project.folder.name}:1.0",
            "image_id": image_id,
            "checks": [
                {**check, "name": name}
                for name in ("start-up", "swagger.json", "request 1", "malformed body")
            ],
            "latencies": [
                {
                    "name": "request 1",
                    "status": 200,
                    "p50": 0.0,
                    "p95": 0.0,
                    "repeats": 2,
                    "same": True,
                    "times": [0.0, 0.0],
                }
            ],
            "started": 0.0,
            "stopped": 0.0,
            "warnings": [],
            "exit_code": None,
            "proven": "requests",
        },
    }
    assert expected == without_times(
        {**record, "smoke_test_sha256": re.sub("[0-9a-f]", "0", record["smoke_test_sha256"])}
    )
    assert place == "through 127.0.0.1:PORT"
    assert 300 * 2**20 < peak < 1000 * 2**20
    assert project.records() == [".gitignore", "build.json", "smoke-test.json", "smoke-test.log"]


def without_times(value: Any) -> Any:
    """Return a record with every time as 0."""
    if isinstance(value, dict):
        return {name: without_times(each) for name, each in value.items()}
    if isinstance(value, list):
        return [without_times(each) for each in value]
    return 0.0 if isinstance(value, float) else value


def test_a_failure_is_written_as_junit_xml_and_removes_an_earlier_pass(
    smoke_project: Consumer, tmp_path: Path
) -> None:
    """--junit writes every check for a CI server, and the record of an earlier pass is gone."""
    project = with_smoke_test(smoke_project, tmp_path, 'requests = [{ body = { do = "look up" } }]\n')
    (project.folder / ".azureml-image" / "smoke-test.json").write_text("{}", encoding="utf-8")
    ended = project.invoke("image.smoke-test", "--junit", "report.xml")
    suite = ET.parse(project.folder / "report.xml").getroot()  # written by the command above
    cases = [(case.get("name"), [child.tag for child in case]) for case in suite.iter("testcase")]

    expected = [
        ("start-up", []),
        ("swagger.json", []),
        ("request 1", ["failure"]),
        ("malformed body", ["skipped"]),
    ]
    assert (5, expected) == (ended.code, cases)
    assert project.records() == [".gitignore", "build.json", "smoke-test.log"]


@pytest.mark.parametrize(
    ("by", "code", "word"), [(signal.SIGINT, 130, "Interrupted"), (signal.SIGTERM, 143, "Terminated")]
)
def test_a_signal(by: signal.Signals, code: int, word: str, smoke_project: Consumer, tmp_path: Path) -> None:
    """Ctrl-C and SIGTERM end the wait for a slow init(), no container and no pass are left, and the log is kept."""
    project = with_smoke_test(smoke_project, tmp_path, 'env = { HOW = "init never ends" }\n')
    ended = project.interrupted("image.smoke-test", at="310 s at most", by=by)

    expected = (code, "", f"{word}. Everything that was started has been stopped and removed.")
    assert expected == (ended.code, ended.stdout, ended.stderr.splitlines()[-1])
    assert project.records() == [".gitignore", "build.json", "smoke-test.log"]


def test_a_second_signal(docker_client: docker.DockerClient, smoke_project: Consumer, tmp_path: Path) -> None:
    """After a second signal the container is removed too."""
    project = with_smoke_test(smoke_project, tmp_path, 'env = { HOW = "init never ends" }\n')
    image_id = project.record("build.json")["id"]
    events = docker_client.events(decode=True, filters={"event": ["start", "kill"], "image": image_id})
    with (
        closing(events),
        subprocess.Popen(
            [sys.executable, "-m", "invoke", "image.smoke-test"],
            cwd=project.folder,
            env=dict(project.env),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        ) as running,
    ):
        assert next(events)["Action"] == "start"
        running.send_signal(signal.SIGINT)
        running.send_signal(signal.SIGTERM)  # Later the command may have ended, and Python would end by it.
        assert next(events)["Action"] == "kill"
        _, err = running.communicate()

    assert running.returncode == 130
    assert err.splitlines()[-1] == "Interrupted. Everything that was started has been stopped and removed."
