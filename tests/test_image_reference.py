"""How image references are parsed."""

from __future__ import annotations

import pytest

from azureml_tasks.image_reference import MCR, Reference, expand_base, parse

DIGEST = f"sha256:{'1' * 64}"


def reference(repository: str, *, host: str = "", tag: str = "", digest: str = "") -> Reference:
    """Return a reference with the given parts."""
    return Reference(host=host, repository=repository, tag=tag, digest=digest)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("demo", reference("demo")),
        ("team/demo:1", reference("team/demo", tag="1")),
        ("docker.io/demo:1", reference("demo", host="docker.io", tag="1")),
        ("localhost/demo", reference("demo", host="localhost")),
        ("r.io:5000/team/demo", reference("team/demo", host="r.io:5000")),
        (f"r.io/demo:1@{DIGEST}", reference("demo", host="r.io", tag="1", digest=DIGEST)),
    ],
)
def test_a_reference_has_the_parts_that_docker_sees(text: str, expected: Reference) -> None:
    """The first component is a host if it contains a dot or a colon or is localhost; the text is kept."""
    assert (expected, text) == (parse(text), str(parse(text)))


@pytest.mark.parametrize("text", ["", "Demo", "demo:", "r.io/", "a//b", "demo@sha256:1", "a" * 256])
def test_other_text_is_not_a_reference(text: str) -> None:
    """Docker refuses these, and so does the parser."""
    assert parse(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("minimal-py312-inference", f"{MCR}minimal-py312-inference:latest"),
        ("curated/minimal-py311-inference:1", f"{MCR}curated/minimal-py311-inference:1"),
        ("azureml/minimal-py312-inference", "azureml/minimal-py312-inference:latest"),
        ("bases/serving", "bases/serving:latest"),
        (f"r.io/serving@{DIGEST}", f"r.io/serving@{DIGEST}"),
    ],
)
def test_a_short_name_is_an_image_of_azure_ml(text: str, expected: str) -> None:
    """Only NAME-inference and curated/NAME-inference are short names; a base without a version is `latest`."""
    assert expected == str(expand_base(text))
