"""The options and addresses of a requirements file: what a build cannot follow, and what would show a password."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from azureml_tasks.requirement_lines import hide_login, spelled

if TYPE_CHECKING:
    from azureml_tasks.requirement_lines import Line

__all__ = ["REMOTE", "WITHOUT_LOGIN", "login_problems", "option_problems"]

REMOTE = re.compile(r"(?:(?:git|hg|svn|bzr)\+[a-z]+|https?)://", re.IGNORECASE)
# A user before the "@" of the host, or a "host" whose port is no number: a password with a slash in it.
_LOGIN = re.compile(r"//[^/?#\s]*@|//[^/@\s]*:(?!\d+(?:[/?#]|$))[^@]*@")
_INDEXES = ("index_url", "extra_index_url", "find_links")
WITHOUT_LOGIN = (
    "Use an index without login, or give pip the login by its own configuration in the base image."
)


def option_problems(line: Line) -> list[tuple[str, str]]:
    """Tell which options of a line a build cannot follow, and what to do about it."""
    wrong = []
    for value in line.options.get("editable", ()):
        fix = "List what it needs (project-dependencies = true), or build a wheel and name that."
        wrong += [(f'"-e {hide_login(value)}" installs a folder as it is edited, which an image cannot', fix)]
    for name, value in [(index, value) for index in _INDEXES for value in line.options.get(index, ())]:
        shown = re.sub(r".*@", "***@", value)
        if _LOGIN.search(value):
            wrong += login_problems(spelled(name), value)
        elif not REMOTE.match(value) and name == "find_links":
            fix = "Name the wheels themselves, one a line, from the project's folder: ./wheels/NAME.whl"
            wrong += [(f'--find-links "{shown}" is a local folder, which a build does not have', fix)]
        elif not REMOTE.match(value):
            fix = f"Write the address in full: {spelled(name)} https://HOST/simple"
            wrong += [(f'{spelled(name)} "{shown}" is no http or https address', fix)]
    return wrong


def login_problems(subject: str, address: str) -> list[tuple[str, str]]:
    """Tell that *address* carries a login, without showing any of it."""
    return [(f"{subject} carries a user or password", WITHOUT_LOGIN)] if _LOGIN.search(address) else []
