"""Checkouts of one name that build at once, while some of the builds are killed."""

from __future__ import annotations

import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from tests.machine.faults.checkout import Checkout, Ended, new_checkout, send
from tests.machine.faults.judge import Fault
from tests.machine.faults.kills import wait_for_moment
from tests.machine.faults.place import Place
from tests.machine.faults.truth import file_of_image, left, on_engine

__all__ = ["KIND", "inject"]

KIND = "builds of one name at once"
_CHECKOUTS = 5
_FILE = "/var/azureml-app/number.txt"


def inject(place: Place) -> list[Fault]:
    """Build five checkouts of one name at once, of which at most one is killed; a fault for each checkout."""
    name, before = place.new_name(), on_engine(place)
    one_user = place.random.random() < 0.5
    first = new_checkout(place, name=name)
    shared = {"XDG_STATE_HOME": str(first.state)} if one_user else {}
    checkouts = [
        first,
        *(new_checkout(place, name=name, number=number, env=shared) for number in range(1, _CHECKOUTS)),
    ]
    killed = place.random.choice([None, *range(_CHECKOUTS)])
    with ThreadPoolExecutor(_CHECKOUTS) as pool:
        ended = list(
            pool.map(
                lambda number: _built(place, checkouts[number], kill=number == killed), range(_CHECKOUTS)
            )
        )
    problems = [_problems(place, checkout, end) for checkout, end in zip(checkouts, ended, strict=True)]
    # A name that moves to the image of another checkout leaves that image without one until it is cleaned.
    stays = [thing for thing in left(place, checkouts, before) if not thing.startswith("image unnamed")]
    codes = [checkout.run("image.clean").code for checkout in checkouts]
    stays += [f"after image.clean: {thing}" for thing in sorted(on_engine(place) - before)]
    shutil.rmtree(first.folder.parent.parent, ignore_errors=True)
    scenario = f"five checkouts, {'one user' if one_user else 'five users'}, killed: {killed}"
    return [
        Fault(
            kind=KIND,
            description=f"checkout {number} of {scenario}",
            wrong=[*wrong, *([f"image.clean ended with {code}"] if code else [])],
            left=stays if number == 0 else [],
            history="\n".join(map(str, checkouts[number].history)),
        )
        for number, (wrong, code) in enumerate(zip(problems, codes, strict=True))
    ]


def _built(place: Place, checkout: Checkout, *, kill: bool) -> Ended:
    """Build a checkout, and again if the first build is killed."""
    process = checkout.start("image.build")
    if kill:
        wait_for_moment(place, checkout, process, "image.build")
        with suppress(ProcessLookupError):
            send(process, signal.SIGKILL)
    ended = checkout.ended(process, "image.build")
    return checkout.run("image.build") if kill and ended.code else ended


def _problems(place: Place, checkout: Checkout, ended: Ended) -> list[str]:
    """Return what is wrong with a build that nobody has disturbed: its image has the files of its own checkout."""
    if ended.code:
        return [f"exit code {ended.code}"]
    actual = file_of_image(place, checkout.build_record()["id"], _FILE)
    expected = (checkout.folder / "code" / "number.txt").read_bytes()
    return [] if actual == expected else [f"the image has the files of checkout {actual!r}"]
