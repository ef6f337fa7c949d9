"""The rules for requests of the smoke test: headers, media types and names of form fields."""

from __future__ import annotations

import re

from azureml_tasks.config.validators import Rule, matching

_WORD = r"[!#\$%&'*+.^_`|~0-9A-Za-z-]+"
"""RFC 9110, 5.6.2, a token: a name of a header, and each part of a media type."""
_FRAMING = frozenset({
    *("connection", "content-length", "expect", "keep-alive", "proxy-connection"),
    *("te", "trailer", "transfer-encoding", "upgrade"),
})  # fmt: skip
"""Headers by which a request could end before its body does, or its answer not come: RFC 9112."""


def _request_header_error(name: str) -> str:
    if not re.fullmatch(_WORD, name):
        return "is not a header name"
    if name.lower() == "content-type":
        return "has a key of its own"
    return "is set by the request itself" if name.lower() in _FRAMING else ""


HEADER = matching(_WORD, "is not a header name", 'Write a name such as "X-Team".')
REQUEST_HEADER = Rule(
    error=_request_header_error,
    fix='Write a name such as "X-Team". The media type is a key of its own: content-type = "image/png"',
    schema=HEADER.schema,
)
# A line break would end the header, and what follows it could be a second request.
HEADER_VALUE = matching(
    r"(?:[!-~](?:[\t -~]*[!-~])?)?",
    "is not a header value",
    "Write printable ASCII characters on one line, without blanks at the ends.",
)
MEDIA_TYPE = matching(
    rf'{_WORD}/{_WORD}(?:[\t ]*;[\t ]*{_WORD}=(?:{_WORD}|"[ !#-\[\]-~]*"))*',
    "is not a media type",
    'Write: content-type = "image/png"',
)
FIELD_NAME = matching(r"[^\u0000-\u001f\u007f]+", "is not a field name", 'Write: name = "image"')
