"""Read timestamps."""

from __future__ import annotations

import re
import time
from datetime import datetime

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


def epoch_seconds(text: str) -> float:
    """Return an RFC 3339 timestamp in seconds since 1970 (UTC); 0 if *text* is none or is Docker's zero time."""
    moment = parse_timestamp(text)
    return max(moment.timestamp(), 0.0) if moment else 0.0


def days_since(seconds: float) -> float:
    """Return how many days ago a time was, given in seconds since 1970 (UTC)."""
    return (time.time() - seconds) / SECONDS_PER_DAY
