"""What an engine was asked for is made to its end, also where somebody wants to end before, and then is not left."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["to_its_end"]

T = TypeVar("T")


def to_its_end(create: Callable[[], T]) -> T:
    """Call *create* and wait for its end, also where Ctrl-C or SIGTERM comes meanwhile, which is raised then.

    An engine finishes what it was asked; only what has been made by then can be found and removed.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:  # Leaving the block waits.
        return pool.submit(create).result()
