"""The quick start of the README and its deployment, typed as shown: each command prints what is below it."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.documentation import DOCS, README, ROOT, blocks, commands, quick_start
from tests.real.support import Consumer, environment_of, normal, removed_after

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import docker

    from tests.machine.clients import Client
    from tests.machine.registry import Registry

SHOWN = [
    command
    for page in (README, DOCS / "deploying.md")
    for command in commands(page)
    if command.output and command.line.startswith("invoke image.")
]
UNSTABLE = (
    (r"\bsha256-[0-9a-f]{12}", "sha256-ID"),
    (r"\badder-[0-9a-f]{8}\b", "adder-ID"),
    (r"\d+(\.\d+)? m?s\b", "N s"),
    (r"\d+ MiB\b", "N MiB"),
    (r"(?m)^engine .*$", "engine ENGINE"),
    (r"(?m)^instead .*\n", ""),
)
"""What differs from run to run, beyond what `normal` knows: durations, memory and the engine of the machine; and what
is said of Azure ML's own bases alone, which `test_readme` compares."""
STARTS = 60.0
"""Seconds until the server must answer."""


def test_the_quick_start_prints_what_the_readme_shows(
    clients: Mapping[str, Client],
    amlenv_base: str,
    registry: Registry,
    docker_client: docker.DockerClient,
    tmp_path: Path,
) -> None:
    """Check, build, smoke test and push print what the README shows; the image answers as shown.

    After a change of a message, copy the new output into the README.
    """
    env = environment_of(clients["26.1-buildx"], tmp_path)
    adder = Consumer(folder=quick_start(tmp_path / "adder"), env=env)
    # A configuration holds for every command, so that no command to paste repeats it.
    configuration = f"azureml_image:\n  base: {amlenv_base}\n  registry: {registry.host}\n"
    (adder.folder / "invoke.yaml").write_text(configuration, encoding="utf-8")
    words = {
        amlenv_base: "mcr.microsoft.com/azureml/minimal-py312-inference:latest",
        registry.host: "contoso.azurecr.io",
    }
    with removed_after(docker_client, f"{registry.host}/adder:1.0.0"):
        for command in SHOWN:
            ended = adder.invoke(*command.line.split()[1:])
            assert _stable(ended.stdout, words) == _stable(command.output, words), ended.stderr
        assert _asked(docker_client, f"{registry.host}/adder:1.0.0") == [
            command.output.strip() for command in commands(README) if command.line.startswith("curl ")
        ]
        _shows_what_the_page_on_pytest_shows(adder, words)


def _shows_what_the_page_on_pytest_shows(adder: Consumer, words: Mapping[str, str]) -> None:
    """Run the page's tests, which ask the image, and find each line that the page shows, in its order."""
    page = DOCS / "pytest.md"
    (shown,) = (command.output for command in commands(page) if command.line.startswith("pytest "))
    table = adder.folder / "pyproject.toml"
    base, host = words  # pytest reads no configuration of Invoke.
    text = table.read_text(encoding="utf-8").replace("contoso.azurecr.io", host)
    table.write_text(text.replace('"minimal-py312-inference"', f'"{base}"'), encoding="utf-8")
    (adder.folder / "test_image.py").write_text(blocks(page, "python")[0], encoding="utf-8")
    plugin = ("-p", "no:azureml-image", "-p", "azureml_tasks.pytest_plugin", "-p", "no:cacheprovider")
    completed = subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, "--azureml-image", "."],
        cwd=adder.folder,
        env={**adder.env, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    out = completed.stdout
    for word, name in words.items():
        out = out.replace(word, name)
    dashes = re.compile("-{5,}")
    expected = [re.escape(dashes.sub("---", line)) for line in shown.splitlines() if line != "…"]
    assert 1 == completed.returncode, completed.stdout + completed.stderr
    pytest.LineMatcher([dashes.sub("---", line) for line in out.splitlines()]).re_match_lines(expected)


def _stable(text: str, words: Mapping[str, str]) -> str:
    for pattern, word in UNSTABLE:
        text = re.sub(pattern, word, text)
    return normal(text, words)


def _asked(client: docker.DockerClient, name: str) -> list[str]:
    """What the image answers to the two requests of the README, asked through a port of this machine."""
    container = client.containers.run(name, detach=True, remove=True, ports={"5001/tcp": ("127.0.0.1", 0)})
    try:
        container.reload()
        url = f"http://127.0.0.1:{container.attrs['NetworkSettings']['Ports']['5001/tcp'][0]['HostPort']}"
        body, headers = b'{"numbers": [1, 2, 3]}', {"Content-Type": "application/json"}
        healthy = _answer(urllib.request.Request(f"{url}/"))
        return [healthy, _answer(urllib.request.Request(f"{url}/score", body, headers))]
    finally:
        container.stop()


def _answer(request: urllib.request.Request) -> str:
    until = time.monotonic() + STARTS
    while time.monotonic() < until:
        with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(request, timeout=5) as answer:
            return str(answer.read().decode())
        time.sleep(0.1)  # A server tells nobody that it is ready; it can only be asked.
    raise AssertionError(f"{request.full_url} does not answer")
