"""Run steps in order, and in parallel if they allow it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from tests.machine.acr.task_file import Step

__all__ = ["run_in_order"]


def run_in_order(steps: Sequence[Step], run_step: Callable[[Step], None], stop: Callable[[], None]) -> None:
    """Run steps; if one fails, call *stop* to end the parallel ones, and raise its error."""
    waiting, ended = list(steps), set[str]()
    going: dict[Future[None], Step] = {}
    with ThreadPoolExecutor(max_workers=max(1, len(waiting))) as pool:
        try:
            while waiting or going:
                for step in [each for each in waiting if ended.issuperset(each.after)]:
                    waiting.remove(step)
                    going[pool.submit(run_step, step)] = step
                finished, _ = wait(going, return_when=FIRST_COMPLETED)
                for future in finished:
                    step = going.pop(future)
                    future.result()
                    ended.add(step.id)
        except BaseException:
            stop()
            raise
