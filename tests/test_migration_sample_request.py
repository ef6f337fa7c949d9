"""The first request for a script."""

import json

import pytest

from azureml_tasks.migration.code.sample_request import sample_request

_NAMED = """
rows = np.array([[1]])
kind = NumpyParameterType(rows)

@input_schema(param_name="rows", param_type=kind)
@output_schema(kind)
def run(rows): ...
"""
_FRAME = """
@schema_decorators.input_schema("x", PandasParameterType(pd.DataFrame({"a": [1, 2], "b": pd.Series(["u", "v"])})))
def run(x): ...
"""
_ROWS = """
@input_schema("x", PandasParameterType(pd.DataFrame([[1, 2]], columns=["a", "b"])))
def run(x): ...
"""
_TWO = """
@input_schema("a", StandardPythonParameterType([7.2]))
@input_schema("b", StandardPythonParameterType("t"))
def run(a, b): ...
"""
_NESTED = """
inner = NumpyParameterType(np.array([1]))

@input_schema("Inputs", StandardPythonParameterType({"data": inner, "more": {"n": 1}}))
def run(Inputs): ...
"""
_READS = """
def run(raw):
    body = json.loads(raw)
    return body["b"], body.get("a", 1), body["b"]
"""


@pytest.mark.parametrize(
    ("script", "request_"),
    [
        ('@input_schema("x", NumpyParameterType(np.array([[1, 2.5]])))\ndef run(x): ...', {"x": [[1, 2.5]]}),
        (_NAMED, {"rows": [[1]]}),
        (_FRAME, {"x": [{"a": 1, "b": "u"}, {"a": 2, "b": "v"}]}),
        (_ROWS, {"x": [{"a": 1, "b": 2}]}),
        (_TWO, {"b": "t", "a": [7.2]}),
        (_NESTED, {"Inputs": {"data": [1], "more": {"n": 1}}}),
    ],
)
def test_a_schema_shows_a_request(script: str, request_: dict[str, object]) -> None:
    """With the literals of its samples."""
    sample = sample_request(script)
    assert sample is not None
    assert json.loads(sample.text) == request_
    assert not sample.is_example


@pytest.mark.parametrize(
    ("script", "request_"),
    [
        ("def run(data): ...", {"data": [[0]]}),
        ("import json\ndef run(raw):\n    rows = json.loads(raw)['rows']\n", {"rows": [[0]]}),
        (_READS, {"b": [[0]], "a": [[0]]}),
        ('@input_schema("x", NumpyParameterType(np.zeros((1, 4))))\ndef run(x): ...', {"x": [[0]]}),
        ('@input_schema("x", StandardPythonParameterType(b"1"))\ndef run(x): ...', {"x": [[0]]}),
        ('@input_schema("x", StandardPythonParameterType(1e999))\ndef run(x): ...', {"x": [[0]]}),
        ('a = b\nb = a\n@input_schema("x", NumpyParameterType(a))\ndef run(x): ...', {"x": [[0]]}),
        ('@input_schema("x", Own(1))\ndef run(x): ...', {"x": [[0]]}),
        ('print "hello"\ndef run(data): pass', {"data": [[0]]}),
        ("run = print", {"data": [[0]]}),
    ],
)  # fmt: skip
def test_another_script_gets_an_example(script: str, request_: dict[str, object]) -> None:
    """With the keys that it reads, to be replaced."""
    sample = sample_request(script)
    assert sample is not None
    assert (json.loads(sample.text), sample.is_example) == (request_, True)
    assert "replace it" in sample.why


def test_samples_that_name_each_other_are_bounded() -> None:
    """Each of them twice would be a request of any size."""
    lines = [f"k{n} = StandardPythonParameterType([k{n + 1}, k{n + 1}])" for n in range(60)]
    script = "\n".join(
        [*lines, "k60 = StandardPythonParameterType(1)", '@input_schema("x", k0)', "def run(x): ..."]
    )
    sample = sample_request(script)
    assert sample is not None
    assert sample.is_example


@pytest.mark.parametrize(
    "script",
    [
        "def run(mini_batch): ...",
        "@rawhttp\ndef run(request): ...",
        "@aml_request.rawhttp\ndef run(request): ...",
    ],
)
def test_some_scripts_get_none(script: str) -> None:
    """A batch deployment sends files, and a script that asks for the whole request may want anything."""
    assert sample_request(script) is None
