"""Read timestamps."""

from __future__ import annotations

import re
from datetime import datetime

__all__ = ["SECONDS_PER_DAY", "parse_timestamp"]

SECONDS_PER_DAY = 86_400
_RFC_3339 = re.compile(
    r"(?P<seconds>\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(\.(?P<fraction>\d+))?(?P<zone>[Zz]|[+-]\d\d:\d\d)"
)


def parse_timestamp(text: str) -> datetime | None:
    """Parse an RFC 3339 timestamp; None if *text* is not one.

    Docker and ACR write `Z` and up to nine digits of a second, and Python 3.10's `datetime.fromisoformat` reads
    neither: https://www.rfc-editor.org/rfc/rfc3339#section-5.6
    """
    match = _RFC_3339.fullmatch(text)
    if not match:
        return None
    zone = "+00:00" if match["zone"] in {"Z", "z"} else match["zone"]
    try:
        return datetime.fromisoformat(f"{match['seconds']}.{(match['fraction'] or '')[:6]:0<6}{zone}")
    except ValueError:
        return None
