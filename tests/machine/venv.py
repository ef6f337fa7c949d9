"""Virtual environments that are made once and made again when what they hold has changed.

Standard library alone: this runs on a machine that has nothing but Python.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.machine import apt

__all__ = ["CHECKOUT", "apart", "ensure", "enter", "pythons"]

CHECKOUT = Path(__file__).parents[2]
_OLDEST, _NEWEST = 10, 13
_ALL = ("--group", "test")


def enter(arguments: Sequence[str]) -> None:
    """Become Invoke inside the checkout's `.venv`, which has all that the tasks need; never returns."""
    if sys.version_info < (3, _OLDEST):
        sys.exit(f"Python 3.{_OLDEST} or later is needed; {sys.executable} is older.")
    try:
        python = ensure(sys.executable, CHECKOUT / ".venv", _ALL)
    except apt.NotPossibleError as error:
        sys.exit(str(error))
    os.chdir(CHECKOUT)
    os.execv(python, [str(python), "-m", "invoke", *(arguments or ["--list"])])  # noqa: S606 -- no shell is wanted


def ensure(python: str, folder: Path, arguments: Sequence[str], *, pip_of: str = "") -> Path:
    """Make or refresh the virtual environment in *folder*, with this project in it, editable.

    Args:
        python: the interpreter that it is for.
        folder: where it is; one that stands on another interpreter is emptied.
        arguments: further arguments of `pip install`.
        pip_of: the interpreter whose pip installs into it, which then needs none of its own.

    Returns:
        Its interpreter.

    Raises:
        NotPossibleError: it cannot be made, or pip cannot install into it.
    """
    inside = folder / "bin" / "python"
    stamp = folder / ".stamp"
    project = (CHECKOUT / "pyproject.toml").read_bytes()
    version = _version(python)
    key = hashlib.sha256(b"\0".join([project, f"{CHECKOUT} {version} {arguments}".encode()])).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == key and _version(str(inside)):
        return inside
    if version != _version(str(inside)):
        _create(python, folder, *(["--without-pip"] if pip_of else []))
    apt.say(f"installing the project and its tools into {folder}")
    quiet = ["install", "--quiet", "--disable-pip-version-check"]
    pip = [pip_of, "-m", "pip", "--python", str(inside)] if pip_of else [str(inside), "-m", "pip"]
    if not pip_of:
        apt.run(*pip, *quiet, "--upgrade", "pip>=25.1")  # the first that knows dependency groups
    apt.run(*pip, *quiet, "--editable", str(CHECKOUT), *arguments, folder=CHECKOUT)
    stamp.write_text(key, encoding="utf-8")
    return inside


def apart(alone: str, packages: Sequence[str]) -> Path:
    """An environment below `.machine` for what may not enter `.venv`, made once.

    Args:
        alone: `name==version`, installed without what it asks for.
        packages: what of that it needs.

    Returns:
        Its interpreter.

    Raises:
        NotPossibleError: pip cannot install them; the words end with what it said.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = CHECKOUT / ".machine" / f"{alone.replace('==', '-')}-python{version}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with apt.alone(folder.with_name(f"{folder.name}.lock")):
        if not (folder / "done").exists():
            _fill(folder, alone, packages)
    return folder / "bin" / "python"


def _fill(folder: Path, alone: str, packages: Sequence[str]) -> None:
    apt.say(f"installing {alone} into {folder}")
    shutil.rmtree(folder, ignore_errors=True)
    apt.run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    # Bytecode of everything would take longer than that of the little that is imported.
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        f"{folder}/bin/python",
        "install",
        "--quiet",
        "--no-compile",
    ]
    apt.run(*pip, "--disable-pip-version-check", *packages)
    apt.run(*pip, "--disable-pip-version-check", "--no-deps", alone)
    (folder / "done").touch()


def pythons(*, but: tuple[int, int]) -> Iterator[tuple[str, str]]:
    """The supported Pythons of this machine, one of each minor version.

    Args:
        but: the version that is left out.

    Yields:
        version (`3.12`), interpreter.
    """
    for minor in range(_OLDEST, _NEWEST + 1):
        if (3, minor) == but:
            continue
        name = f"python3.{minor}"
        homes = sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin"), reverse=True)
        for folder in [*os.environ.get("PATH", os.defpath).split(os.pathsep), *map(str, homes)]:
            if _version(f"{folder}/{name}").startswith(f"3.{minor}."):
                yield f"3.{minor}", f"{folder}/{name}"
                break


def _create(python: str, folder: Path, *flags: str) -> None:
    if python == sys.executable and importlib.util.find_spec("ensurepip") is None:
        apt.need({"/usr/share/doc/python3-venv": "python3-venv"}, why="a virtual environment")
    apt.say(f"making a virtual environment in {folder}")
    apt.run(python, "-m", "venv", "--clear", *flags, str(folder))


def _version(python: str) -> str:
    """`3.12.1` for an interpreter that runs, empty for what does not (a shim without a version behind it)."""
    try:
        ended = subprocess.run([python, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    match = re.match(r"Python (\d+\.\d+\.\d+)", ended.stdout)
    return match.group(1) if match and ended.returncode == 0 else ""
