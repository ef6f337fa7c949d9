"""The table `[tool.azureml-image]`, declared once.

Each field is a key (kebab-case in TOML): its type in TOML's words, its default, its rule and its
meaning. The reader, the JSON schema, the README's table and every message come from here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from azureml_tasks import rules

if TYPE_CHECKING:
    from azureml_tasks.rules import Rule

__all__ = ["ABSENT", "Key", "Request", "Run", "Settings", "SmokeTest", "keys"]

STRING: Final = "a string"
STRINGS: Final = "an array of strings"
STRING_OR_STRINGS: Final = "a string or an array of strings"
BOOLEAN: Final = "a boolean"
INTEGER: Final = "an integer"
NUMBER: Final = "a number"
TABLE: Final = "a table"
TABLE_OF_STRINGS: Final = "a table of strings"
TABLES: Final = "an array of tables"
ANY: Final = "any value"


class _Absent:
    """The value of a key that may hold anything and holds nothing."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


@dataclass(frozen=True, kw_only=True)
class Key:
    """What is declared of one key.

    Args:
        type: in TOML's words, one of the constants above.
        meaning: Markdown for the README's table.
        default: Markdown for the default, where it is more than the field's value.
        rule: what each string, number or name in it must be.
        names: what each name of a table of strings must be.
        may_be_empty: whether "" is a value.
        table: the class of a table, or of each table of an array; None for none.
        required: whether the key must be there.
    """

    type: str
    meaning: str
    default: str = ""
    rule: Rule | None = None
    names: Rule | None = None
    may_be_empty: bool = False
    table: Any = None
    required: bool = False


def _key(type_: str, meaning: str, value: Any = None, /, **more: Any) -> Any:
    """A field with its default *value* and what is declared of it."""

    def default() -> Any:
        return dict(value) if isinstance(value, Mapping) else value

    return field(default_factory=default, metadata={"key": Key(type=type_, meaning=meaning, **more)})


@dataclass(frozen=True, kw_only=True)
class Request:
    """One of `smoke-test.requests`."""

    body: Any = _key(ANY, "a TOML value, sent as its JSON; exactly one of `body` and `file`", ABSENT)
    file: str | None = _key(STRING, "a file whose bytes are sent", rule=rules.PATH)
    path: str = _key(STRING, "what is asked of the server", "/score", rule=rules.URL_PATH)
    status: int = _key(INTEGER, "the wanted HTTP status", 200, rule=rules.between(100, 599))
    expect: Any = _key(ANY, "a TOML value that the JSON answer must contain", ABSENT)
    expect_file: str | None = _key(STRING, "the same from a JSON file", rule=rules.PATH)
    tolerance: float = _key(NUMBER, "how far numbers may be off, absolute", 1e-6, rule=rules.between(0, 1e9))
    request_timeout: float = _key(
        NUMBER, "seconds until the answer; Azure ML's own default", 5.0, rule=rules.between(0.001, 180)
    )


@dataclass(frozen=True, kw_only=True)
class SmokeTest:
    """The table `smoke-test`."""

    request: str | None = _key(
        STRING, "a file to post to `/score`: short for one of `requests`", rule=rules.PATH
    )
    requests: tuple[Request, ...] = _key(TABLES, "what to send, and what to expect", (), table=Request)
    model: str | None = _key(
        STRING,
        "file or folder, mounted read-only as Azure ML mounts a model; only where none is baked in",
        rule=rules.PATH,
    )
    env: Mapping[str, str] = _key(
        TABLE_OF_STRINGS,
        "variables of the container",
        {},
        rule=rules.ONE_LINE,
        names=rules.VARIABLE,
        may_be_empty=True,
    )
    memory: str | None = _key(
        STRING, 'limit of the container, such as `"4g"`; none by default', rule=rules.MEMORY
    )
    start_timeout: float = _key(
        NUMBER,
        "seconds until `GET /` answers 200; Azure ML's own budget",
        310.0,
        rule=rules.between(0.1, 3600),
    )
    repeat: int = _key(
        INTEGER, "how often each request is sent, for its latency", 10, rule=rules.between(1, 1000)
    )


@dataclass(frozen=True, kw_only=True)
class Run:
    """One of `run`."""

    command: str = _key(STRING, "passed unchanged to `/bin/sh -c`", "", rule=rules.COMMAND, required=True)
    after: str = _key(STRING, '`"apt"`, `"pip"` or `"code"`', "pip", rule=rules.one_of("apt", "pip", "code"))
    user: str = _key(STRING, '`"root"` or `"runtime"`', "root", rule=rules.one_of("root", "runtime"))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The table `[tool.azureml-image]`, read and found right."""

    base: str = _key(
        STRING,
        "the image to extend; `NAME-inference` without a registry host is short for "
        "`mcr.microsoft.com/azureml/NAME-inference`, anything else is an image reference as Docker reads it",
        "",
        rule=rules.BASE,
        required=True,
    )
    name: str | None = _key(
        STRING, "repository of the image", default="`[project].name`, normalised", rule=rules.REPOSITORY
    )
    tags: tuple[str, ...] = _key(
        STRINGS,
        "templates over `{version}`, `{git-sha}` (12 hex digits, `-dirty` on an uncommitted tree), "
        "`{git-branch}` and `{date}` (UTC, YYYYMMDD); characters that a tag cannot have become `-`",
        ("{version}",),
        rule=rules.TAG_TEMPLATE,
    )
    registry: str | None = _key(STRING, "login server; push alone needs it", rule=rules.REGISTRY)
    platform: str = _key(STRING, "what the base must be made for", "linux/amd64", rule=rules.PLATFORM)
    apt: tuple[str, ...] = _key(STRINGS, "Debian packages, `name` or `name=version`", (), rule=rules.APT)
    pip: tuple[str, ...] = _key(
        STRINGS, "requirements ([PEP 508](https://peps.python.org/pep-0508/))", (), rule=rules.PIP
    )
    requirements: tuple[str, ...] = _key(
        STRING_OR_STRINGS,
        "requirements files; what they include by `-r` and `-c` and local wheels inside the project travel along",
        (),
        rule=rules.PATH,
    )
    dependency_groups: tuple[str, ...] = _key(STRINGS, "groups of `[dependency-groups]` to install", ())
    extras: tuple[str, ...] = _key(STRINGS, "extras of `[project.optional-dependencies]` to install", ())
    project_dependencies: bool = _key(BOOLEAN, "install `[project].dependencies`", False)  # noqa: FBT003 -- a default
    code: str | None = _key(
        STRING,
        "folder copied to `/var/azureml-app`; where it is `.`, `model`, `.azureml-image`, `pyproject.toml` "
        "and `tasks.py` are left out",
        default='`"code"` if that folder exists',
        rule=rules.PATH,
    )
    entry_script: str | None = _key(
        STRING,
        "file relative to `code` that defines `init()` and `run()`",
        default='`"score.py"` if it is there',
        rule=rules.PATH,
    )
    model: str | None = _key(
        STRING,
        "file or folder copied into `/var/azureml-app/azureml-models`; without it Azure ML mounts the model",
        rule=rules.PATH,
    )
    exclude: tuple[str, ...] = _key(
        STRINGS,
        "patterns as in a `.dockerignore`, after the defaults and the project's own `.dockerignore`; "
        "`!path` includes again, also a file refused as a secret",
        (),
    )
    env: Mapping[str, str] = _key(
        TABLE_OF_STRINGS,
        "environment variables of the image",
        {},
        rule=rules.ONE_LINE,
        names=rules.VARIABLE,
        may_be_empty=True,
    )
    run: tuple[Run, ...] = _key(TABLES, "the way out: commands of your own", (), table=Run)
    user: str = _key(
        STRING, "runtime user; the base must have it, and it may not be root", "dockeruser", rule=rules.USER
    )
    labels: Mapping[str, str] = _key(
        TABLE_OF_STRINGS,
        "labels beside the `org.opencontainers.image` ones",
        {},
        rule=rules.ONE_LINE,
        names=rules.LABEL,
        may_be_empty=True,
    )
    smoke_test: SmokeTest = _key(TABLE, "how the image is proven, below", SmokeTest(), table=SmokeTest)


def keys(table: type[Any]) -> dict[str, tuple[str, Key]]:
    """The keys of *table* in their order: name in TOML → (field, what is declared)."""
    return {f.name.replace("_", "-"): (f.name, f.metadata["key"]) for f in dataclasses.fields(table)}
