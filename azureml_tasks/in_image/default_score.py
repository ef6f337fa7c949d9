"""The entry script of the smoke test for an image without code, to show that the server starts with its packages.

Azure ML mounts the code of such an image. This script is only copied into the smoke test's container.
"""

from __future__ import annotations


def init() -> None:
    """Load nothing."""


def run(data: str) -> str:
    """Return the request's body."""
    return data
