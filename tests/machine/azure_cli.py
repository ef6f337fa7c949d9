"""Microsoft's own clients of Azure, `az` and the Python SDK, in an environment of their own.

They bring an old `invoke` and much else along, so nothing of them may enter `.venv`.
"""

from __future__ import annotations

import fcntl
import shutil
import sys
from pathlib import Path

from tests.machine import apt

__all__ = ["ensure", "python"]

_FOLDER = Path(__file__).parents[2] / ".machine"
_CLI = "2.91.0"
_PACKAGES = (
    f"azure-cli-core=={_CLI}",
    "azure-identity==1.27.0",
    "azure-mgmt-containerregistry==15.1.0b3",
    "azure-mgmt-containerregistrytasks==1.0.0b1",
    "azure-mgmt-resource==24.0.0",
    "azure-storage-blob==12.29.0b1",
    # What the command modules import and azure-cli itself would have brought.
    *("azure-common==1.1.28", "colorama==0.4.6", "isodate==0.7.2", "msrest==0.7.1", "six==1.17.0"),
    "tabulate==0.10.0",
)


def ensure() -> Path:
    """Install `az` and the SDK below `.machine`, once; returns the path of `az`.

    Of the 200 packages of azure-cli only those are installed that `az acr` imports.

    Raises:
        NotPossibleError: pip cannot install them; the words end with what it said.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = _FOLDER / f"azure-cli-{_CLI}-python{version}"
    if not (folder / "done").exists():
        _FOLDER.mkdir(parents=True, exist_ok=True)
        with (_FOLDER / "azure-cli.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two runs in one checkout may not fill the same folder
            if not (folder / "done").exists():
                _install(folder)
    return folder / "bin" / "az"


def python() -> Path:
    """The interpreter that has the SDK: the one beside `az`."""
    return ensure().with_name("python")


def _install(folder: Path) -> None:
    apt.say(f"installing az {_CLI} and the Python SDK into {folder} (about 20 s)")
    shutil.rmtree(folder, ignore_errors=True)
    apt.run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    inside = str(folder / "bin" / "python")
    # Bytecode of everything would take longer than that of the little that is imported.
    pip = [sys.executable, "-m", "pip", "--python", inside, "install", "--quiet", "--no-compile"]
    apt.run(*pip, "--disable-pip-version-check", *_PACKAGES)
    apt.run(*pip, "--disable-pip-version-check", "--no-deps", f"azure-cli=={_CLI}")
    (folder / "done").touch()
