"""The requests of the table, as they are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import azureml_tasks
from azureml_tasks.config.fields import keys
from azureml_tasks.config.smoke_test_settings import SmokeTest
from azureml_tasks.project import smoke_test_requests
from azureml_tasks.project.multipart import Part, multipart
from tests.cases import lay_out
from tests.documentation import DOCS, blocks

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.planning.plan import Plan

HEAD = '[project]\nname = "n"\nversion = "1"\n[tool.azureml-image]\nbase = "bases/serving:1"\n'
FILES = {"code/score.py": "def init(): ...\ndef run(data): ...\n", "cat.png": "PNG", "sample.json": "{}"}


def read(folder: Path, requests: str, files: dict[str, str] | None = None) -> Plan:
    """Return the plan of a project with these requests, a TOML array."""
    table = f"{HEAD}[tool.azureml-image.smoke-test]\nrequests = {requests}\n"
    return azureml_tasks.plan(
        azureml_tasks.load(lay_out({**FILES, "pyproject.toml": table, **(files or {})}, folder))
    )


def sent(folder: Path, request: str) -> tuple[str, str, str, dict[str, str], bytes]:
    """Return name, method, path, headers and body of a request."""
    (parsed,) = read(folder, f"[{request}]").smoke_test.requests
    return parsed.name, parsed.method, parsed.path, dict(parsed.headers), parsed.body


JSON = {"Content-Type": "application/json"}
FORM_TYPE, FORM = multipart(
    [
        Part("file[]", b"PNG", filename="cat.png", content_type="application/octet-stream"),
        Part("file[]", b"{}", filename="sample.json", content_type="application/json"),
        Part("limit", b"0.5"),
    ]
)
FORM_TABLE = """form = [
  { name = "file[]", file = "cat.png" },
  { name = "file[]", file = "sample.json", content-type = "application/json" },
  { name = "limit", value = "0.5" },
]"""


def multipart_of(name: str, value: bytes) -> tuple[dict[str, str], bytes]:
    """Return headers and body of a form with one field."""
    media_type, body = multipart([Part(name, value)])
    return {"Content-Type": media_type}, body


SENT = {
    "a value": ("{ body = [1] }", ("request 1", "POST", "/score", JSON, b"[1]")),
    "a file": ('{ file = "sample.json" }', ("sample.json", "POST", "/score", JSON, b"{}")),
    "a picture": (
        '{ file = "cat.png", content-type = "image/png" }',
        ("cat.png", "POST", "/score", {"Content-Type": "image/png"}, b"PNG"),
    ),
    "headers": (
        '{ body = 1, headers = { X-Team = "a b", X-Empty = "" } }',
        ("request 1", "POST", "/score", {**JSON, "X-Team": "a b", "X-Empty": ""}, b"1"),
    ),
    "GET": (
        '{ method = "GET", path = "/score?a=1" }',
        ("GET /score?a=1", "GET", "/score?a=1", {}, b""),
    ),
    "DELETE with a body": (
        '{ method = "DELETE", body = 1 }',
        ("DELETE /score", "DELETE", "/score", JSON, b"1"),
    ),
    "OPTIONS": ('{ method = "OPTIONS" }', ("OPTIONS /score", "OPTIONS", "/score", {}, b"")),
    "a form": (
        f"{{ {FORM_TABLE.replace(chr(10), '')} }}",
        ("form of cat.png and 1 more", "POST", "/score", {"Content-Type": FORM_TYPE}, FORM),
    ),
    "a form without a file": (
        '{ form = [{ name = "limit", value = "1" }] }',
        ("form of limit", "POST", "/score", *multipart_of("limit", b"1")),
    ),
}


@pytest.mark.parametrize(("request_", "expected"), SENT.values(), ids=SENT)
def test_what_is_sent(
    request_: str, expected: tuple[str, str, str, dict[str, str], bytes], tmp_path: Path
) -> None:
    """Each kind of request has its name, method, path, headers and bytes."""
    assert sent(tmp_path, request_) == expected


def test_every_part_of_a_request_counts_for_a_pass(tmp_path: Path) -> None:
    """A pass of another method, header, media type, form, expectation, GPU or name of the model does not count."""
    requests = (
        "{ body = 1 }",
        '{ body = 1, method = "PUT" }',
        '{ body = 1, headers = { A = "b" } }',
        '{ body = 1, content-type = "text/plain" }',
        '{ body = 1, expect-headers = { A = "b" } }',
        '{ form = [{ name = "a", value = "1" }] }',
        '{ form = [{ name = "a", value = "2" }] }',
    )
    plans = [read(tmp_path, f"[{request}]") for request in requests]
    plans += [read(tmp_path, f"[{{ body = 1 }}]\n{more}") for more in ('gpus = "all"', 'model = "code"')]
    name = (
        HEAD
        + 'model-name = "m"\n[tool.azureml-image.smoke-test]\nrequests = [{ body = 1 }]\nmodel = "code"\n'
    )
    plans.append(read(tmp_path, "[]", {"pyproject.toml": name}))

    hashes = [plan.smoke_test.sha256 for plan in plans]
    assert len(set(hashes)) == len(hashes)


BATCH = 'mini-batch = ["cat.png"]'
CHANGED = {
    "env": 'env = { A = "1" }',
    "gpus": 'gpus = "all"',
    "health": 'health = "/ready"',
    "memory": 'memory = "4g"',
    "mini-batch": BATCH,
    "mini-batch-timeout": f"{BATCH}\nmini-batch-timeout = 1",
    "model": 'model = "cat.png"',
    "port": "port = 80",
    "repeat": "repeat = 2",
    "request": 'request = "sample.json"',
    "requests": "requests = [{ body = 1 }]",
    "start-timeout": "start-timeout = 1",
}
"""Each key of the smoke test → a table that sets it."""


def test_every_key_counts_for_a_pass(tmp_path: Path) -> None:
    """Another value asks for another test, so an earlier pass does not count: `_sha256` in `project/smoke_test.py`."""
    plans = {
        key: read(tmp_path, "[]", {"pyproject.toml": f"{HEAD}[tool.azureml-image.smoke-test]\n{text}\n"})
        for key, text in {"": "", **CHANGED}.items()
    }

    assert set(keys(SmokeTest)) == set(CHANGED)
    assert len({plan.smoke_test.sha256 for plan in plans.values()}) == len(plans)


def test_names_of_headers_to_expect_are_compared_without_case(tmp_path: Path) -> None:
    """The probe's answers have lower-case names."""
    (request,) = read(
        tmp_path, '[{ body = 1, expect-headers = { Content-Type = "a/B" } }]'
    ).smoke_test.requests

    assert dict(request.expect_headers) == {"content-type": "a/B"}


EMPTY_TEXT = (
    "the server passes run() an empty text instead of a form, unless run() has the decorator @rawhttp"
)
RAW = "@rawhttp\ndef run(request): ...\ndef init(): ...\n"


def test_a_form_for_a_script_that_never_sees_it(tmp_path: Path) -> None:
    """The server answers 200 to a form, with run("") for a script without @rawhttp; there is a warning."""
    urlencoded = '{ file = "sample.json", content-type = "Application/x-www-form-urlencoded; charset=utf-8" }'
    form = '{ form = [{ name = "a", value = "1" }] }'
    table = f'[{form}, {urlencoded}, {{ file = "cat.png", content-type = "image/png" }}]'

    assert [*map(str, read(tmp_path, table).warnings)] == [
        f"smoke-test, form of a: {EMPTY_TEXT}",
        f"smoke-test, sample.json: {EMPTY_TEXT}",
    ]
    assert read(tmp_path, table, {"code/score.py": RAW}).warnings == ()
    elsewhere = '[{ path = "/other", form = [{ name = "a", value = "1" }] }]'
    assert read(tmp_path, elsewhere).warnings == ()


@pytest.mark.parametrize(
    ("content", "line", "why"),
    [
        ('{\n  "numbers": [1, x]\n}\n', 2, "Expecting value"),
        ("", 1, "Expecting value"),
        ("a,b\n1,2\n", 1, "Expecting value"),
    ],
)
@pytest.mark.parametrize("is_short", [True, False])
def test_a_file_that_is_sent_as_json_and_is_none(
    content: str, line: int, why: str, is_short: bool, tmp_path: Path
) -> None:
    """A script may read any text, so it is a warning; it names the line, and what to write if it is meant."""
    place = 'request = "sample.json"' if is_short else 'requests = [{ file = "sample.json" }]'
    table = f"{HEAD}[tool.azureml-image.smoke-test]\n{place}\n"
    lay_out({**FILES, "sample.json": content, "pyproject.toml": table}, tmp_path)

    (warning,) = azureml_tasks.load(tmp_path).facts.warnings

    expected = f"""\
sample.json:{line}: is not valid JSON: {why}; it is sent as application/json
    Correct it. If it is meant, write:
    [[tool.azureml-image.smoke-test.requests]]
    file = "sample.json"
    content-type = "text/plain\""""
    assert ("request-not-json", expected) == (warning.code, str(warning))


def test_a_file_that_is_not_json_on_purpose(tmp_path: Path) -> None:
    """Another media type says so, and a status that the server answers to a mistake."""
    table = """[
  { file = "sample.json", content-type = "text/csv" },
  { file = "sample.json", status = 400 },
  { file = "sample.json", content-type = "application/json; charset=utf-8", status = 500 },
]"""

    assert read(tmp_path, table, {"sample.json": "a,b\n"}).warnings == ()


def test_headers_that_look_like_secrets(tmp_path: Path) -> None:
    """The table holds the text of a header, so one that looks like a credential gives a warning."""
    table = '[{ body = 1, headers = { Authorization = "Bearer x", X-Api-Key = "x", X-Keyboard = "x" } }]'

    assert [each.what.partition(" looks")[0] for each in read(tmp_path, table).warnings] == [
        f"tool.azureml-image.smoke-test.requests[1].headers.{name}" for name in ("Authorization", "X-Api-Key")
    ]


def test_the_examples_of_the_page(tmp_path: Path) -> None:
    """Each table of the page on the smoke test is read without a problem, with the files that it names."""
    files = {
        **FILES,
        **dict.fromkeys(["dog.png", "sample-request.json", "expected.json", "weights/iris.joblib"], "{}"),
        "code/score.py": RAW,
        "src/batch_driver.py": next(
            text for text in blocks(DOCS / "smoke-test.md", "python") if "mini_batch" in text
        ),
        **dict.fromkeys(["data/monday.csv", "data/tuesday.csv"], "a\n1\n"),
    }
    project_table, _, _ = HEAD.partition("[tool.azureml-image]")
    head = HEAD + "[tool.azureml-image.smoke-test]\n"
    counts = []
    for example in blocks(DOCS / "smoke-test.md", "toml"):
        table = example if example.startswith("[tool.azureml-image.smoke-test]") else ""
        text = HEAD + table if table else head + example
        if example.startswith("[tool.azureml-image]"):
            text = project_table + example
        project = azureml_tasks.load(lay_out({**files, "pyproject.toml": text}, tmp_path))
        counts.append(len(project.facts.smoke_test.requests) + bool(project.facts.smoke_test.gpus))

    assert counts == [3, 3, 2, 0, 1, 0]


def test_a_form_of_many_parts_takes_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes of a part are not counted again for each part after it."""
    reads: list[bytes] = []

    class CountedPart(Part):
        @property
        def content(self) -> bytes:
            reads.append(self[1])
            return self[1]

    monkeypatch.setattr(smoke_test_requests, "Part", CountedPart)
    parts = '{ name = "a", value = "1" },' * 100

    request = sent(tmp_path, f"{{ form = [{parts}] }}")

    assert 100 == request[4].count(b'name="a"')
    assert len(reads) <= 300
