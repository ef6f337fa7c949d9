"""The text of a Dockerfile → its instructions, split as Docker's own parser splits them. Nothing is run.

The rules are those of https://github.com/moby/buildkit/tree/master/frontend/dockerfile/parser: parser.go, directives.go
and split_command.go. An instruction that this package does not know is kept, since the builder decides about it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(\S.*)")
_DIRECTIVES = ("check", "escape", "syntax")
_BLANK = re.compile(r"[\t\v\f\r ]+")
_SPACES = re.compile(r"\s*")
_FLAG = re.compile(r"""--(?:"[^"]*"|'[^']*'|\\.|[^\s"'\\])*""")
_WORD = re.compile(r"""(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])+""")
_HEREDOC = re.compile(r"\d*<<(-?)([^<]+)")
_WITH_HEREDOCS = ("ADD", "COPY", "RUN")


class Instruction(NamedTuple):
    """One instruction.

    Args:
        line: of its beginning, 1-based.
        name: in upper case, such as "RUN".
        flags: before its arguments, as written, such as "--mount=type=cache,target=/root/.cache".
        arguments: the rest, in one line.
        heredocs: the texts of its here-documents, in order.
    """

    line: int
    name: str
    flags: tuple[str, ...]
    arguments: str
    heredocs: tuple[str, ...] = ()

    def flag_values(self, name: str) -> list[str]:
        """Return the value of each flag *name*, such as "--from"; "" for a flag without one."""
        pairs = (flag.partition("=") for flag in self.flags)
        return [value.strip("\"'") for key, _, value in pairs if key == name]


class DockerfileText(NamedTuple):
    """A Dockerfile, split.

    Args:
        directives: the parser directives at its top, such as "syntax", by name.
        instructions: in order.
        unfinished: line of the instruction that the end of the file cuts off; 0 for none.
    """

    directives: Mapping[str, str]
    instructions: tuple[Instruction, ...]
    unfinished: int = 0


def split_dockerfile(text: str) -> DockerfileText:
    """Split the text of a Dockerfile into its instructions; a byte order mark is skipped."""
    lines = [line.rstrip("\r") for line in text.removeprefix("\ufeff").split("\n")]
    directives = _directives(lines)
    escape = re.escape("`" if directives.get("escape") == "`" else "\\")
    continued = re.compile(rf"(?:(?<!{escape})|^){escape}[ \t]*$")
    instructions, unfinished = [], 0
    numbered = enumerate(lines, 1)
    for number, line in numbered:
        if _is_empty(line):
            continue
        joined, is_open = _joined(line.lstrip(), numbered, continued)
        instruction = _instruction(number, joined)
        texts = [_heredoc(numbered, *each) for each in _heredocs(instruction)]
        instructions.append(instruction._replace(heredocs=tuple(text for text in texts if text is not None)))
        if is_open or None in texts:
            unfinished = number
    return DockerfileText(directives=directives, instructions=tuple(instructions), unfinished=unfinished)


def words_of(text: str) -> list[str]:
    """Return the words of *text* as a shell splits them, still with their quotes."""
    return _WORD.findall(text)


def _directives(lines: Sequence[str]) -> dict[str, str]:
    directives: dict[str, str] = {}
    for line in lines:
        match = _DIRECTIVE.fullmatch(line.lstrip())
        if not match:
            break
        name = match[1].lower()
        if name in _DIRECTIVES:
            directives.setdefault(name, match[2].rstrip())
    return directives


def _is_empty(line: str) -> bool:
    """Return whether *line* is blank or a comment, which also an instruction of several lines skips."""
    line = line.lstrip()
    return not line or line.startswith("#")


def _joined(line: str, following: Iterator[tuple[int, str]], continued: re.Pattern[str]) -> tuple[str, bool]:
    """Return *line* with the lines that continue it, and whether the file ends before it does."""
    joined = ""
    while match := continued.search(line):
        joined += line[: match.start()]
        line = next((more for _, more in following if not _is_empty(more)), "\n")
        if line == "\n":
            return joined, True
    return joined + line, False


def _instruction(number: int, text: str) -> Instruction:
    name, *rest = _BLANK.split(text.strip(), maxsplit=1)
    arguments, flags = "".join(rest), []
    at = 0  # Cutting each flag off would copy a long line once for each.
    while match := _FLAG.match(arguments, at):
        at = _SPACES.match(arguments, match.end()).end()  # type: ignore[union-attr]  # It matches nothing, too.
        if match[0] == "--":
            break
        flags.append(match[0])
    return Instruction(line=number, name=name.upper(), flags=tuple(flags), arguments=arguments[at:])


def _heredocs(instruction: Instruction) -> Iterator[tuple[str, bool]]:
    """Yield the end mark of each here-document, and whether tabs before it are ignored."""
    if instruction.name == "ONBUILD":
        instruction = _instruction(instruction.line, instruction.arguments)
    if instruction.name not in _WITH_HEREDOCS or _is_json(instruction.arguments):
        return
    for word in words_of(instruction.arguments):
        if match := _HEREDOC.fullmatch(word):
            yield re.sub("[\"']", "", match[2]), bool(match[1])


def _heredoc(following: Iterator[tuple[int, str]], end: str, ignores_tabs: bool) -> str | None:
    """Return the text up to the line *end*; None if the file ends before."""
    text = ""
    for _, line in following:
        if (line.lstrip("\t") if ignores_tabs else line) == end:
            return text
        text += f"{line}\n"
    return None


def _is_json(arguments: str) -> bool:
    """Return whether *arguments* are an array of strings, which holds no here-document."""
    if not arguments.startswith("["):
        return False
    try:
        words = json.loads(arguments)
    except (ValueError, RecursionError):
        return False
    return isinstance(words, list) and all(isinstance(word, str) for word in words)
