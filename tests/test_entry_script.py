"""What an entry script defines, as the server will find it, and which mistakes are found without running it."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import azureml_tasks
from azureml_tasks.errors import Problem, SettingsError
from azureml_tasks.project.entry_script import WrongScriptError, missing_functions
from tests.consumers import consumer

DEFINING = {
    "functions": "def init(): ...\ndef run(data): ...",
    "coroutines": "async def init(): ...\nasync def run(data): ...",
    "classes": "class init: ...\nclass run: ...",
    "imports": "from score_ import init\nimport handler as run",
    "a star import": "from score_ import *",
    "assignments": "init = run = print",
    "unpacking": "(init, *rest), [run] = (print, 1), [print]",
    "an annotated assignment": "init: object = print\nrun: object = print",
    "a walrus": "if (init := print) and (run := print): ...",
    "a walrus in a comprehension": "[init := n for n in (print,)]\n{run := n for n in (print,)}",
    "the target of a loop": "for init, run in [(print, print)]: ...",
    "the target of a with": "from contextlib import nullcontext\nwith nullcontext(1) as init: run = init",
    "a match": "match (print, print):\n    case init, run: ...",
    "branches": "try:\n    import gone\nexcept ImportError:\n    def init(): ...\nif len('x'):\n    def run(data): ...",
    "a global statement": "def _(): \n    global init, run\n    init = run = print\n_()",
    "globals": "globals().update(init=print, run=print)",
    "vars": "vars()['init'] = vars()['run'] = print",
    "exec": "exec(open('more.py').read())",
    "setattr": "import sys\nsetattr(sys.modules[__name__], 'init', 1)\nsetattr(sys.modules[__name__], 'run', 1)",
    "an attribute of the module": "import score\nscore.init = score.run = print",
    "the modules of sys": "from sys import modules\nmodules[__name__].__dict__.update(service)",
    "a module's __getattr__": "def __getattr__(name): return print",
}


@pytest.mark.parametrize("how", DEFINING)
def test_a_name_may_be_bound_in_any_way(how: str) -> None:
    """The server looks a name up in the loaded module, so every way to bind it counts."""
    assert [] == missing_functions(DEFINING[how].encode(), "score.py")


LACKING = {
    "nothing": ("", ["init", "run"]),
    "only one": ("def init(): ...", ["run"]),
    "an annotation alone": ("init: object\ndef run(data): ...", ["init"]),
    "methods": ("class Service:\n    def init(self): ...\n    def run(self, data): ...", ["init", "run"]),
    "locals": ("def main():\n    def init(): ...\n    run = print", ["init", "run"]),
    "another's names": ("model.eval()\nprint(init, run)", ["init", "run"]),
    "a class's __getattr__": ("class Service:\n    def __getattr__(self, name): ...", ["init", "run"]),
    "a dead branch": ("if False:\n    def init(): ...\ndef run(data): ...", ["init"]),
}


@pytest.mark.parametrize("how", LACKING)
def test_a_name_that_no_statement_binds_is_missing(how: str) -> None:
    """Methods, local names and uses are no definitions."""
    source, missing = LACKING[how]

    assert missing == missing_functions(source.encode(), "score.py")


MISTAKES = {
    "return outside a function": ("def init(): ...\nreturn 1", 2),
    "await outside a function": ("def init(): ...\nawait x", 2),
    "a loop's word outside a loop": ("def init():\n    break", 2),
    "a parameter twice": ("def init(): ...\ndef run(data, data): ...", 2),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_that_only_the_compiler_finds_is_refused(mistake: str) -> None:
    """`return` outside a function, say, is read without complaint; no Python runs it."""
    source, line = MISTAKES[mistake]

    with pytest.raises(WrongScriptError) as caught:
        missing_functions(source.encode(), "score.py")

    assert line == caught.value.error.lineno


def test_return_in_a_group_of_exceptions_is_refused() -> None:
    """It is refused by every Python that knows `except*`, and cannot be read by Python 3.10."""
    script = b"def init(): ...\ndef run(data):\n    try: ...\n    except* ValueError:\n        return 1\n"

    with pytest.raises(WrongScriptError if sys.version_info >= (3, 11) else SyntaxError):
        missing_functions(script, "score.py")


UNREADABLE = {
    "a missing colon": ("def init()", 1),
    "a NUL character": ("def init(): ...\n\0", 1),
    "an unknown encoding": ("# coding: nonsense\n", 1),
}


@pytest.mark.parametrize("mistake", UNREADABLE)
def test_what_this_python_cannot_read_is_told_with_its_line(mistake: str) -> None:
    """A newer Python may read it."""
    source, line = UNREADABLE[mistake]

    with pytest.raises(SyntaxError) as caught:
        missing_functions(source.encode(), "score.py")

    assert line <= (caught.value.lineno or 1) <= line + 1


def test_a_script_that_is_nested_too_deeply_is_a_mistake_in_a_sentence() -> None:
    """Python's parser and its compiler have their limits."""
    with pytest.raises(SyntaxError):
        missing_functions(b"x = " + b"(" * 10_000 + b")" * 10_000, "score.py")
    with pytest.raises(SyntaxError):
        missing_functions(b"x = " + b"-" * 100_000 + b"1", "score.py")


@given(
    st.lists(
        st.sampled_from([*DEFINING.values(), "\n", " ", "return", "(", '"', "\0", "\\", "x", ":", "\ud800"])
    )
)
def test_any_text_is_a_script_or_a_mistake(parts: list[str]) -> None:
    """Nothing else is raised, whatever the file holds."""
    source = "".join(parts).encode(errors="surrogatepass")
    try:
        missing = missing_functions(source, "score.py")
    except (SyntaxError, WrongScriptError):
        return

    assert set(missing) <= {"init", "run"}


def test_a_warning_of_the_compiler_is_no_mistake() -> None:
    r"""`"\d"` is read as it is, also where warnings count as errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        assert [] == missing_functions(rb'x = "\d"' + b"\ninit = run = 1 is 1", "score.py")


def test_a_script_that_this_python_cannot_read_is_no_mistake_of_the_project_yet(tmp_path: Path) -> None:
    """The image's Python may be a newer one, so a warning says it, and the smoke test decides."""
    folder = consumer(tmp_path, files={"code/score.py": "def init(): ...\ndef run(data): return ==\n"})

    plan = azureml_tasks.plan(azureml_tasks.load(folder))

    python = ".".join(map(str, sys.version_info[:2]))
    unread = "Correct it: the server imports this file."
    expected = Problem("code/score.py", 2, "syntax error: invalid syntax", unread)
    warning = (
        f"code/score.py:2: Python {python}, which runs this command, cannot read the entry script: "
        "syntax error: invalid syntax. The smoke test shows whether the image's Python can."
    )
    assert (expected, [warning]) == (plan.unread_script, [*map(str, plan.warnings)])


def test_a_script_that_no_python_runs_is_a_mistake_of_the_project(tmp_path: Path) -> None:
    """It is reported like any other mistake, whatever the base."""
    folder = consumer(tmp_path, files={"code/score.py": "def init(): ...\nrun = print\nreturn 1\n"})

    with pytest.raises(SettingsError) as caught:
        azureml_tasks.load(folder)

    expected = Problem(
        "code/score.py",
        3,
        "syntax error: 'return' outside function",
        "Correct it: the server imports this file.",
    )
    assert (expected,) == caught.value.problems


@pytest.mark.parametrize(
    ("main", "serves"),
    [
        ("from service import init, run\n", True),
        ("def init(): ...\ndef run(data): return ==\n", True),
        ("print(1)\n", False),
        ("def init(): ...\nrun = print\nreturn 1\n", False),
    ],
)
def test_main_serves_without_score(main: str, serves: bool, tmp_path: Path) -> None:
    """Also if it only imports the functions from a file that defines them; else that file could be named."""
    service = "def init(): ...\ndef run(data): ...\n"
    folder = consumer(tmp_path, files={"code/main.py": main, "code/service.py": service})

    if serves:
        assert "main.py" == azureml_tasks.load(folder).facts.entry_script
        return
    with pytest.raises(SettingsError) as caught:
        azureml_tasks.load(folder)

    expected = 'code/service.py defines init() and run(). Write: entry-script = "service.py"'
    assert [expected] == [problem.fix for problem in caught.value.problems]
