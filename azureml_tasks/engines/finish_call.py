"""Finish a call that creates something, even if the user interrupts it, so that its result can be removed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

from azureml_tasks.signals import delayed

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
_SLICE = 0.2
"""Seconds of one wait."""


def finish_call(create: Callable[[], T]) -> T:
    """Call *create* and wait until it has returned, also if Ctrl-C or SIGTERM is raised meanwhile.

    An engine finishes a request that its client gives up; only then can the result be found and removed.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:  # Leaving the block waits.
        with delayed():  # An exception within `submit` would lose the thread.
            future = pool.submit(create)
        # A signal that arrives just before a wait begins would be noticed only when that ends.
        while not future.done():
            wait([future], timeout=_SLICE)
        return future.result()
