"""Download the project's Python packages while the secrets of a private index are mounted.

This runs as root during the build, on the base image alone, under the environment's own Python. So it uses the
standard library of Python 3.7, and the other scripts beside it; `install.py` lists its inputs. One more of each run
of pip without hashes is optional:

    finding.txt, finding-2.txt and so on: options of requirements files that say where and how pip finds packages

It writes a folder for `install.py`, which runs in a later step without the secrets:

    wheels/       the wheels
    packages.txt  in it: "name==version" of each package to install

No code of the project and of its packages runs here, for it could read the secrets: pip takes wheels alone, which
it only stores, and it can start no program, such as the build of a package whose address a wheel requires.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Collection

if TYPE_CHECKING or __package__:
    from azureml_tasks.in_image import conflicts, environment, install
else:  # In the image, the scripts are in no package.
    sys.dont_write_bytecode = True
    import conflicts
    import environment
    import install

WHEELS_ONLY = "--only-binary=:all:"
ONLY_PIP = "pip"
"""The argument with which this script is pip itself, without the right to start a program."""
OLDEST_PIP = (22, 2)  # the first with --report
ALLOW = "    invoke image.build --allow-source-builds"
SOURCE_HINT = f"""\
    A package without a wheel is not built while secrets are mounted, for its code could read them. To allow it:
{ALLOW}"""


def be_pip(arguments: list[str]) -> None:
    """Run pip in this process, which can start no other."""

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise OSError("no program may run while secrets are mounted, so nothing is built from source")

    subprocess.Popen.__init__ = refuse  # type: ignore[method-assign]  # pip has no other way to start one
    del sys.path[0]  # the folder of this script
    sys.argv[:] = ["pip", *arguments]
    runpy.run_module("pip", run_name="__main__", alter_sys=True)


def pip(*arguments: str) -> bool:
    """Run pip in the copy of the project, for its relative paths. Return whether it succeeded."""
    script = str(environment.HERE / Path(__file__).name)
    command = [sys.executable, script, ONLY_PIP, *arguments]
    return environment.run_pip(command, hide=f"{install.SERVER}==")


def choose(*arguments: str) -> list[dict[str, Any]] | None:
    """Return pip's report of each package that `pip install` would install; None if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        if not pip("install", "--dry-run", "--report", str(report), WHEELS_ONLY, *arguments):
            return None
        packages: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))["install"]
        return packages


def pin(package: dict[str, Any]) -> str:
    """Return "name==version" of a package in pip's report."""
    return "{name}=={version}".format(**package["metadata"])


def name_of(package: dict[str, Any]) -> str:
    """Return the normalized name of a package in pip's report."""
    return environment.normal(package["metadata"]["name"])


def exact(package: dict[str, Any]) -> str:
    """Return the line that makes pip download just the package of its report."""
    if not package["is_direct"]:
        return pin(package)
    return f"{package['metadata']['name']} @ {package['download_info']['url']}"


def fetch(*arguments: str) -> bool:
    """Run `pip download` into the folder of the wheels. Return whether it succeeded."""
    return pip("download", "--no-deps", WHEELS_ONLY, "--dest", str(install.WHEELS), *arguments)


def download_hashed() -> dict[str, str] | None:
    """Download the requirements that have hashes, which pip checks. Return the pins by name; None if that fails."""
    runs = install.hashed_runs()
    if runs:
        environment.say(
            "Downloading the requirements with hashes on their own: pip needs hashes for all of a run or for none."
        )
    pins: dict[str, str] = {}
    for arguments in runs:
        packages = choose(*arguments)
        if packages is None or not fetch(*arguments):
            return None
        pins.update((name_of(package), pin(package)) for package in packages)
    return pins


def download_rest(hashed: dict[str, str]) -> dict[str, str] | None:
    """Download the other requirements. Return the pins of all packages by name; None if that fails.

    A later run finds what an earlier one has downloaded, and keeps what that one was about, as if it were installed.

    Args:
        hashed: the pins of what has been downloaded by its hash.
    """
    pins = dict(hashed)
    before = environment.installed()
    for number in install.rest_runs():
        chosen = {name: line.partition("==")[2] for name, line in pins.items()}
        arguments = install.rest_arguments(before.get(install.SERVER, ""), number, {**before, **chosen})
        earlier = ["--find-links", str(install.WHEELS)] if pins else []
        packages = choose(*earlier, *arguments) if arguments else []
        if packages is None:
            return None
        kept = {*hashed, *(name for name in install.held_names(number) if name in pins)}
        new = {name_of(each): each for each in packages if name_of(each) not in kept}
        if not fetch_chosen(new.values(), number, earlier):
            return None
        pins.update((name, pin(package)) for name, package in new.items())
    return pins


def fetch_chosen(packages: Collection[dict[str, Any]], number: int, more: list[str]) -> bool:
    """Download the packages of pip's report, from where the run *number* finds them. Return whether it succeeded."""
    finding = environment.run_file("finding", number)
    options = finding.read_text(encoding="utf-8") if finding.is_file() else ""
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "wanted.txt"
        wanted.write_text(options + "".join(f"{exact(each)}\n" for each in packages), encoding="utf-8")
        return not packages or fetch(*more, "-r", str(wanted))


def download() -> bool:
    """Download every package that the environment lacks. Return whether that succeeded."""
    install.WHEELS.mkdir(exist_ok=True)
    hashed = download_hashed()
    pins = None if hashed is None else download_rest(hashed)
    if pins is None:
        return False
    text = "".join(f"{line}\n" for line in pins.values())
    (install.WHEELS / install.PACKAGES).write_text(text, encoding="utf-8")
    return True


def require_new_pip() -> None:
    """Raise Refusal if pip is too old to say what it would install."""
    version = str(import_module("pip").__version__)
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < OLDEST_PIP:
        what = f"pip {version} of the base cannot download packages without running them; 22.2 or newer can."
        fix = f"    Choose a newer base, or let the code of packages run beside the secrets:\n{ALLOW}"
        raise environment.Refusal(f"{what}\n{fix}")


def main() -> int:
    """Download the packages and return 0, or print why not and return 1."""
    # What pip caches may name the index, so it does not stay beside the script, whose folder the next step sees.
    with tempfile.TemporaryDirectory() as cache:
        os.environ.setdefault("PIP_CACHE_DIR", cache)
        try:
            install.require_secrets()
            environment.require_pip()
            require_new_pip()
            succeeded = download()
        except environment.Refusal as refusal:
            environment.say(str(refusal), "The image was not built.")
            return 1
    if not succeeded:
        environment.say(
            "pip could not download the packages:",
            *environment.indented(conflicts.pip_cause()),
            install.LOGIN_HINT,
            SOURCE_HINT,
            "The image was not built.",
        )
        return 1
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == [ONLY_PIP]:
        be_pip(sys.argv[2:])
    sys.exit(main())
