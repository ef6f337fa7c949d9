"""The page: one HTML file without scripts, links to other hosts, or other files.

Everything from outside is escaped by the template, cut in length, and on one line. With the policy in the page's head,
a browser loads and runs nothing, even if an escape were missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.context.own_outputs import REPORT_HEAD
from azureml_tasks.plain_text import clean
from azureml_tasks.report.answering import Answering, answering
from azureml_tasks.report.changes import Changes, changes
from azureml_tasks.report.made_of import MadeOf, made_of
from azureml_tasks.report.texts import date_text, short
from azureml_tasks.sizes import size_text
from azureml_tasks.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.report.facts import ImageFacts

_FOLDER = "templates"
_MOST_WARNINGS = 100
_LONGEST_TABLE = 50_000  # characters


class Figure(NamedTuple):
    """One of the figures below the headline."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """One image as the template shows it.

    Args:
        anchor: of its headline, unique in the page.
        repository: its name.
        references: all names.
        id: of the engine, or its digest.
        about: what is told of it in one line.
        figures: the most important ones.
        state: what comes next, as `image.check` says.
        warnings: every one.
        more_warnings: how many are left out.
        made_of: its layers, files and packages.
        layers_problem: why there are no layers; "" if there are.
        contents_problem: why there are no files and packages; "" if there are.
        answering: its smoke test; None if no pass is recorded.
        changes: since the last push.
        table: the lines of pyproject.toml.
    """

    anchor: str
    repository: str
    references: tuple[str, ...]
    id: str
    about: str
    figures: tuple[Figure, ...]
    state: str
    warnings: tuple[str, ...]
    more_warnings: int
    made_of: MadeOf
    layers_problem: str
    contents_problem: str
    answering: Answering | None
    changes: Changes
    table: str


def render(images: Sequence[ImageFacts], *, now: float) -> str:
    """Return the page of these images as HTML.

    Args:
        images: at least one.
        now: when it is made, in seconds since 1970.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_text),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    chapters = [_chapter(facts, f"image-{index}") for index, facts in enumerate(images, 1)]
    return REPORT_HEAD + environment.get_template("page.html").render(
        chapters=chapters,
        style=_text("page.css"),
        version=VERSION,
        made_at=date_text(now),
    )


def _text(name: str) -> str:
    return resources.files("azureml_tasks.report").joinpath(f"{_FOLDER}/{name}").read_text(encoding="utf-8")


def _chapter(facts: ImageFacts, anchor: str) -> Chapter:
    made, answers, changed = made_of(facts), answering(facts), changes(facts)
    about = [
        f"built {date_text(facts.built_at)}" if facts.built_at else "",
        f"on {facts.base}" if facts.base else "",
        facts.platform,
        f"runs as {facts.user}" if facts.user else "runs as root",
    ]
    return Chapter(
        anchor=anchor,
        repository=short(facts.repository),
        references=tuple(map(short, facts.references)),
        id=short(facts.id),
        about=short(", ".join(part for part in about if part)),
        figures=tuple(_figures(facts, made, answers)),
        state=short(facts.next_step),
        warnings=tuple(short(warning, 1000) for warning in facts.warnings[:_MOST_WARNINGS]),
        more_warnings=max(0, len(facts.warnings) - _MOST_WARNINGS),
        made_of=made,
        layers_problem=short(facts.layers_problem),
        contents_problem=short(facts.contents_problem),
        answering=answers,
        changes=changed,
        table=_cut(clean(facts.table)),
    )


def _figures(facts: ImageFacts, made: MadeOf, answers: Answering | None) -> list[Figure]:
    figures = []
    if facts.size:
        figures.append(
            Figure("size", size_text(facts.size), f"{made.added_size} added" if made.base_size else "")
        )
    if facts.contents and facts.contents.packages is not None:
        note = f"{len(made.added_packages)} added" if made.added_packages is not None else ""
        figures.append(Figure("packages", f"{len(facts.contents.packages):,}", note))
    if answers and answers.ready:
        figures.append(Figure("ready after", answers.ready))
    if answers and answers.requests:
        slowest = max(answers.requests, key=lambda request: request.middle)
        of_all = f"; slowest of {len(answers.requests)}" if len(answers.requests) > 1 else ""
        figures.append(Figure("median answer", slowest.p50, f"95 % in {slowest.p95}{of_all}"))
    if answers and answers.peak_memory:
        limit = f"of {answers.memory_limit}" if answers.memory_limit else ""
        figures.append(Figure("peak memory", answers.peak_memory, limit))
    return figures


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TABLE else f"{text[:_LONGEST_TABLE]}\n…"
