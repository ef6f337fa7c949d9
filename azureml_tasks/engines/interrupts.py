"""Finish a call that creates something, even if the user interrupts it, so that its result can be removed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def finish_call(create: Callable[[], T]) -> T:
    """Call *create* and wait until it has returned, also if Ctrl-C or SIGTERM is raised meanwhile.

    An engine finishes a request that its client gives up; only then can the result be found and removed.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:  # Leaving the block waits.
        return pool.submit(create).result()
