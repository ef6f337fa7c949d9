"""Cut a Dockerfile before the step that a builder names."""

from __future__ import annotations

import pytest

from azureml_tasks.project.dockerfile_cut import StepPlace, text_before

DOCKERFILE = """\
# syntax=docker/dockerfile:1
ARG BASE=base:1
FROM ${BASE} AS First
USER root
RUN make \\
    # a comment inside
    all

# The next stage.
FROM scratch
COPY --from=first /made /made
FROM first AS last
ENV A=1
WORKDIR /app
COPY code/ .
RUN run
"""


def before(line: str) -> str:
    """Return the text before the line that begins with *line*."""
    return DOCKERFILE[: DOCKERFILE.index(f"\n{line}") + 1]


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (StepPlace(2, "RUN", "first"), "RUN make"),
        (StepPlace(1, "COPY", "stage-1"), "COPY --from"),
        (StepPlace(1, "WORKDIR", "last"), "WORKDIR"),
        (StepPlace(3, "RUN", "last"), "RUN run"),
        (StepPlace(4, "RUN", counts_all=True), "RUN make"),
        (StepPlace(8, "ENV", counts_all=True), "ENV"),
        (StepPlace(11, "RUN", counts_all=True), "RUN run"),
    ],
)
def test_text_before_a_step(place: StepPlace, line: str) -> None:
    """BuildKit counts by stage what changes files, and a FROM that names an image; the legacy builder counts all."""
    assert before(line) == text_before(DOCKERFILE, place)


@pytest.mark.parametrize(
    "place",
    [
        StepPlace(1, "FROM", "first"),
        StepPlace(2, "COPY", "first"),
        StepPlace(3, "RUN", "first"),
        StepPlace(1, "RUN", "another"),
        StepPlace(12, "RUN", counts_all=True),
        StepPlace(2, "FROM", counts_all=True),
    ],
)
def test_no_step(place: StepPlace) -> None:
    """Before a FROM there is nothing, and what is not just the named instruction may be another one."""
    assert text_before(DOCKERFILE, place) is None


def test_one_stage() -> None:
    """It has no name in BuildKit's output."""
    assert "FROM base\n" == text_before("FROM base\nRUN a\nRUN b", StepPlace(2, "RUN"))
    assert "FROM base\nRUN a\n" == text_before("FROM base\nRUN a\nRUN b", StepPlace(3, "RUN"))
