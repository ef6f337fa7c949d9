"""What only a person can decide: a question with its choices, each of which a flag of the command gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.errors import Problem
from azureml_tasks.plain_text import shell_join

if TYPE_CHECKING:
    from collections.abc import Sequence


class Choice(NamedTuple):
    """One answer.

    Args:
        text: what it is, for a person: "src/score.py", or "neither".
        flags: of `image.init` that give this answer, such as `("--from", "src/score.py")`; empty for none.
    """

    text: str
    flags: tuple[str, ...]


class Question(NamedTuple):
    """What is ambiguous.

    Args:
        subject: the key, the kind of file or the file that it is about: the beginning of a message.
        what: the fact, in a clause without a full stop: "2 scripts define init() and run()".
        asks: the question: "Which one answers?"
        choices: at least one, in the order in which they are shown.
    """

    subject: str
    what: str
    asks: str
    choices: tuple[Choice, ...]

    def problem(self) -> Problem:
        """Return what to say where nobody can be asked: the fact, and the flags of each choice."""
        flags = [shell_join(choice.flags) for choice in self.choices if choice.flags]
        return Problem(self.subject, 0, self.what, "\n".join([f"{self.asks} Add one of:", *flags]))


def command_line(program: Sequence[str], clear: Sequence[str], questions: Sequence[Question]) -> str:
    """Return a command that answers all *questions*, each with its first choice: an example to paste.

    Args:
        program: such as `("azureml-image", "init")`.
        clear: files that need no question, which the command has to name too.
        questions: to answer.
    """
    named = [word for file in clear for word in ("--from", file)]
    answers = [word for question in questions for word in question.choices[0].flags]
    return shell_join([*program, *named, *answers])
