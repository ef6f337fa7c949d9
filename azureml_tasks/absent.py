"""The value of a key that may hold anything and holds nothing."""

from __future__ import annotations

from typing import Final

__all__ = ["ABSENT"]


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
