"""Messages as Protocol Buffers writes them; the bytes are those of its own documentation where it shows any."""

from __future__ import annotations

import pytest

from azureml_tasks.engines.protobuf import field, table, table_of


@pytest.mark.parametrize(
    ("number", "value", "expected"),
    [
        pytest.param(1, 150, "08 96 01", id="the guide's number"),
        pytest.param(2, "testing", "12 07 74 65 73 74 69 6e 67", id="the guide's text"),
        pytest.param(3, field(1, 150), "1a 03 08 96 01", id="the guide's message in a message"),
        pytest.param(1, 0, "08 00", id="nought"),
        pytest.param(1, 127, "08 7f", id="seven bits"),
        pytest.param(1, 128, "08 80 01", id="eight bits"),
        pytest.param(5, -2, "28 fe ff ff ff ff ff ff ff ff 01", id="the guide's negative number"),
        pytest.param(16, b"", "82 01 00", id="a number that takes two bytes"),
        pytest.param(1, "ä", "0a 02 c3 a4", id="text is UTF-8"),
    ],
)
def test_a_field_is_number_and_value(number: int, value: int | str | bytes, expected: str) -> None:
    """Numbers take as many bytes as they need; text and messages come after their size."""
    assert bytes.fromhex(expected) == field(number, value)


def test_a_map_comes_back() -> None:
    """It is a field for each pair, in their order, among which others are passed by; a pair may lack either half."""
    written = (
        table(7, {"a": "1", "long": "x" * 300}) + field(8, "other") + field(7, field(1, "b")) + field(7, "")
    )

    assert {"a": "1", "long": "x" * 300, "b": "", "": ""} == table_of(written, 7)
    assert ({}, {}) == (table_of(b"", 7), table_of(field(8, "other"), 7))


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(field(1, 150), id="a number"),
        pytest.param(field(1, "text")[:-1], id="cut within its text"),
        pytest.param(b"\x0a", id="cut before its size"),
        pytest.param(b"\x0a\x80", id="cut within its size"),
        pytest.param(field(1, b"\xff"), id="no field in a pair"),
        pytest.param(field(1, field(1, b"\xff") + field(2, "")), id="no text"),
    ],
)
def test_what_is_no_map_is_an_error(message: bytes) -> None:
    """Whoever asks can then say that the answer is none."""
    with pytest.raises(ValueError, match=r"the message|codec"):
        table_of(message, 1)
