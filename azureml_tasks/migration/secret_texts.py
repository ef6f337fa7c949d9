"""Secrets in sources and tables: hidden in a report, which goes into logs, and never written into a table.

Passwords are at most 500 characters long here, so that a text is looked at in one go.
"""

from __future__ import annotations

import re
from typing import Any

from azureml_tasks.project.cross_checks import names_secret

_LOGIN = re.compile(r"(?<=://)(?:[^/\s'\"@:]{1,500}:(?!\d+(?:/|\s|$))[^\s'\"]{0,500}|[^/\s'\"@]{0,500})@")
"""A user and a password of an address; a password may hold any character. A port is none, nor is `@v1` after a path."""
_TOKEN = re.compile(r"https?://[^/\s'\"@:]{1,500}@")
_PASSWORD = re.compile(r"://[^/\s'\"@:]{1,500}:(?!\d+(?:/|\s|$))[^\s'\"]{0,500}@")
_HEADER = re.compile(
    r"(authorization\s{0,9}[:=]\s{0,9}(?:(?:basic|bearer|token)\s{1,9})?)([^\s'\"]+)", re.IGNORECASE
)
_WORD = r"(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s\"'])+"
_ASSIGNED = re.compile(rf"(?<![\w-])(?P<name>-{{0,2}}[A-Za-z_][\w-]{{0,200}})(?P<sign>=)(?P<value>{_WORD})")
_OF_YAML = re.compile(r"(?<![\w-])(?P<name>[A-Za-z_][\w-]{0,200})(?P<sign>['\"]?:[ \t]+)(?P<value>[^\n]+)")
_OF_ENV = re.compile(r"(?P<name>(?i:ENV)\s+[A-Za-z_]\w{0,200})(?P<sign>\s+)(?P<value>[^\s=][^\n]*)")
"""NAME VALUE of a Dockerfile's older form."""
_HEADERS = frozenset({"AUTHORIZATION", "COOKIE", "PROXY-AUTHORIZATION"})
"""Headers whose values are secrets, although their names do not end like one."""
_HIDDEN = "***"


def has_login(text: str) -> bool:
    """Return whether an address in *text* has a password or a token; a user alone is none, as in `ssh://git@host`."""
    return _PASSWORD.search(text) is not None or _TOKEN.search(text) is not None


def has_secret(command: str) -> bool:
    """Return whether a shell text holds a secret: in an address, a header or a variable, as a value of its own."""
    values = [match["value"] for match in _ASSIGNED.finditer(command) if names_secret(match["name"])]
    values += [match[2] for match in _HEADER.finditer(command)]
    return has_login(command) or any(value.strip("\"'")[:1] not in ("", "$", "/") for value in values)


def is_secret_key(name: str) -> bool:
    """Return whether the value of the key *name* in a table, such as a variable or a header, is likely a secret."""
    return names_secret(name) or name.upper() in _HEADERS


def without_secrets(value: Any, name: str = "") -> Any:
    """Return *value*, which the key *name* has in a table, with *** in place of secrets."""
    if isinstance(value, dict):
        return {key: without_secrets(part, key) for key, part in value.items()}
    if isinstance(value, list):
        return [without_secrets(part, name) for part in value]
    if not isinstance(value, str):
        return value
    return _HIDDEN if is_secret_key(name) else hide_secrets(value)


def hide_logins(text: str) -> str:
    """Return *text* with *** in place of the user and password of each address."""
    return _LOGIN.sub(f"{_HIDDEN}@", text)


def hide_secrets(text: str) -> str:
    """Return the line of a source *text* with *** in place of logins, and of values whose names tell of a secret."""
    text = hide_logins(text)
    text = _HEADER.sub(rf"\1{_HIDDEN}", text)
    for pattern in (_ASSIGNED, _OF_ENV, _OF_YAML):
        text = pattern.sub(_hidden, text)
    return text


def _hidden(match: re.Match[str]) -> str:
    return f"{match['name']}{match['sign']}{_HIDDEN}" if names_secret(match["name"]) else match[0]
