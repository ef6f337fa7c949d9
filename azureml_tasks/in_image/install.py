"""Install the project's Python packages next to the inference server that the base image has.

This runs as root during the build, under the environment's own Python. So it uses the standard library of Python 3.7
alone. Each of these files and folders beside it is optional:

    hashed.txt        -r lines of the requirements files that have hashes
    requirements.txt  -r lines of the others, and the requirements from pyproject.toml
    pinned.txt        the versions that the files with hashes pin, as constraints
    added.txt         -r lines of the requirements that were added, if they can be installed alone
    project/          requirements files and wheels, at their paths in the project
    wheels/           what download.py has downloaded, to be installed without an index
    pip-conf, netrc   secrets, mounted while this runs if packages may be built from source

All output goes to stdout, because builders may change the order of two streams.
"""

from __future__ import annotations

import codecs
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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = Path(__file__).resolve().parent
PROJECT = HERE / "project"
WHEELS = HERE / "wheels"
PACKAGES = "packages.txt"
INPUTS = ("hashed.txt", "requirements.txt", "pinned.txt", "added.txt", "finding.txt")
SERVER = "azureml-inference-server-http"

# The first Python with importlib.metadata is 3.8.
LISTS_PACKAGES = sys.version_info >= (3, 8)

# pip hides passwords in URLs, but not in a line of a pip.conf that it cannot parse.
LOGIN = re.compile(r"://([^/\s:@]*:)?[^/\s]*@")

# The mark of UTF-32 begins with that of UTF-16.
BYTE_ORDER_MARKS = [
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
]

# A line of `pip check`, the same since pip 10 (pip/_internal/commands/check.py).
CONFLICT = re.compile(
    r"(?P<package>\S+) (?P<version>\S+) (?:has requirement|requires) (?P<need>.+), "
    r"(?:but you have (?P<other>\S+) (?P<installed>\S+)|which is not installed)\."
)

SECRETS = {"PIP_CONFIG_FILE": "pip-conf", "NETRC": "netrc"}
LOGIN_HINT = (
    "    If an index refuses the login, pip finds no versions in it: check the secrets pip-conf and netrc."
)

NO_PIP = """\
    Choose a base whose environment has pip, or add it in pyproject.toml:
    [[tool.azureml-image.run]]
    after = "apt"
    command = '"$AZUREML_CONDA_ENVIRONMENT_PATH/bin/python" -m ensurepip'"""


class Refusal(Exception):
    """The reason why the packages cannot be installed, and what to do about it."""


def say(*lines: str) -> None:
    """Print *lines* at once, to keep their order among pip's own, and hide the passwords in them."""
    sys.stdout.write("".join(LOGIN.sub(r"://\1****@", line) + "\n" for line in lines))
    sys.stdout.flush()


def indented(lines: list[str]) -> list[str]:
    """Return the lines indented."""
    return ["    " + line for line in lines]


def environment(variables: dict[str, str]) -> dict[str, str]:
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
        env={**environment(dict(os.environ)), "PIP_QUIET": "0", "PIP_VERBOSE": "0"},
    )
    # `pip check` exits with 1 if it finds a conflict, `pip show` if a package is not installed.
    if done.returncode not in (0, 1):
        errors = "\n".join(indented(done.stderr.splitlines()))
        raise Refusal(f"pip {arguments[0]} exited with code {done.returncode}:\n{errors}")
    return done.stdout


def install(*arguments: str) -> bool:
    """Run `pip install` in the copy of the project, for its relative paths. Return whether it succeeded."""
    return run_pip([sys.executable, "-m", "pip", "install", *arguments])


def run_pip(command: list[str]) -> bool:
    """Run *command*, which is pip's, in the copy of the project and show its output. Return whether it succeeded."""
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        cwd=str(PROJECT if PROJECT.is_dir() else HERE),
        env=environment(dict(os.environ)),
    ) as running:
        for line in running.stdout or ():
            # Leave out some forty lines: one for each installed package that the server needs.
            if not (line.startswith("Requirement already satisfied") and f"{SERVER}==" in line):
                say(line.rstrip())
    return running.returncode == 0


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


def pip_check() -> list[str]:
    """Return the conflicts that `pip check` reports, one line each."""
    return [line for line in pip_output("check").splitlines() if line != "No broken requirements found."]


def was_known(conflict: str, before: dict[str, str]) -> bool:
    """Return whether `pip check` would have reported *conflict* for the packages *before*."""
    package, version, *_ = [*conflict.split(), "", ""]
    if before.get(normal(package)) != version:
        return False
    match = CONFLICT.match(conflict)
    if not match:
        return True  # It is about this package alone, such as "is not supported on this platform".
    need = import_module("pip._vendor.packaging.requirements").Requirement(match.group("need"))
    version_before = before.get(normal(need.name))
    return version_before is None or not need.specifier.contains(version_before, prereleases=True)


def decoded(data: bytes) -> str:
    """Return the text of a requirements file, in the encoding by which pip reads it."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    coding = re.match(rb"(?:[^\n]*\n)?#[^\n]*coding[:=]\s*([-\w.]+)", data)
    try:
        return data.decode(coding.group(1).decode() if coding else "utf-8", "replace")
    except (LookupError, ValueError):
        return data.decode("utf-8", "replace")


def requirement_lines(name: str) -> list[str]:
    """Return where the project requires a package, each as "file:line: requirement"."""
    lines = []
    for path in [HERE / "requirements.txt", *sorted(PROJECT.rglob("*"))]:
        if not path.is_file() or path.suffix == ".whl":
            continue
        for number, line in enumerate(decoded(path.read_bytes()).splitlines(), 1):
            # After an @ follows a URL, which may hold a password.
            requirement = re.split(r"\s*[@#\\]|\s+--", line.strip())[0]
            match = re.match(r"(?:\S*/)?([\w.]+)-\S+\.whl$|(\w[\w.-]*)", requirement)
            if match and normal(match.group(1) or match.group(2)) == name:
                in_project = path.parent != HERE
                file = f"{path.relative_to(PROJECT)}:{number}" if in_project else "pyproject.toml"
                lines.append(f"{file}: {requirement}")
    return lines


def version_change(name: str, before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return a line that says how a package's version changed and what requires it; empty if it did not change."""
    if before.get(name) == after.get(name):
        return []
    required_by = re.search(r"^Required-by: *(\S.*)$", pip_output("show", name), flags=re.MULTILINE)
    needing = [normal(other) for other in required_by.group(1).split(", ")] if required_by else []
    needing = [f"{other} {after[other]}" for other in needing if before.get(other) != after.get(other)]
    reasons = [
        *(f"required by {line}" for line in requirement_lines(name)),
        *(f"needed by {other}" for other in needing),
    ]
    versions = f"{before.get(name, '(none)')} -> {after.get(name, '(none)')}"
    return ["    " + ", ".join([f"{name} {versions}", *reasons])]


def explained(conflict: str, before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return a conflict in plain words, with the versions that changed since the base image."""
    match = CONFLICT.match(conflict)
    if not match:
        return [conflict]
    other = match.group("other")
    state = f"and {other} {match.group('installed')} is installed" if other else "which is not installed"
    names = dict.fromkeys(normal(name) for name in (other or match.group("need"), match.group("package")))
    changes = [line for name in names for line in version_change(name, before, after)]
    return ["{package} {version} needs {need}".format(**match.groupdict()) + f", {state}", *changes]


def new_conflicts(before: dict[str, str], of_server: set[str]) -> list[str]:
    """Return, explained, the conflicts that are not in the base image; print those that are, and those without effect.

    Args:
        before: version of each package of the base by its name.
        of_server: the packages that the base's server needs, if the project may replace it.
    """
    conflicts = pip_check()
    known = [line for line in conflicts if was_known(line, before)]
    if known:
        say("pip check reports these conflicts for the base image too:", *indented(known))
    unused = without_use(of_server) if len(known) < len(conflicts) else set()
    left = [line for line in conflicts if line not in known and normal(line.split()[0]) in unused]
    if left:
        say(
            f"pip check reports these conflicts of packages that only the base's {SERVER} needed:",
            *indented(left),
        )
    new = [line for line in conflicts if line not in known and line not in left]
    after = installed() if new else {}
    return [line for conflict in new for line in explained(conflict, before, after)]


def require_pip() -> None:
    """Raise Refusal if the environment has no pip."""
    if not find_spec("pip"):
        raise Refusal(f"{sys.executable} has no pip, which installs the requirements.\n{NO_PIP}")


def require_secrets() -> None:
    """Raise Refusal if a secret is empty: pip would use another index without a word.

    BuildKit mounts nothing for an empty secret (engine 20.10) or an empty file (26.1).
    """
    for variable, name in SECRETS.items():
        file = HERE / name
        if os.environ.get(variable) == str(file) and not (file.is_file() and file.stat().st_size):
            fix = f"    Give it to the build: docker build --secret id={name},src=FILE"
            raise Refusal(f"The secret {name} is empty.\n{fix}")


def install_hashed() -> bool:
    """Install the requirements that have hashes, if any. Return whether it succeeded."""
    hashed = HERE / "hashed.txt"
    if not hashed.is_file():
        return True
    say(
        "Installing the requirements with hashes on their own: pip needs hashes for all of a run or for none."
    )
    return install("--require-hashes", "-r", str(hashed))


def server_requirement(version: str) -> str:
    """Return what keeps the server among the requirements; its name alone if the project asks for a version itself.

    With the name, pip keeps the base's version if that is what the project asks for, and installs another one if not.
    """
    return SERVER if requirement_lines(SERVER) else f"{SERVER}=={version}"


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
            say(f"Installing the other requirements, with the {SERVER} that the project requires.")
        else:
            say(
                f"Installing the other requirements with {requirement} of the base image, which pip must keep."
            )
        arguments += [requirement]
    else:
        say(f"The base image has no {SERVER}.")
    return [*arguments, "-c", str(pinned)] if arguments and pinned.is_file() else arguments


def install_downloaded() -> bool:
    """Install what download.py has downloaded, without an index. Return whether it succeeded.

    The versions were chosen there, so pip must not choose again: here it may find other packages installed.
    """
    packages = WHEELS / PACKAGES
    if not packages.stat().st_size:
        return True
    say("Installing the packages that were downloaded.")
    return install("--no-index", "--find-links", str(WHEELS), "--no-deps", "-r", str(packages))


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
        needs = requirements_of(package)
    except ValueError:
        return False
    return all(
        normal(need.name) in versions
        and need.specifier.contains(versions[normal(need.name)], prereleases=True)
        for need in needs
    )


def needed_by(packages: dict[str, tuple[str, Any]], names: Iterable[str]) -> set[str]:
    """Return those of *packages* that *names* are or need, directly or through others."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in packages and name not in found:
            found.add(name)
            with suppress(ValueError):  # pip reports it.
                waiting += [normal(need.name) for need in requirements_of(packages[name][1])]
    return found


def packages_of_server() -> set[str]:
    """Return the packages that the base's server needs if the project may replace it; else none."""
    return needed_by(distributions(), [SERVER]) if LISTS_PACKAGES and requirement_lines(SERVER) else set()


def without_use(of_server: set[str]) -> set[str]:
    """Return those of the packages *of_server* that nothing needs, now that the project has replaced the server."""
    packages = distributions() if of_server else {}
    used = [name for name in packages if name not in of_server or name == SERVER or requirement_lines(name)]
    return of_server - needed_by(packages, used)


def install_added(before: dict[str, str]) -> bool:
    """Install only the added requirements and keep every installed version. Return whether that is enough.

    It is enough if no version changed and each new package has what it needs. Then `pip check` cannot find a new
    conflict. For the same reason pip does not look for conflicts itself, which would be a third of its time.
    """
    added = HERE / "added.txt"
    if not LISTS_PACKAGES or not added.is_file() or not added.stat().st_size:
        return False
    say("Installing only the added requirements; the installed packages stay as they are.")
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "installed.txt"
        constraints.write_text(
            "".join(f"{name}=={version}\n" for name, version in before.items()), encoding="utf-8"
        )
        succeeded = install("--no-warn-conflicts", "-r", str(added), "-c", str(constraints))
    packages = distributions()
    after = {name: version for name, (version, _) in packages.items()}
    unchanged = all(after.get(name) == version for name, version in before.items())
    if (
        succeeded
        and unchanged
        and all(fits(packages[name][1], after) for name in after if name not in before)
    ):
        return True
    say("That is not enough, so all requirements are installed again.")
    return False


def remove_inputs() -> None:
    """Remove the input files, which the build of an image based on this one would use as its own.

    If BuildKit mounted them, they are not in the image, and may be impossible to remove.
    """
    shutil.rmtree(str(PROJECT), ignore_errors=True)
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
        *indented(new),
        "    If versions conflict, require other versions, or leave out packages that the base image has.",
        "The image was not built.",
    ]


def main() -> int:
    """Install the requirements and return 0, or print why not and return 1."""
    try:
        require_secrets()
        require_pip()
        before, of_server = installed(), packages_of_server()
        if (WHEELS / PACKAGES).is_file():
            succeeded = install_downloaded()
        elif install_added(before):
            remove_inputs()
            say("The added packages have what they need, and no other package has changed.")
            return 0
        else:
            succeeded = install_hashed() and install_rest(before.get(SERVER, ""))
        new = new_conflicts(before, of_server)
    except Refusal as refusal:
        say(str(refusal), "The image was not built.")
        return 1
    say(*last_lines(succeeded, new))
    if new or not succeeded:
        return 1
    remove_inputs()
    return 0


if __name__ == "__main__":
    sys.exit(main())
