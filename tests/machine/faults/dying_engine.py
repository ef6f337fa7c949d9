"""An engine that is killed at a random point of a command, and started again."""

from __future__ import annotations

from tests.machine.faults.checkout import new_checkout
from tests.machine.faults.judge import Fault, Judge
from tests.machine.faults.kills import wait_for_moment
from tests.machine.faults.place import Place
from tests.machine.faults.trial import TASKS, after, prepared
from tests.machine.faults.truth import on_engine

__all__ = ["KIND", "inject"]

KIND = "the engine dies"


def inject(place: Place) -> Fault | None:
    """Kill the engine while a command uses it; None if the command ended before."""
    task = place.random.choice(TASKS)
    before, checkout = on_engine(place), new_checkout(place)
    words = prepared(checkout, task)
    judge = Judge.of(place, checkout)
    process = checkout.start(*words)
    moment = wait_for_moment(place, checkout, process, task)
    place.engine.kill()
    ended = checkout.ended(process, *words)
    place.engine.restart()
    wrong = [] if ended.code == 0 else [*judge.wrong(ended, {3}), *judge.continued(ended)]
    fault = after(place, judge, words, before, KIND, f"{moment} of {task}", wrong)
    return fault if ended.code else None
