"""Steps in their order: each when those before it are done, and beside each other where they may."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from tests.machine.acr.task_file import Step

__all__ = ["in_order"]


def in_order(steps: Sequence[Step], carry_out: Callable[[Step], None], stop: Callable[[], None]) -> None:
    """Carry out steps; where one fails, *stop* ends those that go on beside it, and its error is raised."""
    waiting, done = list(steps), set[str]()
    going: dict[Future[None], Step] = {}
    with ThreadPoolExecutor(max_workers=max(1, len(waiting))) as pool:
        try:
            while waiting or going:
                for step in [one for one in waiting if done.issuperset(one.after)]:
                    waiting.remove(step)
                    going[pool.submit(carry_out, step)] = step
                finished, _ = wait(going, return_when=FIRST_COMPLETED)
                for future in finished:
                    step = going.pop(future)
                    future.result()
                    done.add(step.id)
        except BaseException:
            stop()
            raise
