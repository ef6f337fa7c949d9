"""Whole commands, timed from outside: from the start of the process to its end."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Command", "FailedError", "cleared", "end", "seconds"]

_PATIENCE = 30.0
_LINES = 12
# Without bytecode every run would compile what it imports; the others would have a say in what is built.
_OF_A_MACHINE = (
    *("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "INVOKE_", "GITHUB_", "TF_BUILD", "SOURCE_DATE_EPOCH"),
    *("DOCKER_BUILDKIT", "DOCKER_CONTEXT", "BUILDX_", "BENTOML_", "MLFLOW_", "TRUSS_", "KEDRO_"),
)


class FailedError(Exception):
    """A command that was to be timed did not succeed; the words end with what it said."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command as a person runs it.

    Args:
        words: its arguments.
        folder: where it is run.
        env: its whole environment.
    """

    words: Sequence[str]
    folder: Path
    env: Mapping[str, str]

    def seconds(self) -> float:
        """Run it to its end; returns how long it took.

        Raises:
            FailedError: its exit code is not 0.
        """
        with tempfile.TemporaryFile() as output:
            began = time.perf_counter()
            process = subprocess.Popen(
                list(self.words),
                cwd=self.folder,
                env=dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # so that what it has started itself can be ended too
            )
            try:
                code = process.wait()
            except BaseException:
                end(process)
                raise
            took = time.perf_counter() - began
            if code:
                output.seek(0)
                raise FailedError(self._failed(code, output.read().decode(errors="replace")))
        return took

    def _failed(self, code: int, output: str) -> str:
        shown = " ".join(os.path.basename(word) for word in self.words[:4])  # noqa: PTH119 -- most are no paths
        return "\n".join([f"`{shown}` ended with {code}:", *output.splitlines()[-_LINES:]])


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask *process* and all that it has started in its session to end, and end what has not after a while."""
    until = time.monotonic() + _PATIENCE
    with suppress(ProcessLookupError):  # the last one has gone
        os.killpg(process.pid, signal.SIGTERM)
        while True:
            process.poll()
            os.killpg(process.pid, 0 if time.monotonic() < until else signal.SIGKILL)
            time.sleep(0.05)  # Nobody tells when a session's last process has gone; it can only be asked.


def seconds(commands: Sequence[Command]) -> float:
    """Run *commands* one after the other; returns how long they took together."""
    os.sync()  # What the one before has left to be written does not count.
    return sum(each.seconds() for each in commands)


def cleared(env: Mapping[str, str]) -> dict[str, str]:
    """*env* without what this machine, its CI or its developer would have a say in."""
    return {name: text for name, text in env.items() if not name.startswith(_OF_A_MACHINE)}
