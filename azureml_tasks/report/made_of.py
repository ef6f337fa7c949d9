"""The first part of the page: the layers, the largest files and the packages of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.report.contents import added_files
from azureml_tasks.report.layers import instruction, title
from azureml_tasks.report.texts import count_text, short
from azureml_tasks.requirements.lines import normalize_name
from azureml_tasks.sizes import size_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.report.contents import Contents, File, Package
    from azureml_tasks.report.facts import ImageFacts
    from azureml_tasks.report.layers import Layer

_MOST_FILES = 10
_MOST_PACKAGES = 1000
_MOST_LAYERS = 200
_WIDTH = 1000.0
"""Of a picture, in its own units; the page stretches it."""
_LEAST = 3.0
"""The width of a layer that would be too narrow to be seen."""
_SHADES = 3


class Bar(NamedTuple):
    """A part of a picture of layers: what it is, where it begins, how wide it is, and its class in the style sheet."""

    label: str
    x: float
    width: float
    style: str


class LayerRow(NamedTuple):
    """A row of the table of layers."""

    title: str
    instruction: str
    size: str
    share: str
    style: str


class FileRow(NamedTuple):
    """A row of a table of files."""

    name: str
    folder: str
    size: str


class PackageRow(NamedTuple):
    """A row of a table of packages."""

    name: str
    version: str
    licence: str
    size: str


@dataclass(frozen=True, kw_only=True)
class MadeOf:
    """What an image is made of.

    Args:
        whole: the picture of base and added layers; empty if the base is not known.
        added: the picture of the added layers alone; empty if there are none.
        base_size: for people; "" if the base is not known.
        added_size: for people.
        layers: rows, the first layer first.
        base_layers: the same of the base.
        base_layer_count: how many it has, for people; more than rows if it has very many.
        settings: how many steps add no file, for people; "" if each does.
        added_files: the largest files that are not in the base; None if that is not known.
        files: the largest files of the image.
        file_count: how many files it has, for people.
        added_packages: that are not in the base, or not in this version; None if that is not known.
        packages: the other ones, or all.
        package_count: how many these are, for people.
        has_packages: whether the packages are known.
        more_packages: how many are left out, for people; "" for none.
    """

    whole: tuple[Bar, ...] = ()
    added: tuple[Bar, ...] = ()
    base_size: str = ""
    added_size: str = ""
    layers: tuple[LayerRow, ...] = ()
    base_layers: tuple[LayerRow, ...] = ()
    base_layer_count: str = ""
    settings: str = ""
    added_files: tuple[FileRow, ...] | None = None
    files: tuple[FileRow, ...] = ()
    file_count: str = ""
    added_packages: tuple[PackageRow, ...] | None = None
    packages: tuple[PackageRow, ...] = ()
    package_count: str = ""
    has_packages: bool = False
    more_packages: str = ""


def made_of(facts: ImageFacts) -> MadeOf:
    """Return what the image is made of, as far as it is known."""
    contents, base = facts.contents, facts.base_contents
    own, of_base = (
        [layer for layer in layers if layer.size] for layers in (facts.layers.own, facts.layers.base)
    )
    base_size, added_size = (sum(layer.size for layer in each) for each in facts.layers)
    rows = _layer_rows(own, added_size)
    packages = contents.packages if contents else None
    added, others = _split_packages(packages or (), base)
    more = sum(max(0, len(each) - _MOST_PACKAGES) for each in (others, added or ()))
    settings = len(facts.layers.own) - len(own)
    return MadeOf(
        whole=_whole(base_size, added_size) if facts.layers.base else (),
        added=_bars(own, rows),
        base_size=size_text(base_size) if facts.layers.base else "",
        added_size=size_text(added_size),
        layers=rows,
        base_layers=_layer_rows(of_base, base_size, style="base"),
        base_layer_count=count_text(len(of_base), "layer"),
        settings=count_text(settings, "step") if settings else "",
        added_files=_file_rows(added_files(contents, base)) if contents and base else None,
        files=_file_rows(contents.files) if contents else (),
        file_count=count_text(contents.file_count, "file") if contents else "",
        added_packages=tuple(map(_package_row, added[:_MOST_PACKAGES])) if added is not None else None,
        packages=tuple(map(_package_row, others[:_MOST_PACKAGES])),
        package_count=count_text(len(others), "package"),
        has_packages=packages is not None,
        more_packages=count_text(more, "package") if more else "",
    )


def _whole(base_size: int, added_size: int) -> tuple[Bar, ...]:
    sizes = {"base": base_size, "added": added_size}
    widths = _widths(list(sizes.values()))
    labels = {"base": f"the base: {size_text(base_size)}", "added": f"added: {size_text(added_size)}"}
    starts = [0.0, widths[0]]
    styles = {"base": "base", "added": "own-0"}
    return tuple(
        Bar(labels[name], start, width, styles[name])
        for name, start, width in zip(sizes, starts, widths, strict=True)
        if width
    )


def _bars(layers: Sequence[Layer], rows: Sequence[LayerRow]) -> tuple[Bar, ...]:
    bars, start = [], 0.0
    for row, width in zip(rows, _widths([layer.size for layer in layers[:_MOST_LAYERS]]), strict=True):
        bars.append(Bar(f"{row.title}: {row.size}", round(start, 2), width, row.style))
        start += width
    return tuple(bars)


def _widths(sizes: Sequence[int]) -> list[float]:
    """Return the width of each part, together the whole one; what is not empty can be seen."""
    total = sum(sizes)
    if not total:
        return [0.0] * len(sizes)
    widths = [max(_LEAST, _WIDTH * size / total) if size else 0.0 for size in sizes]
    return [round(width * _WIDTH / sum(widths), 2) for width in widths]


def _layer_rows(layers: Sequence[Layer], total: int, *, style: str = "") -> tuple[LayerRow, ...]:
    return tuple(
        LayerRow(
            title=title(layer),
            instruction=short(instruction(layer), 160),
            size=size_text(layer.size),
            share=_percent(layer.size / total),
            style=style or f"own-{index % _SHADES}",
        )
        for index, layer in enumerate(layers[:_MOST_LAYERS])
    )


def _percent(share: float) -> str:
    return "under 1 %" if share < 0.01 else f"{100 * share:.0f} %"  # noqa: PLR2004 -- one percent


def _file_rows(files: Sequence[File]) -> tuple[FileRow, ...]:
    return tuple(map(_file_row, files[:_MOST_FILES]))


def _file_row(file: File) -> FileRow:
    folder, _, name = file.path.rpartition("/")
    return FileRow(name=short(name), folder=short(f"{folder}/"), size=size_text(file.size))


def _package_row(package: Package) -> PackageRow:
    return PackageRow(
        name=short(package.name, 100),
        version=short(package.version, 60),
        licence=short(package.licence, 100),
        size=size_text(package.size) if package.size else "",
    )


def versions(contents: Contents | None) -> dict[str, str]:
    """Return the version of each package by its normalized name; empty if they are not known."""
    packages = contents.packages if contents else None
    return {normalize_name(package.name): package.version for package in packages or ()}


def _split_packages(
    packages: Sequence[Package], base: Contents | None
) -> tuple[list[Package] | None, list[Package]]:
    """Return the packages that the base does not have in this version, and the other ones."""
    if base is None or base.packages is None:
        return None, [*packages]
    before = versions(base)
    added = [package for package in packages if before.get(normalize_name(package.name)) != package.version]
    names = {package.name for package in added}
    return added, [package for package in packages if package.name not in names]
