"""One requirement in the form of PEP 508, and whether a build can fetch what its address names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from packaging.requirements import Requirement

USE_SECRETS = (
    "Write the address without a login, and give the login to the build as a secret:\n"
    'secrets = ["netrc"] in [tool.azureml-image], then: invoke image.build --secret netrc=FILE\n'
    "or a whole pip.conf, with the index in it: pip-conf in place of netrc"
)
LOCAL_WHEEL = "Write the wheel's path, relative to the project's folder: ./wheels/NAME.whl"
_BUILD_WHEEL = (
    "Build a wheel, copy it into the project and list that: ./wheels/NAME.whl\n"
    "or, if it is public, write: git+https://HOST/PATH"
)
# https://pip.pypa.io/en/stable/topics/vcs-support/
_REMOTE = re.compile(r"(?:(?:git|hg|svn|bzr)\+(?:https?|git|svn|lp|ftp)|https?)://", re.IGNORECASE)
_BY_SSH = re.compile(r"(?:\w+\+)?(?:ssh|sftp)://|git\+[^/@:\s]+@", re.IGNORECASE)
_IN_A_FOLDER = re.compile(r"\w+\+file:", re.IGNORECASE)
_ONE_EQUALS_SIGN = re.compile(r"(?<![=<>!~])=(?!=)")
_USER = re.compile(r"//[^/?#\s]*@")
_HOST = re.compile(r"//[^/@\s]*")
_PASSWORD = re.compile(r":(?!\d+(?:[/?#]|$))")
"""A colon that no port follows."""


def parse_requirement(text: str) -> Requirement:
    """Parse a requirement.

    Raises:
        InvalidRequirement: it is none, or is nested too deep for its parser.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(text)
    except InvalidRequirement:
        raise
    except (ValueError, RecursionError) as error:
        raise InvalidRequirement(str(error) or type(error).__name__) from error


def with_two_equals_signs(text: str) -> str:
    """Return *text* with two equals signs if it has one, as in `numpy=2.1.3`; "" if that is no requirement either."""
    corrected = _ONE_EQUALS_SIGN.sub("==", text)
    if corrected == text or "@" in text:
        return ""
    from packaging.requirements import InvalidRequirement

    try:
        parse_requirement(corrected)
    except InvalidRequirement:
        return ""
    return corrected


def first_line(error: Exception) -> str:
    """Return the first line of an error's text; the other lines of packaging's errors are a drawing."""
    return str(error.args[0] if error.args else error).partition("\n")[0]


def is_remote(address: str) -> bool:
    """Return whether *address* is one that a build may be able to reach, such as `https:` or `git+https:`."""
    return _REMOTE.match(address) is not None


def has_login(address: str) -> bool:
    """Return whether *address* has a user before the "@" of its host, or a password with special characters."""
    if "@" not in address:
        return False
    return _USER.search(address) is not None or any(
        colon.start() < host.end() and "@" in address[colon.end() :]
        for host in _HOST.finditer(address)
        if (colon := _PASSWORD.search(address, host.start()))
    )


def address_problem(subject: str, address: str) -> tuple[str, str] | None:
    """Return why a build cannot use *address*, of *subject*, and the next step; None if it may be able to.

    The text shows nothing of a login.
    """
    if _BY_SSH.match(address):
        return f"{subject} is fetched by ssh, for which a build has no key", _BUILD_WHEEL
    if _IN_A_FOLDER.match(address):
        return f"{subject} is in a folder of this machine, which the build cannot read", _BUILD_WHEEL
    if not is_remote(address):
        return f"{subject} is a file of this machine, which the build cannot read", LOCAL_WHEEL
    if has_login(address):
        return f"{subject} contains a user or password", USE_SECRETS
    try:
        urlsplit(address)
    except ValueError as error:
        return f"{subject} has an address that is not valid: {error}", "Correct the address."
    return None
