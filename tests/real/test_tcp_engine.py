"""An engine at a TCP address, to which every request goes through Docker's SDK."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tests.real.small_project import SCORE, copy, small_project
from tests.real.support import consumer, environment_without_docker, removed_after, unique

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import docker


@contextmanager
def forwarded(engine: str) -> Iterator[str]:
    """Forward a TCP port to the engine's socket and yield its address, or that of an engine without a socket."""
    if not engine.startswith("unix://"):
        yield engine
        return
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(engine.removeprefix("unix://"))
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=copy, args=(source, target), daemon=True).start()

    with listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"


def test_build_by_tcp(
    engine: str, docker_client: docker.DockerClient, tiny_base: str, tmp_path: Path
) -> None:
    """An image is built, rebuilt after a change of the code, found up to date, and removed."""
    name = unique("tcp")
    with forwarded(engine) as host, removed_after(docker_client, f"{name}:1.0"):
        env = {**environment_without_docker(tmp_path), "DOCKER_HOST": host}
        files = small_project(name, tiny_base)
        project = consumer(tmp_path / "project", files, env)
        built = project.invoke("image.build", "--verbose")
        (project.folder / "code" / "score.py").write_text(f"{SCORE}\n")
        rebuilt = project.invoke("image.build")
        same = project.invoke("image.build")
        image_id = docker_client.images.get(f"{name}:1.0").id
        recorded = project.record("build.json")["id"]
        cleaned = project.invoke("image.clean")

    assert [0, 0, 0, 0] == [each.code for each in (built, rebuilt, same, cleaned)], (
        built.stderr + rebuilt.stderr
    )
    assert f'Docker engine {docker_client.version()["Version"]} ({host}, context "default")' in built.stderr
    assert image_id == recorded
    assert f"{name}:1.0\n" == same.stdout
    assert "nothing to build: " in same.stderr
