"""Pack and send a project as `image.build --engine acr` does, in a process of its own; see `sending`.

Its arguments are the project's folder and the address of a blob; it prints the seconds of packing alone and of packing
and sending, and the most bytes that this process had.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import azure.storage.blob  # noqa: F401 -- its import is no part of the time

from azureml_tasks.cli.console import Console
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.commands.run_plan import plan_image
from azureml_tasks.engines.acr.gzip_archive import gzip_archive
from azureml_tasks.engines.acr.tasks_api import UploadTarget
from azureml_tasks.engines.acr.upload import upload


def main(folder: str, url: str) -> None:
    """Do both, and print what they took."""
    console = Console()
    _, context = plan_image(RunContext(folder=Path(folder), reporter=console, engine="acr"))
    began = time.perf_counter()
    for _ in gzip_archive(context.members):
        pass
    packed = time.perf_counter()
    upload(UploadTarget(url=url, path=""), context.members, console)
    print(json.dumps([packed - began, time.perf_counter() - packed, _most_memory()]))


def _most_memory() -> int:
    """Of this program alone; getrusage counts what the process had before it became this program."""
    with open("/proc/self/status", encoding="utf-8") as status:  # noqa: PTH123 -- a file of the kernel
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main(*sys.argv[1:])
