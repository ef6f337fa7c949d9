"""What a person sees, and where."""

from __future__ import annotations

import subprocess

import pytest

from azureml_tasks.cli.console import Console, spell_tasks
from azureml_tasks.notice import Notice
from azureml_tasks.plain_text import clean


def test_results_and_progress_go_apart(capsys: pytest.CaptureFixture[str]) -> None:
    """Results go to stdout; what is going on and warnings go to stderr."""
    reporter = Console()

    reporter.result("digest")
    reporter.say("pushing")
    reporter.warn(Notice("base-outdated", "old base"))

    assert ("digest\n", "pushing\nwarning: old base\n") == capsys.readouterr()


@pytest.mark.parametrize(
    ("variable", "err"),
    [
        ("", "pulling a\n"),
        ("GITHUB_ACTIONS", "::group::pulling a\n::endgroup::\n"),
        ("TF_BUILD", "##[group]pulling a\n##[endgroup]\n"),
    ],
)
def test_the_title_of_a_step_is_shown_once(
    variable: str, err: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a line of its own in a pipe, and as the title of the group in a CI system."""
    for name in ("GITHUB_ACTIONS", "TF_BUILD"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, "true")

    with Console().step("pulling a", announced=True):
        pass

    assert ("", err) == capsys.readouterr()


@pytest.mark.parametrize(
    ("reporter", "proceeds", "out", "err"),
    [
        (Console(), True, "", ""),
        (Console(echo=True), True, "", "invoke image.context | docker build -t 'a b' -\n"),
        (Console(dry=True), False, "invoke image.context | docker build -t 'a b' -\n", ""),
        (Console(dry=True, echo=True), False, "invoke image.context | docker build -t 'a b' -\n", ""),
        (
            Console(dry=True, task_prefix="invoke b."),
            False,
            "invoke b.context | docker build -t 'a b' -\n",
            "",
        ),
    ],
)
def test_an_effect_is_announced_as_a_command_to_paste(
    reporter: Console, proceeds: bool, out: str, err: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Dry, it is a result and must not be done; with echo, it is said; quoted as a shell reads it."""
    answer = reporter.effect(["docker", "build", "-t", "a b", "-"], before="invoke image.context | ")

    assert (proceeds, (out, err)) == (answer, tuple(capsys.readouterr()))


HERE_DOCUMENT = """\
az acr run --registry contoso --file - context <<'EOF'
version: v1.1.0
steps:
  - cmd: "$ID {{.Run.ID}} `id`"
EOF
"""


@pytest.mark.parametrize(
    ("reporter", "proceeds", "out", "err"),
    [
        (Console(), True, "", ""),
        (Console(echo=True), True, "", HERE_DOCUMENT),
        (Console(dry=True), False, HERE_DOCUMENT, ""),
    ],
)
def test_a_file_of_an_effect_is_pasted_along(
    reporter: Console, proceeds: bool, out: str, err: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a command reads from its standard input stands below it, as a shell takes it unchanged."""
    file = 'version: v1.1.0\nsteps:\n  - cmd: "$ID {{.Run.ID}} `id`"\n'

    answer = reporter.effect(
        ["az", "acr", "run", "--registry", "contoso", "--file", "-", "context"], file=file
    )

    assert (proceeds, (out, err)) == (answer, tuple(capsys.readouterr()))


def test_a_pasted_file_arrives(capsys: pytest.CaptureFixture[str]) -> None:
    """A shell that is given the announced command gives the command the very file."""
    file = "a: '$HOME `id` \\\\ {{.Run.ID}}'\nb: é\n"
    Console(dry=True).effect(["cat", "-"], file=file)

    ended = subprocess.run(
        ["/bin/sh"], input=capsys.readouterr().out.encode(), capture_output=True, check=True
    )

    assert (file, b"") == (ended.stdout.decode(), ended.stderr)


def test_other_programs_cannot_rewrite_the_terminal() -> None:
    """Colours and controls go, and of a line written over by carriage returns the last state stays."""
    text = "\x1b[31mred\x1b[0m\r\n10%\r50%\r100%\nbell\x07 tab\there \x1b]0;title\x07 é模"

    assert "red\n100%\nbell� tab\there �]0;title� é模" == clean(text)


def test_words_of_other_programs_stay_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """A module with the name of a task is not one; a command of ours may be from a script of ours in the image."""
    console = Console(task_prefix="azureml-image ")
    console.output("No module named 'image.cache'")
    console.output("    invoke image.build --allow-source-builds")

    expected = "No module named 'image.cache'\n    azureml-image build --allow-source-builds\n"
    assert expected == capsys.readouterr().err


def test_only_our_tasks_are_renamed() -> None:
    """`invoke image.build` is spell_tasks as the consumer has it; an image or task of another name is not touched."""
    text = "invoke image.build\ninvoke image.builder\nreinvoke image.push\ninvoke image.smoke-test --junit x"

    expected = (
        "invoke serving.build\ninvoke image.builder\nreinvoke image.push\ninvoke serving.smoke-test --junit x"
    )
    assert expected == spell_tasks(text, "invoke serving.")


def test_a_task_that_a_sentence_names_is_named_as_it_is_typed() -> None:
    """Without the program for Invoke, with it for `azureml-image`; files and keys with such a name are not touched."""
    rest = "Not: x/image.build image.build/x tool.image.build image.check.json"
    text = f"image.push needs it, and image.environment. {rest}"

    assert [
        spell_tasks(text, prefix)
        for prefix in ("invoke image.", "invoke serving.", "invoke ", "azureml-image ")
    ] == [
        text,
        f"serving.push needs it, and serving.environment. {rest}",
        f"push needs it, and environment. {rest}",
        f"azureml-image push needs it, and azureml-image environment. {rest}",
    ]


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("Continue with: invoke image.push", "Continue with: invoke image.push --base b:1 --registry r.io"),
        ("invoke image.release", "invoke image.release --base b:1 --registry r.io --tag=x"),
        ("invoke image.smoke-test\nthen go on", "invoke image.smoke-test --base b:1\nthen go on"),
        (
            "invoke image.push --registry other.io --untested",
            "invoke image.push --base b:1 --registry other.io --untested",
        ),
        ("invoke image.context | docker build -", "invoke image.context --base b:1 | docker build -"),
        ("invoke image.cache", "invoke image.cache"),
        (
            "invoke image.cache or invoke image.push --registry other.io",
            "invoke image.cache or invoke image.push --base b:1 --registry other.io",
        ),
    ],
)
def test_a_command_to_paste_repeats_the_flags_of_the_run(text: str, spelled: str) -> None:
    """Each task gets the flags that it takes, unless the text gives it another value."""
    flags = {"base": "--base b:1", "registry": "--registry r.io", "tag": "--tag=x"}

    assert spelled == Console(flags=flags).spell(text)
    assert spelled == Console(flags=flags).spell(spelled)


def test_small_blocks_pass_in_silence(capsys: pytest.CaptureFixture[str]) -> None:
    """What is soon sent is passed on unchanged without a word."""
    blocks = [b"a", b"b"]

    assert (blocks, ("", "")) == (list(Console().progress(blocks, 2, "sending")), tuple(capsys.readouterr()))


def test_large_blocks_are_a_line_for_each_tenth(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a terminal, what takes long is a line for each tenth of the whole."""
    monkeypatch.setattr("time.monotonic", lambda: 7.0)
    size = 100_000_000
    quarters = [memoryview(bytearray(size // 4)) for _ in range(4)]

    passed = sum(len(block) for block in Console().progress(map(bytes, quarters), size, "sending"))

    lines = "".join(f"sending: {tenth}0 % of 100.0 MB after 0.0 s\n" for tenth in range(1, 11))
    assert (size, ("", lines)) == (passed, tuple(capsys.readouterr()))


def test_a_text_that_has_the_end_of_its_here_document(capsys: pytest.CaptureFixture[str]) -> None:
    """A shell reads all of it."""
    Console(dry=True).effect(["cat"], file="a\nEOF\nb\n")

    command = capsys.readouterr().out
    shown = subprocess.run(["sh", "-c", command], capture_output=True, check=True, text=True)
    assert (command, shown.stdout) == ("cat <<'EOF_'\na\nEOF\nb\nEOF_\n", "a\nEOF\nb\n")
