"""The body of a `multipart/form-data` request, as RFC 7578 and browsers write it. Equal parts give equal bytes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Part(NamedTuple):
    """One field of a form.

    Args:
        name: of the field, without control characters.
        content: its value in UTF-8, or the bytes of the file.
        filename: "" for a field that is no file.
        content_type: media type; "" for none.
    """

    name: str
    content: bytes
    filename: str = ""
    content_type: str = ""


def multipart(parts: Sequence[Part]) -> tuple[str, bytes]:
    """Return the media type of a form, with its boundary, and its body.

    The boundary is the hash of the parts, which therefore do not contain it.
    """
    content = [_head(part) + part.content for part in parts]
    lengths = ",".join(str(len(each)) for each in content).encode()
    boundary = f"azureml-image-{hashlib.sha256(b''.join([lengths, *content])).hexdigest()[:32]}"
    line = f"--{boundary}".encode()
    body = b"".join(line + b"\r\n" + each + b"\r\n" for each in content) + line + b"--\r\n"
    return f"multipart/form-data; boundary={boundary}", body


def _head(part: Part) -> bytes:
    filename = f'; filename="{_escaped(part.filename)}"' if part.filename else ""
    media_type = f"\r\nContent-Type: {part.content_type}" if part.content_type else ""
    text = f'Content-Disposition: form-data; name="{_escaped(part.name)}"{filename}{media_type}\r\n\r\n'
    return text.encode()


def _escaped(text: str) -> str:
    """Return a name as browsers write it: https://html.spec.whatwg.org/#multipart-form-data."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
