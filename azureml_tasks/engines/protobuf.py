"""Messages in the wire format of Protocol Buffers, as far as engines are spoken to in it: numbers, text and bytes.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["field", "fields", "table", "table_of"]

_NUMBER, _BYTES = 0, 2
"""How a field's value is written: as a number of as many bytes as it takes, or as bytes after their count."""
_64_BITS = (1 << 64) - 1
_KEY, _VALUE = 1, 2


def field(number: int, value: int | str | bytes) -> bytes:
    """One field of a message; one with several values is several fields of the same *number*.

    Args:
        number: of the field.
        value: a number, -2**63 to 2**63 - 1; text; or bytes, such as another message.
    """
    if isinstance(value, int):
        return _number(number << 3 | _NUMBER) + _number(value & _64_BITS)
    data = value.encode() if isinstance(value, str) else value
    return _number(number << 3 | _BYTES) + _number(len(data)) + data


def table(number: int, pairs: Mapping[str, str | bytes]) -> bytes:
    """A field that is a map from text to text or to messages."""
    return b"".join(field(number, field(_KEY, key) + field(_VALUE, value)) for key, value in pairs.items())


def table_of(message: bytes, number: int) -> dict[str, str]:
    """The map from text to text that a field of *message* is.

    Raises:
        ValueError: it is no such message.
    """
    found = {}
    for own, value in fields(message):
        if own == number:
            pair = dict(fields(value))
            found[pair.get(_KEY, b"").decode()] = pair.get(_VALUE, b"").decode()
    return found


def fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and value of each field of *message*, all of which are text, bytes or messages.

    Raises:
        ValueError: it is no such message.
    """
    at = 0
    while at < len(message):
        tag, at = _number_at(message, at)
        size, at = _number_at(message, at)
        if tag & 7 != _BYTES or at + size > len(message):
            raise ValueError("the message is none of text alone")
        yield tag >> 3, message[at : at + size]
        at += size


def _number(value: int) -> bytes:
    """Seven bits for each byte, the lowest first; the eighth says that more follow."""
    found = bytearray()
    while value > 0x7F:  # noqa: PLR2004 -- seven bits
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _number_at(message: bytes, at: int) -> tuple[int, int]:
    """The number that begins at a place of *message*, and the place after it."""
    value = shift = 0
    for end, byte in enumerate(message[at:], at + 1):
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # noqa: PLR2004 -- the eighth bit
            return value, end
    raise ValueError("the message ends within a number")
