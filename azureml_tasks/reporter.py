"""What a command reports: progress, warnings, and each effect before it happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Reporter(Protocol):
    """Takes what a command reports; `cli.console.Console` prints it."""

    @property
    def dry(self) -> bool:
        """Whether effects are only announced, as commands to paste, and not carried out."""

    @property
    def echo(self) -> bool:
        """Whether effects are announced as they are carried out."""

    def for_images(self, names: Sequence[str]) -> Sequence[Reporter]:
        """Return a reporter for each of several images, which names the image in what it reports."""

    def spell(self, text: str) -> str:
        """Return *text*, which names tasks as `invoke image.build`, as commands to paste here."""

    def say(self, text: str) -> None:
        """Report progress."""

    def warn(self, text: str) -> None:
        """Report what deserves attention and stops nothing."""

    def effect(self, argv: Sequence[str], *, before: str = "", after: str = "", file: str = "") -> bool:
        """Announce the effect that *argv* stands for. Return False if it must not be carried out.

        Args:
            argv: the command that has the same effect.
            before: what is piped into it, as a person would type it.
            after: further words, as a person would type them.
            file: the text that it reads from its standard input.
        """

    def effects(self, commands: Iterable[Sequence[str]]) -> bool:
        """Announce *commands*, which together stand for one effect. Return False if it must not be carried out."""

    def progress(self, blocks: Iterable[bytes], total: int, label: str) -> Iterator[bytes]:
        """Pass *blocks* on and report how much of *total* bytes has passed."""
