"""Dataclasses as JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft7Validator

from azureml_tasks.typed_json import HIDDEN, WrongShape, decode, encode, schema_of, text_of


class Colour(Enum):
    """An enumeration."""

    RED = "red"


def is_short(value: str) -> bool:
    """Return whether a text is short."""
    return len(value) < 4


@dataclass(frozen=True, kw_only=True)
class Inner:
    """A part.

    Args:
        name: a text of
            two lines.
    """

    name: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Outer:
    """A whole."""

    kind: Literal["a", "b"]
    parts: tuple[Inner, ...] = ()
    by_name: Mapping[str, int] = field(default_factory=dict)
    size: float | None = None
    short: Annotated[str, is_short] = "x"
    anything: Any = None
    is_set: bool = False
    hidden: int = field(default=1, metadata=HIDDEN)


WHOLE = Outer(kind="a", parts=(Inner(name="n"),), by_name={"k": 1}, size=2.5)


def test_a_value_goes_there_and_back() -> None:
    """Tuples are arrays, a missing text is null in what is printed, and a hidden field is no key."""
    encoded = encode(WHOLE)

    assert {
        "kind": "a",
        "parts": [{"name": "n", "note": None}],
        "by_name": {"k": 1},
        "size": 2.5,
        "short": "x",
        "anything": None,
        "is_set": False,
    } == encoded
    assert decode(Outer, encode(WHOLE, omit_defaults=True)) == WHOLE


def test_defaults_can_be_left_out() -> None:
    """As in a record."""
    assert {"kind": "b"} == encode(Outer(kind="b"), omit_defaults=True)
    assert {"colour": "red"} == encode({"colour": Colour.RED})


@pytest.mark.parametrize(
    ("value", "keys"),
    [
        ([], ["an object"]),
        ({}, ["kind"]),
        ({"kind": "c"}, ["kind"]),
        ({"kind": True}, ["kind"]),
        ({"kind": "a", "parts": {}}, ["parts"]),
        ({"kind": "a", "parts": [{"note": ""}]}, ["parts"]),
        ({"kind": "a", "by_name": {"k": "1"}}, ["by_name"]),
        ({"kind": "a", "by_name": {"k": True}}, ["by_name"]),
        ({"kind": "a", "size": True}, ["size"]),
        ({"kind": "a", "size": "1"}, ["size"]),
        ({"kind": "a", "short": "long"}, ["short"]),
        ({"kind": "a", "short": 1}, ["short"]),
        ({"kind": "a", "is_set": 1}, ["is_set"]),
        ({"size": "1"}, ["kind", "size"]),
    ],
)
def test_another_shape_is_refused(value: Any, keys: list[str]) -> None:
    """With the keys that are missing, then those that are wrong."""
    with pytest.raises(WrongShape) as caught:
        decode(Outer, value)

    assert keys == caught.value.keys


def test_other_keys_are_not_read() -> None:
    """A newer version may have more of them; a whole number is a number."""
    assert Outer(kind="a", size=3) == decode(Outer, {"kind": "a", "more": 1, "size": 3, "hidden": 9})


def test_the_schema_says_the_same() -> None:
    """What is encoded passes; descriptions come from the docstrings."""
    definitions: dict[str, Any] = {}
    schema = {**schema_of(Outer, definitions), "definitions": definitions}

    assert Draft7Validator(schema).is_valid(encode(WHOLE))
    assert not Draft7Validator(schema).is_valid({**encode(WHOLE), "kind": "c"})
    assert "a text of two lines." == definitions["Inner"]["properties"]["name"]["description"]
    assert {"type": ["string", "null"]} == definitions["Inner"]["properties"]["note"]


def test_the_text_is_safe() -> None:
    """Neither a terminal nor a CI system obeys it."""
    assert '{\n  "name": "\\u0023#vso[x]\\u2028",\n  "note": null\n}' == text_of(Inner(name="##vso[x]\u2028"))
