"""What every fault is followed by: the same command again, and a look at what is left."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from tests.machine.faults.checkout import Checkout
from tests.machine.faults.judge import Fault, Judge
from tests.machine.faults.place import Place
from tests.machine.faults.truth import left, on_engine

__all__ = ["TASKS", "after", "prepared"]


TASKS = ("image.build", "image.smoke-test", "image.push", "image.release")
"""The tasks that have effects, in their order."""


def prepared(checkout: Checkout, task: str) -> tuple[str, ...]:
    """Run what comes before a task, undisturbed, and return the words of the task.

    Raises:
        AssertionError: it failed, so that no fault can be injected.
    """
    if task in {"image.smoke-test", "image.push"} and (ended := checkout.run("image.build")).code:
        raise AssertionError(str(ended))
    return (task, "--untested") if task == "image.push" else (task,)


def after(
    place: Place,
    judge: Judge,
    words: Sequence[str],
    before: set[str],
    kind: str,
    description: str,
    wrong: list[str],
) -> Fault:
    """Run the same command again, which must succeed, then clean up; return the fault with what is wrong and left.

    Args:
        place: where it was injected, which has no fault any more.
        judge: of the checkout.
        words: the command.
        before: what the engine had before the project.
        kind: row of the table.
        description: which fault it was.
        wrong: what was wrong about the command that the fault struck.
    """
    checkout = judge.checkout
    again = checkout.run(*words)
    if again.code:
        wrong = [*wrong, f"the same command again ended with {again.code}"]
    else:
        wrong = [*wrong, *(f"again: {problem}" for problem in judge.wrong_success(again))]
    stays = left(place, [checkout], before)
    if (cleaned := checkout.run("image.clean")).code:
        wrong = [*wrong, f"image.clean ended with {cleaned.code}"]
    stays += [f"after image.clean: {thing}" for thing in sorted(on_engine(place) - before)]
    stays += [f"after image.clean: {path.name}" for path in checkout.records.glob("*")]
    history = "\n".join(map(str, checkout.history))
    shutil.rmtree(checkout.folder.parent.parent, ignore_errors=True)
    return Fault(
        kind=kind, description=description, wrong=wrong, left=list(dict.fromkeys(stays)), history=history
    )
