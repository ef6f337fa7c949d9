"""What comes in without end takes neither all memory nor all time."""

from __future__ import annotations

import itertools
import re
import tracemalloc
from collections import UserDict
from collections.abc import Callable, ItemsView, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import azureml_tasks
from azureml_tasks.config.near_tables import near_tables
from azureml_tasks.engines.acr.run_log import RunLog
from azureml_tasks.engines.build_log import BuildLog
from azureml_tasks.engines.docker.container import contents
from azureml_tasks.engines.log_lines import lines_of
from azureml_tasks.errors import SettingsError
from azureml_tasks.process import stream
from azureml_tasks.project import ignore_steps
from azureml_tasks.project.ignore import Matcher, Rule
from azureml_tasks.project.ignore_pattern import predicate
from azureml_tasks.smoke.log_excerpt import excerpt
from azureml_tasks.smoke.report import Check, Report, junit_xml, report_text

MEGABYTE = 1_000_000
UNKNOWN = "\N{REPLACEMENT CHARACTER}"
TABLE = '[project]\nname = "scoring"\nversion = "1"\n[tool.azureml-image]\nbase = "bases/serving:1"\n'
SCRIPT = "def init(): ...\ndef run(data): ...\n"


def problems(folder: Path, table: str = "", script: str = SCRIPT) -> str:
    """Return the message about a project with this *table* and this entry script."""
    (folder / "pyproject.toml").write_text(TABLE + table, encoding="utf-8")
    (folder / "code").mkdir(exist_ok=True)
    (folder / "code" / "score.py").write_text(script, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        azureml_tasks.load(folder)
    return str(caught.value)


def peak(blocks: Iterator[bytes]) -> tuple[str, int, int]:
    """Return the excerpt of a log, its number of lines, and the most bytes that were allocated meanwhile."""
    tracemalloc.start()
    try:
        log = excerpt(blocks)
        return log.text, log.lines, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_log_of_200_mb_takes_constant_memory() -> None:
    """Its beginning and its end are kept, with a line that says how much is between them."""
    line = b"a line of a log that never ends" + b"." * 68 + b"\n"
    blocks = itertools.chain(
        [b"Traceback of the start\n"], itertools.repeat(line * 10_000, 200), [b"the end\n"]
    )

    text, lines, most = peak(blocks)

    assert ("Traceback of the start\n", "the end\n", 2_000_002) == (text[:23], text[-8:], lines)
    assert "\n… 198,689,311 bytes of the log are left out here …\n" in text
    assert most < 30 * MEGABYTE


def test_a_log_without_a_line_break_takes_constant_memory() -> None:
    """So does one line of 200 MB."""
    text, lines, most = peak(itertools.repeat(b"x" * MEGABYTE, 200))

    assert (1, True, True) == (lines, len(text) < 2 * MEGABYTE, most < 30 * MEGABYTE)


@pytest.mark.parametrize(("log", "lines"), [(b"", 0), (b"a", 1), (b"a\n", 1), (b"a\nb", 2), (b"\n\n", 2)])
def test_a_short_log_is_whole(log: bytes, lines: int) -> None:
    """A line counts with and without its end."""
    assert (log.decode(), lines) == excerpt([log])


def test_a_report_and_its_junit_xml_are_bounded() -> None:
    """Long lines are cut, and a traceback of any length is not repeated in full for each failed request."""
    log = excerpt(itertools.repeat(b"x" * MEGABYTE, 20))
    failed = tuple(Check(name=f"request {number}", outcome="failed") for number in range(50))
    report = Report(
        image="a:1", image_id="", place="here", look_inside="", checks=failed, log=log.text,
        log_lines=log.lines, traceback="\n".join(["Traceback", *["y" * 2500] * 500]),
    )  # fmt: skip

    assert len(junit_xml(report)) < 50 * 500_000
    assert len(report_text(report)) < MEGABYTE


@given(pieces=st.lists(st.binary(max_size=20), max_size=8), cuts=st.lists(st.integers(0, 200), max_size=8))
def test_a_log_of_the_engine_is_read_however_it_is_divided(pieces: list[bytes], cuts: list[int]) -> None:
    """The pieces of both streams come with a header each, and in blocks that end anywhere."""
    sent = b"".join(b"\x01\0\0\0" + len(piece).to_bytes(4, "big") + piece for piece in pieces)
    ends = sorted({min(cut, len(sent)) for cut in cuts} | {0, len(sent)})
    blocks = [sent[start:end] for start, end in itertools.pairwise(ends)]

    assert b"".join(pieces) == b"".join(contents(blocks))


@given(text=st.binary(max_size=60), size=st.integers(1, 9))
def test_lines_of_blocks(text: bytes, size: int) -> None:
    """Lines are the same however the output is divided; a long one comes in pieces, of which none is lost."""
    blocks = [text[start : start + size] for start in range(0, len(text), size)]

    assert text.removesuffix(b"\n").split(b"\n") == list(lines_of(blocks, 100)) or not text
    assert text.replace(b"\n", b"") == b"".join(lines_of(blocks, 4))
    assert all(len(line) <= 4 for line in lines_of(blocks, 4))


def test_a_program_that_prints_one_line_without_end() -> None:
    """Docker's client passes on what a step of the build prints."""
    lengths: list[int] = []
    argv = ["head", "-c", str(20 * MEGABYTE), "/dev/zero"]

    code = stream(argv, env={}, feed=(), line=lambda line: lengths.append(len(line)))

    assert (0, 20 * MEGABYTE, True) == (code, sum(lengths), max(lengths) <= 64 * 1024)


def test_a_step_that_prints_steps_takes_constant_memory() -> None:
    """What a step prints may look like the builder's own lines, as often as it likes."""
    log = BuildLog()
    for number in range(1000):
        log.add_legacy_line(f"Step {number}/1 : RUN x")
        log.add_legacy_line("y" * 100_000)

    assert (1, 1, True) == (len(log.instructions), len(log.tails), len(log.last_lines) < 3000)


def test_a_run_whose_steps_print_steps_takes_constant_memory() -> None:
    """So may the log of a remote build; what is kept of it is clean."""
    log = RunLog()
    for number in range(1000):
        log.add(f"2026/01/01 00:00:00 Executing step ID: x{number}. Timeout(sec): 1")
    log.add("#6 [3/4] RUN make")
    log.add("#6 0.184 10%\r#5 ERROR: ##vso[x]")

    assert (100, "#5 ERROR: # #vso[x]") == (len(log.steps), log.tail[-1])
    assert ["#5 ERROR: # #vso[x]"] == list(log.steps[log.step].build.tails["6"])


def test_what_a_step_overwrites_is_no_line_of_the_builder() -> None:
    """A carriage return in the output of one step cannot end another."""
    log = BuildLog()
    log.add_buildkit_line("#6 [3/4] RUN make")
    log.add_buildkit_line("#6 0.184 10%\r#5 ERROR: not mine")
    log.add_buildkit_line("#6 ERROR: exit code: 2")

    assert ("RUN make", "#5 ERROR: not mine\nERROR: exit code: 2") == (log.instruction, log.last_lines)


@pytest.mark.parametrize(
    "pattern", ["*a*a*a*a*a*a*b", "**/*a*/**/*a*/**/*b", "a{1,100}a{1,100}a{1,100}b", "*" * 80 + "b"]
)
def test_many_wildcards_take_no_time(pattern: str) -> None:
    """A regular expression of Python would try for hours; Docker's result comes at once."""
    assert not any(map(predicate(pattern), ["a" * 200, "/".join(["a" * 20] * 10)]))
    assert Matcher([Rule(pattern=pattern, file="x", line=1)]).excluding("a" * 4000) is None


def test_a_long_line_that_is_no_toml_takes_no_time(tmp_path: Path) -> None:
    """What to write instead is looked for once, and not from each blank after a word."""
    line = f'user = a{" " * MEGABYTE}"'

    assert "Correct this line. The rest of the file was not read." in problems(tmp_path, line)


def test_many_tables_that_nothing_reads_take_no_time() -> None:
    """Their lines are looked at once, not for each table."""
    passes: list[int] = []

    class CountedLines(UserDict[tuple[str | int, ...], int]):
        def items(self) -> ItemsView[tuple[str | int, ...], int]:
            passes.append(len(self))
            return super().items()

    names = [f"azureml-image{number}" for number in range(100)]
    lines = CountedLines({("tool", name, "a"): number for number, name in enumerate(names, 1)})

    wrong = [*near_tables({"tool": {name: {"a": 1} for name in names}}, lines)]

    assert [*range(1, 101)] == [problem.line for problem in wrong]
    assert [100] == passes


def test_many_patterns_that_cannot_be_read_take_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is reported, and the others are not read again for each of them."""
    reads: list[str] = []

    def counted(pattern: str) -> Callable[[str], object]:
        reads.append(pattern)
        return predicate(pattern)

    monkeypatch.setattr("azureml_tasks.project.ignore.predicate", counted)

    text = problems(tmp_path, "exclude = [\n" + '"a", "[",\n' * 100 + "]\n")

    assert 100 == text.count('"[" is not a valid pattern: ')
    assert len(reads) < 1_000


PIECES = [
    "*",
    "?",
    "a",
    "b",
    "/",
    "**/",
    "**",
    "[ab]",
    "[^a]",
    "{2}",
    "{1,}",
    "{0,2}",
    "\\.",
    "|",
    "^",
    "\\b",
]
PATHS = st.text("ab/.\n", max_size=12)


@given(pattern=st.lists(st.sampled_from(PIECES), min_size=4, max_size=10).map("".join), path=PATHS)
def test_many_wildcards_match_what_few_would(pattern: str, path: str) -> None:
    """Step by step or by a regular expression, the result is the same."""
    try:
        by_expression = predicate(pattern)
    except ValueError:
        return
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ignore_steps, "_FEW", -1)
        by_steps = predicate(pattern)(path)

    assert bool(by_expression(path)) == bool(by_steps)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("a{1001}*", "Go's regular expressions repeat nothing more than 1,000 times"),
        ("a{99999999999999999999}*", "Go's regular expressions repeat nothing more than 1,000 times"),
        ("*a" * 101, "Go's regular expressions know no such thing (more than 100 wildcards)"),
        ("*" * 5000, "it is longer than 4,096 characters"),
    ],
    ids=["repeat", "large repeat", "wildcards", "long"],
)
def test_a_pattern_that_docker_refuses_or_that_matches_nothing(
    pattern: str, why: str, tmp_path: Path
) -> None:
    """It is refused with its line."""
    message = problems(tmp_path, f'exclude = [\n"{pattern}"]\n')

    assert f'pyproject.toml:7: "{pattern}" is not a valid pattern: {why}' == message.split("\n", 1)[0]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "a = " + "[" * 400 + "]" * 400,
            "pyproject.toml: has tables or arrays that are nested more than 100 deep",
        ),
        ("a = " + "[" * 9000 + "]" * 9000, "pyproject.toml: has tables or arrays that are nested too deep"),
        (
            "a" + ".a" * 150 + " = 1",
            "pyproject.toml: has tables or arrays that are nested more than 100 deep",
        ),
        (f"repeat = {'9' * 4301}", "pyproject.toml: has a number with too many digits"),
        (
            f"repeat = {'9' * 4300}",
            "pyproject.toml:6: has an integer of more than 64 bits, which TOML has not",
        ),
        (
            f"repeat = 0x{'f' * 5000}",
            "pyproject.toml:6: has an integer of more than 64 bits, which TOML has not",
        ),
    ],
    ids=["400 arrays", "9000 arrays", "a dotted key", "4,301 digits", "4,300 digits", "hexadecimal"],
)
def test_a_table_that_cannot_be_shown_is_refused(table: str, message: str, tmp_path: Path) -> None:
    """Python converts no more than 4,300 digits, and calls no more than a thousand functions inside each other."""
    assert message == problems(tmp_path, f"{table}\n").split("\n", 1)[0]


@pytest.mark.parametrize(
    "script",
    [
        "x = " + "(" * 90_000,
        "x = " + "-" * 90_000 + "1",
        "x = " + "[" * 150 + "]" * 150,
        "if a: b\n" + "elif a: b\n" * 3000,
    ],
    ids=["parentheses", "signs", "brackets", "elif"],
)
def test_an_entry_script_that_exhausts_the_parser(script: str, tmp_path: Path) -> None:
    """A newer Python may read it, so a warning says in a sentence what is wrong; or it is read, and lacks functions."""
    try:
        (folder := tmp_path / "code").mkdir()
        (folder / "score.py").write_text(f"{script}\n", encoding="utf-8")
        (tmp_path / "pyproject.toml").write_text(TABLE, encoding="utf-8")
        message = str(azureml_tasks.load(tmp_path).facts.warnings[0])
    except SettingsError as error:
        message = str(error)

    assert re.match(
        r"code/score\.py:1: (Python \S+, which runs this command, cannot read .*: syntax error: "
        r"|the entry script does not define)",
        message,
    )


def test_an_entry_script_of_a_megabyte(tmp_path: Path) -> None:
    """Python's parser would take a hundred times as much memory."""
    message = problems(tmp_path, script=SCRIPT + "#" * MEGABYTE)

    assert (
        "code/score.py: is larger than 1 MB\n    Make it smaller.\n\n1 problem; nothing was done." == message
    )


def test_an_entry_script_prints_nothing(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """Python's parser warns of an escape, with the line of the file; a log shows no such line."""
    problems(tmp_path, script='a = "\\d ##vso[x]"\n')

    assert [] == recwarn.list


def test_700_folders_inside_each_other(tmp_path: Path) -> None:
    """More folders than a hundred are refused, and nothing below them is read."""
    deep = tmp_path / "code" / Path(*["d"] * 700)
    deep.mkdir(parents=True)

    message = problems(tmp_path)

    path = "code" + "/d" * 101
    assert f"pyproject.toml:4: {path} is nested more than 100 folders deep" == message.split("\n")[0]


def test_700_folders_of_a_model_that_is_mounted(tmp_path: Path) -> None:
    """A model that the smoke test mounts is not copied, and may be nested as deep as it is."""
    (tmp_path / "model" / Path(*["d"] * 700)).mkdir(parents=True)

    message = problems(tmp_path, 'smoke-test.model = "model"\ncode = "no"\n')

    assert 'pyproject.toml:7: tool.azureml-image.code is "no", which does not exist' == message.split("\n")[0]


def test_requirements_that_include_each_other_without_end(tmp_path: Path) -> None:
    """A hundred files inside each other are read, and the next one is refused."""
    for number in range(150):
        (tmp_path / f"r{number}.txt").write_text(f"-r r{number + 1}.txt\n", encoding="utf-8")

    message = problems(tmp_path, 'requirements = "r0.txt"\n')

    assert 'r99.txt:1: includes "r100.txt", which is the 100th file inside another' == message.split("\n")[0]


def test_extras_that_include_each_other_without_end(tmp_path: Path) -> None:
    """So are extras."""
    extras = "".join(f'e{number} = ["scoring[e{number + 1}]"]\n' for number in range(300))
    table = f'extras = ["e0"]\n[project.optional-dependencies]\n{extras}e300 = []\n'

    message = problems(tmp_path, table)

    assert "extras of [project] include each other 100 deep" in message


def test_dependency_groups_that_include_each_other_without_end(tmp_path: Path) -> None:
    """So are dependency groups, by the library that reads them."""
    groups = "".join(f'g{number} = [{{ include-group = "g{number + 1}" }}]\n' for number in range(2000))

    message = problems(tmp_path, f'dependency-groups = ["g0"]\n[dependency-groups]\n{groups}g2000 = []\n')

    assert "tool.azureml-image.dependency-groups[1]: [dependency-groups] cannot be read" in message


@pytest.mark.parametrize(
    "text", ["[" * 500 + "]" * 500, "[" * 100_000 + "]" * 100_000, "1" * 5000, "NaN", "{"]
)
def test_an_expected_answer_that_is_no_json(text: str, tmp_path: Path) -> None:
    """It is refused by its file."""
    (tmp_path / "expect.json").write_text(text, encoding="utf-8")

    message = problems(
        tmp_path, '[[tool.azureml-image.smoke-test.requests]]\nbody = 1\nexpect-file = "expect.json"\n'
    )

    assert message.startswith("expect.json")
    assert ": is not valid JSON: " in message


@pytest.mark.parametrize("epoch", ["253402300800", "9" * 5000, "-1", "1_0", "\u0661", ""])
def test_a_time_that_no_label_can_hold(epoch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SOURCE_DATE_EPOCH is refused, also with more digits than Python converts."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)

    message = problems(tmp_path).split("\n")[0]

    assert f'SOURCE_DATE_EPOCH: "{epoch}" is not a number of seconds since 1970' == message


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ('[project]\nname = "a"\nversion = ""\n', 'tags[1]: "{version}" gives "", which is not a valid tag'),
        ('[project]\nname = "a"\ndynamic = true\n', 'tags[1]: "{version}" needs {version}'),
        ('[project]\nname = "a"\nversion = 1\n', "[project].version must be a string, got the integer 1"),
        ("project = 1\n", "the image has no name: neither the table nor [project] gives one"),
        ('tool.azureml-image.pip = ["n @ https://["]\n', 'pip[1]: "n @ https://["'),
        ('tool.azureml-image.pip = ["n; ((((((((((("]\n', "is not a requirement: "),
        ('tool.azureml-image.requirements = "nul.txt"\n', f'nul.txt:1: includes "a{UNKNOWN}b", which does not exist'),
        ('tool.azureml-image.requirements = "long.txt"\n', "long.txt:1: includes "),
        (f'tool.azureml-image.code = "{"a" * 300}"\n', "which does not exist"),
        (f'tool.azureml-image.entry-script = "{"a" * 300}"\n', "does not exist"),
        (f'tool.azureml-image.python-path = "{"a" * 300}"\n', "is not a folder"),
        (f'tool.azureml-image.smoke-test.request = "{"a/" * 3000}"\n', "which does not exist"),
    ],
)  # fmt: skip
def test_values_that_nobody_writes(document: str, message: str, tmp_path: Path) -> None:
    """They are refused in a sentence, like every other mistake."""
    (tmp_path / "nul.txt").write_text("-r a\0b", encoding="utf-8")
    (tmp_path / "long.txt").write_text(f"-r {'a' * 300}\n./{'a' * 300}.whl", encoding="utf-8")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "score.py").write_text(SCRIPT, encoding="utf-8")
    prefix = "tool.azureml-image." if "tool." in document else "[tool.azureml-image]\n"
    (tmp_path / "pyproject.toml").write_text(f'{document}{prefix}base = "a:1"\n', encoding="utf-8")

    with pytest.raises(SettingsError) as caught:
        azureml_tasks.load(tmp_path)

    assert message in str(caught.value)
