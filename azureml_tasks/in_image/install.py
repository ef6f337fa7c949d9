"""Install the project's Python packages beside the server that the base image brings.

Runs as root while the image is built, under the environment's own Python, so it knows the
standard library of Python 3.7 and nothing of this package. Each thing beside it is optional:

    hashed.txt        -r lines of the requirements files that carry hashes
    requirements.txt  -r lines of the others, and the requirements that pyproject.toml itself names
    pinned.txt        what the files with hashes pin, as constraints
    added.txt         -r lines of what was added to what is there already, if that can be asked for alone
    project/          requirements files and wheels, at their paths in the project
    pip-conf, netrc   secrets, mounted for as long as this runs

Everything is said on one stream, since builders may put two in another order.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import site
import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

__all__ = ["main"]

HERE = Path(__file__).resolve().parent
PROJECT = HERE / "project"
GIVEN = ("hashed.txt", "requirements.txt", "pinned.txt", "added.txt")
SERVER = "azureml-inference-server-http"

# The first Python with importlib.metadata is 3.8.
LISTS_PACKAGES = sys.version_info >= (3, 8)

# pip hides the password of an address, but not in a line of a pip.conf that it cannot read.
LOGIN = re.compile(r"://([^/\s:@]*:)?[^/\s]*@")

# A line of `pip check`, worded the same since pip 10 (pip/_internal/commands/check.py).
COMPLAINT = re.compile(
    r"(?P<who>\S+) (?P<version>\S+) (?:has requirement|requires) (?P<need>.+), "
    r"(?:but you have (?P<other>\S+) (?P<has>\S+)|which is not installed)\."
)

SECRETS = {"PIP_CONFIG_FILE": "pip-conf", "NETRC": "netrc"}
REFUSED = "    An index that refuses the login is an empty one to pip: see the secrets pip-conf and netrc."

NO_PIP = """\
    Choose a base whose environment has pip, or add it in pyproject.toml:
    [[tool.azureml-image.run]]
    after = "apt"
    command = '"$AZUREML_CONDA_ENVIRONMENT_PATH/bin/python" -m ensurepip'"""


class Refusal(Exception):
    """Why the packages cannot be installed, and what to do about it."""


def say(*lines: str) -> None:
    """Write at once, so that the lines stand where they belong among pip's own; passwords in them are hidden."""
    sys.stdout.write("".join(LOGIN.sub(r"://\1****@", line) + "\n" for line in lines))
    sys.stdout.flush()


def indented(lines: list[str]) -> list[str]:
    """Set each line in."""
    return ["    " + line for line in lines]


def environment(given: dict[str, str]) -> dict[str, str]:
    """Return *given* with the answers to what pip would ask, warn of or leave behind.

    They are variables because an old pip stumbles over options that it does not know, while
    variables win over a pip.conf of the base; its index and certificates stay as they are.
    """
    answers = {
        "PYTHONNOUSERSITE": "1",
        "PIP_USER": "0",
        "PIP_NO_INPUT": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PIP_PROGRESS_BAR": "off",
    }
    if "PIP_CACHE_DIR" in given:
        # Whoever names a cache has mounted it, so it does not stay in the image.
        return {**{name: text for name, text in given.items() if name != "PIP_NO_CACHE_DIR"}, **answers}
    return {**given, **answers, "PIP_NO_CACHE_DIR": "1"}


def ask_pip(*arguments: str) -> str:
    """Return what a pip command answers on stdout, which a base that keeps pip quiet would swallow."""
    ended = subprocess.run(
        [sys.executable, "-m", "pip", *arguments],
        check=False,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        cwd=str(HERE),
        env={**environment(dict(os.environ)), "PIP_QUIET": "0", "PIP_VERBOSE": "0"},
    )
    # `pip check` ends with 1 when it finds something, `pip show` when a package is not there.
    if ended.returncode not in (0, 1):
        said = "\n".join(indented(ended.stderr.splitlines()))
        raise Refusal(f"pip {arguments[0]} ended with {ended.returncode} and said:\n{said}")
    return ended.stdout


def install(*arguments: str) -> bool:
    """Run `pip install` where relative paths mean what they mean in the project; tell if it succeeded."""
    with subprocess.Popen(
        [sys.executable, "-m", "pip", "install", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        cwd=str(PROJECT if PROJECT.is_dir() else HERE),
        env=environment(dict(os.environ)),
    ) as running:
        for line in running.stdout or ():
            # Some forty lines, one for each package that the server needs and has.
            if not (line.startswith("Requirement already satisfied") and f"{SERVER}==" in line):
                say(line.rstrip())
    return running.returncode == 0


def normal(name: str) -> str:
    """Spell a package's name as every index does (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def distributions() -> dict[str, tuple[str, Any]]:
    """Return the version of each installed package, and what else Python knows of it, by its normal name."""
    found: dict[str, tuple[str, Any]] = {}
    users = site.getusersitepackages()  # Pip does not look there: PYTHONNOUSERSITE.
    listed = import_module("importlib.metadata")
    for each in listed.distributions(path=[folder for folder in sys.path if folder != users]):
        about = each.metadata  # It is read anew each time.
        if about["Name"]:
            found.setdefault(normal(about["Name"]), (about["Version"], each))
    return found


def installed() -> dict[str, str]:
    """Return the version of each installed package by its normal name.

    Python's own list comes at once; pip takes as long to start as to check everything.
    """
    if LISTS_PACKAGES:
        return {name: version for name, (version, _) in distributions().items()}
    return {normal(each["name"]): each["version"] for each in json.loads(ask_pip("list", "--format=json"))}


def complaints() -> list[str]:
    """Return the lines of `pip check`."""
    return [line for line in ask_pip("check").splitlines() if line != "No broken requirements found."]


def was_there(complaint: str, before: dict[str, str]) -> bool:
    """Tell whether `pip check` would have said as much of the packages *before*, as pip compares versions."""
    who, version, *_ = [*complaint.split(), "", ""]
    if before.get(normal(who)) != version:
        return False
    match = COMPLAINT.match(complaint)
    if not match:
        return True  # It is about that package alone, as "is not supported on this platform" is.
    need = import_module("pip._vendor.packaging.requirements").Requirement(match.group("need"))
    had = before.get(normal(need.name))
    return had is None or not need.specifier.contains(had, prereleases=True)


def places(name: str) -> list[str]:
    """Return where the project names a package, each as "file:line: requirement"."""
    found = []
    for path in [HERE / "requirements.txt", *sorted(PROJECT.rglob("*"))]:
        if not path.is_file() or path.suffix == ".whl":
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            # What follows an @ is an address, which may hold a password.
            wanted = re.split(r"\s*[@#\\]|\s+--", line.strip())[0]
            match = re.match(r"(?:\S*/)?([\w.]+)-\S+\.whl$|(\w[\w.-]*)", wanted)
            if match and normal(match.group(1) or match.group(2)) == name:
                inside = path.parent != HERE
                where = f"{path.relative_to(PROJECT)}:{number}" if inside else "pyproject.toml"
                found.append(f"{where}: {wanted}")
    return found


def change(name: str, before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Say in a line how a package's version changed and what asked for it; nothing if it did not."""
    if before.get(name) == after.get(name):
        return []
    shown = re.search(r"^Required-by: *(\S.*)$", ask_pip("show", name), flags=re.MULTILINE)
    needing = [normal(other) for other in shown.group(1).split(", ")] if shown else []
    needing = [f"{other} {after[other]}" for other in needing if before.get(other) != after.get(other)]
    reasons = [*(f"asked for by {place}" for place in places(name)), *(f"needed by {who}" for who in needing)]
    versions = f"{before.get(name, '(none)')} -> {after.get(name, '(none)')}"
    return ["    " + ", ".join([f"{name} {versions}", *reasons])]


def explained(complaint: str, before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Put a line of `pip check` in plain words, with what changed since the base."""
    match = COMPLAINT.match(complaint)
    if not match:
        return [complaint]
    other = match.group("other")
    state = f"and {other} {match.group('has')} is installed" if other else "which is not installed"
    names = dict.fromkeys(normal(name) for name in (other or match.group("need"), match.group("who")))
    changes = [line for name in names for line in change(name, before, after)]
    return ["{who} {version} needs {need}".format(**match.groupdict()) + f", {state}", *changes]


def broken(before: dict[str, str]) -> list[str]:
    """Return, explained, what `pip check` reports and would not have reported in the base; the rest is said."""
    found = complaints()
    known = [line for line in found if was_there(line, before)]
    if known:
        say("pip check finds this in the base image, and it stays so:", *indented(known))
    new = [line for line in found if line not in known]
    after = installed() if new else {}
    return [line for complaint in new for line in explained(complaint, before, after)]


def look_for_pip() -> None:
    """Refuse an environment without pip."""
    if not find_spec("pip"):
        raise Refusal(f"{sys.executable} has no pip, which installs the requirements.\n{NO_PIP}")


def look_for_secrets() -> None:
    """Refuse an empty secret, with which pip would go to another index, and say nothing.

    Of one BuildKit mounts nothing (engine 20.10) or an empty file (26.1).
    """
    for variable, name in SECRETS.items():
        file = HERE / name
        if os.environ.get(variable) == str(file) and not (file.is_file() and file.stat().st_size):
            fix = f"    Give it to the build: docker build --secret id={name},src=FILE"
            raise Refusal(f"The secret {name} is empty.\n{fix}")


def install_hashed() -> bool:
    """Install the requirements that carry hashes, if any; tell if it succeeded."""
    hashed = HERE / "hashed.txt"
    if not hashed.is_file():
        return True
    say("Installing what has hashes, in a run of its own: pip wants hashes for all of a run or for none.")
    return install("--require-hashes", "-r", str(hashed))


def install_rest(server: str) -> bool:
    """Install the other requirements in one run with the server of that version; tell if it succeeded.

    The server is asked for because pip compares only what it is asked for: as a constraint it
    would let a requirement through that it cannot run with.
    """
    others, pinned = HERE / "requirements.txt", HERE / "pinned.txt"
    wanted = ["-r", str(others)] if others.is_file() else []
    with_it = f"the base image's {SERVER}=={server}, so that pip refuses what does not fit it"
    say(f"Installing the rest in one run with {with_it}." if server else f"The base image has no {SERVER}.")
    wanted += [f"{SERVER}=={server}"] if server else []
    return not wanted or install(*wanted, *(["-c", str(pinned)] if pinned.is_file() else []))


def fits(package: Any, there: dict[str, str]) -> bool:
    """Tell whether all that *package* needs is *there*, as `pip check` compares."""
    requirements = import_module("pip._vendor.packaging.requirements")
    try:
        needs = [requirements.Requirement(line) for line in package.requires or ()]
    except requirements.InvalidRequirement:
        return False
    needs = [need for need in needs if not need.marker or need.marker.evaluate({"extra": ""})]
    return all(
        normal(need.name) in there and need.specifier.contains(there[normal(need.name)], prereleases=True)
        for need in needs
    )


def install_added(before: dict[str, str]) -> bool:
    """Install what was added alone, and hold what is there; tell if that is all there is to do.

    Then `pip check` has nothing new to find: what was there is as it was, and what is new finds what it needs. For the
    same reason pip need not look for conflicts itself, on which it spends a third of its time here.
    """
    added = HERE / "added.txt"
    if not LISTS_PACKAGES or not added.is_file() or not added.stat().st_size:
        return False
    say("Installing what was added alone; all that is there stays as it is.")
    with tempfile.TemporaryDirectory() as folder:
        held = Path(folder) / "held.txt"
        held.write_text("".join(f"{name}=={version}\n" for name, version in before.items()), encoding="utf-8")
        succeeded = install("--no-warn-conflicts", "-r", str(added), "-c", str(held))
    found = distributions()
    after = {name: version for name, (version, _) in found.items()}
    kept = all(after.get(name) == version for name, version in before.items())
    if succeeded and kept and all(fits(found[name][1], after) for name in after if name not in before):
        return True
    say("That does not do, so everything is asked for again.")
    return False


def forget() -> None:
    """Remove what was to be installed, which an image that extends this one would take for its own.

    What BuildKit mounts is gone without that, and may not let itself be removed.
    """
    shutil.rmtree(str(PROJECT), ignore_errors=True)
    for name in GIVEN:
        with suppress(OSError):
            (HERE / name).unlink()


def verdict(succeeded: bool, new: list[str]) -> list[str]:
    """Return the closing lines of the log."""
    if succeeded and not new:
        return ["pip check finds nothing that it did not find in the base image."]
    mounted = any((HERE / name).is_file() for name in SECRETS.values())
    return [
        *([] if succeeded else ["pip did not install the requirements; its reasons stand above."]),
        *([REFUSED] if not succeeded and mounted else []),
        *(["pip check finds what it did not find in the base image:"] if new else []),
        *indented(new),
        "    Where versions clash, ask for others, or leave out what the base image brings.",
        "The image was not built.",
    ]


def main() -> int:
    """Install all that is asked for and return 0, or write why not and return 1."""
    try:
        look_for_secrets()
        look_for_pip()
        before = installed()
        if install_added(before):
            forget()
            say("What was added finds all that it needs, and nothing else has changed.")
            return 0
        succeeded = install_hashed() and install_rest(before.get(SERVER, ""))
        new = broken(before)
    except Refusal as refusal:
        say(str(refusal), "The image was not built.")
        return 1
    say(*verdict(succeeded, new))
    if new or not succeeded:
        return 1
    forget()
    return 0


if __name__ == "__main__":
    sys.exit(main())
