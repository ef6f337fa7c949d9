"""Install the project's Python packages next to the inference server that the base image has.

This runs as root during the build, under the environment's own Python. So it uses the standard library of Python 3.7,
and the scripts `environment.py` and `conflicts.py` beside it. Each of these files and folders there is optional:

    hashed.txt        -r lines of the requirements files that have hashes
    requirements.txt  -r lines of the others, and the requirements from pyproject.toml
    pinned.txt        the versions that the files with hashes pin, as constraints
    added.txt         -r lines of the requirements that were added, if they can be installed alone
    project/          requirements files and wheels, at their paths in the project
    conda/            the packages of a conda file, at its path in the project and on its lines
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
INPUTS = ("hashed.txt", "requirements.txt", "pinned.txt", "added.txt", "finding.txt")
SERVER = conflicts.SERVER

SECRETS = {"PIP_CONFIG_FILE": "pip-conf", "NETRC": "netrc"}
LOGIN_HINT = (
    "    If an index refuses the login, pip finds no versions in it: check the secrets pip-conf and netrc."
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
    hashed = HERE / "hashed.txt"
    if not hashed.is_file():
        return True
    environment.say(
        "Installing the requirements with hashes on their own: pip needs hashes for all of a run or for none."
    )
    return install("--require-hashes", "-r", str(hashed))


def server_requirement(version: str) -> str:
    """Return what keeps the server among the requirements; its name alone if the project asks for a version itself.

    With the name, pip keeps the base's version if that is what the project asks for, and installs another one if not.
    """
    return SERVER if conflicts.requirement_lines(SERVER) else f"{SERVER}=={version}"


def install_rest(server: str) -> bool:
    """Install the other requirements in one run with the server. Return whether it succeeded.

    Args:
        server: the server's version in the base image; "" if it has none.
    """
    arguments = rest_arguments(server)
    return not arguments or install(*arguments)


def rest_arguments(server: str) -> list[str]:
    """Return pip's arguments for the requirements without hashes and the server; empty if there are none.

    The server is a requirement, not a constraint, because pip resolves only the requirements of a run: with a
    constraint, pip would install a package that the server cannot run with.

    Args:
        server: the server's version in the base image; "" if it has none.
    """
    others, pinned = HERE / "requirements.txt", HERE / "pinned.txt"
    arguments = ["-r", str(others)] if others.is_file() else []
    if server:
        requirement = server_requirement(server)
        if requirement == SERVER:
            environment.say(
                f"Installing the other requirements, with the {SERVER} that the project requires."
            )
        else:
            environment.say(
                f"Installing the other requirements with {requirement} of the base image, which pip must keep."
            )
        arguments += [requirement]
    else:
        environment.say(f"The base image has no {SERVER}.")
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
    for folder in (environment.PROJECT, environment.CONDA):
        shutil.rmtree(str(folder), ignore_errors=True)
    for name in INPUTS:
        with suppress(OSError):
            (HERE / name).unlink()


def last_lines(succeeded: bool, new: list[str]) -> list[str]:
    """Return the last lines of the log."""
    if succeeded and not new:
        return ["pip check reports no conflict that is not in the base image."]
    mounted = any((HERE / name).is_file() and (HERE / name).stat().st_size for name in SECRETS.values())
    return [
        *([] if succeeded else ["pip could not install the requirements; its messages above say why."]),
        *([LOGIN_HINT] if not succeeded and mounted else []),
        *(["pip check reports conflicts that are not in the base image:"] if new else []),
        *environment.indented(new),
        "    If versions conflict, require other versions, or leave out packages that the base image has.",
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
