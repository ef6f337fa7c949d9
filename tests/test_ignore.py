"""Docker's ignore rules: which paths they exclude."""

from __future__ import annotations

import pytest

from azureml_tasks.project.ignore import IllegalPattern, Matcher, Rule, parse_ignore_file


def rules(text: str) -> list[Rule]:
    """Return the rules of an ignore file."""
    return parse_ignore_file(text, ".dockerignore")


def kept(patterns: str, paths: list[str]) -> list[str]:
    """Return the paths that stay."""
    matcher = Matcher(rules(patterns))
    return [path for path in paths if matcher.excluding(path) is None]


def test_an_ignore_file_is_read_as_docker_reads_it() -> None:
    """A comment begins in the first column, blanks around a pattern are removed, and lines are counted."""
    text = "\ufeff# comment\r\n  *.log \r\n\r\n # no comment\n!\tkeep.log\n\x1c\n/a"

    actual = parse_ignore_file(text, ".dockerignore")

    expected = [
        Rule(pattern="*.log", file=".dockerignore", line=2),
        Rule(pattern="# no comment", file=".dockerignore", line=4),
        Rule(pattern="!\tkeep.log", file=".dockerignore", line=5),
        Rule(pattern="\x1c", file=".dockerignore", line=6),
        Rule(pattern="/a", file=".dockerignore", line=7),
    ]
    assert expected == actual


@pytest.mark.parametrize(
    ("patterns", "paths", "stay"),
    [
        pytest.param("", ["a"], ["a"], id="no rules"),
        pytest.param(
            "a", ["a", "a/b/c", "b/a", "ab"], ["b/a", "ab"], id="a name is that of the project's root"
        ),
        pytest.param("/a/", ["a", "a/b"], [], id="slashes around a name mean nothing"),
        pytest.param("./x/../a//b", ["a/b", "a/c", "x"], ["a/c", "x"], id="paths are cleaned"),
        pytest.param("../a\n.\n/", ["a", "b"], ["a", "b"], id="what is not inside takes nothing out"),
        pytest.param(
            "*.py", ["a.py", "b/a.py", "a.pyc"], ["b/a.py", "a.pyc"], id="a star stays in its folder"
        ),
        pytest.param("*", ["a", "a/b", ".c"], [], id="a star takes folders with all in them"),
        pytest.param("*/b", ["b", "a/b", "a/c/b"], ["b", "a/c/b"], id="a star is one folder"),
        pytest.param(
            "?.a", ["é.a", "☺.a", "bb.a", ".a"], ["bb.a", ".a"], id="a question mark is one character"
        ),
        pytest.param("**", ["a", "a/b"], [], id="two stars take all"),
        pytest.param(
            "**/a", ["a", "b/a", "b/c/a/d", "ba"], ["ba"], id="two stars in front are any folder or none"
        ),
        pytest.param("**a", ["a", "b/a", "ba", "ab"], ["ab"], id="two stars stuck to a name are any start"),
        pytest.param("a/**", ["a", "a/b", "a/b/c"], ["a"], id="two stars behind leave the folder itself"),
        pytest.param("a/**/b", ["a/b", "a/c/b", "a/c/d/b", "a/bb"], ["a/bb"], id="two stars between"),
        pytest.param(
            "x**/a", ["xa", "x/a", "xy/a", "y/xa"], ["y/xa"], id="two stars with their slash are nothing too"
        ),
        pytest.param("**/*.py", ["a.py", "b/c/a.py", "a.pyx"], ["a.pyx"], id="every file of a kind"),
        pytest.param("[a-cé]x", ["ax", "éx", "dx"], ["dx"], id="a set"),
        pytest.param("[^a-c]x", ["ax", "dx", "☺x"], ["ax"], id="the opposite of a set"),
        pytest.param("a[^b]c", ["a/c", "abc"], ["abc"], id="the opposite of a set holds a slash"),
        pytest.param(r"[\]\-\\]x", ["]x", "-x", "\\x", "ax"], ["ax"], id="escapes in a set"),
        pytest.param(r"\*a", ["*a", "ba"], ["ba"], id="an escaped star is a star"),
        pytest.param(r"\!a", ["!a", "a"], ["a"], id="an escaped exclamation mark begins a name"),
        pytest.param(
            "a.(b)+^$ c", ["a.(b)+^$ c", "ax(b)+^$ c"], ["ax(b)+^$ c"], id="a name of special characters"
        ),
        pytest.param(
            "a.(b)+$*", ["a.(b)+$x", "ax(b)+$x"], ["ax(b)+$x"], id="special characters beside a star"
        ),
        pytest.param("{a,b}*", ["{a,b}c", "a", "b"], ["a", "b"], id="braces are no choice"),
        pytest.param("*{,2}", ["a{,2}", "a"], ["a"], id="braces without a first number are themselves"),
        pytest.param("a{2}*", ["aa", "aab", "ab"], ["ab"], id="Moby lets a number in braces repeat"),
        pytest.param("x*y|z", ["xy", "xyy", "az", "a"], ["a"], id="Moby lets a bar separate beside a star"),
        pytest.param(
            r"a\d", ["a1", "ad", "a\u0661"], ["ad", "a\u0661"], id="Moby lets an escaped d be a digit"
        ),
        pytest.param(r"[\s\D]?", ["a1", "11"], ["11"], id="also in a set"),
        pytest.param(r"a\sb", ["a b", "a\vb"], ["a\vb"], id="Go's space is not the vertical tab"),
        pytest.param(r"a\b?", ["a-", "ab"], ["ab"], id="an escaped b is the edge of a word"),
        pytest.param(r"a\tb", ["a\tb", "atb"], ["atb"], id="an escaped t is a tab"),
        pytest.param("[[:alpha:]]1", ["a1", "é1"], ["é1"], id="a set with a name"),
        pytest.param("[a*b]", ["a", "aab]", "^xb]"], ["a", "^xb]"], id="a star in a set ends it"),
        pytest.param("*a", ["\na", "a\n"], ["a\n"], id="a line end is a character like any other"),
    ],
)
def test_patterns_exclude_what_docker_excludes(patterns: str, paths: list[str], stay: list[str]) -> None:
    """A pattern matches a path or one of its parents, from the project's root on."""
    assert stay == kept(patterns, paths)


@pytest.mark.parametrize(
    ("patterns", "stay"),
    [
        pytest.param("a\n!a/b", ["a/b", "a/b/c"], id="a file from an excluded folder"),
        pytest.param("!a/b\na", [], id="the order counts"),
        pytest.param("a\n!a/b\na/b/c", ["a/b"], id="and taken out once more"),
        pytest.param("**\n!a", ["a", "a/b", "a/b/c", "a/d"], id="a folder with all in it"),
        pytest.param("a\n! /a//d/", ["a/d"], id="blanks and slashes behind the mark"),
        pytest.param("a/b\n!a", ["a", "a/b", "a/b/c", "a/d"], id="a parent brings back"),
        pytest.param("**\n!**/c", ["a/b/c"], id="by a pattern"),
    ],
)
def test_an_exclamation_mark_brings_back(patterns: str, stay: list[str]) -> None:
    """The last rule that matches a path or one of its parents decides."""
    assert stay == kept(patterns, ["a", "a/b", "a/b/c", "a/d"])


def test_the_deciding_rule_is_named() -> None:
    """The rule that excludes or brings back is returned with its place; None if no rule matches."""
    default = Rule(pattern="**/*.pem", file="built-in default", line=0)
    first, second, third = rules("*.log\n!b.log\na.*")
    matcher = Matcher([default, first, second, third])

    excluding = {path: matcher.excluding(path) for path in ("a.log", "b.log", "c.log", "d", "k/x.pem")}
    reincluding = {path: matcher.reincluding(path) for path in ("a.log", "b.log", "b.log/x", "c.log", "d")}

    assert {"a.log": third, "b.log": None, "c.log": first, "d": None, "k/x.pem": default} == excluding
    assert {"a.log": None, "b.log": second, "b.log/x": second, "c.log": None, "d": None} == reincluding


def test_a_path_is_brought_back_though_no_rule_excludes_it() -> None:
    """A "!" rule also allows a file that would be refused, such as a secret."""
    (rule,) = rules("!.env")

    assert rule == Matcher([rule]).reincluding(".env")


@pytest.mark.parametrize(
    ("patterns", "folder", "expected"),
    [
        pytest.param("", "a", True, id="nothing is excluded"),
        pytest.param("a", "a", False, id="nothing comes back"),
        pytest.param("a", "a/b", False, id="below an excluded folder"),
        pytest.param("a\n!a", "a", True, id="the folder itself comes back"),
        pytest.param("a\n!a/b/c", "a", True, id="a path below"),
        pytest.param("a\n!a/b/c", "a/b", True, id="a path further below"),
        pytest.param("a\n!a/b/c", "a/d", False, id="a path beside"),
        pytest.param("a\n!ab", "a", False, id="a name that only begins alike"),
        pytest.param("a\n!*/b", "a", True, id="a star for the folder"),
        pytest.param("a\n!?/b", "a/b", True, id="the folder is brought back by a pattern"),
        pytest.param("a\n!b*/c", "a", False, id="a star that cannot be the folder"),
        pytest.param("a\n!**/c", "a", True, id="two stars reach everywhere"),
        pytest.param("a\n![b]/c", "a", True, id="a set may hold a slash"),
        pytest.param("a\n!x*|c", "a", True, id="a bar may begin anew"),
        pytest.param("!a/b\na", "a", False, id="a rule that comes too early"),
        pytest.param("*\n!a", "b", False, id="everything but one folder"),
    ],
)
def test_a_folder_is_entered_if_something_below_it_can_stay(
    patterns: str, folder: str, *, expected: bool
) -> None:
    """A folder is left out only if no later pattern can match below it."""
    assert expected == Matcher(rules(patterns)).may_descend(folder)


BRACKETS = 'a "[" needs a "]" and characters between them; write a literal "-" as "\\-"'


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("!", 'nothing follows the "!"'),
        ("! ", 'nothing follows the "!"'),
        ("a\\", "it ends in a backslash, which escapes nothing"),
        ("[", BRACKETS),
        ("a[]b", BRACKETS),
        ("[^]", BRACKETS),
        ("[-a]", BRACKETS),
        ("[a-]", BRACKETS),
        ("a/[b", BRACKETS),
        ("[b-a]", "Go's regular expressions know no such thing (bad character range b-a)"),
        ("[[:letters:]]", '"[:letters:]" is no known set of characters'),
        ("build\\lib", '"\\l" escapes nothing; folders are separated by "/"'),
    ],
)
def test_patterns_that_docker_refuses_are_refused(pattern: str, why: str) -> None:
    """The error has the rule, its place and the reason."""
    rule = Rule(pattern=pattern, file=".dockerignore", line=3)

    with pytest.raises(IllegalPattern) as caught:
        Matcher([rule])

    assert (rule, why) == (caught.value.rule, caught.value.why)
    assert f'.dockerignore:3: the pattern "{pattern}" is not valid: {why}' == str(caught.value)
