"""A shell text that is a plain chain of simple commands, divided into them."""

from __future__ import annotations

import pytest

from azureml_tasks.migration.dockerfile.shell_commands import Command, named_variables, plain_chain

VALUES = {"VERSION": "1.2", "NAMES": "curl wget", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("apt-get update", (Command("apt-get update", ("apt-get", "update")),)),
        (
            "a 'b c' && d;e\nf",
            (
                Command("a 'b c'", ("a", "b c")),
                Command("d", ("d",), operator="&&"),
                Command("e", ("e",), operator=";"),
                Command("f", ("f",), operator=";"),
            ),
        ),
        (
            "A=1 B='x y' pip install \"a>=1\" b\\ c",
            (
                Command(
                    "A=1 B='x y' pip install \"a>=1\" b\\ c",
                    ("pip", "install", "a>=1", "b c"),
                    (("A", "1"), ("B", "x y")),
                ),
            ),
        ),
        ("A=1", (Command("A=1", (), (("A", "1"),)),)),
        ('a "" # b', (Command('a "" # b', ("a", "")),)),
        ("a b==$VERSION", (Command("a b==$VERSION", ("a", "b==1.2")),)),
        ("a $NAMES${VERSION}", (Command("a $NAMES${VERSION}", ("a", "curl", "wget1.2")),)),
        ('a "$NAMES" $EMPTY', (Command('a "$NAMES" $EMPTY', ("a", "curl wget")),)),
        ("a $OTHER", (Command("a $OTHER", ("a", "$OTHER"), is_open=True),)),
        ("a '$OTHER' \"\\$\"", (Command("a '$OTHER' \"\\$\"", ("a", "$OTHER", "$")),)),
        ("rm /a/*", (Command("rm /a/*", ("rm", "/a/*"), is_open=True),)),
        ("a ${X:-1} ~/b", (Command("a ${X:-1} ~/b", ("a", "${X:-1}", "~/b"), is_open=True),)),
        (
            "export A=$(b | c ')' \"$(d)\") && e",
            (
                Command(
                    "export A=$(b | c ')' \"$(d)\")",
                    ("export", "A=$(b | c ')' \"$(d)\")"),
                    is_open=True,
                ),
                Command("e", ("e",), operator="&&"),
            ),
        ),
        ("a;", (Command("a", ("a",)),)),
    ],
)
def test_a_plain_chain_is_divided(text: str, expected: tuple[Command, ...]) -> None:
    """Each command has its words, its text and the operator before it."""
    assert expected == plain_chain(text, VALUES.get)


@pytest.mark.parametrize(
    "text",
    [
        *("a | b", "a || b", "a & b", "a > b", "a <b", "(a)", "a `b`", 'a "`b`"', "a 'b", 'a "b', "a $(b", "a ${b"),
        *("if a; then b; fi", "for x in a; do b; done", "{ a; }", "! a", "while a", "", "&& a", "a &&", "a && && b"),
        "a $(" + "(" * 30 + ")" * 31,
    ],
)  # fmt: skip
def test_anything_else_is_no_plain_chain(text: str) -> None:
    """It is not divided."""
    assert plain_chain(text, VALUES.get) is None


def test_a_long_text_is_read_once() -> None:
    """Neither many words nor a value that is used often makes reading slow."""
    assert plain_chain("a " * 200_000 + "'", VALUES.get) is None
    chain = plain_chain("x" * 500_000 + " $A" * 10_000, {"A": "y" * 5_000}.get)

    assert chain is not None
    assert chain[0].is_open


def test_the_variables_that_a_text_names() -> None:
    """They may be in quotes."""
    assert named_variables("a $B ${C:-x} '$D' $1 E") == {"B", "C", "D"}
