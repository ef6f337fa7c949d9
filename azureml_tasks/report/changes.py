"""The third part of the page: what has changed since the last push."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.report.layers import instruction, title
from azureml_tasks.report.made_of import versions
from azureml_tasks.report.texts import date_text, short
from azureml_tasks.sizes import size_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.report.facts import ImageFacts, LastPush

_MOST = 100
"""Rows of a table."""
_NOTHING_PUSHED = "No push from here is recorded, so there is nothing to compare with."


class Change(NamedTuple):
    """What a package or a file was, and what it is; "" if there was or is none."""

    name: str
    before: str
    now: str


class NewLayer(NamedTuple):
    """A layer that the pushed image does not have."""

    title: str
    instruction: str
    size: str


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What has changed since the last push.

    Args:
        summary: in one or two sentences.
        pushed: reference by digest; "" if nothing was pushed.
        packages: that differ; None if that is not known.
        files: of the project that differ, with "new", "changed" or "gone"; None if that is not known.
        layers: that the pushed image does not have; None if that is not known.
        layers_size: bytes of these layers, for people.
        more: how many rows are left out.
    """

    summary: str
    pushed: str = ""
    packages: tuple[Change, ...] | None = None
    files: tuple[Change, ...] | None = None
    layers: tuple[NewLayer, ...] | None = None
    layers_size: str = ""
    more: int = 0


def changes(facts: ImageFacts) -> Changes:
    """Return what has changed in the image since the last push."""
    last = facts.last_push
    if not last:
        return Changes(summary=_NOTHING_PUSHED)
    when = f" on {date_text(last.at)}" if last.at else ""
    if last.is_same:
        return Changes(
            summary=f"This is the image that was pushed last{when}. Nothing has changed.",
            pushed=last.reference,
        )
    packages, files = _packages(facts, last), _files(last.files, facts.files)
    layers = _new_layers(facts, last)
    summary = f"Compared with the image that was pushed last{when}."
    shown = [len(rows) for rows in (packages, files, layers) if rows is not None]
    return Changes(
        summary=f"{summary} Its packages and layers are not known: {last.problem}."
        if last.problem
        else summary,
        pushed=short(last.reference),
        packages=packages[:_MOST] if packages is not None else None,
        files=files[:_MOST] if files is not None else None,
        layers=tuple(layer for layer, _ in layers[:_MOST]) if layers is not None else None,
        layers_size=size_text(sum(size for _, size in layers)) if layers else "",
        more=sum(max(0, count - _MOST) for count in shown),
    )


def _packages(facts: ImageFacts, last: LastPush) -> tuple[Change, ...] | None:
    if (
        not (facts.contents and last.contents)
        or facts.contents.packages is None
        or last.contents.packages is None
    ):
        return None
    return _differences(versions(last.contents), versions(facts.contents))


def _files(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[Change, ...] | None:
    """Return the files that differ; their contents are hashes, which tell people nothing."""
    if not before or not now:
        return None
    words = {(True, True): "changed", (True, False): "gone", (False, True): "new"}
    return tuple(
        Change(change.name, "", words[bool(change.before), bool(change.now)])
        for change in _differences(before, now)
        if not change.name.endswith("/")
    )


def _differences(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[Change, ...]:
    names = sorted({*before, *now})
    return tuple(
        Change(short(name), short(before.get(name, ""), 80), short(now.get(name, ""), 80))
        for name in names
        if before.get(name) != now.get(name)
    )


def _new_layers(facts: ImageFacts, last: LastPush) -> tuple[tuple[NewLayer, int], ...] | None:
    if not last.layers or not (facts.layers.own or facts.layers.base):
        return None
    known = set(last.layers)
    return tuple(
        (NewLayer(title(layer), short(instruction(layer), 160), size_text(layer.size)), layer.size)
        for layer in (*facts.layers.base, *facts.layers.own)
        if layer.size and layer not in known
    )
