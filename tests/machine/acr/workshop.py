"""One run's agent: its folders, its credential, and how it carries out a step."""

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
from tests.machine.acr import commands, scan
from tests.machine.acr.log import Log
from tests.machine.acr.secret_volumes import BadSecretError, fill
from tests.machine.acr.shell import Shell, TimedOutError
from tests.machine.acr.task_file import Step, Task
from tests.machine.acr.traces import Traces

__all__ = ["StepError", "Workshop", "environment", "word"]

_PUSH_ATTEMPTS = 3


class StepError(Exception):
    """A step failed; the words are the agent's."""


@dataclass(kw_only=True)
class Workshop:
    """Where a run is carried out.

    Args:
        folder: its own, with `workspace` in it.
        log: the run's log.
        traces: what it leaves on the engine.
        shell: runs its commands.
        network: name of the network of its containers; empty for none.
        no_cache: whether builds start from nothing.
        volumes: volume -> folder with its files.
    """

    folder: Path
    log: Log
    traces: Traces
    shell: Shell
    network: str = ""
    no_cache: bool = False
    volumes: dict[str, Path] = field(default_factory=dict)

    @property
    def workspace(self) -> Path:
        """What the steps see as `/workspace`."""
        return self.folder / "workspace"

    @property
    def home(self) -> Path:
        """What they see as their home."""
        return self.folder / "home"

    def prepare(self, task: Task) -> None:
        """Make network and volumes."""
        if task.network:
            self.network = f"acb_default_network_{self.traces.run}"
            self.log.line(f"Creating Docker network: {self.network}, driver: 'bridge'")
            self.traces.client.networks.create(self.network, driver="bridge", labels={self.traces.run: ""})
            self.log.line(f"Successfully set up Docker network: {self.network}")
        for name, files in task.volumes.items():
            self.volumes[name] = self.folder / "volumes" / name
            try:
                fill(name, files, self.shell, self.volumes[name])
            except BadSecretError as error:
                raise StepError(str(error)) from None
            self.log.line(f"Volume source {name} successfully created")

    def carry_out(self, step: Step) -> None:
        """Carry a step out.

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
            if code == 0:
                self.log.line(f"Successfully executed container: {step.id}")
                return
            if attempt < step.retries:
                what = f"{step.id}, waiting {step.retry_delay} seconds before retrying..."
                self.log.line(f"Container failed during run: {what}")
                self.shell.pause(step.retry_delay)
        self.log.line(f"Container failed during run: {step.id}. No retries remaining.")
        raise StepError(f"failed to run step ID: {step.id}: exit status {code}")

    def _build(self, step: Step) -> str:
        self._scan(step)
        self.traces.remember(scan.build_words(step.build).tags)
        # The engine outlives the run, so nothing of a failed build may stay on it.
        legacy = f"--force-rm --shm-size {self.traces.shared_memory}"
        own = "" if commands.BUILDKIT in step.env else legacy
        return commands.build(step, self.volumes, f"{own} --no-cache" if self.no_cache else own)

    def _docker_run(self, step: Step) -> str:
        self.traces.remember([step.cmd.partition(" ")[0]])
        volumes = {self.workspace: "/workspace", self.home: "/acb/home"}
        volumes |= dict.fromkeys(self._sockets(), "/var/run/docker.sock")
        around = commands.Surroundings(
            label=self.traces.run,
            name=self._container_name(step.id),
            network=self.network,
            volumes=volumes | {self.volumes[name]: path for name, path in step.mounts.items()},
        )
        return commands.docker_run(step, around)

    def _scan(self, step: Step) -> None:
        self.log.line("Scanning for dependencies...")
        words = scan.build_words(step.build)
        folder = self._inside(step)
        path = folder / (words.dockerfile or "Dockerfile")
        try:
            scan.scan(path.read_text(encoding="utf-8", errors="replace"), words)
        except OSError as error:
            self._scan_failed(step, f"error opening dockerfile: {words.dockerfile}, error: {error.strerror}")
        except scan.ScanError as error:
            self._scan_failed(step, str(error))
        self.log.line("Successfully scanned dependencies")

    def _scan_failed(self, step: Step, what: str) -> None:
        self.log.line(f"Output from dependency scanning: {what}")
        raise StepError(f"failed to run step ID: {step.id}: failed to scan dependencies: exit status 1")

    def _build_says(self, text: str) -> None:
        """Log what a build says, which names the images that it makes, also those that get no name."""
        self.log.raw(text)
        self.traces.made += re.findall(
            r"(?m)^ ---> ([0-9a-f]{12})$|writing image (sha256:[0-9a-f]{64})", text
        )

    def _sockets(self) -> list[Path]:
        """The engine's socket, which every container of an agent sees; none where the engine has no file for one."""
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
        """A step's working directory on this machine."""
        folder = commands.inside(step.words.get("workingDirectory", ""))
        return self.workspace / os.path.relpath(folder, "/workspace")

    def _container_name(self, name: str) -> str:
        """The step's id, as on an agent of its own; another one where the engine has that already."""
        taken = self.traces.client.containers.list(all=True, filters={"name": f"^/?{re.escape(name)}$"})
        return f"{name}-{self.traces.run}" if taken else name


def environment(folder: Path, docker: Path, host: str, auths: Mapping[str, str]) -> dict[str, str]:
    """The variables of a run's commands, and its credentials as Docker's command line finds them."""
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
    """A name that no other run has."""
    return f"acb-{uuid.uuid4().hex[:12]}"
