"""An argument by position that may be left out: `invoke image.attach` and `invoke image.attach ca8`.

Invoke 3.0 takes an argument by position only where it must be given, and then takes even the next task's name
for it (invoke/parser, `ParseMachine.handle` and `ParserContext.missing_positional_args`). The argument here says that
it is missing while the parser looks at a word that is no task's name, and at no other time.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from invoke.parser.argument import Argument
from invoke.parser.parser import ParseMachine
from invoke.tasks import Task

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["TaskWithOptionalArgument"]


class TaskWithOptionalArgument(Task[Any]):
    """A task whose `positional` arguments, each with "" as its default, may be left out."""

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """The task's arguments, as Invoke's parser wants them."""
        arguments = super().get_arguments(ignore_unknown_help)
        return [_optional(each) if each.positional else each for each in arguments]


class _OptionalArgument(Argument):
    """An argument that is missing only where the parser looks for its value."""

    @property
    def value(self) -> Any:
        given = super().value
        return None if given == "" and _at_its_word(inspect.currentframe()) else given

    @value.setter
    def value(self, text: str) -> None:
        self.set_value(text, cast=True)


def _optional(argument: Argument) -> Argument:
    return _OptionalArgument(
        names=argument.names,
        default=argument.default,
        help=argument.help,
        positional=True,
        attr_name=argument.attr_name,
    )


def _at_its_word(frame: FrameType | None) -> bool:
    """Whether the parser at work looks at a word that could be a value: neither a task's name nor a flag."""
    while frame is not None:
        parser, word = frame.f_locals.get("self"), frame.f_locals.get("token")
        if frame.f_code.co_name == "handle" and isinstance(parser, ParseMachine):
            return isinstance(word, str) and word not in parser.contexts and not word.startswith("-")
        if frame.f_code.co_name == "complete_context":
            return False
        frame = frame.f_back
    return False
