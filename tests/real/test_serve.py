"""`invoke image.serve` on a real engine: changed code answers, nothing stays behind, and a debugger stops it."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import docker
import pytest

import azureml_tasks
from azureml_tasks.engines.docker.debugger import debugpy_folder
from tests.machine.clients import Client
from tests.machine.debug_client import DebugClient
from tests.real.serve_process import ask, free_port, serving
from tests.real.support import Consumer, consumer, environment_of, removed_after, unique

PROJECT = """\
[project]
name = "{name}"
version = "1.0"

[tool.azureml-image]
base = "{base}"

[tool.azureml-image.smoke-test]
request = "sample-request.json"
"""
SCORE = """\
import json
import os
from pathlib import Path

import helper


def init():
    pass


def run(raw):
    wanted = json.loads(raw)["list"]
    here = Path(__file__).parent
    files = {
        path.relative_to(here).as_posix(): f"{path.stat().st_mode:o} {path.owner()}"
        for path in here.rglob("*")
        if "__pycache__" not in path.parts
    }
    return {"value": helper.VALUE, "files": files if wanted else {}}
"""
FILES = {
    "code/score.py": SCORE,
    "code/helper.py": "VALUE = 1\n",
    "code/old/module.py": "",
    "code/tool.sh": "",
    "code/.dockerignore": "",
    ".dockerignore": "**/secret.txt\n",
    "sample-request.json": '{"list": true}',
}
PAGE = Path(azureml_tasks.__file__).parent / "docs" / "serve.md"
DRY = """\
docker create --name … --label azureml-tasks.smoke-test=1 --label azureml-tasks.run=… \
--publish 127.0.0.1:8080:5001 --publish 127.0.0.1:5690:5678 … IMAGE
docker cp DEBUGPY …:/tmp/debugpy
docker cp PACKAGE/in_image/debug_entry.py …:/tmp/azureml_image_debug_entry.py
docker start …
docker logs --follow …
docker rm --force --volumes …
"""
STOPPED = "stopped; the container is removed\n"
HALF_SAVED = 'VALUE = "a value of a half-saved file'


@pytest.fixture(scope="module")
def built(
    docker_client: docker.DockerClient,
    amlenv_base: str,
    clients: Mapping[str, Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Consumer]:
    """A project whose image is built; no container of it is left at the end."""
    folder, name = tmp_path_factory.mktemp("project"), unique("serve")
    files = {**FILES, "pyproject.toml": PROJECT.format(name=name, base=amlenv_base)}
    project = consumer(folder / name, files, environment_of(clients["20.10"], folder))
    with removed_after(docker_client, f"{name}:1.0"):
        ended = project.invoke("image.build")
        assert (0, f"{name}:1.0\n") == (ended.code, ended.stdout), ended.stderr
        yield project


def containers_of(client: docker.DockerClient, project: Consumer) -> list[str]:
    """Return the names of the image's containers."""
    of: dict[str, str | list[str] | bool] = {"ancestor": project.record("build.json")["id"]}
    return [str(each.name) for each in client.containers.list(all=True, filters=of)]


def test_changed_code(built: Consumer, docker_client: docker.DockerClient) -> None:
    """Each change answers; modes, excluded files and removed files are as in a build; Ctrl-C leaves nothing."""
    port, code = free_port(), built.folder / "code"
    (code / "helper.py").write_text("VALUE = 2\n", encoding="utf-8")
    (code / "secret.txt").write_text("not for the image", encoding="utf-8")
    with serving(built, "--port", str(port)) as served:
        served.wait_for("    curl ")
        at_first = json.loads(built.paste(served.command()).stdout)
        taken = built.invoke("image.serve", "--port", str(port))

        served.change({code / "helper.py": "VALUE = 3\n"})
        served.wait_for("ready after", 2)
        changed = ask(port)
        with served.stopped():
            (code / "old" / "module.py").unlink()
            (code / "old").rmdir()
            (code / "tool.sh").chmod(0o755)
            (code / "new").mkdir()
            (code / "new" / "module.py").write_text("", encoding="utf-8")
        served.wait_for("ready after", 3)
        moved, starts = ask(port), served.log.count("PYTHONPATH environment variable")

        served.change({code / "score.py": HALF_SAVED})
        served.wait_for("the server goes on with the code before this change.")
        half_saved = ask(port)
        served.change({code / "score.py": SCORE, code / "helper.py": "import no_such_module\n"})
        served.wait_for(
            "the server has ended: exit code 111; the next change starts it again\n"
            "    code/helper.py:1: ModuleNotFoundError: No module named 'no_such_module'\n"
        )
        served.change({code / "new" / "module.py": None, code / "helper.py": "VALUE = 4\n"})
        served.wait_for("ready after", 4)
        mended = ask(port)
        with (built.folder / "pyproject.toml").open("a", encoding="utf-8") as table:
            table.write('\n[tool.azureml-image.env]\nMODE = "fast"\n')
        served.wait_for(f"invoke image.serve --build --port {port}\n")
        ended = served.end(signal.SIGINT)

    file, folder = "100644 root", "40755 root"
    common = {"helper.py": file, "score.py": file, ".dockerignore": file}
    first = {**common, "tool.sh": file, "old": folder, "old/module.py": file}
    assert [{"value": 2, "files": first}, {"value": 3, "files": first}] == [at_first, changed]
    with_new = {**common, "tool.sh": "100755 root", "new": folder, "new/module.py": file}
    assert {"value": 3, "files": with_new} == moved == half_saved
    assert 1 == starts  # Only its workers were started again.
    assert 4 == mended["value"]
    assert (3, "") == (taken.code, taken.stdout)
    assert taken.stderr.endswith(
        f"The port {port} is used by another program.\n    invoke image.serve --port {port + 1}\nNothing was started.\n"
    ), taken.stderr
    needs = "this needs a build:\n  the variables, the place of the code or the commands after it differ\n"
    assert f"{needs}    invoke image.serve --build --port {port}\n" in served.printed
    assert "code/helper.py has changed since the build\n" in served.printed
    assert (0, True) == (ended, served.printed.endswith(STOPPED)), served.printed
    assert [] == containers_of(docker_client, built)
    assert [] == [line for line in shown_on_page(0) if line not in shapes(served.printed)]
    assert "ModuleNotFoundError: No module named 'no_such_module'\n" in served.log
    assert "Worker with pid" in built.invoke("image.logs").stdout


def test_what_is_killed(built: Consumer, docker_client: docker.DockerClient) -> None:
    """The next command of the project removes the container of one that was killed; SIGTERM leaves none."""
    with serving(built, "--port", str(free_port())) as served:
        served.wait_for("serving ")
        killed = served.end(signal.SIGKILL)
    (left,) = containers_of(docker_client, built)
    with serving(built, "--port", str(free_port())) as served:
        served.wait_for("serving ")
        terminated = served.end(signal.SIGTERM)

    assert (-signal.SIGKILL, 128 + signal.SIGTERM) == (killed, terminated)
    assert f"removed what a killed run left: container {left}\n" in served.printed
    assert [] == containers_of(docker_client, built)


def test_a_breakpoint(built: Consumer, docker_client: docker.DockerClient) -> None:
    """A debugger that is attached as the printed configuration says stops in init() and in run(), and sees values."""
    (built.folder / "code" / "helper.py").write_text("VALUE = 7\n", encoding="utf-8")
    port, debug_port = free_port(), free_port()
    script = str((built.folder / "code" / "score.py").resolve())
    with serving(built, "--port", str(port), "--debug", str(debug_port)) as served:
        served.wait_for("\n}\n")
        text = served.printed[served.printed.index("\n{\n") : served.printed.index("\n}\n") + 2]
        configuration = json.loads(text)
        folder = os.path.relpath(Path(script).parent, built.folder.resolve())
        mapping = {"localRoot": f"${{workspaceFolder}}/{folder}", "remoteRoot": "/var/azureml-app"}
        assert [mapping] == configuration["pathMappings"]
        assert {"host": "127.0.0.1", "port": debug_port} == configuration["connect"]
        mapping["localRoot"] = str(Path(script).parent)  # As the editor replaces its variable.
        served.wait_for("Waiting for a debugger.")
        client = DebugClient({**configuration, "pathMappings": [mapping]})
        lines = [
            number
            for number, line in enumerate(SCORE.splitlines(), 1)
            if line in {"    pass", "    here = Path(__file__).parent"}
        ]
        client.start(script, lines)
        stops = [stop(client)]
        served.wait_for("ready after")
        answers: list[object] = []
        asking = threading.Thread(target=lambda: answers.append(ask(port)["value"]))
        asking.start()
        stops.append(stop(client))
        asking.join()
        client.close()
        ended = served.end(signal.SIGINT)

    assert [(script, lines[0], "init", ""), (script, lines[1], "run", "True")] == stops
    assert [7] == answers
    assert [] == [line for line in shown_on_page(1) if line not in shapes(served.printed)]
    assert (0, []) == (ended, containers_of(docker_client, built))


def test_dry(built: Consumer) -> None:
    """The commands that do the same are printed, and nothing is done."""
    dry = built.invoke("--dry", "image.serve", "--port", "8080", "--debug", "5690")
    shown = "".join(f"{' '.join(shlex.split(line))}\n" for line in dry.stdout.splitlines())
    for name, word in (
        (built.record("build.json")["id"], "IMAGE"),
        (str(Path(azureml_tasks.__file__).parent), "PACKAGE"),
        (str(debugpy_folder()), "DEBUGPY"),
    ):
        shown = shown.replace(name, word)
    shown = re.sub(r"azureml-image-\w+-1|(?<=run=)\w+|--env .*(?= IMAGE)", "…", shown)

    assert (0, DRY) == (dry.code, shown)


def shown_on_page(number: int) -> list[str]:
    """Return the shapes of the lines that a console on the page shows; what the container prints is left out there."""
    page = PAGE.read_text(encoding="utf-8")
    console = page.split("```console\n")[number + 1].partition("```")[0]
    return [line for line in shapes(console) if not line.startswith("$ ") and line != "…"]


def shapes(text: str) -> list[str]:
    """Return the lines of *text* without names, ports, versions and times."""
    for pattern, word in (
        (r"serve-[0-9a-f]{12}|iris-scoring", "NAME"),
        (r"127\.0\.0\.1:\d+|(?<=\"port\": )\d+", "PORT"),
        (r"(?<=NAME:)[\d.]+", "VERSION"),
        (r"\d+\.\d\d s\b", "TIME"),
        (r"code/\w+\.py", "FILE"),
        (r"Docker engine .*", "ENGINE"),
    ):
        text = re.sub(pattern, word, text)
    return text.splitlines()


def stop(client: DebugClient) -> tuple[str, int, str, str]:
    """Wait for a breakpoint; return its file, line and function, and the value of `wanted`; let the program go on."""
    thread = client.event("stopped")["threadId"]
    frame = client.request("stackTrace", {"threadId": thread, "levels": 1})["stackFrames"][0]
    scope = client.request("scopes", {"frameId": frame["id"]})["scopes"][0]
    variables = client.request("variables", {"variablesReference": scope["variablesReference"]})["variables"]
    value = next((each["value"] for each in variables if each["name"] == "wanted"), "")
    client.request("continue", {"threadId": thread})
    return frame["source"]["path"], frame["line"], frame["name"], value
