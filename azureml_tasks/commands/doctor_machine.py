"""What `image.doctor` finds about this machine without any engine: Python, uv, this installation, its disk, pip."""

from __future__ import annotations

import os
import shutil
import sys
from importlib import metadata
from importlib.util import cache_from_source
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.engines.docker.doctor_config import PROGRAM_LIMIT
from azureml_tasks.engines.docker.doctor_engine import free_space
from azureml_tasks.engines.docker.doctor_proxies import proxies_text, shell_proxies
from azureml_tasks.engines.doctor_finding import Finding, Status
from azureml_tasks.plain_text import hide_login, one_line, shell_join
from azureml_tasks.process import MissingProgram, SlowProgram, capture, find_program
from azureml_tasks.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PACKAGES = (
    *("azureml_tasks", "invoke", "docker", "requests", "urllib3", "packaging", "pathspec", "filelock"),
    *(
        "platformdirs",
        "tomli",
        "tomlkit",
        "rich",
        "yaml",
        "dependency_groups",
        "azure",
        "msal",
        "cryptography",
    ),
)
"""The modules that a task loads, besides Python's own."""
_FEW = 10
"""Modules without a compiled form that are not worth a word."""


def python_finding() -> Finding:
    """Say which Python runs the tasks."""
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", Status.OK, f"{version}, {sys.executable or 'embedded in a program'}")


def own_finding() -> Finding:
    """Say which version of this package runs, and where it lies."""
    folder = Path(__file__).resolve().parents[1]
    try:
        installed = metadata.version("azureml-tasks")
    except metadata.PackageNotFoundError:
        return Finding("azureml-tasks", Status.OK, f"{VERSION}, {folder}, not installed but on Python's path")
    if installed != VERSION:
        what = f"{VERSION}, {folder}, but the environment lists {installed}"
        why = "Another copy of it is on Python's path before the installed one."
        return Finding("azureml-tasks", Status.WARNING, what, why, "Install it again in this environment.")
    return Finding("azureml-tasks", Status.OK, f"{VERSION}, {folder}")


def uv_finding() -> Finding:
    """Say which uv is on PATH, which exports `uv.lock`."""
    why = "A project whose requirements are a uv.lock needs it."
    fix = "pip install uv\nor see https://docs.astral.sh/uv/getting-started/installation/"
    try:
        printed = capture(["uv", "--version"], timeout=PROGRAM_LIMIT)
    except MissingProgram:
        return Finding("uv", Status.NOTE, "there is none on PATH", why, fix)
    except SlowProgram:
        return Finding(
            "uv", Status.UNKNOWN, f"did not answer within {PROGRAM_LIMIT:g} s", why, "uv --version"
        )
    version = one_line(printed.stdout.strip().removeprefix("uv "))
    return Finding("uv", Status.OK, f"{version or 'of unknown version'}, {find_program('uv')}")


def installation_finding() -> Finding:
    """Say whether Python has to compile the modules of a task at each start."""
    name, files = "installation", _uncompiled()
    if len(files) < _FEW or not _stay_uncompiled(files.values()):
        return Finding(name, Status.OK, "its modules are compiled, or Python keeps what it compiles")
    folders = sorted({_package(each, file) for each, file in files.items()})
    command = (sys.executable, "-I", "-m", "compileall", "-q", *folders)
    what = f"{len(files)} modules are compiled again at each start"
    why = "Python may not keep the compiled modules"
    why += (
        ": PYTHONDONTWRITEBYTECODE is set."
        if sys.dont_write_bytecode
        else ": their folder cannot be written."
    )
    is_ours = all(os.access(folder, os.W_OK) for folder in folders) and bool(sys.executable)
    by_owner = "" if is_ours else "As the owner of these files: "
    return Finding(
        name, Status.WARNING, what, why, by_owner + shell_join(command), command if is_ours else ()
    )


def _uncompiled() -> dict[str, Path]:
    """Return loaded modules that have no compiled form, each name with its file."""
    files: dict[str, Path] = {}
    if sys.pycache_prefix:  # They are kept in a folder of the user's choice.
        return files
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name.partition(".")[0] in _PACKAGES and isinstance(file, str) and file.endswith(".py"):
            try:
                is_compiled = Path(cache_from_source(file)).exists()
            except (NotImplementedError, OSError):  # The former of a Python that compiles nothing.
                return {}
            files |= {} if is_compiled else {name: Path(file)}
    return files


def _stay_uncompiled(files: Iterable[Path]) -> bool:
    """Return whether Python cannot keep what it compiles of *files*."""
    return sys.dont_write_bytecode or not any(os.access(file.parent, os.W_OK) for file in files)


def _package(name: str, file: Path) -> str:
    """Return the folder of the package that the module *name* is in, or its own *file* if it is in none."""
    depth = name.count(".") + (file.name == "__init__.py")
    return str(file.parents[depth - 1] if depth else file)


def disk_finding(folder: Path) -> Finding:
    """Say how much room there is for build contexts and records: below *folder*, that of the project."""
    free = shutil.disk_usage(folder).free
    return free_space(
        "disk here", str(folder), free, "Remove what is not needed: build contexts are written there."
    )


def pip_finding() -> Finding:
    """Say which proxies pip has on this machine: those of the shell, or its own."""
    shell = shell_proxies()
    own = one_line(hide_login(os.environ.get("PIP_PROXY") or _configured_proxy()))
    text = f"{own}, pip's own" if own else proxies_text(shell)
    return Finding("proxies of pip", Status.OK, f"{text} on this machine; a build's pip has those of builds")


def _configured_proxy() -> str:
    """Return the proxy of pip's configuration files; "" for none, or if there is no pip beside this Python.

    Isolated, so that no module of the current folder is run in its place: https://docs.python.org/3/using/cmdline.html.
    """
    if not sys.executable:
        return ""
    try:
        printed = capture([sys.executable, "-I", "-m", "pip", "config", "list"], timeout=PROGRAM_LIMIT).stdout
    except (MissingProgram, SlowProgram):
        return ""
    settings: Mapping[str, str] = dict(line.partition("=")[::2] for line in printed.splitlines())
    return next((value.strip("\"'") for key, value in settings.items() if key.endswith(".proxy")), "")
