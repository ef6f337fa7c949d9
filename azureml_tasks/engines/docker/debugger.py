"""The debugger of a container that serves: what is put into it before it starts, never into the image."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.context.context_file import ContextFile
from azureml_tasks.in_image import debug_entry
from azureml_tasks.project.base_images import ENTRY_SCRIPT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.project.model import SmokeTestPlan

_FOLDER = "/tmp"  # noqa: S108 -- a folder of the container, which is thrown away
_SCRIPT = Path(debug_entry.__file__)
_ENTRY = "azureml_image_debug_entry.py"
_PORT, _OTHER_PORT = 5678, 5679
_LIBRARY = "pydevd_attach_to_process/attach_*.so"
_DEFAULT_SCRIPT = "main.py"
"""The script that the server takes if none is named."""
_VARIABLES = {
    "WORKER_COUNT": "1",
    "WORKER_PRELOAD": "false",  # A debugger does not follow the script into a forked process.
    "WORKER_TIMEOUT": "0",  # gunicorn ends no worker that stands still at a breakpoint.
    "SCORING_TIMEOUT_MS": "86400000",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # Else debugpy warns of Python's own frozen modules.
}
"""Variables of azureml-inference-server-http 1.5.1 (constants.py, server/config.py), and of debugpy."""


def debugpy_folder() -> Path:
    """Return the folder of the package debugpy here, which must be installed."""
    return Path(str(import_module("debugpy").__file__)).parent


def inside_port(smoke_test: SmokeTestPlan) -> int:
    """Return the port in the container at which the debugger listens."""
    return _PORT if smoke_test.port != _PORT else _OTHER_PORT


def debugged(smoke_test: SmokeTestPlan, variables: Mapping[str, str]) -> SmokeTestPlan:
    """Return what a container gets whose script waits for a debugger.

    Args:
        smoke_test: what it gets without a debugger.
        variables: that it has without a debugger, those of its image among them.
    """
    added = {
        **_VARIABLES,
        ENTRY_SCRIPT: f"{_FOLDER}/{_ENTRY}",
        debug_entry.SCRIPT: variables.get(ENTRY_SCRIPT, _DEFAULT_SCRIPT),
        debug_entry.PORT: str(inside_port(smoke_test)),
    }
    return smoke_test._replace(env={**smoke_test.env, **added})


def debugger_copies() -> dict[str, str]:
    """Return what is put into the container: path here → path there."""
    folder = debugpy_folder()
    return {str(folder): f"{_FOLDER}/{folder.name}", str(_SCRIPT): f"{_FOLDER}/{_ENTRY}"}


def debugger_files() -> list[ContextFile]:
    """Return the members of an archive for it, without debugpy's compiled modules, which are for this machine's Python.

    Without these modules debugpy uses its Python code, which is slower and runs in any version. The library that
    attaches debugpy to another process is copied as well: debugpy prints an error if it is missing.
    """
    package = debugpy_folder()
    paths = sorted(path for path in package.rglob("*") if path.suffix == ".py" or path.match(_LIBRARY))
    root = _FOLDER.strip("/")
    folders = {folder for path in paths for folder in path.relative_to(package.parent).parents} - {Path()}
    return [
        *(ContextFile(name=f"{root}/{folder.as_posix()}/") for folder in sorted(folders)),
        *(_member(path, f"{root}/{path.relative_to(package.parent).as_posix()}") for path in paths),
        _member(_SCRIPT, f"{root}/{_ENTRY}"),
    ]


def _member(path: Path, name: str) -> ContextFile:
    return ContextFile(name=name, source=str(path), size=path.stat().st_size)
