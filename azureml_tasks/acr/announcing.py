"""A build in the cloud as the commands that do the same, to paste."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.acr import commands

if TYPE_CHECKING:
    from azureml_tasks.acr.building import Build
    from azureml_tasks.terminal import Terminal

__all__ = ["announced"]


def announced(build: Build, terminal: Terminal) -> bool:
    """Say what is done; whether it is to be done."""
    unpacked = terminal.effect(commands.unpack(), before=f"invoke image.context{terminal.flags} | ")
    if build.by_task:
        return unpacked & terminal.effect(commands.run(build.plan), file=str(build.file()))
    return unpacked & terminal.effect(commands.build(build.plan, build.context.sha256))
