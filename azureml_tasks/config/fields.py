"""How a key of the table is declared: its type in TOML's words, its default, its rule and its description."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from azureml_tasks.config.validators import Rule

STRING: Final = "a string"
STRINGS: Final = "an array of strings"
STRING_OR_STRINGS: Final = "a string or an array of strings"
BOOLEAN: Final = "a boolean"
INTEGER: Final = "an integer"
NUMBER: Final = "a number"
TABLE: Final = "a table"
TABLE_OF_STRINGS: Final = "a table of strings"
TABLES: Final = "an array of tables"
TABLE_OF_TABLES: Final = "a table of tables"
ANY: Final = "any value"
# Types of values that no key is declared with.
ARRAY: Final = "an array"
DATE: Final = "a date or time"


@dataclass(frozen=True, kw_only=True)
class Key:
    """The declaration of a key.

    Args:
        type: in TOML's words, one of the constants above.
        description: Markdown for the table of settings.
        default: Markdown for the default, if the field's value does not say it.
        rule: what each string or number in it must be.
        names: what each name in a table of strings must be.
        may_be_empty: whether "" is a valid value.
        table: the class of a table, or of each table of an array; None for other types.
        required: whether the key must be set.
        shared: whether all images of the table share its value, so that none of them may change it.
        beside_dockerfile: whether the key may be set beside `dockerfile`, as it shapes no generated Dockerfile.
    """

    type: str
    description: str
    default: str = ""
    rule: Rule | None = None
    names: Rule | None = None
    may_be_empty: bool = False
    table: Any = None
    required: bool = False
    shared: bool = False
    beside_dockerfile: bool = False


def declare(type_: str, description: str, value: Any = None, /, **more: Any) -> Any:
    """Return a dataclass field with the default *value* and its declaration."""

    def default() -> Any:
        return dict(value) if isinstance(value, Mapping) else value

    key = Key(type=type_, description=description, **more)
    return field(default_factory=default, metadata={"key": key})


def keys(table: type[Any]) -> dict[str, tuple[str, Key]]:
    """Return the keys of *table* in their order: name in TOML → (name of the field, declaration)."""
    return {f.name.replace("_", "-"): (f.name, f.metadata["key"]) for f in dataclasses.fields(table)}


class _Unset:
    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = _Unset()
"""The value of a key that may hold any value and was not set."""
