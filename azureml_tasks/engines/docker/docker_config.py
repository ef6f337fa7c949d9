"""Docker's configuration, config.json, as docker's client reads it; what cannot be used is named by file and key.

https://docs.docker.com/reference/cli/docker/#docker-cli-configuration-file-configjson-properties
"""

from __future__ import annotations

import base64
import json
import os
import re
import stat
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.errors import EngineError
from azureml_tasks.plain_text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LARGEST = 16 * 1024 * 1024  # bytes; a configuration has a few thousand
_HUB, _HUB_KEY = "docker.io", "https://index.docker.io/v1/"
"""Docker Hub, and its key in `auths` and for credential helpers (docker/cli, cli/command/registry.go)."""
_PROXY_KEYS = {
    "httpProxy": "HTTP_PROXY",
    "httpsProxy": "HTTPS_PROXY",
    "ftpProxy": "FTP_PROXY",
    "noProxy": "NO_PROXY",
    "allProxy": "ALL_PROXY",
}
"""Keys of a proxy configuration and their variables, each of which is set in lower case too
(docker/cli, cli/config/configfile/file.go: ParseProxyConfig)."""


class Helper(NamedTuple):
    """A credential helper, the program `docker-credential-NAME`.

    Args:
        program: its file name.
        key: of the configuration that names it.
        file: the configuration.
    """

    program: str
    key: str
    file: Path


class DockerConfig(NamedTuple):
    """What docker's configuration says.

    Args:
        file: config.json, which need not exist; None if this user has no home folder.
        values: of the file; empty if it does not exist.
    """

    file: Path | None = None
    values: Mapping[str, Any] = MappingProxyType({})

    @property
    def folder(self) -> Path | None:
        """The folder with contexts, plug-ins and certificates; None if this user has no home folder."""
        return self.file.parent if self.file else None

    @property
    def context(self) -> str:
        """The name of the current context."""
        return self.values.get("currentContext") or "default"

    @property
    def plugin_folders(self) -> list[str]:
        """More folders of plug-ins of docker's client."""
        return list(self.values.get("cliPluginsExtraDirs") or [])

    def proxies(self, host: str) -> dict[str, str]:
        """Return the proxy variables that the engine at *host* gives to builds and containers."""
        proxies = self.values.get("proxies") or {}
        entry = proxies.get(host, proxies.get("default")) or {}
        given = {variable: entry[key] for key, variable in _PROXY_KEYS.items() if entry.get(key)}
        return given | {variable.lower(): value for variable, value in given.items()}

    def helper(self, registry: str) -> Helper | None:
        """Return the credential helper for the login server *registry*; None if none is named."""
        helpers, key = self.values.get("credHelpers") or {}, registry_key(registry)
        name, where = helpers.get(key), f"credHelpers.{key}"
        if not name:
            name, where = self.values.get("credsStore"), "credsStore"
        return Helper(f"docker-credential-{name}", where, self.file) if name and self.file else None

    def entry(self, registry: str) -> dict[str, Any]:
        """Return the entry of `auths` for the login server *registry*; empty if there is none."""
        entries = self.values.get("auths") or {}
        by_host = {_host_of(key): entry for key, entry in entries.items()}
        return dict(entries.get(registry_key(registry)) or by_host.get(registry) or {})


def registry_key(registry: str) -> str:
    """Return the key for the login server *registry* in docker's configuration and for credential helpers."""
    return _HUB_KEY if registry == _HUB else registry


def read_docker_config() -> DockerConfig:
    """Read config.json in DOCKER_CONFIG or `~/.docker`.

    Raises:
        EngineError: it cannot be read, is not JSON, or a key has a value of another type.
    """
    folder = os.environ.get("DOCKER_CONFIG")
    home = None if folder else _home()
    if not folder and not home:
        return DockerConfig()
    file = Path(folder) / "config.json" if folder else Path(str(home), ".docker", "config.json")
    return read_config(file)


def read_config(file: Path) -> DockerConfig:
    """Read the configuration *file*; errors as of `read_docker_config`."""
    try:
        content = _content(file)
    except (OSError, ValueError) as error:
        raise _unusable(file, f"cannot be read: {error}") from error
    if content is None:
        return DockerConfig(file=file)
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _unusable(file, f"is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise _unusable(file, "must be an object of JSON")
    if problems := _problems(values):
        raise _unusable(file, f"cannot be used: {'; '.join(problems)}")
    return DockerConfig(file=file, values=values)


def decoded_login(entry: Mapping[str, Any]) -> tuple[str, str]:
    """Return user and password of an entry of `auths`; both "" if it has none.

    Raises:
        ValueError: its `auth` is not base64 of `user:password`.
    """
    if "auth" not in entry:
        return entry.get("username") or "", entry.get("password") or ""
    user, colon, password = base64.b64decode(entry["auth"].encode("ascii")).decode().partition(":")
    if not colon:
        raise ValueError("there is no colon")
    return user, password.rstrip("\0")


def _home() -> Path | None:
    """Return the home folder as docker's client finds it: an empty HOME is as good as none."""
    if home := os.environ.get("USERPROFILE" if os.name == "nt" else "HOME"):
        return Path(home)
    if os.name == "nt":
        return None
    import pwd

    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None


def _content(file: Path) -> bytes | None:
    """Return what the file holds; None if it does not exist. A pipe, which would block, is not opened."""
    try:
        status = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is not a file")
    if status.st_size > _LARGEST:
        raise ValueError(f"it has more than {_LARGEST:,} bytes")
    return file.read_bytes()


def _unusable(file: Path, why: str) -> EngineError:
    fix = clean(f"Correct it, or move it away: mv {file} {file}.old")
    return EngineError(clean(f"Docker's configuration {file} {why}."), next_step=fix)


def _problems(values: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the keys that are used, by us or by Docker's SDK."""
    problems = [
        problem
        for key, check in _CHECKS.items()
        if key in values and (values[key] is not None or key in _NEVER_NULL)
        for problem in check(key, values[key])
    ]
    # Without these three keys Docker's SDK takes each key of the file for a registry (docker/auth.py: load_config).
    if problems or any(values.get(key) for key in ("auths", "credsStore", "credHelpers")):
        return problems
    entries = {key: entry for key, entry in values.items() if isinstance(entry, dict)}
    return [problem for key, entry in entries.items() for problem in _login_problems(key, entry)]


def _text(key: str, value: Any) -> list[str]:
    if not isinstance(value, str):
        return [f'"{key}" must be a string, got {_kind(value)}']
    # Half a surrogate pair, which JSON can hold, has no place in a path or a header.
    return [] if value.isprintable() else [f'"{key}" has characters that cannot be printed']


def _helper_name(key: str, value: Any) -> list[str]:
    if problems := _text(key, value):
        return problems
    is_name = re.fullmatch(r"[\w.-]*", value, re.ASCII)
    return [] if is_name else [f'"{key}" must be the name of a credential helper, got "{value}"']


def _list(key: str, value: Any) -> list[str]:
    if not isinstance(value, list):
        return [f'"{key}" must be an array of strings, got {_kind(value)}']
    return [problem for number, item in enumerate(value) for problem in _text(f"{key}[{number}]", item)]


def _object(of: Callable[[str, Any], list[str]]) -> Callable[[str, Any], list[str]]:
    def check(key: str, value: Any) -> list[str]:
        if not isinstance(value, dict):
            return [f'"{key}" must be an object, got {_kind(value)}']
        names = [problem for name in value for problem in _text(f"{key}.{name}", name)]
        return names or [problem for name, item in value.items() for problem in of(f"{key}.{name}", item)]

    return check


def _proxy(key: str, value: Any) -> list[str]:
    if not isinstance(value, dict):
        return [f'"{key}" must be an object, got {_kind(value)}']
    given = {name: value[name] for name in _PROXY_KEYS if value.get(name) is not None}
    return [problem for name, item in given.items() for problem in _text(f"{key}.{name}", item)]


def _login(key: str, value: Any) -> list[str]:
    if not isinstance(value, dict):
        return [f'"{key}" must be an object, got {_kind(value)}']
    texts = [
        problem
        for name in ("username", "password", "identitytoken")
        if value.get(name) is not None
        for problem in _text(f"{key}.{name}", value[name])
    ]
    return texts or _login_problems(key, value)


def _login_problems(key: str, entry: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a user and password; their values are shown nowhere."""
    if "auth" not in entry or entry.get("identitytoken"):
        return []
    try:
        decoded_login(entry)
    except (ValueError, AttributeError):
        return [f'"{key}.auth" is not base64 of USER:PASSWORD']
    return []


def _kind(value: Any) -> str:
    """Return of which type of JSON *value* is; the value itself may be a password."""
    kinds = {bool: "a boolean", str: "a string", list: "an array", dict: "an object", type(None): "null"}
    return kinds.get(type(value), "a number")


_CHECKS: Mapping[str, Callable[[str, Any], list[str]]] = {
    "currentContext": _text,
    "credsStore": _helper_name,
    "credHelpers": _object(_helper_name),
    "auths": _object(_login),
    "proxies": _object(_proxy),
    "HttpHeaders": _object(_text),
    "cliPluginsExtraDirs": _list,
}
_NEVER_NULL = {"proxies", "HttpHeaders"}
"""For docker's client null is as good as absent, but Docker's SDK cannot read these as null."""


def _host_of(key: str) -> str:
    host = key.removeprefix("http://").removeprefix("https://").partition("/")[0]
    return _HUB if host == f"index.{_HUB}" else host
