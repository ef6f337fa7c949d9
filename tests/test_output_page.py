"""The captures of docs/output.md that need no engine, compared with what the code prints."""

from __future__ import annotations

import base64
import re
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.cli import doctor_report
from azureml_tasks.commands.doctor import Diagnosis
from azureml_tasks.engines.docker.docker_config import DockerConfig
from azureml_tasks.engines.docker.doctor_client import client_findings
from azureml_tasks.project.model import SmokeTestPlan, SmokeTestRequest
from azureml_tasks.smoke.container_protocol import ContainerEnd
from azureml_tasks.smoke.events import make_report
from azureml_tasks.smoke.report import report_text
from tests.cases import lay_out
from tests.consumers import TASKS
from tests.documentation import DOCS, ROOT, blocks
from tests.plans import plan
from tests.terminal import Shown, in_terminal

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    import pytest

RUNNING, BUILT, NOT_BUILT, NOT_PASSED, MOVING, RELEASED, FINDINGS, IN_CI = blocks(DOCS / "output.md", "text")
NAME, ID = "localhost:5000/scoring:1.4.0", f"sha256:{'7' * 64}"
IMAGE_ID = "sha256:73eed1e975c5"
PROJECT = {
    "pyproject.toml": """\
[project]
name = "scoring"
version = "1.4.0"

[tool.azureml-image]
base = "contoso.azurecr.io/inference:1"
registry = "localhost:5000"
requirements = "requirements.txt"
""",
    "requirements.txt": "joblib==1.5.2\nthreadpoolctl==3.6.0\nscikit-lern==1.7.2\n",
    "tasks.py": TASKS,
    "code/score.py": "def init(): ...\ndef run(data): ...\n",
}
BEFORE_PIP = """\
Step 1/3 : FROM contoso.azurecr.io/inference:1
 ---> 4f2c9d0b7a61
Step 2/3 : COPY python/ /tmp/azureml-image/
 ---> 9be07d35c1aa
"""
PIP = f"""\
{BEFORE_PIP}Step 3/3 : RUN "$P/bin/python" /tmp/azureml-image/install.py
 ---> Running in 123456789012
Installing requirements. pip must keep azureml-inference-server-http==1.5.1 of the base image.
Collecting joblib==1.5.2
  Downloading joblib-1.5.2-py3-none-any.whl (308 kB)
Collecting threadpoolctl==3.6.0
  Downloading threadpoolctl-3.6.0-py3-none-any.whl (18 kB)
"""
FAILS = f"""\
{PIP}ERROR: Could not find a version that satisfies the requirement scikit-lern==1.7.2 (from versions: none)
ERROR: No matching distribution found for scikit-lern==1.7.2
pip could not install the requirements:
    requirements.txt:3: scikit-lern==1.7.2
    pip said: No matching distribution found for scikit-lern==1.7.2
The image was not built.
"""
COMMAND = """\
import sys
sys.path.insert(0, ROOT)
from pathlib import Path
from invoke.main import program
from azureml_tasks.engines.docker import build as docker_build
from azureml_tasks.engines.docker import engine
from azureml_tasks.engines.docker.build import Build
from azureml_tasks.engines.docker.builder_choice import Builder
from azureml_tasks.engines.docker.client import EngineClient
from azureml_tasks.state.runs import Run
from tests.stub_engine import StubEngine

def build_events(*_, **__):
    yield from ({"stream": line} for line in PRINTED.splitlines(keepends=True))
    yield {"error": "exit code: 1"} if "The image was not built." in PRINTED else {"aux": {"ID": "IMAGE"}}

class Engine(StubEngine):
    def build(self, plan, context, *, keep_failure, **_):
        context = context._replace(dockerfile="FROM a\\nCOPY b c\\nRUN d\\n")  # As of the stage of the packages.
        client = EngineClient(context="default", host="unix:///nowhere", version="1", api="1.41")
        tracked = Run(Path(".azureml-image"), client.host)
        build = Build(
            client=client,
            builder=Builder("legacy", "a test"),
            reporter=self.reporter,
            tracked=tracked,
            keep_failure=keep_failure,
        )
        try:
            return self.planned_image(plan, context)._replace(id=build.run(plan, context, no_cache=False))
        finally:
            tracked.close()

docker_build.build_events = build_events
EngineClient.confirm_alive = lambda _: None
EngineClient.inspect_image = lambda _, image: {"Id": image}
EngineClient.inspect_container = lambda *_: None
engine.open_docker = lambda _, reporter, **__: Engine(reporter=reporter)
sys.argv = ["invoke", "image.build"]
program.run()
"""
PUSH = """\
import signal
from azureml_tasks.cli.console import Console

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
with Console().step("push NAME"):
    Console().layer("bc0c5acf0cf6", current=116_100_000, total=129_400_000)
    signal.sigtimedwait({signal.SIGUSR1}, 60)
"""
DOCKER = """\
#!/bin/sh
[ "$1" = --version ] && echo "Docker version 28.2.2, build 1"
"""


def shown(text: str) -> str:
    """Return a capture as a wide terminal shows it, with N in place of times and ID in place of the image's."""
    timed = re.sub(r" +\d+\.\d s", " N s", text)
    whole = re.sub(r"^(.{80})\n", r"\1", timed, flags=re.MULTILINE)
    return re.sub(r"sha256:[0-9a-f]{64}", ID, whole).rstrip("\n")


def build(printed: str, folder: Path, **environment: str) -> Shown:
    """Run `image.build` in a terminal, with a builder that prints this."""
    texts = {"ROOT": repr(str(ROOT)), "PRINTED": repr(printed), "IMAGE": ID}
    command = re.sub("ROOT|PRINTED|IMAGE", lambda name: texts[name[0]], COMMAND)
    return in_terminal(command, lay_out(PROJECT, folder), columns=80, environment=environment)


def report(body: bytes, seconds: float, memory: int) -> str:
    """Return the report on an image that answers its one request with *body*."""
    request = SmokeTestRequest("request 1", "/score", b'{"data": [1, 2]}', 200, {"mean": 2.5}, 1e-6, 5.0)
    headers = {"content-type": "application/json", "x-ms-run-function-failed": "False"}
    answer = {"status": 200, "headers": headers, "body": base64.b64encode(body).decode(), "cut": False}
    events: list[dict[str, Any]] = [
        {"event": "ready", "seconds": seconds, "tries": 8},
        {"event": "swagger", "status": 200, "error": None},
        {"event": "answer", "index": 0, "seconds": [*[0.005] * 9, 0.017], **answer},
        {"event": "malformed", "status": 500, "error": None, "healthy": True},
        {"event": "done", "seconds": seconds},
    ]
    without_log = make_report(
        plan(smoke_test=SmokeTestPlan(requests=(request,))),
        BuiltImage(id=IMAGE_ID, names=(NAME,), engine="docker", context_sha256="", user="dockeruser"),
        events,
        ContainerEnd(peak_memory=memory * 1024 * 1024),
        place="through 127.0.0.1:PORT",
        look_inside="invoke image.shell",
    )
    return shown(report_text(replace(without_log, log_file=".azureml-image/smoke-test.log")))


def test_a_build_that_fails(tmp_path: Path) -> None:
    """The step is shown in full, and the cause comes last."""
    page = NOT_BUILT.replace("1.5.1\nof", "1.5.1 of")  # Markdown has no blank at the end of that line.
    expected = shown(page).splitlines()[1:]

    ended = build(FAILS, tmp_path)

    assert (4, expected) == (ended.code, ended.screen.splitlines()[-len(expected) :])


def test_a_build(tmp_path: Path) -> None:
    """Each step is one line; what the capture says of cached layers needs an engine."""
    expected = [line for line in shown(BUILT).splitlines() if not re.match(r"  (saved|1 file) ", line)]

    ended = build(PIP, tmp_path)

    assert (0, expected) == (ended.code, ended.screen.splitlines()[-len(expected) :])


def test_a_build_in_ci(tmp_path: Path) -> None:
    """The group is closed before the result."""
    first, last = shown(IN_CI).split("\n...\n")

    ended = build(PIP, tmp_path, GITHUB_ACTIONS="true")

    lines = ended.raw.replace("\r\n", "\n")
    assert re.search(rf"^{re.escape(first)}\n(?:.*\n)*{re.escape(last)}\n", lines, re.MULTILINE), lines


def test_a_smoke_test_that_fails() -> None:
    """The report is as it is shown."""
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", shown(NOT_PASSED))
    start = f"{NAME} failed"

    _, _, shown_report = text.partition(start)

    assert f"{start}{shown_report}" == report(b'{"mean": 1.5}', 3.7, 76)


def test_a_release() -> None:
    """The report of its smoke test is as it is shown."""
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", shown(RELEASED))

    assert report(b'{"mean": 2.5}', 4.0, 75) in text


def test_the_bar_of_a_layer(tmp_path: Path) -> None:
    """It is as it is shown."""

    def end(child: subprocess.Popen[bytes], written: str) -> bool:
        is_shown = "bc0c5acf0cf6" in written
        if is_shown:
            child.send_signal(signal.SIGUSR1)
        return is_shown

    ended = in_terminal(PUSH.replace("NAME", NAME), tmp_path, columns=80, meanwhile=end)

    assert MOVING.splitlines()[1] in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", ended.raw)


def test_a_finding_of_the_doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of a client without buildx is as it is shown."""
    (lay_out({"docker": DOCKER}, tmp_path) / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    _, finding = client_findings(DockerConfig())

    rows, _, summary = doctor_report.as_text(Diagnosis((finding,)), str, width=80).rpartition("\n\n")

    assert (True, summary) == (rows in shown(FINDINGS), shown(FINDINGS).splitlines()[-1])
