"""The body of a form; the inference server's own parser reads one in `real/test_requests.py`."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from azureml_tasks.project.multipart import Part, multipart

PART = st.builds(
    Part,
    name=st.text(alphabet="abc[]-_ 1", min_size=1, max_size=5).map(lambda name: f"n{name}n"),
    content=st.binary(max_size=20) | st.sampled_from([b"--azureml-image-", b"\r\n", b"\r\n--\r\n"]),
    filename=st.sampled_from(["", "cat.png", "a b.jpg"]),
    content_type=st.sampled_from(["", "image/png", "application/octet-stream"]),
)


def read_back(content_type: str, body: bytes) -> list[Part]:
    """Return the parts of a multipart body."""
    boundary = content_type.partition("boundary=")[2].encode()
    before, *parts, after = (b"\r\n" + body).split(b"\r\n--" + boundary)
    assert (before, after) == (b"", b"--\r\n")
    return [_part(part.removeprefix(b"\r\n")) for part in parts]


def _part(part: bytes) -> Part:
    head, _, content = part.partition(b"\r\n\r\n")
    match = re.fullmatch(
        r'Content-Disposition: form-data; name="([^"]*)"(?:; filename="([^"]*)")?(?:\r\nContent-Type: (.*))?',
        head.decode(),
    )
    assert match
    return Part(match[1], content, match[2] or "", match[3] or "")


@given(st.lists(PART, min_size=1, max_size=3))
def test_a_form_is_read_as_it_was_written(parts: list[Part]) -> None:
    """Names, file names, media types and every byte of the content come back, also of parts with the same name."""
    content_type, body = multipart(parts)

    boundary = content_type.partition("boundary=")[2]
    assert body.count(f"--{boundary}".encode()) == len(parts) + 1
    assert parts == read_back(content_type, body)


def test_the_whole_form() -> None:
    """The bytes are those of RFC 7578, and the same each time."""
    parts = [
        Part("file[]", b"\x89PNG", filename='a "b".png', content_type="image/png"),
        Part("limit", b"0.5"),
    ]
    content_type, body = multipart(parts)
    boundary = "azureml-image-" + content_type.rpartition("-")[2]

    assert content_type == f"multipart/form-data; boundary={boundary}"
    assert len(boundary) == len("azureml-image-") + 32
    assert body == (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file[]"; filename="a %22b%22.png"\r\n'
        "Content-Type: image/png\r\n\r\n"
    ).encode() + b"\x89PNG" + (
        f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="limit"\r\n\r\n0.5\r\n--{boundary}--\r\n'
    ).encode()  # fmt: skip
    assert (content_type, body) == multipart(list(parts))
    assert multipart(parts[:1])[0] != content_type
