"""Checkouts of one name that build at once, while some of the builds are killed."""

from __future__ import annotations

import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from tests.machine.faults.checkout import Checkout, Ended, checkout, send
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
    first = checkout(place, name=name)
    shared = {"XDG_STATE_HOME": str(first.state)} if one_user else {}
    checkouts = [
        first,
        *(checkout(place, name=name, number=number, env=shared) for number in range(1, _CHECKOUTS)),
    ]
    killed = place.random.choice([None, *range(_CHECKOUTS)])
    with ThreadPoolExecutor(_CHECKOUTS) as pool:
        ended = list(
            pool.map(
                lambda number: _built(place, checkouts[number], kill=number == killed), range(_CHECKOUTS)
            )
        )
    problems = [_problems(place, there, end) for there, end in zip(checkouts, ended, strict=True)]
    # A name that moves to the image of another checkout leaves that image without one until it is cleaned.
    stays = [thing for thing in left(place, checkouts, before) if not thing.startswith("image unnamed")]
    codes = [there.run("image.clean").code for there in checkouts]
    stays += [f"after image.clean: {thing}" for thing in sorted(on_engine(place) - before)]
    shutil.rmtree(first.folder.parent.parent, ignore_errors=True)
    what = f"five checkouts, {'one user' if one_user else 'five users'}, killed: {killed}"
    return [
        Fault(
            kind=KIND,
            what=f"checkout {number} of {what}",
            wrong=[*wrong, *([f"image.clean ended with {code}"] if code else [])],
            left=stays if number == 0 else [],
            history="\n".join(map(str, checkouts[number].history)),
        )
        for number, (wrong, code) in enumerate(zip(problems, codes, strict=True))
    ]


def _built(place: Place, there: Checkout, *, kill: bool) -> Ended:
    """Build a checkout, and again if the first build is killed."""
    process = there.start("image.build")
    if kill:
        wait_for_moment(place, there, process, "image.build")
        with suppress(ProcessLookupError):
            send(process, signal.SIGKILL)
    ended = there.ended(process, "image.build")
    return there.run("image.build") if kill and ended.code else ended


def _problems(place: Place, there: Checkout, ended: Ended) -> list[str]:
    """Return what is wrong with a build that nobody has disturbed: its image has the files of its own checkout."""
    if ended.code:
        return [f"exit code {ended.code}"]
    found = file_of_image(place, there.build_record()["id"], _FILE)
    expected = (there.folder / "code" / "number.txt").read_bytes()
    return [] if found == expected else [f"the image has the files of checkout {found!r}"]
