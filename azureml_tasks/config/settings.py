"""The table `[tool.azureml-image]`, declared once.

Each field is a key (kebab-case in TOML); `keys.py` says what is declared of one. The reader, the JSON
schema, the README's table and every message come from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from azureml_tasks.config import azure_validators, validators
from azureml_tasks.config.fields import (
    ANY,
    BOOLEAN,
    INTEGER,
    NUMBER,
    STRING,
    STRING_OR_STRINGS,
    STRINGS,
    TABLE,
    TABLE_OF_STRINGS,
    TABLES,
    UNSET,
    declare,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Acr", "Request", "Run", "Secret", "Secrets", "Settings", "SmokeTest"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One of `smoke-test.requests`."""

    body: Any = declare(ANY, "a TOML value, sent as its JSON; exactly one of `body` and `file`", UNSET)
    file: str | None = declare(STRING, "a file whose bytes are sent", rule=validators.PATH)
    path: str = declare(STRING, "what is asked of the server", "/score", rule=validators.URL_PATH)
    status: int = declare(INTEGER, "the wanted HTTP status", 200, rule=validators.between(100, 599))
    expect: Any = declare(ANY, "a TOML value that the JSON answer must contain", UNSET)
    expect_file: str | None = declare(STRING, "the same from a JSON file", rule=validators.PATH)
    tolerance: float = declare(
        NUMBER, "how far numbers may be off, absolute", 1e-6, rule=validators.between(0, 1e9)
    )
    request_timeout: float = declare(
        NUMBER, "seconds until the answer; Azure ML's own default", 5.0, rule=validators.between(0.001, 180)
    )


@dataclass(frozen=True, kw_only=True)
class SmokeTest:
    """The table `smoke-test`."""

    request: str | None = declare(
        STRING, "a file to post to `/score`: short for one of `requests`", rule=validators.PATH
    )
    requests: tuple[Request, ...] = declare(TABLES, "what to send, and what to expect", (), table=Request)
    model: str | None = declare(
        STRING,
        "file or folder, mounted read-only as Azure ML mounts a model; only where none is baked in",
        rule=validators.PATH,
    )
    env: Mapping[str, str] = declare(
        TABLE_OF_STRINGS,
        "variables of the container",
        {},
        rule=validators.ONE_LINE,
        names=validators.VARIABLE,
        may_be_empty=True,
    )
    memory: str | None = declare(
        STRING, 'limit of the container, such as `"4g"`; none by default', rule=validators.MEMORY
    )
    start_timeout: float = declare(
        NUMBER,
        "seconds until `GET /` answers 200; Azure ML's own budget",
        310.0,
        rule=validators.between(0.1, 3600),
    )
    repeat: int = declare(
        INTEGER, "how often each request is sent, for its latency", 10, rule=validators.between(1, 1000)
    )


@dataclass(frozen=True, kw_only=True)
class Run:
    """One of `run`."""

    command: str = declare(
        STRING, "passed unchanged to `/bin/sh -c`", "", rule=validators.COMMAND, required=True
    )
    after: str = declare(
        STRING, '`"apt"`, `"pip"` or `"code"`', "pip", rule=validators.one_of("apt", "pip", "code")
    )
    user: str = declare(STRING, '`"root"` or `"runtime"`', "root", rule=validators.one_of("root", "runtime"))


@dataclass(frozen=True, kw_only=True)
class Acr:
    """The table `acr`: how a build is handed off to Azure Container Registry."""

    subscription: str | None = declare(
        STRING,
        "id of the registry's subscription",
        default="`AZURE_SUBSCRIPTION_ID`, else every subscription that the account sees",
        rule=azure_validators.SUBSCRIPTION,
    )
    resource_group: str | None = declare(
        STRING, "the registry's", default="found by the login server", rule=azure_validators.RESOURCE_GROUP
    )
    workspace: str | None = declare(
        STRING,
        "instead of `registry`: the registry of this Azure ML workspace, which needs `resource-group`",
        rule=azure_validators.WORKSPACE,
    )
    agent_pool: str | None = declare(
        STRING,
        "dedicated agent pool that runs the build",
        default="ACR's own agents",
        rule=azure_validators.AGENT_POOL,
    )
    timeout: int = declare(
        INTEGER,
        "seconds that a run may take, and that it may wait in the queue",
        3600,
        rule=validators.between(300, 28800),
    )
    cloud: str = declare(
        STRING,
        '`"AzureCloud"`, `"AzureChinaCloud"` or `"AzureUSGovernment"`',
        "AzureCloud",
        rule=validators.one_of("AzureCloud", "AzureChinaCloud", "AzureUSGovernment"),
    )


@dataclass(frozen=True, kw_only=True)
class Secret:
    """One of `secrets`."""

    env: str | None = declare(
        STRING, "variable that holds it; exactly one of `env` and `file`", rule=validators.VARIABLE
    )
    file: str | None = declare(
        STRING,
        "file that holds it, which may lie outside the project; `~` is your home",
        rule=validators.ANY_PATH,
    )


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """The table `secrets`: what pip needs to know and nobody else."""

    pip_conf: Secret | None = declare(
        TABLE, "a `pip.conf`, with the address of a private index", table=Secret
    )
    netrc: Secret | None = declare(TABLE, "a `.netrc`, with its user and password", table=Secret)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The table `[tool.azureml-image]`, read and found right."""

    base: str = declare(
        STRING,
        "the image to extend; `NAME-inference` without a registry host is short for "
        "`mcr.microsoft.com/azureml/NAME-inference`, anything else is an image reference as Docker reads it",
        "",
        rule=validators.BASE,
        required=True,
    )
    name: str | None = declare(
        STRING, "repository of the image", default="`[project].name`, normalised", rule=validators.REPOSITORY
    )
    tags: tuple[str, ...] = declare(
        STRINGS,
        "templates over `{version}`, `{git-sha}` (12 hex digits, `-dirty` on an uncommitted tree), "
        "`{git-branch}` and `{date}` (UTC, YYYYMMDD); characters that a tag cannot have become `-`",
        ("{version}",),
        rule=validators.TAG_TEMPLATE,
    )
    registry: str | None = declare(STRING, "login server; push alone needs it", rule=validators.REGISTRY)
    platform: str = declare(STRING, "what the base must be made for", "linux/amd64", rule=validators.PLATFORM)
    apt: tuple[str, ...] = declare(
        STRINGS, "Debian packages, `name` or `name=version`", (), rule=validators.APT
    )
    pip: tuple[str, ...] = declare(
        STRINGS, "requirements ([PEP 508](https://peps.python.org/pep-0508/))", (), rule=validators.PIP
    )
    requirements: tuple[str, ...] = declare(
        STRING_OR_STRINGS,
        "requirements files; what they include by `-r` and `-c` and local wheels inside the project travel along",
        (),
        rule=validators.PATH,
    )
    dependency_groups: tuple[str, ...] = declare(STRINGS, "groups of `[dependency-groups]` to install", ())
    extras: tuple[str, ...] = declare(STRINGS, "extras of `[project.optional-dependencies]` to install", ())
    project_dependencies: bool = declare(BOOLEAN, "install `[project].dependencies`", False)  # noqa: FBT003 -- a default
    code: str | None = declare(
        STRING,
        "folder copied to `/var/azureml-app`; where it is `.`, `model`, `.azureml-image`, `pyproject.toml` "
        "and `tasks.py` are left out",
        default='`"code"` if that folder exists',
        rule=validators.PATH,
    )
    entry_script: str | None = declare(
        STRING,
        "file relative to `code` that defines `init()` and `run()`",
        default='`"score.py"` if it is there',
        rule=validators.PATH,
    )
    model: str | None = declare(
        STRING,
        "file or folder copied into `/var/azureml-app/azureml-models`; without it Azure ML mounts the model",
        rule=validators.PATH,
    )
    exclude: tuple[str, ...] = declare(
        STRINGS,
        "patterns as in a `.dockerignore`, after the defaults and the project's own `.dockerignore`; "
        "`!path` includes again, also a file refused as a secret",
        (),
    )
    env: Mapping[str, str] = declare(
        TABLE_OF_STRINGS,
        "environment variables of the image",
        {},
        rule=validators.ONE_LINE,
        names=validators.VARIABLE,
        may_be_empty=True,
    )
    run: tuple[Run, ...] = declare(TABLES, "the way out: commands of your own", (), table=Run)
    user: str = declare(
        STRING,
        "runtime user; the base must have it, and it may not be root",
        "dockeruser",
        rule=validators.USER,
    )
    labels: Mapping[str, str] = declare(
        TABLE_OF_STRINGS,
        "labels beside the `org.opencontainers.image` ones",
        {},
        rule=validators.ONE_LINE,
        names=validators.LABEL,
        may_be_empty=True,
    )
    smoke_test: SmokeTest = declare(
        TABLE, "how the image is smoke-tested, below", SmokeTest(), table=SmokeTest
    )
    shared_layers: str | None = declare(
        STRING,
        "`login-server/repository` that keeps what stands below the code for other machines: a build pulls from "
        "it what is there, and pushes to it what is not",
        rule=validators.SHARED_LAYERS,
    )
    cached_layers_max_age: float = declare(
        NUMBER,
        "days after which what stands below the code is built anew where any of its packages is not pinned",
        7,
        rule=validators.between(0, 3650),
    )
    acr: Acr | None = declare(TABLE, "how a build is handed off, below", table=Acr)
    secrets: Secrets = declare(
        TABLE,
        "what pip needs to reach a private index, mounted for its step alone: never in a layer, a log or the context",
        Secrets(),
        table=Secrets,
    )
