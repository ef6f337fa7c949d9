"""How long it takes to pack and send a project to ACR's storage, ours against that of `az acr build`.

Both send the same project to the same storage emulator on this machine, in turn, each in a process of its own.
What `az` does is done by its own two functions (`azure.cli.command_modules.acr._archive_utils`); where it would
ask Azure for an address, one is given. Two times are taken: packing alone, into nothing, and packing and sending.
Reading the table and looking at every file, as ours does and az does not, counts in neither.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.machine import azure_cli, azurite, invoke_cli, venv
from tests.machine.acr.azure_state import Settings
from tests.machine.acr.storage import Storage

__all__ = ["Sent", "measure", "project", "sent_by_us"]

_SMALL_FILES = 200
_TABLE = """\
[project]
name = "scoring"
version = "1.0"

[tool.azureml-image]
base = "minimal-py312-inference"
pip = ["joblib==1.5.2"]
model = "model"
"""
_SCORE = "def init(): ...\n\n\ndef run(data): return data\n"

_MOST_MEMORY = """\
def most_memory():  # of this program alone; getrusage counts what the process had before it became this program
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
"""
_OURS = "tests.machine.sending_ours"
_AZ = f"""\
import json, os, sys, tempfile, time
from azure.cli.command_modules.acr._archive_utils import _pack_source_code
from azure.storage.blob import BlobClient
{_MOST_MEMORY}
folder, url = sys.argv[1:]
began = time.perf_counter()
_pack_source_code(folder, os.devnull, os.path.join(folder, "Dockerfile"), "0_Dockerfile")
packing = time.perf_counter() - began
began = time.perf_counter()
with tempfile.TemporaryDirectory() as scratch:
    packed = os.path.join(scratch, "build_archive.tar.gz")
    _pack_source_code(folder, packed, os.path.join(folder, "Dockerfile"), "0_Dockerfile")
    with open(packed, "rb") as data:
        blob = BlobClient.from_blob_url(url, connection_timeout=300)
        blob.upload_blob(data=data, blob_type="BlockBlob", overwrite=True)
sent = time.perf_counter() - began
print(json.dumps([packing, sent, most_memory()]))
"""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What sending a project once took.

    Args:
        packing: seconds for packing alone, into nothing.
        seconds: for packing and sending.
        memory: the most bytes that the process had.
    """

    packing: float
    seconds: float
    memory: int


def project(folder: Path, model_bytes: int) -> Path:
    """Write a project: small files of code, and a model of random bytes that do not compress."""
    (folder / "code").mkdir(parents=True)
    (folder / "model").mkdir()
    (folder / "pyproject.toml").write_text(_TABLE, encoding="utf-8")
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY . /\n", encoding="utf-8")
    (folder / "code" / "score.py").write_text(_SCORE, encoding="utf-8")
    for number in range(_SMALL_FILES):
        text = f"NUMBER = {number}\n" * 100
        (folder / "code" / f"module_{number}.py").write_text(text, encoding="utf-8")
    source = random.Random(1)  # noqa: S311 -- the same bytes each time
    with (folder / "model" / "weights.bin").open("wb") as file:
        for _ in range(model_bytes // 2**20):
            file.write(source.randbytes(2**20))
    return folder


def sent_by_us(folder: Path, url: str) -> Sent:
    """Read, pack and send the project in *folder* as `image.build --engine acr` does."""
    invoke_cli.compiled()
    return _once(sys.executable, ["-m", _OURS], folder, url)


def measure(folder: Path, rounds: int) -> Iterator[tuple[Sent, Sent]]:
    """Send the project in *folder* by both, in turn; yields ours and that of az, round by round.

    Raises:
        NotPossibleError: the emulator or az cannot be had here.
    """
    az = str(azure_cli.ensure())
    with azurite.running() as storage:
        store = Storage(azurite=storage, url=f"http://{storage.host}", settings=Settings())
        store.prepare()
        for _ in range(rounds):
            os.sync()  # What the one before has left to be written does not count.
            ours = sent_by_us(folder, store.to_upload(store.new_source()))
            os.sync()
            yield ours, _once(az, ["-c", _AZ], folder, store.to_upload(store.new_source()))


def _once(python: str, program: Sequence[str], folder: Path, url: str) -> Sent:
    # Without bytecode every run would compile what it imports.
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    ended = subprocess.run(
        [python, *program, str(folder), url],
        cwd=venv.CHECKOUT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    packing, seconds, memory = json.loads(ended.stdout.splitlines()[-1])
    return Sent(packing=float(packing), seconds=float(seconds), memory=int(memory))
