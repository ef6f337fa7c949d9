"""What is printed of files, names, logs and registries: no terminal and no CI system obeys it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azureml_tasks.cli.console import Console
from azureml_tasks.cli.json_output import failures_of
from azureml_tasks.errors import EngineError, FileProblem, Problem, SettingsError
from azureml_tasks.incremental.rebuild_reasons import changed_files
from azureml_tasks.notice import Notice
from azureml_tasks.plain_text import clean, escape_json, hide_login, one_line, shell_join
from azureml_tasks.typed_json import text_of

UNKNOWN = "\N{REPLACEMENT CHARACTER}"
PIECES = st.sampled_from(
    [
        "::",
        ":",
        "##",
        "#",
        "[",
        "]",
        "vso",
        "error",
        "warning",
        "set-output",
        " ",
        "\n",
        "\r",
        "a",
        "\x1b[1m",
        "\t",
        "\x85",
    ]
)
HOSTILE = st.lists(PIECES | st.characters(exclude_categories=["Cs"]), max_size=12).map("".join)
OBEYED = re.compile(r"##[A-Za-z]*\[|::(error|warning|set-output|group|add-mask)\b|^\s*::.*::", re.MULTILINE)
"""What GitHub Actions and Azure Pipelines look for, as `plain_text` says."""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::error file=a.py::no", ": :error file=a.py::no"),
        ("  ::made-up::x", "  : :made-up::x"),
        ("first\n::stop-commands::x", "first\n: :stop-commands::x"),
        ("see ::set-output name=x::y", "see : :set-output name=x::y"),
        ("##vso[task.setvariable variable=x]y", "# #vso[task.setvariable variable=x]y"),
        ("warning: ##[error]no", "warning: # #[error]no"),
        ("###[group]", "## #[group]"),
        ("a test: tests/test_a.py::test_b", "a test: tests/test_a.py::test_b"),
        ("std::vector<std::string>", "std::vector<std::string>"),
        ("## A heading", "## A heading"),
        ("[::1]:5000", "[::1]:5000"),
        ("\x9b31mred\x9d", f"{UNKNOWN}31mred{UNKNOWN}"),
        ("\u202egpj.exe\u2066", f"{UNKNOWN}gpj.exe{UNKNOWN}"),
        ("a\u2028b\u2029c\x85d\x0be\x1cf", UNKNOWN.join("abcdef")),
        ("name-\udcff", f"name-{UNKNOWN}"),
    ],
)  # fmt: skip
def test_what_a_log_would_obey_is_broken(text: str, shown: str) -> None:
    """A command of a CI system gets a blank, and a character that is not printable is replaced."""
    assert shown == clean(text)


@given(text=HOSTILE)
def test_nothing_that_is_obeyed_is_left(text: str) -> None:
    """No text keeps a command or a control character, and what is clean stays as it is."""
    cleaned = clean(text)

    assert OBEYED.search(cleaned) is None
    assert cleaned.replace("\n", "").replace("\t", "").isprintable()
    assert cleaned == clean(cleaned)


@given(text=HOSTILE)
def test_a_name_stays_on_its_line(text: str) -> None:
    """A file with a line break in its name cannot add a line to a message: an error, a warning or a reason."""
    reason = changed_files("", {"other": "1"}, {"other": "1", text: "2"}) if text != "other" else ""

    assert not {"\n", "\r"} & {
        *one_line(text),
        *str(Problem(text, 1, text)),
        *str(Notice("variable", text, text)),
        *reason,
    }


def test_a_line_break_in_a_name_is_shown() -> None:
    """As the escape of Python, TOML and JSON; a terminal's control characters are not."""
    assert rf"a\nb\rc{UNKNOWN}" == one_line("a\nb\rc\x1b")


@given(
    value=st.recursive(
        HOSTILE | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(HOSTILE, inner),
        max_leaves=20,
    )
)
def test_json_is_safe_and_says_the_same(value: object) -> None:
    """What `clean` would change is escaped, so that a program reads the very value."""
    text = escape_json(json.dumps(value, ensure_ascii=False, indent=2))

    assert value == json.loads(text)
    assert text == clean(text)


@given(words=st.lists(HOSTILE.filter(lambda word: "\0" not in word), min_size=1, max_size=3))
def test_a_command_to_paste_is_safe(words: list[str]) -> None:
    """What is announced by `--dry` is safe to print, and stays as it is."""
    text = shell_join(["docker", *words])

    assert text == clean(text) == one_line(text)


def test_a_command_to_paste_means_what_it_says() -> None:
    """Bash reads each word as it is carried out, whatever is in it."""
    words = ["a b", "##vso[x]'", "\x1b[31m\\x1b", "é\u2028\n::error::$HOME", "\udcff", "模\x80"]

    ended = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {shell_join(words)}"], capture_output=True, check=True
    )

    assert [word.encode("utf-8", "surrogateescape") for word in words] == ended.stdout.split(b"\0")[:-1]


def test_plain_words_are_quoted_as_ever() -> None:
    """A word that is safe is written as every shell reads it."""
    words = ["docker", "run", "a b", "it's", "$HOME", "é"]

    assert shlex.join(words) == shell_join(words)


def test_messages_and_results_are_clean(capsys: pytest.CaptureFixture[str]) -> None:
    """Progress, warnings, results and commands all go through the cleaner; only a step's own command does not."""
    console = Console(echo=True)

    console.say("pulling ##vso[x]")
    console.warn(Notice("variable", "::error::x"))
    console.result("::error::x\x1b[2J")
    console.effect(["docker", "tag", "##[x]"])
    console.step_command("##vso[task.setvariable variable=image]x")

    shown = "pulling # #vso[x]\nwarning: : :error::x\ndocker tag $'\\x23#[x]'\n"
    assert (": :error::x\n##vso[task.setvariable variable=image]x\n", shown) == tuple(capsys.readouterr())


def test_errors_are_clean() -> None:
    """Every part of an error is: a file's name, the next step, and what another program said."""
    problem = Problem("code/a\n::error::b", 0, "##[x] is\nwrong", "rename\u2028it\n::error::x")
    engine = EngineError("no \x07engine", next_step="docker version", said="docker said: ##[x]\n::error::y")

    assert (
        rf"""code/a\n::error::b: # #[x] is\nwrong
    rename{UNKNOWN}it
    : :error::x

1 problem; nothing was done.""".replace("::error::b", ": :error::b")
        == str(SettingsError([problem]))
    )
    assert f"no {UNKNOWN}engine\n    docker version\n    docker said: # #[x]\n    : :error::y" == str(engine)


def test_problems_as_json_are_safe() -> None:
    """`image.check --json` is for programs: they read the very name, and a log that shows it obeys nothing."""
    (failure,) = failures_of(SettingsError([FileProblem("a\u2028b", 3, "##vso[x]::error::", "")]), str, None)
    text = text_of(failure)

    value = json.loads(text)
    assert ("a\u2028b", 3, "##vso[x]::error::") == (value["file"], value["line"], value["what"])
    assert text == clean(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://u:p@host/x", "***@host/x"),
        ("a 'https://u:p@host'", "a '***@host'"),
        ("-i https://u:se cret@host", "-i ***@host"),
        ("first@host\nu:p@host", "first@host\n***@host"),
        ("git@host", "git@host"),
        ("a: b", "a: b"),
        ("@:" * 50_000, "***@:"),
    ],
    ids=["address", "quoted", "blank", "lines", "user alone", "no host", "long"],
)
def test_a_login_is_hidden(text: str, shown: str) -> None:
    """User and password go, up to the last "@" of the line; also a hostile line takes no time."""
    assert shown == hide_login(text)
