"""How a key of the table is declared: its type in TOML's words, its default, its rule and its meaning."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from azureml_tasks.config.validators import Rule

__all__ = [
    "ABSENT",
    "ANY",
    "BOOLEAN",
    "INTEGER",
    "NUMBER",
    "STRING",
    "STRINGS",
    "STRING_OR_STRINGS",
    "TABLE",
    "TABLES",
    "TABLE_OF_STRINGS",
    "Key",
    "declare",
    "keys",
]

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


def declare(type_: str, meaning: str, value: Any = None, /, **more: Any) -> Any:
    """A field with its default *value* and what is declared of it."""

    def default() -> Any:
        return dict(value) if isinstance(value, Mapping) else value

    return field(default_factory=default, metadata={"key": Key(type=type_, meaning=meaning, **more)})


def keys(table: type[Any]) -> dict[str, tuple[str, Key]]:
    """The keys of *table* in their order: name in TOML → (field, what is declared)."""
    return {f.name.replace("_", "-"): (f.name, f.metadata["key"]) for f in dataclasses.fields(table)}


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
