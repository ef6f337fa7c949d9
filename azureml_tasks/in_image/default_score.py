"""An entry script for the smoke test of an image without code: it shows that the server starts with its packages.

Azure ML mounts the code of such an image. This one is put into the smoke test's container alone.
"""

from __future__ import annotations

__all__ = ["init", "run"]


def init() -> None:
    """Load nothing."""


def run(data: str) -> str:
    """Give the request's body back."""
    return data
