"""The environment of the base image: its pip, and the packages that are installed in it.

`install.py` and `download.py` import this script, which lies beside them. So it uses the standard library of
Python 3.7 alone. All output goes to stdout, because builders may change the order of two streams.
"""

from __future__ import annotations

import json
import os
import re
import site
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = Path(__file__).resolve().parent
PROJECT = HERE / "project"
CONDA = HERE / "conda"
LOCKS = HERE / "locks"
FOLDER = HERE / "folder.txt"

# The first Python with importlib.metadata is 3.8.
LISTS_PACKAGES = sys.version_info >= (3, 8)

# pip hides passwords in URLs, but not in a line of a pip.conf that it cannot parse.
LOGIN = re.compile(r"://([^/\s:@]*:)?[^/\s]*@")

NO_PIP = """\
    Choose a base whose environment has pip, or add it in pyproject.toml:
    [[tool.azureml-image.run]]
    after = "apt"
    command = '"$AZUREML_CONDA_ENVIRONMENT_PATH/bin/python" -m ensurepip'"""


ERROR = "ERROR: "
INDENT = "    "
ERRORS: list[str] = []
"""The errors that pip has printed since it was started last, each with the indented lines below it."""


class Refusal(Exception):
    """The reason why the packages cannot be installed, and what to do about it."""


def say(*lines: str) -> None:
    """Print *lines* at once, to keep their order among pip's own, and hide the passwords in them."""
    sys.stdout.write("".join(LOGIN.sub(r"://\1****@", line) + "\n" for line in lines))
    sys.stdout.flush()


def indented(lines: list[str]) -> list[str]:
    """Return the lines indented."""
    return ["    " + line for line in lines]


def require_pip() -> None:
    """Raise Refusal if the environment has no pip."""
    if not find_spec("pip"):
        raise Refusal(f"{sys.executable} has no pip, which installs the requirements.\n{NO_PIP}")


def pip_variables(variables: dict[str, str]) -> dict[str, str]:
    """Return *variables* with those that keep pip from asking, warning and leaving files behind.

    An old pip fails on options that it does not know, but ignores such variables. They override a pip.conf of the
    base image; its index and certificates stay as they are.
    """
    ours = {
        "PYTHONNOUSERSITE": "1",
        "PIP_USER": "0",
        "PIP_NO_INPUT": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PIP_PROGRESS_BAR": "off",
    }
    if "PIP_CACHE_DIR" in variables:
        # The cache is mounted, so it does not stay in the image.
        return {**{name: text for name, text in variables.items() if name != "PIP_NO_CACHE_DIR"}, **ours}
    return {**variables, **ours, "PIP_NO_CACHE_DIR": "1"}


def pip_output(*arguments: str) -> str:
    """Return the stdout of a pip command, even if the base image configures pip to be quiet."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", *arguments],
        check=False,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        cwd=str(HERE),
        env={**pip_variables(dict(os.environ)), "PIP_QUIET": "0", "PIP_VERBOSE": "0"},
    )
    # `pip check` exits with 1 if it finds a conflict, `pip show` if a package is not installed.
    if done.returncode not in (0, 1):
        errors = "\n".join(indented(done.stderr.splitlines()))
        raise Refusal(f"pip {arguments[0]} exited with code {done.returncode}:\n{errors}")
    return done.stdout


def working_folder() -> Path:
    """Return the folder of pyproject.toml in the copy of the project, which paths of wheels are relative to."""
    folder = PROJECT / FOLDER.read_text("utf-8") if FOLDER.is_file() else PROJECT
    return folder if folder.is_dir() else HERE


def run_pip(command: list[str], hide: str = "") -> bool:
    """Run *command*, which is pip's, in the copy of the project and show its output. Return whether it succeeded.

    Its errors are kept in ERRORS.

    Args:
        command: the program and its arguments.
        hide: of the lines "Requirement already satisfied", those that hold this text are not shown.
    """
    ERRORS.clear()
    is_error = False
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        cwd=str(working_folder()),
        env=pip_variables(dict(os.environ)),
    ) as running:
        for line in running.stdout or ():
            is_error = keep_error(line.rstrip(), is_more=is_error)
            if not (hide and line.startswith("Requirement already satisfied") and hide in line):
                say(line.rstrip())
    return running.returncode == 0


def keep_error(line: str, *, is_more: bool) -> bool:
    """Keep a line of pip's in ERRORS if it is an error, or belongs to the one before it; return whether it was kept.

    Args:
        line: without blanks at its end.
        is_more: whether the line before it was kept.
    """
    if line.lstrip().startswith(ERROR):
        ERRORS.append(line.lstrip()[len(ERROR) :])
        return True
    if is_more and line.startswith(INDENT):
        ERRORS[-1] += "\n" + line
        return True
    return False


def run_file(stem: str, number: int) -> Path:
    """Return where a file of pip's run *number* is: stem.txt, stem-2.txt and so on."""
    return HERE / (f"{stem}.txt" if number == 1 else f"{stem}-{number}.txt")


def run_files(stem: str) -> list[Path]:
    """Return the files of pip's runs in their order."""
    return list(takewhile(Path.is_file, (run_file(stem, number) for number in count(1))))


def normal(name: str) -> str:
    """Return a package's normalized name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def distributions() -> dict[str, tuple[str, Any]]:
    """Return the version and the distribution of each installed package by its normalized name."""
    packages: dict[str, tuple[str, Any]] = {}
    user_site = site.getusersitepackages()  # pip ignores this folder, because of PYTHONNOUSERSITE.
    importlib_metadata = import_module("importlib.metadata")
    for each in importlib_metadata.distributions(path=[folder for folder in sys.path if folder != user_site]):
        metadata = each.metadata  # Each access reads the file again.
        if metadata["Name"]:
            packages.setdefault(normal(metadata["Name"]), (metadata["Version"], each))
    return packages


def installed() -> dict[str, str]:
    """Return the version of each installed package by its normalized name.

    Python's own list is fast; pip takes as long to start as to check everything.
    """
    if LISTS_PACKAGES:
        return {name: version for name, (version, _) in distributions().items()}
    return {normal(each["name"]): each["version"] for each in json.loads(pip_output("list", "--format=json"))}


def requirements_of(package: Any) -> list[Any]:
    """Return the requirements of a distribution that apply here.

    Raises:
        ValueError: one of them cannot be parsed.
    """
    requirements = import_module("pip._vendor.packaging.requirements")
    needs = [requirements.Requirement(line) for line in package.requires or ()]
    return [need for need in needs if not need.marker or need.marker.evaluate({"extra": ""})]


def fits(package: Any, versions: dict[str, str]) -> bool:
    """Return whether *versions* has everything that *package* needs, as `pip check` compares."""
    try:
        return all(
            normal(need.name) in versions
            and need.specifier.contains(versions[normal(need.name)], prereleases=True)
            for need in requirements_of(package)
        )
    except (TypeError, ValueError):  # a requirement or a version that cannot be parsed
        return False


def all_fit() -> bool:
    """Return whether Python's own list shows that every installed package has what it needs."""
    if not LISTS_PACKAGES:
        return False
    packages = distributions()
    versions = {name: version for name, (version, _) in packages.items()}
    return all(fits(package, versions) for _, package in packages.values())


def needed_by(packages: dict[str, tuple[str, Any]], names: Iterable[str]) -> set[str]:
    """Return those of *packages* that *names* are or need, directly or through others."""
    needed: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in packages and name not in needed:
            needed.add(name)
            with suppress(ValueError):  # pip reports it.
                waiting += [normal(need.name) for need in requirements_of(packages[name][1])]
    return needed
