"""Commands that are killed at random points: kill -9, SIGTERM, a closed terminal, Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import suppress

from tests.machine.faults.checkout import Checkout, new_checkout, send
from tests.machine.faults.judge import Fault, Judge
from tests.machine.faults.place import Place
from tests.machine.faults.trial import TASKS, after, prepared
from tests.machine.faults.truth import left, on_engine

__all__ = ["KIND", "inject", "wait_for_moment"]

KIND = "killed by a signal"
_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_REMOVED = "Everything that was started has been stopped and removed."
_seconds = {"image.build": 4.0, "image.smoke-test": 6.0, "image.push": 3.0, "image.release": 12.0}
"""How long each command takes from its first line on; it follows what is seen."""


def inject(place: Place) -> Fault | None:
    """Kill a command; None if it ended before."""
    task, number = place.random.choice(TASKS), place.random.choice(_SIGNALS)
    before = on_engine(place)
    checkout = new_checkout(place)
    words = prepared(checkout, task)
    judge = Judge.of(place, checkout)
    process = checkout.start(*words)
    moment = wait_for_moment(place, checkout, process, task)
    with suppress(ProcessLookupError):
        send(process, number)
    ended = checkout.ended(process, *words)
    if ended.code == 0:
        print(f"faults: {number.name} {moment} of {task} came too late", file=sys.stderr, flush=True)
        after(place, judge, words, before, KIND, "", [])
        return None
    wrong, stays = [], []
    if number != signal.SIGKILL:
        wrong = judge.wrong(ended, {128 + number})
        stays = left(place, [checkout], before)
        if "runs build commands with the legacy builder" in ended.err:
            # Its finished steps are its cache, from which the next build goes on.
            stays = [thing for thing in stays if not thing.startswith("image unnamed")]
        if (_REMOVED in ended.err) != (not stays):
            wrong.append(f'"{_REMOVED}" is {"" if _REMOVED in ended.err else "not "}said')
    fault = after(place, judge, words, before, KIND, f"{number.name} {moment} of {task}", wrong)
    return Fault(
        kind=fault.kind,
        description=fault.description,
        wrong=fault.wrong,
        left=[*(f"at once: {thing}" for thing in stays), *fault.left],
        history=fault.history,
    )


def wait_for_moment(place: Place, checkout: Checkout, process: subprocess.Popen[bytes], task: str) -> str:
    """Wait for a random point of a command that runs, after its first line; return which point it is."""
    while process.poll() is None and not checkout.line_count():
        time.sleep(0.005)  # Nothing tells when a line comes.
    begun = time.monotonic()
    seconds = place.random.uniform(0, _seconds[task])
    lines = place.random.randint(1, 40) if place.random.random() < 0.5 else 0
    while process.poll() is None:
        passed = time.monotonic() - begun
        if (lines and checkout.line_count() >= lines) or (not lines and passed >= seconds) or passed > 60:
            return f"after {checkout.line_count()} lines, {passed:.2f} s"
        time.sleep(0.005)  # The moment is random: a time, or a number of lines, which nothing announces.
    _seconds[task] = time.monotonic() - begun
    return "after its end"
