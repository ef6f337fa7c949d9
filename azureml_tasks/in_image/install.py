"""Install the project's Python packages next to the inference server that the base image has.

This runs as root during the build, under the environment's own Python. So it uses the standard library of Python 3.7,
and the scripts `environment.py` and `conflicts.py` beside it. Each of these files and folders there is optional:

    hashed.txt        -r lines of the requirements files that have hashes
    requirements.txt  -r lines of the others, and the requirements from pyproject.toml
    hashed-2.txt, requirements-2.txt and so on: the same for a further run of pip, with other indexes
    held-2.txt        the packages that runs before requirements-2.txt have installed, and that it must keep
    pinned.txt        the versions that the files with hashes pin, as constraints
    added.txt         -r lines of the requirements that were added, if they can be installed alone
    project/          requirements files and wheels, at their paths in the project
    conda/            the packages of a conda file, at its path in the project and on its lines
    locks/            the requirements that lock files were translated into
    folder.txt        the folder of pyproject.toml in it, for a project that has files outside that folder
    wheels/           what download.py has downloaded, to be installed without an index
    pip-conf, netrc   secrets, mounted while this runs if packages may be built from source
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING or __package__:
    from azureml_tasks.in_image import conflicts, environment
else:  # In the image, the scripts are in no package, and leave no bytecode behind.
    sys.dont_write_bytecode = True
    import conflicts
    import environment

HERE = environment.HERE
WHEELS = HERE / "wheels"
PACKAGES = "packages.txt"
SERVER = conflicts.SERVER

SECRETS = {"PIP_CONFIG_FILE": "pip-conf", "NETRC": "netrc"}
LOGIN_HINT = (
    "    If an index refuses the login, pip finds no versions in it: check the secrets pip-conf and netrc."
)

CONFLICT_HINT = (
    "    If versions conflict, require other versions, or leave out packages that the base image has."
)


def install(*arguments: str) -> bool:
    """Run `pip install` in the copy of the project, for its relative paths. Return whether it succeeded."""
    # Some forty lines are left out: one for each installed package that the server needs.
    return environment.run_pip([sys.executable, "-m", "pip", "install", *arguments], hide=f"{SERVER}==")


def require_secrets() -> None:
    """Raise Refusal if a secret is empty: pip would use another index without a word.

    BuildKit mounts nothing for an empty secret (engine 20.10) or an empty file (26.1).
    """
    for variable, name in SECRETS.items():
        file = HERE / name
        if os.environ.get(variable) == str(file) and not (file.is_file() and file.stat().st_size):
            fix = f"    Give it to the build: docker build --secret id={name},src=FILE"
            raise environment.Refusal(f"The secret {name} is empty.\n{fix}")


def install_hashed() -> bool:
    """Install the requirements that have hashes, if any. Return whether it succeeded."""
    runs = hashed_runs()
    if runs:
        environment.say(
            "Installing the requirements with hashes on their own: pip needs hashes for all of a run or for none."
        )
    return all(install(*arguments) for arguments in runs)


def hashed_runs() -> list[list[str]]:
    """Return pip's arguments for each run with hashes."""
    files = environment.run_files("hashed")
    # Of several runs each has only some of the packages. `pip check` finds what none of them has.
    alone = ["--no-deps"] if len(files) > 1 else []
    return [["--require-hashes", *alone, "-r", str(file)] for file in files]


def server_requirement(version: str) -> str:
    """Return what keeps the server among the requirements; its name alone if the project asks for a version itself.

    With the name, pip keeps the base's version if that is what the project asks for, and installs another one if not.
    """
    return SERVER if conflicts.requirement_lines(SERVER) else f"{SERVER}=={version}"


def rest_runs() -> range:
    """Return the numbers of the runs without hashes: there is one also if only the server is to be kept."""
    return range(1, max(1, len(environment.run_files("requirements"))) + 1)


def install_rest(server: str) -> bool:
    """Install the other requirements, in each run with the server. Return whether it succeeded.

    Args:
        server: the server's version in the base image; "" if it has none.
    """
    for number in rest_runs():
        arguments = rest_arguments(server, number, environment.installed() if number > 1 else {})
        if arguments and not install(*arguments):
            return False
    return True


def held_names(number: int) -> list[str]:
    """Return the normalized names of the packages that the run *number* must keep."""
    held = environment.run_file("held", number)
    return held.read_text(encoding="utf-8").split() if held.is_file() else []


def rest_arguments(server: str, number: int, versions: dict[str, str]) -> list[str]:
    """Return pip's arguments for a run without hashes, with the server; empty if there is nothing to install.

    The server is a requirement, not a constraint, because pip resolves only the requirements of a run: with a
    constraint, pip would install a package that the server cannot run with. So are the packages of earlier runs.

    Args:
        server: the server's version in the base image; "" if it has none.
        number: of the run, from 1.
        versions: version of each package after the earlier runs, by its name.
    """
    files, pinned = environment.run_files("requirements"), HERE / "pinned.txt"
    arguments = ["-r", str(files[number - 1])] if files else []
    run = (
        f"Run {number} of {len(files)}: installing requirements"
        if len(files) > 1
        else "Installing requirements"
    )
    if server:
        requirement = server_requirement(server)
        if requirement == SERVER:
            environment.say(f"{run}, with the {SERVER} that the project requires.")
        else:
            environment.say(f"{run}. pip must keep {requirement} of the base image.")
        arguments += [requirement]
    else:
        environment.say(f"The base image has no {SERVER}.")
    arguments += [f"{name}=={versions[name]}" for name in held_names(number) if name in versions]
    return [*arguments, "-c", str(pinned)] if arguments and pinned.is_file() else arguments


def install_downloaded() -> bool:
    """Install what download.py has downloaded, without an index. Return whether it succeeded.

    The versions were chosen there, so pip must not choose again: here it may find other packages installed.
    """
    packages = WHEELS / PACKAGES
    if not packages.stat().st_size:
        return True
    environment.say("Installing the packages that were downloaded.")
    return install("--no-index", "--find-links", str(WHEELS), "--no-deps", "-r", str(packages))


def install_added(before: dict[str, str]) -> bool:
    """Install only the added requirements and keep every installed version. Return whether that is enough.

    It is enough if no version changed and each new package has what it needs. Then `pip check` cannot find a new
    conflict. For the same reason pip does not look for conflicts itself, which would be a third of its time.
    """
    added = HERE / "added.txt"
    if not environment.LISTS_PACKAGES or not added.is_file() or not added.stat().st_size:
        return False
    environment.say("Installing only the added requirements; the installed packages stay as they are.")
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "installed.txt"
        constraints.write_text(
            "".join(f"{name}=={version}\n" for name, version in before.items()), encoding="utf-8"
        )
        succeeded = install("--no-warn-conflicts", "-r", str(added), "-c", str(constraints))
    packages = environment.distributions()
    after = {name: version for name, (version, _) in packages.items()}
    unchanged = all(after.get(name) == version for name, version in before.items())
    new = [packages[name][1] for name in after if name not in before]
    if succeeded and unchanged and all(environment.fits(package, after) for package in new):
        return True
    environment.say("That is not enough, so all requirements are installed again.")
    return False


def remove_inputs() -> None:
    """Remove the input files, which the build of an image based on this one would use as its own.

    If BuildKit mounted them, they are not in the image, and may be impossible to remove.
    """
    for folder in (environment.PROJECT, environment.CONDA, environment.LOCKS):
        shutil.rmtree(str(folder), ignore_errors=True)
    for file in HERE.glob("*.txt"):
        with suppress(OSError):
            file.unlink()


def last_lines(succeeded: bool, new: list[str]) -> list[str]:
    """Return the last lines of the log."""
    if succeeded and not new:
        return ["There are no new package conflicts."]
    errors = environment.ERRORS
    is_conflict = bool(new) or not errors or any(each.startswith(conflicts.NO_SOLUTION) for each in errors)
    mounted = any((HERE / name).is_file() and (HERE / name).stat().st_size for name in SECRETS.values())
    return [
        *([] if succeeded else ["pip could not install the requirements:"]),
        *([] if succeeded else environment.indented(conflicts.pip_cause())),
        *([LOGIN_HINT] if not succeeded and mounted else []),
        *(["pip check reports conflicts that are not in the base image:"] if new else []),
        *environment.indented(new),
        *([CONFLICT_HINT] if is_conflict else []),
        "The image was not built.",
    ]


def main() -> int:
    """Install the requirements and return 0, or print why not and return 1."""
    try:
        require_secrets()
        environment.require_pip()
        before, of_server = environment.installed(), conflicts.packages_of_server()
        if (WHEELS / PACKAGES).is_file():
            succeeded = install_downloaded()
        elif install_added(before):
            remove_inputs()
            environment.say("The added packages have what they need, and no other package has changed.")
            return 0
        else:
            succeeded = install_hashed() and install_rest(before.get(SERVER, ""))
        new = conflicts.new_conflicts(before, of_server)
    except environment.Refusal as refusal:
        environment.say(str(refusal), "The image was not built.")
        return 1
    environment.say(*last_lines(succeeded, new))
    if new or not succeeded:
        return 1
    remove_inputs()
    return 0


if __name__ == "__main__":
    sys.exit(main())
