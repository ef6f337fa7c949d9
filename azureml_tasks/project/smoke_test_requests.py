"""Read the requests of the table `smoke-test` with their files."""

from __future__ import annotations

import json
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.config.fields import UNSET
from azureml_tasks.config.problems import FILE, spell
from azureml_tasks.config.smoke_test_settings import Request
from azureml_tasks.config.toml_document import DEEPEST, is_too_deep
from azureml_tasks.context.lfs_pointer import is_pointer
from azureml_tasks.notice import Notice
from azureml_tasks.plain_text import escape_json
from azureml_tasks.project.cross_checks import names_secret
from azureml_tasks.project.model import SmokeTestRequest
from azureml_tasks.project.multipart import Part, multipart
from azureml_tasks.text_file import UnreadableFile, read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from azureml_tasks.config.problems import Place
    from azureml_tasks.config.smoke_test_settings import FormPart, SmokeTest
    from azureml_tasks.project.paths import ProjectReader

LARGEST = 100_000_000
"""Bytes of a request or of an expected answer, which are held in memory."""
_SHORT = ("smoke-test", "request")
_NUMBERED = ("smoke-test", "requests")
_NEEDS_BODY = frozenset({"POST", "PUT", "PATCH"})
_WITHOUT_BODY = frozenset({"GET", "HEAD"})
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
"""Media types whose body Flask reads as a form, so that the server has no other body to pass on."""
_JSON = "application/json"
_CREDENTIALS = ("authorization", "cookie")


class Body(NamedTuple):
    """What a request sends.

    Args:
        content: the bytes.
        content_type: their media type; "" if nothing is sent.
        label: what it is called in a report: its file, or a form by its files; "" for none.
    """

    content: bytes = b""
    content_type: str = ""
    label: str = ""


def read_requests(reader: ProjectReader) -> tuple[SmokeTestRequest, ...]:
    """Read what the smoke test sends and expects, and report what is wrong with it."""
    table, problems = reader.settings.smoke_test, reader.problems
    if problems.is_written(_SHORT) and problems.is_written((*_NUMBERED, 0)):
        what = "tool.azureml-image.smoke-test has both request and requests"
        problems.add(_SHORT, what, f"Write: [[{spell(_NUMBERED)}]] alone")
    requests: list[tuple[Place, Request]] = [(_SHORT, Request(file=table.request))] if table.request else []
    places = [(*_NUMBERED, index) for index in range(len(table.requests))]
    requests += [pair for pair in zip(places, table.requests, strict=True) if not problems.is_bad(pair[0])]
    return tuple(_request(reader, place, request) for place, request in requests)


def header_warnings(reader: ProjectReader) -> Iterator[Notice]:
    """Yield a warning for each header that looks like a credential: the table holds its text."""
    for index, request in enumerate(reader.settings.smoke_test.requests):
        for name in request.headers:
            if name.lower() in _CREDENTIALS or names_secret(name):
                place = spell((*_NUMBERED, index, "headers", name))
                what = (
                    f"{place} looks like a secret, which stays readable in pyproject.toml; "
                    "Azure ML checks the endpoint's key before a request reaches the image"
                )
                line = reader.problems.line_of((*_NUMBERED, index, "headers", name))
                yield Notice.of_key("secret-readable", what, FILE, line)


def json_warnings(table: SmokeTest, requests: tuple[SmokeTestRequest, ...]) -> Iterator[Notice]:
    """Yield a warning for each file that is sent as JSON and is none, unless the expected status says it is meant."""
    files = {table.request, *(request.file for request in table.requests)}
    for request in requests:
        content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if request.name not in files or content_type != _JSON or request.status >= HTTPStatus.BAD_REQUEST:
            continue
        try:
            json.loads(request.body)
        except ValueError as error:
            line, why = _json_mistake(error)
            fix = (
                f"Correct it. If it is meant, write:\n[[{spell(_NUMBERED)}]]\n"
                f'file = {escape_json(json.dumps(request.name, ensure_ascii=False))}\ncontent-type = "text/plain"'
            )
            what = f"is not valid JSON: {why}; it is sent as {_JSON}"
            yield Notice("request-not-json", what, request.name, line, fix)
        except RecursionError:  # A server's limit may be another one.
            continue


def form_warnings(requests: tuple[SmokeTestRequest, ...], script: bytes) -> Iterator[Notice]:
    """Yield a warning for each form that the server would not pass to `run()` of the entry script *script*.

    azureml-inference-server-http 1.5.1 passes the body of a form only to a script that asks for the request itself,
    by `@rawhttp`; other scripts get an empty text, and the answer is 200 (its server/input_parsers.py).
    """
    if b"rawhttp" in script:
        return
    for request in requests:
        content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if content_type in _FORMS and request.path.partition("?")[0] == "/score":
            what = (
                f"smoke-test, {request.name}: the server passes run() an empty text instead of a form, "
                "unless run() has the decorator @rawhttp"
            )
            yield Notice("form-not-passed", what)


def _request(reader: ProjectReader, place: Place, request: Request) -> SmokeTestRequest:
    _check_body(reader, place, request)
    _check_headers(reader, place, request)
    written = reader.problems.is_written
    if written((*place, "expect")) and written((*place, "expect-file")):
        reader.problems.add(place, f"{spell(place)} has both expect and expect-file", "Keep one of the two.")
    expect = request.expect
    if request.expect_file is not None:
        expect = _json(reader, (*place, "expect-file"), request.expect_file)
    body = _body(reader, place, request)
    return SmokeTestRequest(
        name=body.label or _name(place, request),
        path=request.path,
        body=body.content,
        status=request.status,
        expect=expect,
        tolerance=float(request.tolerance),
        timeout=float(request.request_timeout),
        method=request.method,
        headers={**({"Content-Type": body.content_type} if body.content_type else {}), **request.headers},
        expect_headers={name.lower(): value for name, value in request.expect_headers.items()},
    )


def _name(place: Place, request: Request) -> str:
    if request.method not in _NEEDS_BODY:
        return f"{request.method} {request.path}"
    return f"request {place[-1] + 1}" if isinstance(place[-1], int) else "request"


def _check_body(reader: ProjectReader, place: Place, request: Request) -> None:
    """Report a body that is missing, or that there is too much of."""
    problems = reader.problems
    bodies = [key for key in ("body", "file", "form") if problems.is_written((*place, key))]
    if place == _SHORT or problems.is_bad((*place, "method")):
        return
    if "form" in bodies and not request.form and not problems.is_bad((*place, "form")):
        fix = 'Write: form = [{ name = "image", file = "sample.png" }]'
        problems.add((*place, "form"), f"{spell((*place, 'form'))} has no parts", fix)
    if request.method in _NEEDS_BODY and len(bodies) != 1:
        fix = 'Write: file = "sample-request.json"\nor, without a body: method = "GET"'
        problems.add(place, f"{spell(place)} must have exactly one of body, file and form", fix)
    elif request.method in _WITHOUT_BODY and bodies:
        fix = 'Put values into the path: path = "/score?x=1"\nor write: method = "POST"'
        problems.add(place, f"{spell(place)}: {request.method} has no body, but {bodies[0]} is set", fix)
    elif len(bodies) > 1:
        problems.add(place, f"{spell(place)} has both {bodies[0]} and {bodies[1]}", "Keep one of them.")
    if request.content_type is not None:
        _check_content_type(reader, (*place, "content-type"), request, bodies)


def _check_content_type(reader: ProjectReader, place: Place, request: Request, bodies: Sequence[str]) -> None:
    """Report a media type of a body that has its own, or that is not there."""
    problems, media_type = reader.problems, (request.content_type or "").lower()
    if "form" in bodies:
        what = f"{spell(place)}: a form has its own media type"
        problems.add(place, what, "Remove the key. Each part of the form may have its own content-type.")
    elif not bodies:
        problems.add(place, f"{spell(place)} is set, but there is no body", "Remove the key.")
    elif media_type.startswith("multipart/") and "boundary=" not in media_type:
        fix = f'Write: form = [{{ name = "file", file = "{request.file or "sample.png"}" }}]'
        problems.add(place, f"{spell(place)} has no boundary, which a multipart body needs", fix)


def _check_headers(reader: ProjectReader, place: Place, request: Request) -> None:
    """Report headers that differ in case alone: servers see one of them, or both as one."""
    for key, headers in (("headers", request.headers), ("expect-headers", request.expect_headers)):
        seen: dict[str, str] = {}
        for name in headers:
            other = seen.setdefault(name.lower(), name)
            if other != name:
                where = (*place, key, name)
                reader.problems.add(where, f"{spell((*place, key))} has both {other} and {name}", "Keep one.")


def _body(reader: ProjectReader, place: Place, request: Request) -> Body:
    if request.form:
        return _form(reader, (*place, "form"), request.form)
    content_type = request.content_type or _JSON
    if request.file is not None:
        where = place if place == _SHORT else (*place, "file")
        path = reader.check_path(where, request.file, "file")
        content = (read_content(reader, where, path) if path else None) or b""
        return Body(content=content, content_type=content_type, label=request.file)
    if request.body is UNSET:
        return Body()
    return Body(content=json.dumps(request.body, ensure_ascii=False).encode(), content_type=content_type)


def _form(reader: ProjectReader, place: Place, form: tuple[FormPart, ...]) -> Body:
    parts: list[Part] = []
    size = 0
    for index, part in enumerate(form):
        if not reader.problems.is_bad((*place, index)):
            parts.append(_part(reader, (*place, index), part))
            size += len(parts[-1].content)
        if size > LARGEST:
            what = f"{spell(place)} is larger than {LARGEST / 1e6:,.0f} MB"
            reader.problems.add(place, what, "Make it smaller.")
            break
    content_type, content = multipart(parts)
    return Body(content=content, content_type=content_type, label=_form_label(form))


def _form_label(form: tuple[FormPart, ...]) -> str:
    """Return the name of a form: the first of its files, or of its fields if it uploads none, and how many follow."""
    first, *others = [part.file for part in form if part.file] or [part.name for part in form]
    return f"form of {first}" + (f" and {len(others)} more" if others else "")


def _part(reader: ProjectReader, place: Place, part: FormPart) -> Part:
    written = reader.problems.is_written
    if written((*place, "value")) == written((*place, "file")):
        what = f"{spell(place)} must have exactly one of value and file"
        reader.problems.add(place, what, f'Write: {{ name = "{part.name or "image"}", file = "sample.png" }}')
    if part.file is None:
        return Part(part.name, (part.value or "").encode(), content_type=part.content_type or "")
    path = reader.check_path((*place, "file"), part.file, "file")
    return Part(
        name=part.name,
        content=(read_content(reader, (*place, "file"), path) if path else None) or b"",
        filename=Path(part.file).name,
        content_type=part.content_type or "application/octet-stream",
    )


def read_content(reader: ProjectReader, place: Place, path: str) -> bytes | None:
    """Return the content of a file; None if it cannot be read or was not pulled, which is reported."""
    try:
        content = read_bytes(reader.root / path, LARGEST)
    except UnreadableFile as error:
        reader.problems.add_in_file(reader.name(path), 0, error.why, error.fix)
        return None
    if is_pointer(content):
        reader.refuse_lfs_pointers(place, [path])
        return None
    return content


def _json(reader: ProjectReader, place: Place, value: str) -> Any:
    path = reader.check_path(place, value, "file")
    if not path:
        return UNSET
    content = read_content(reader, place, path)
    if content is None:
        return UNSET
    try:
        value = json.loads(content, parse_constant=_refuse_constant)
        if not is_too_deep(value):
            return value
        line, why = 0, f"it is nested more than {DEEPEST} deep"
    except RecursionError:
        line, why = 0, f"it is nested more than {DEEPEST} deep"
    except ValueError as error:
        line, why = _json_mistake(error)
    fix = "The file holds what the response must contain."
    reader.problems.add_in_file(reader.name(path), line, f"is not valid JSON: {why}", fix)
    return UNSET


def _json_mistake(error: ValueError) -> tuple[int, str]:
    """Return the line of a mistake in a JSON file, 0 if that is not known, and what is wrong."""
    if isinstance(error, json.JSONDecodeError):
        return error.lineno, error.msg
    if isinstance(error, UnicodeDecodeError):
        return 1, error.reason
    return 0, str(error)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is none of its numbers")
