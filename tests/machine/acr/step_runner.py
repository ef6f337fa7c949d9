"""The agent of one run: its folders, credentials and steps."""

from __future__ import annotations

import json
import os
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.machine import apt
from tests.machine.acr import docker_commands, dockerfile_scan
from tests.machine.acr.engine_cleanup import EngineCleanup
from tests.machine.acr.log import Log
from tests.machine.acr.secret_volumes import BadSecretError, fill
from tests.machine.acr.shell import Shell, TimedOutError
from tests.machine.acr.task_file import Step, Task

__all__ = ["StepError", "StepRunner", "environment", "word"]

_PUSH_ATTEMPTS = 3


class StepError(Exception):
    """A step failed, with the agent's message."""


@dataclass(kw_only=True)
class StepRunner:
    """Runs the steps of one run.

    Args:
        folder: its own, with `workspace` in it.
        log: the run's log.
        cleanup: what it leaves on the engine.
        shell: runs its commands.
        network: name of the network of its containers; empty for none.
        no_cache: whether builds start from nothing.
        volumes: volume -> folder with its files.
    """

    folder: Path
    log: Log
    cleanup: EngineCleanup
    shell: Shell
    network: str = ""
    no_cache: bool = False
    volumes: dict[str, Path] = field(default_factory=dict)

    @property
    def workspace(self) -> Path:
        """The folder that steps see as `/workspace`."""
        return self.folder / "workspace"

    @property
    def home(self) -> Path:
        """The folder that steps see as their home."""
        return self.folder / "home"

    def prepare(self, task: Task) -> None:
        """Create network and volumes."""
        if task.network:
            self.network = f"acb_default_network_{self.cleanup.run}"
            self.log.line(f"Creating Docker network: {self.network}, driver: 'bridge'")
            self.cleanup.client.networks.create(self.network, driver="bridge", labels={self.cleanup.run: ""})
            self.log.line(f"Successfully set up Docker network: {self.network}")
        for name, files in task.volumes.items():
            self.volumes[name] = self.folder / "volumes" / name
            try:
                fill(name, files, self.shell, self.volumes[name])
            except BadSecretError as error:
                raise StepError(str(error)) from None
            self.log.line(f"Volume source {name} successfully created")

    def run_step(self, step: Step) -> None:
        """Run a step.

        Raises:
            StepError: it failed, or took too long.
        """
        where = step.words.get("workingDirectory", "")
        network = step.words.get("network") or self.network
        self.log.line(
            f"Executing step ID: {step.id}. Timeout(sec): {step.timeout}, Working directory: '{where}', "
            f"Network: '{network}'"
        )
        if step.delay:
            self.log.line(f"Waiting {step.delay} seconds before executing step ID: {step.id}")
            self.shell.pause(step.delay)
        try:
            if step.push:
                self._push(step)
            else:
                self._launch(step, self._build(step) if step.build else self._docker_run(step))
        except TimedOutError:
            raise StepError(f"failed to run step ID: {step.id}: timed out") from None

    def _launch(self, step: Step, command: str) -> None:
        folder = self._inside(step)
        code = 0
        for attempt in range(step.retries + 1):
            self.log.line(f"Launching container with name: {step.id}")
            say = self._build_says if step.build else self.log.raw
            code = self.shell.run(command, say, seconds=step.timeout, folder=folder)
            if code and step.build and self.cleanup.has_lost_a_step(self.log.text):
                code = self.shell.run(command, say, seconds=step.timeout, folder=folder)
            if code == 0:
                self.log.line(f"Successfully executed container: {step.id}")
                return
            if attempt < step.retries:
                retry = f"{step.id}, waiting {step.retry_delay} seconds before retrying..."
                self.log.line(f"Container failed during run: {retry}")
                self.shell.pause(step.retry_delay)
        self.log.line(f"Container failed during run: {step.id}. No retries remaining.")
        raise StepError(f"failed to run step ID: {step.id}: exit status {code}")

    def _build(self, step: Step) -> str:
        self._scan(step)
        self.cleanup.remember(dockerfile_scan.build_words(step.build).tags)
        # The engine outlives the run, so nothing of a failed build may stay on it.
        legacy = f"--force-rm --shm-size {self.cleanup.shared_memory}"
        own = "" if docker_commands.BUILDKIT in step.env else legacy
        return docker_commands.build(step, self.volumes, f"{own} --no-cache" if self.no_cache else own)

    def _docker_run(self, step: Step) -> str:
        self.cleanup.remember([step.cmd.partition(" ")[0]])
        volumes = {self.workspace: "/workspace", self.home: "/acb/home"}
        volumes |= dict.fromkeys(self._sockets(), "/var/run/docker.sock")
        around = docker_commands.StepEnvironment(
            label=self.cleanup.run,
            name=self._container_name(step.id),
            network=self.network,
            volumes=volumes | {self.volumes[name]: path for name, path in step.mounts.items()},
        )
        return docker_commands.docker_run(step, around)

    def _scan(self, step: Step) -> None:
        self.log.line("Scanning for dependencies...")
        words = dockerfile_scan.build_words(step.build)
        folder = self._inside(step)
        path = folder / (words.dockerfile or "Dockerfile")
        try:
            dockerfile_scan.scan(path.read_text(encoding="utf-8", errors="replace"), words)
        except OSError as error:
            self._scan_failed(step, f"error opening dockerfile: {words.dockerfile}, error: {error.strerror}")
        except dockerfile_scan.ScanError as error:
            self._scan_failed(step, str(error))
        self.log.line("Successfully scanned dependencies")

    def _scan_failed(self, step: Step, reason: str) -> None:
        self.log.line(f"Output from dependency scanning: {reason}")
        raise StepError(f"failed to run step ID: {step.id}: failed to scan dependencies: exit status 1")

    def _build_says(self, text: str) -> None:
        """Log the output of a build, and note the images that it names."""
        self.log.raw(text)
        self.cleanup.images += re.findall(
            r"(?m)^ ---> ([0-9a-f]{12})$|writing image (sha256:[0-9a-f]{64})", text
        )

    def _sockets(self) -> list[Path]:
        """The engine's socket, which every container of an agent has; None without a file."""
        host = self.shell.environment.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        return [Path(host.removeprefix("unix://"))] if host.startswith("unix://") else []

    def _push(self, step: Step) -> None:
        end = time.monotonic() + step.timeout
        for image in step.push:
            for attempt in range(1, _PUSH_ATTEMPTS + 1):
                self.log.line(f"Pushing image: {image}, attempt {attempt}")
                seconds = max(0.0, end - time.monotonic())
                if self.shell.run(f"docker push {image}", self.log.raw, seconds=seconds) == 0:
                    self.log.line(f"Successfully pushed image: {image}")
                    break
            else:
                raise StepError(f"failed to run step ID: {step.id}: failed to push images successfully")

    def _inside(self, step: Step) -> Path:
        """Return a step's working directory on this machine."""
        folder = docker_commands.inside(step.words.get("workingDirectory", ""))
        return self.workspace / os.path.relpath(folder, "/workspace")

    def _container_name(self, name: str) -> str:
        """Return the step's ID as container name; another name if the engine already has it."""
        taken = self.cleanup.client.api.containers(all=True, filters={"name": f"^/?{re.escape(name)}$"})
        return f"{name}-{self.cleanup.run}" if taken else name


def environment(folder: Path, docker: Path, host: str, auths: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a run's commands, with the credentials of the docker client."""
    config = folder / "home" / ".docker"  # which every step's container sees too, as on Azure
    config.mkdir(parents=True)
    entries = {server: {"auth": auth} for server, auth in auths.items()}
    (config / "config.json").write_text(json.dumps({"auths": entries}), encoding="utf-8")
    return {
        "PATH": os.pathsep.join([str(docker), apt.PATH]),
        "HOME": str(folder),
        "DOCKER_HOST": host,
        "DOCKER_CONFIG": str(config),
    }


def word() -> str:
    """Return a unique name."""
    return f"acb-{uuid.uuid4().hex[:12]}"
