"""What a Dockerfile says: its images, what it needs of BuildKit, its user, and its mistakes."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from azureml_tasks.project.dockerfile_facts import DockerfileFacts, read_facts
from tests.dockerfile_values import PIECES
from tests.examples import examples

PLATFORM = "linux/amd64"


def facts(text: str) -> DockerfileFacts:
    """Return what *text* says."""
    return read_facts(text, PLATFORM)


def images(text: str) -> list[tuple[str, str]]:
    """Return each image that *text* names: the instruction and the reference."""
    return [(image.text, str(image.reference or "")) for image in facts(text).images]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM a\n", [("FROM a", "a:latest")]),
        ("FROM a:1 AS b\nFROM b\n", [("FROM a:1 AS b", "a:1")]),
        ("FROM scratch\n", [("FROM scratch", "")]),
        ("ARG T=1\nFROM a:${T}\n", [("FROM a:1", "a:1")]),
        ("ARG T\nFROM a:${T:-2}\n", [("FROM a:2", "a:2")]),
        ('ARG H=h.io\nARG B="${H}/a:1"\nFROM $B\n', [("FROM h.io/a:1", "h.io/a:1")]),
        ("ARG T=1\nFROM a:1${T:+-slim}\n", [("FROM a:1-slim", "a:1-slim")]),
        ("FROM a-$TARGETARCH\n", [("FROM a-amd64", "a-amd64:latest")]),
        ("FROM --platform=$BUILDPLATFORM a\n", [("FROM --platform=<BUILDPLATFORM> a", "a:latest")]),
        (
            "FROM a AS b\nCOPY --from=b x y\nCOPY --from=0 x y\nCOPY --from=c:1 x y\n",
            [("FROM a AS b", "a:latest"), ("COPY --from=c:1", "c:1")],
        ),
        (
            "FROM a\nRUN --mount=type=bind,from=c,target=/x true\n",
            [("FROM a", "a:latest"), ("RUN --mount=from=c", "c:latest")],
        ),
        ("FROM a\nRUN <<EOF\nFROM b\nEOF\n", [("FROM a", "a:latest")]),
    ],
)
def test_the_images_that_it_names(text: str, expected: list[tuple[str, str]]) -> None:
    """Variables have their values, and stages of its own are no images."""
    assert expected == images(text)


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("FROM a:1 AS x\nFROM x AS y\nFROM Y\n", "a:1"),
        ("FROM a:1\nFROM b:1\n", "b:1"),
        ("FROM a:1 AS x\nFROM scratch\nCOPY --from=x / /\n", "None"),
        ("FROM a:1 AS a\nFROM a\n", "a:1"),
    ],
)
def test_the_base_of_the_last_stage(text: str, base: str) -> None:
    """It is found through other stages."""
    assert base == str(facts(text).base)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RUN true\nCOPY --chown=a --from=b x y\n", ()),
        (
            "RUN --mount=type=cache,target=/x true\nRUN --mount=type=tmpfs,target=/y true\n",
            ("RUN --mount (line 2)",),
        ),
        ("COPY --link --chmod=1 x y\n", ("COPY --chmod (line 2)", "COPY --link (line 2)")),
        ("ADD --checksum=sha256:0 https://x y\n", ("ADD --checksum (line 2)",)),
        ("RUN <<EOF\ntrue\nEOF\n", ("RUN with a here-document (line 2)",)),
        ("ARG TARGETARCH\n", ("ARG TARGETARCH (line 2)",)),
        ("ARG TARGETARCH=amd64\n", ()),
        ("FROM --platform=linux/amd64 b\n", ()),
        ("FROM --platform=$BUILDPLATFORM b\n", ("FROM with BUILDPLATFORM (line 2)",)),
    ],
)
def test_what_only_buildkit_can_do(text: str, expected: tuple[str, ...]) -> None:
    """Each feature is named once, with its first line."""
    assert expected == facts(f"FROM a\n{text}").buildkit


@pytest.mark.parametrize(
    ("frontend", "expected"),
    [
        ("docker/dockerfile:1.7", ()),
        ("docker.io/docker/dockerfile", ()),
        ("contoso.azurecr.io/frontend:1", ("# syntax=contoso.azurecr.io/frontend:1",)),
    ],
)
def test_another_language_needs_buildkit(frontend: str, expected: tuple[str, ...]) -> None:
    """Docker's own frontend has the language that each builder knows."""
    dockerfile_facts = facts(f"# syntax={frontend}\nFROM a\n")

    assert (frontend, expected) == (dockerfile_facts.frontend, dockerfile_facts.buildkit)


@pytest.mark.parametrize(
    ("text", "user", "is_refused"),
    [
        ("FROM a\nUSER root\nUSER dockeruser:g\n", "dockeruser", False),
        ("FROM a\nUSER 1000\n", "1000", False),
        ("FROM a\n", "", False),
        ("FROM a AS b\nUSER x\nFROM b\n", "x", False),
        ("FROM a AS b\nUSER x\nFROM a\n", "", False),
        ("FROM a\nUSER $NAME\n", "", False),
        ("FROM a\nUSER x\nUSER 0:0\n", "0", True),
        ('FROM a\nUSER "root"\n', "root", True),
    ],
)
def test_the_runtime_user(text: str, user: str, is_refused: bool) -> None:
    """It is the last USER of the last stage; root is a mistake."""
    dockerfile_facts = facts(text)

    assert (user, is_refused) == (dockerfile_facts.user, bool(dockerfile_facts.problems))


def test_commands_that_mount_secrets() -> None:
    """They are found by their lines."""
    cache = "--mount=type=cache,target=/x"
    text = f"FROM a\nRUN --mount=type=ssh true\nRUN --mount=type=secret,id=x {cache} true\nRUN true\n"

    assert (2, 3) == facts(text).secret_mounts


def test_arguments_that_multiply_each_other() -> None:
    """A text longer than any image reference gets no further values: memory stays bounded."""
    arguments = "".join(f"ARG A{number + 1}={f'$A{number}' * 100}\n" for number in range(9))

    assert [("FROM <too-long>", "")] == images(f"ARG A0={'x' * 100}\n{arguments}FROM $A9\n")


@pytest.mark.parametrize(
    "text",
    [
        f"# check=skip{' ' * 100_000}all\nFROM a\n",
        "FROM a\n" * 20_000,
        f"FROM a\nRUN {'--a ' * 100_000}\n",
    ],
    ids=["spaces in a directive", "many stages", "many flags"],
)
def test_a_large_dockerfile_is_read_once(text: str) -> None:
    """The time grows with its length and not with the square, which would be minutes."""
    assert ("FROM a", "a:latest") == images(text)[-1]


@settings(max_examples=examples(100), deadline=None, suppress_health_check=list(HealthCheck))
@given(text=st.lists(PIECES, max_size=25).map("".join))
def test_any_text(text: str) -> None:
    """It says something, or has a mistake, and never fails."""
    dockerfile_facts = facts(text)

    assert dockerfile_facts.images or dockerfile_facts.problems
