"""Conflicts between packages after pip has run: which ones are new, and which requirement is behind each.

`install.py` imports this script, which lies beside it. So it uses the standard library of Python 3.7 alone.
"""

from __future__ import annotations

import codecs
import re
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING or __package__:
    from azureml_tasks.in_image import environment
else:  # In the image, the scripts are in no package.
    import environment

SERVER = "azureml-inference-server-http"

# The mark of UTF-32 begins with that of UTF-16.
BYTE_ORDER_MARKS = [
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
]

NO_SOLUTION = "ResolutionImpossible:"  # pip's exception for requirements that conflict

# A line of `pip check`, the same since pip 10 (pip/_internal/commands/check.py).
CONFLICT = re.compile(
    r"(?P<package>\S+) (?P<version>\S+) (?:has requirement|requires) (?P<need>.+), "
    r"(?:but you have (?P<other>\S+) (?P<installed>\S+)|which is not installed)\."
)


def pip_check() -> list[str]:
    """Return the conflicts that `pip check` reports, one line each.

    pip takes most of a second to start, so it is only asked if Python finds that something does not fit.
    """
    if environment.all_fit():
        return []
    lines = environment.pip_output("check").splitlines()
    return [line for line in lines if line != "No broken requirements found."]


def was_known(conflict: str, before: dict[str, str]) -> bool:
    """Return whether `pip check` would have reported *conflict* for the packages *before*."""
    package, version, *_ = [*conflict.split(), "", ""]
    if before.get(environment.normal(package)) != version:
        return False
    match = CONFLICT.match(conflict)
    if not match:
        return True  # It is about this package alone, such as "is not supported on this platform".
    need = import_module("pip._vendor.packaging.requirements").Requirement(match.group("need"))
    version_before = before.get(environment.normal(need.name))
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
    folders = (environment.PROJECT, environment.CONDA, environment.LOCKS)
    in_folders = [path for folder in folders for path in sorted(folder.rglob("*"))]
    for path in [*environment.run_files("requirements"), *in_folders]:
        if not path.is_file() or path.suffix == ".whl":
            continue
        for number, line in enumerate(decoded(path.read_bytes()).splitlines(), 1):
            # After an @ follows a URL, which may hold a password.
            requirement = re.split(r"\s*[@#\\]|\s+--", line.strip())[0]
            match = re.match(r"(?:\S*/)?([\w.]+)-\S+\.whl$|(\w[\w.-]*)", requirement)
            if match and environment.normal(match.group(1) or match.group(2)) == name:
                folder = next((each for each in folders if each in path.parents), None)
                file = f"{path.relative_to(folder)}:{number}" if folder else "pyproject.toml"
                if folder == environment.LOCKS:  # Its lines are not those of the lock file.
                    file = str(path.relative_to(folder).with_suffix(""))
                lines.append(f"{file}: {requirement}")
    return lines


def pip_cause() -> list[str]:
    """Return where the project requires what pip's last error is about, and that error; empty if it printed none.

    After a conflict, pip's last error only says where to read about conflicts; the one that names it comes before.
    """
    errors = [error for error in environment.ERRORS if not error.startswith(NO_SOLUTION)]
    if not errors:
        return []
    # An error names what it is about; one before it may name what needs that.
    required = next(filter(None, map(requirements_in, reversed(errors))), [])
    return [*required, "pip said: " + errors[-1].splitlines()[0]]


def requirements_in(error: str) -> list[str]:
    """Return where the project requires the packages that an error of pip names; the versions in it are none."""
    words = re.findall(r"[A-Za-z][\w.-]*", error.partition("(from versions:")[0])
    names = dict.fromkeys(environment.normal(word.rstrip(".-")) for word in words)
    return [line for name in names for line in requirement_lines(name)]


def version_change(name: str, before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return a line that says how a package's version changed and what requires it; empty if it did not change."""
    if before.get(name) == after.get(name):
        return []
    shown = environment.pip_output("show", name)
    required_by = re.search(r"^Required-by: *(\S.*)$", shown, flags=re.MULTILINE)
    needing = [environment.normal(other) for other in required_by.group(1).split(", ")] if required_by else []
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
    named = (other or match.group("need"), match.group("package"))
    names = dict.fromkeys(environment.normal(name) for name in named)
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
        environment.say(
            "pip check reports these conflicts for the base image too:", *environment.indented(known)
        )
    unused = without_use(of_server) if len(known) < len(conflicts) else set()
    left = [line for line in conflicts if line not in known and environment.normal(line.split()[0]) in unused]
    if left:
        environment.say(
            f"pip check reports these conflicts of packages that only the base's {SERVER} needed:",
            *environment.indented(left),
        )
    new = [line for line in conflicts if line not in known and line not in left]
    after = environment.installed() if new else {}
    return [line for conflict in new for line in explained(conflict, before, after)]


def packages_of_server() -> set[str]:
    """Return the packages that the base's server needs if the project may replace it; else none."""
    if not environment.LISTS_PACKAGES or not requirement_lines(SERVER):
        return set()
    return environment.needed_by(environment.distributions(), [SERVER])


def without_use(of_server: set[str]) -> set[str]:
    """Return those of the packages *of_server* that nothing needs, now that the project has replaced the server."""
    packages = environment.distributions() if of_server else {}
    used = [name for name in packages if name not in of_server or name == SERVER or requirement_lines(name)]
    return of_server - environment.needed_by(packages, used)
