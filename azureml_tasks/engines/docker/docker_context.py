"""The engine that docker's client would use: its address and its certificates, found once for a whole run."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from azureml_tasks.engines.docker.docker_config import DockerConfig, read_docker_config
from azureml_tasks.errors import EngineError
from azureml_tasks.plain_text import clean

DEFAULT_HOST = "npipe:////./pipe/docker_engine" if sys.platform == "win32" else "unix:///var/run/docker.sock"
"""Where docker's client looks for an engine."""
_DEFAULT_TLS_HOST = "tcp://localhost:2376"
"""Where docker's client looks for an engine with TLS that has no other address (docker/cli, opts/hosts.go)."""


class Certificates(NamedTuple):
    """The files for TLS with an engine at a TCP address.

    Args:
        ca: of the authority that signed the engine's certificate; "" for those that this machine trusts.
        client: this user's certificate; "" for none.
        key: of that certificate.
        verify: whether the engine's certificate is checked.
    """

    ca: str
    client: str
    key: str
    verify: bool


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where the engine of a run is. Our own requests, Docker's SDK and docker's client all use it.

    Args:
        context: name of the docker context; `default` if DOCKER_HOST names the engine.
        host: its address, such as `unix:///var/run/docker.sock`.
        from_variable: whether DOCKER_HOST names it.
        certificates: for TLS; None for none.
        config: docker's configuration.
    """

    context: str
    host: str
    from_variable: bool = False
    certificates: Certificates | None = None
    config: DockerConfig = field(default_factory=DockerConfig, compare=False, repr=False)

    @property
    def where(self) -> str:
        """What leads to the engine, and its address, for an error."""
        return (
            f"DOCKER_HOST names {self.host}"
            if self.from_variable
            else f'context "{self.context}", {self.host}'
        )


def find_endpoint() -> Endpoint:
    """Return the engine that docker's client would use.

    The order is DOCKER_HOST, DOCKER_CONTEXT, then `currentContext` of docker's configuration:
    https://docs.docker.com/engine/manage-resources/contexts/#use-a-different-context.

    Raises:
        EngineError: DOCKER_HOST is not an address, the context does not exist or cannot be read, a certificate is
            missing, or docker's configuration cannot be used.
    """
    config = read_docker_config()
    if host := os.environ.get("DOCKER_HOST"):
        if not _is_address(host):
            fix = f"unset DOCKER_HOST\nor: export DOCKER_HOST={DEFAULT_HOST}"
            what = f'DOCKER_HOST is "{host}", which is not the address of an engine.'
            raise EngineError(clean(what), next_step=fix)
        certificates = _certificates_of_variables(config)
        return Endpoint(
            context="default", host=host, from_variable=True, certificates=certificates, config=config
        )
    name = os.environ.get("DOCKER_CONTEXT") or config.context
    if name == "default":
        certificates = _certificates_of_variables(config)
        host = _DEFAULT_TLS_HOST if certificates else DEFAULT_HOST
        return Endpoint(context=name, host=host, certificates=certificates, config=config)
    return _stored(name, config)


def _is_address(host: str) -> bool:
    """Return whether docker's client and its SDK take *host* for the same address."""
    try:
        parts = urlsplit(host)
        has_port = parts.port is not None
    except ValueError:
        return False
    if not host.isprintable() or parts.query or parts.fragment or parts.password is not None:
        return False
    if parts.scheme == "npipe":
        return sys.platform == "win32" and bool(parts.netloc or parts.path)
    if parts.scheme == "unix":
        return not parts.netloc and parts.path.startswith("/") and ";" not in host
    if parts.scheme == "ssh":
        return bool(parts.hostname) and parts.path in {"", "/"}
    return parts.scheme in {"tcp", "http", "https"} and bool(parts.hostname) and has_port


def _certificates_of_variables(config: DockerConfig) -> Certificates | None:
    """Return the certificates that DOCKER_TLS_VERIFY and DOCKER_TLS ask for, as docker's client reads them.

    https://docs.docker.com/engine/security/protect-access/#secure-by-default. Without these two variables docker's
    client ignores DOCKER_CERT_PATH (docker/cli, cli/flags/options.go: SetDefaultOptions).

    Raises:
        EngineError: the certificate of the authority is missing.
    """
    verify = bool(os.environ.get("DOCKER_TLS_VERIFY"))
    if not verify and not os.environ.get("DOCKER_TLS"):
        return None
    folder = Path(os.environ.get("DOCKER_CERT_PATH") or config.folder or os.devnull)
    certificates = _certificates_in(folder, verify=verify)
    if not certificates.ca:
        variable = "DOCKER_TLS_VERIFY" if verify else "DOCKER_TLS"
        fix = f"export DOCKER_CERT_PATH=FOLDER, which has ca.pem, cert.pem and key.pem\nor: unset {variable}"
        what = f"{variable} asks for TLS with the engine, but {folder / 'ca.pem'} is not a file."
        raise EngineError(clean(what), next_step=fix)
    return certificates


def _certificates_in(folder: Path, *, verify: bool) -> Certificates:
    ca, client, key = (str(folder / name) for name in ("ca.pem", "cert.pem", "key.pem"))
    has_client = os.path.isfile(client) and os.path.isfile(key)  # noqa: PTH113 -- Path.is_file raises without access
    return Certificates(
        ca=ca if os.path.isfile(ca) else "",  # noqa: PTH113 -- likewise
        client=client if has_client else "",
        key=key if has_client else "",
        verify=verify,
    )


def _stored(name: str, config: DockerConfig) -> Endpoint:
    """Return the engine of a context, whose folders are named by the hash of the context's name."""
    hashed = sha256(name.encode(errors="surrogateescape")).hexdigest()
    contexts = (config.folder or Path(os.devnull)) / "contexts"
    file = contexts / "meta" / hashed / "meta.json"
    try:
        described: dict[str, Any] = json.loads(file.read_bytes())["Endpoints"]["docker"]
        host, verify = described["Host"] or DEFAULT_HOST, not described.get("SkipTLSVerify")
        if not isinstance(host, str) or not _is_address(host):
            raise ValueError(f"{json.dumps(host)} is not the address of an engine")  # noqa: TRY301 -- one handler
    except (FileNotFoundError, NotADirectoryError) as error:
        fix = "docker context ls\nthen: docker context use NAME"
        raise EngineError(clean(f'The docker context "{name}" does not exist.'), next_step=fix) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        fix = f"docker context rm {name}\nthen create it again"
        what = f'The docker context "{name}" cannot be read from {file}.'
        said = f"{type(error).__name__}: {error}"
        raise EngineError(clean(what), next_step=clean(fix), said=clean(said)) from error
    certificates = _certificates_in(contexts / "tls" / hashed / "docker", verify=verify)
    has_any = certificates.ca or certificates.client or not verify
    return Endpoint(context=name, host=host, certificates=certificates if has_any else None, config=config)
