"""What `--json` prints for every task: errors, warnings, commands of a dry run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Warned:
    """A warning.

    Args:
        code: one of the list on the page on JSON.
        what: the fact, in a sentence.
        file: path relative to the current folder; null if it is about no file.
        line: 1-based; null for the whole file.
        fix: what to do about it, to paste; lines are kept.
        image_name: which of the table's images it is about; null if the table itself is the image, or for all.
    """

    code: str
    what: str
    file: str = ""
    line: int | None = None
    fix: str = ""
    image_name: str = ""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One mistake, or the error with which the task ended.

    Args:
        code: one of the list on the page on JSON.
        what: what is wrong, in a sentence.
        file: path relative to the current folder; null if it is in no file.
        line: 1-based; null for the whole file.
        option: the flag, variable or configured value that is wrong; null if it is none.
        fix: the next step, to paste; lines are kept.
        said: what another program said, in its own words.
        log: the file that has the whole log of what failed, as messages call it; null for none.
        state: what did and did not happen.
        image_name: which of the table's images it is about; null if the table itself is the image, or for all.
    """

    code: str
    what: str
    file: str = ""
    line: int | None = None
    option: str = ""
    fix: str = ""
    said: str = ""
    log: str = ""
    state: str = ""
    image_name: str = ""


@dataclass(frozen=True, kw_only=True)
class Output:
    """What each task prints.

    Args:
        version: of these shapes: it changes if a key goes away or changes its meaning, and not for a new key or code.
        task: its name.
        dry: whether nothing was done, see `commands`.
        exit_code: of the command, see the page on troubleshooting.
        seconds: that it took.
        errors: empty if it succeeded.
        warnings: in the order in which they were met.
        commands: what would be done, under `--dry`: one command to paste for each step.
    """

    version: Literal[1]
    task: str
    dry: bool
    exit_code: int
    seconds: float
    errors: tuple[Failure, ...]
    warnings: tuple[Warned, ...]
    commands: tuple[str, ...]
