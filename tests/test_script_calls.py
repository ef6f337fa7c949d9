"""What the definitions of `init()` and `run()` show of how they can be called, also of decorated ones."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azureml_tasks.project.script_calls import takes_mini_batch, wrong_calls

INIT = "def init(): ...\n"
RUN = "def run(data): ...\n"


def mistakes(source: str, *, is_batch: bool = False) -> list[tuple[int, str]]:
    """Return line and sentence of each mistake."""
    return [(line, sentence) for line, sentence, _ in wrong_calls(ast.parse(source), is_batch=is_batch)]


SERVED = {
    "one argument": "def run(data): ...",
    "any name": "def run(raw_data: str) -> dict: ...",
    "a keyword": "def run(*, data): ...",
    "more with defaults": "def run(data, model=None, *, verbose=False): ...",
    "the headers of the request": "def run(data, request_headers): ...",
    "the headers first": "def run(request_headers, data): ...",
    "rawhttp": "@rawhttp\ndef run(request): ...",
    "a schema": "@input_schema('a', A)\n@input_schema('b', B)\n@output_schema(C)\ndef run(a, b): ...",
    "a schema of a module": "@inference_schema.schema_decorators.input_schema('a', A)\ndef run(a, b): ...",
    "another decorator": "@traced\nasync def run(): yield 1",
    "a decorator that is called": "@retry(3)\ndef run(*args, **kwargs): ...",
    "defined twice": "def run(): ...\ndef run(data): ...",
    "defined again in a branch": "def run(): ...\nif x:\n    def run(data): ...",
    "assigned afterwards": "async def run(): ...\nrun = served(run)",
    "imported": "from service import run",
    "imported afterwards": "def run(): ...\nfrom service import serve as run",
    "set as a global": "def run(): ...\ndef init():\n    global run\n    run = serve",
    "a method": "class Service:\n    async def run(self): yield 1",
    "a generator inside": "def run(data):\n    def parts():\n        yield 1\n    return list(parts())",
    "a generator expression": "def run(data): return sum(n for n in data)",
    "the module of another script": "async def run(): ...\nimport service as driver_module",
    "a local name": "def init():\n    run = 1\n",
}


@pytest.mark.parametrize("how", SERVED)
def test_what_the_server_can_call_is_no_mistake(how: str) -> None:
    """Decorators of the server and of inference_schema are known; with any other, nothing is said."""
    assert [] == mistakes(SERVED[how])


REFUSED = {
    "a coroutine": (
        "async def run(data): ...",
        "run() is defined by async def, and the server does not await it, so that every call fails",
    ),
    "a raw coroutine": (
        "@rawhttp\nasync def run(request): ...",
        "run() is defined by async def, and the server does not await it, so that every call fails",
    ),
    "a generator": (
        "def run(data):\n    for n in data:\n        yield n",
        "run() is a generator (it has a yield), which the server cannot use as a result",
    ),
    "yield from": (
        "def run(data):\n    yield from data",
        "run() is a generator (it has a yield), which the server cannot use as a result",
    ),
    "no argument": ("def run(): ...", "run() takes no argument for the request's body"),
    "the headers alone": ("def run(request_headers): ...", "run() takes no argument for the request's body"),
    "two": (
        "def run(data, model): ...",
        "run() needs the arguments data, model, and the server gives it one, the request's body",
    ),
    "a second keyword": (
        "def run(data, *, model): ...",
        "run() needs the arguments data, model, and the server gives it one, the request's body",
    ),
    "any number": (
        "def run(*args): ...",
        "run() has positional-only parameters, *args or **kwargs, which the server refuses",
    ),
    "any names": (
        "def run(data, **kwargs): ...",
        "run() has positional-only parameters, *args or **kwargs, which the server refuses",
    ),
    "positional": (
        "def run(data, /): ...",
        "run() has positional-only parameters, *args or **kwargs, which the server refuses",
    ),
}


@pytest.mark.parametrize("how", REFUSED)
def test_what_the_server_cannot_call_is_a_mistake(how: str) -> None:
    """The line is that of the definition."""
    source, sentence = REFUSED[how]
    line = next(n for n, text in enumerate(source.splitlines(), 1) if "def run" in text)

    assert [(line, sentence)] == mistakes(source)


INITS = {
    "without arguments": ("def init(): ...", []),
    "with a default": ("def init(path=None, *more, **others): ...", []),
    "decorated": ("@cache\nasync def init(path): ...", []),
    "an argument": (
        "def init(context): ...",
        ["init() needs the argument context, and it is called without arguments"],
    ),
    "a keyword": (
        "def init(*, path): ...",
        ["init() needs the argument path, and it is called without arguments"],
    ),
    "a coroutine": ("async def init(): ...", ["init() is defined by async def, and nothing awaits it"]),
    "a generator": (
        "def init():\n    yield",
        ["init() is a generator (it has a yield), so calling it runs nothing"],
    ),
}


@pytest.mark.parametrize("how", INITS)
def test_init_is_called_without_arguments_and_not_awaited(how: str) -> None:
    """What it would load is not loaded otherwise."""
    source, expected = INITS[how]

    assert expected == [sentence for _, sentence in mistakes(f"{source}\n{RUN}")]


BATCHES = {
    "a list of paths": ("def run(mini_batch): ...", []),
    "positional": ("def run(files, /): ...", []),
    "any number": ("def run(*args): ...", []),
    "a default": ("def run(files, size=1, *, more=2): ...", []),
    "none": (
        "def run(): ...",
        ["run() takes no argument, and a batch deployment gives it the list of files"],
    ),
    "two": (
        "def run(files, model): ...",
        [
            "run() needs the arguments files, model, and a batch deployment gives it one argument, the list of files"
        ],
    ),
    "a keyword": (
        "def run(*, files): ...",
        ["run() needs the argument files, and a batch deployment gives it one argument, the list of files"],
    ),
    "a generator": (
        "def run(files):\n    yield 1",
        ["run() is a generator (it has a yield), which a batch deployment cannot use as a result"],
    ),
}


@pytest.mark.parametrize("how", BATCHES)
def test_a_batch_deployment_gives_one_positional_argument(how: str) -> None:
    """It takes what the server does not, and the other way round."""
    source, expected = BATCHES[how]

    assert expected == [sentence for _, sentence in mistakes(INIT + source, is_batch=True)]


@pytest.mark.parametrize(
    ("source", "takes"),
    [
        ("def run(mini_batch): ...", True),
        ("def run(minibatch_paths, size=1): ...", True),
        ("def run(data, mini_batch=None): ...", False),
        ("def run(data): ...", False),
        ("run = print", False),
    ],
)
def test_a_mini_batch_is_known_by_the_name_of_its_parameter(source: str, takes: bool) -> None:
    """The scripts of the documentation call it `mini_batch`."""
    assert takes == takes_mini_batch(ast.parse(source))


@given(
    st.lists(
        st.sampled_from([*SERVED.values(), *(source for source, _ in REFUSED.values()), "x = 1", "del run"])
    )
)
def test_any_script_is_judged_without_an_error(parts: list[str]) -> None:
    """Whatever is defined how often."""
    tree = ast.parse("\n".join(parts))

    assert all(line > 0 for line, _ in mistakes("\n".join(parts))), ast.dump(tree)
