"""The text of pyproject.toml → `Settings`, with every mistake in it reported."""

from __future__ import annotations

import difflib
import json
import math
from typing import TYPE_CHECKING, Any, TypeVar

from azureml_tasks.config import fields, image_tables, validators
from azureml_tasks.config.fields import Key, keys
from azureml_tasks.config.near_tables import near_tables
from azureml_tasks.config.problems import FILE, Problems, spell, spell_table
from azureml_tasks.config.settings import Settings
from azureml_tasks.config.toml_document import parse
from azureml_tasks.config.toml_messages import as_written, corrected, kind, with_value
from azureml_tasks.config.toml_positions import locate
from azureml_tasks.errors import FileProblem, SettingsError
from azureml_tasks.plain_text import hide_login

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from azureml_tasks.config.image_tables import ImageTable
    from azureml_tasks.config.problems import Override, Place
    from azureml_tasks.config.validators import Rule

TableT = TypeVar("TableT")
_SHARED = frozenset(name for name, (_, key) in keys(Settings).items() if key.shared)
"""Keys that all images of a table share."""
_BESIDE_DOCKERFILE = frozenset(name for name, (_, key) in keys(Settings).items() if key.beside_dockerfile)
"""Keys that shape no generated Dockerfile."""


def read(text: str, overrides: Mapping[str, Override], image: str = "") -> tuple[Settings, Problems]:
    """Read the table `[tool.azureml-image]`, or the table of one of its images.

    Args:
        text: the whole of pyproject.toml.
        overrides: key of the table → the value that replaces it in this run.
        image: which of the table's images; "" if it has none and is the image itself.

    Returns:
        The settings and their problems. If there are any, the settings serve only to look for further ones: a key
        with a wrong value has its default, and a wrong item of an array or a table has a placeholder, so that the
        others keep their index.

    Raises:
        SettingsError: the text is not TOML or does not contain the table or the image.
    """
    document, lines = parse(text), locate(text)
    near = [*near_tables(document, lines)]
    table = _table(document, near)
    own = _own_table(table, image, lines)
    sources = {key: override.source for key, override in overrides.items()}
    problems = Problems(document=document, lines=lines, sources=sources, own=own)
    problems.extend(near)
    given = {key: override.value for key, override in overrides.items()}
    if not own:
        _check_dockerfile({**table, **given}, problems)
        return _read_table({**table, **given}, Settings, (), problems), problems
    problems.extend(
        _problems_of_top({**table, **given}, Problems(document=document, lines=lines, sources=sources))
    )
    values = {**own.values, image_tables.KEY: table[image_tables.KEY], **given}
    _check_dockerfile(values, problems)
    return _read_table(values, Settings, (), problems), problems


def _problems_of_top(values: Mapping[str, Any], problems: Problems) -> Problems:
    """Return the mistakes in the values of the top table, also in those that no image of the table uses."""
    for name, (_, key) in keys(Settings).items():
        if name in values:
            _read_value(values[name], key, (name,), problems)
    return problems


def read_image_names(text: str) -> tuple[str, ...]:
    """Return the names of the table's images, in order; empty if it is the image itself.

    Args:
        text: the whole of pyproject.toml.

    Raises:
        SettingsError: the text is not TOML or does not contain the table.
    """
    document = parse(text)
    return image_tables.image_names(_table(document, near_tables(document, locate(text))))


def _table(document: Mapping[str, Any], near: Iterable[FileProblem]) -> dict[str, Any]:
    """Return our table.

    Raises:
        SettingsError: there is none; *near* are problems of tables that seem to be meant.
    """
    tools = document.get("tool")
    table = tools.get("azureml-image") if isinstance(tools, dict) else None
    if isinstance(table, dict):
        return table
    if problems := [*near]:
        raise SettingsError(problems)
    fix = (
        "Make it from the files that you have: invoke image.init\n"
        'or write it:\n[tool.azureml-image]\nbase = "minimal-py312-inference"'
    )
    raise SettingsError([FileProblem(FILE, 0, "has no table [tool.azureml-image]", fix, "missing-table")])


def _own_table(table: Mapping[str, Any], image: str, lines: Mapping[Place, int]) -> ImageTable | None:
    """Return the table of one image; None if the table itself is the image.

    Raises:
        SettingsError: there is no such image, or none is named.
    """
    names = image_tables.image_names(table)
    if image in names:
        return image_tables.image_table(table, image, _SHARED, _BESIDE_DOCKERFILE)
    if not image and not names:
        return None
    what = f'has no image "{image}"' if image else "has several images, and none is named"
    fix = f"Images: {', '.join(names)}." if names else "Name no image: the table itself is the image."
    fix = fix if image else f'Name one: azureml_tasks.load(folder, image="{names[0]}")'
    line = lines.get(("tool", "azureml-image", image_tables.KEY), 0)
    raise SettingsError([FileProblem(FILE, line, f"[tool.azureml-image] {what}", fix)])


def _check_dockerfile(values: Mapping[str, Any], problems: Problems) -> None:
    """Report that neither a base nor a Dockerfile is named, or that a Dockerfile is beside keys that shape one."""
    if "dockerfile" not in values:
        if "base" not in values:
            _refuse_missing_base(problems)
        return
    for name, (_, key) in keys(Settings).items():
        if name in values and not key.beside_dockerfile:
            own = f"and {spell(('dockerfile',))} names one of your own"
            what = f"{spell((name,))} shapes a generated Dockerfile, {own}"
            problems.add((name,), what, "Leave out one of the two.")


def _refuse_missing_base(problems: Problems) -> None:
    own = problems.own
    fix = (
        'Write: base = "minimal-py312-inference"\nor, for a Dockerfile of your own: dockerfile = "Dockerfile"'
    )
    if own and not own.elsewhere.isdisjoint({"base", "dockerfile"}):
        what = (
            f'{spell_table(own.place)} has neither "base" nor "dockerfile", and neither has {spell_table(())}'
        )
        problems.add(own.place, what, fix, code="missing-key")
    else:
        what = f'{spell_table(())} has neither "base" nor "dockerfile", one of which is required'
        problems.add((), what, fix, code="missing-key")


_WRONG = object()
"""In place of a value that does not have its key's type."""


def _read_table(values: Mapping[str, Any], cls: type[TableT], place: Place, problems: Problems) -> TableT:
    known = keys(cls)
    for name in values:
        if name not in known:
            what = f'unknown key "{name}" in {spell_table(place)}'
            problems.add((*place, name), what, _similar(name, list(known)), code="unknown-key")
    read: dict[str, Any] = {}
    for name, (attribute, key) in known.items():
        if name in values:
            value = _read_value(values[name], key, (*place, name), problems)
            if value is not _WRONG and not problems.is_bad((*place, name)):
                read[attribute] = value
        elif key.required:
            what = f'{spell_table(place)} has no "{name}", which is required'
            problems.add(place, what, _fix(key.rule), code="missing-key")
    return cls(**read)


# The types that a key of this type also takes. An array is checked item by item.
_ACCEPTED: dict[str, frozenset[str]] = {
    fields.STRINGS: frozenset({fields.ARRAY}),
    fields.STRING_OR_STRINGS: frozenset({fields.ARRAY, fields.STRING}),
    fields.NUMBER: frozenset({fields.INTEGER}),
    fields.TABLE_OF_STRINGS: frozenset({fields.TABLE}),
    fields.TABLE_OF_TABLES: frozenset({fields.TABLE}),
    fields.TABLES: frozenset({fields.ARRAY}),
    fields.ANY: frozenset(
        {fields.STRING, fields.BOOLEAN, fields.INTEGER, fields.NUMBER, fields.TABLE, fields.ARRAY}
    ),
}


def _read_value(value: Any, key: Key, place: Place, problems: Problems) -> Any:
    if kind(value) not in {key.type} | _ACCEPTED.get(key.type, frozenset()):
        what = f"{spell(place)} must be {key.type}, got {with_value(value)}"
        problems.add(place, what, corrected(value, key, place), code="wrong-type")
        return _WRONG
    if key.type == fields.ANY:
        not_json = dict(_not_json(value, place))
        for inner, given in not_json.items():
            what = f"{spell(inner)} is {given}, which JSON cannot express"
            problems.add(inner, what, "Write it as a string.", code="wrong-value")
        return _WRONG if not_json else value
    if key.type == fields.TABLE:
        return _read_table(value, key.table, place, problems)
    if key.type == fields.TABLE_OF_STRINGS:
        return _read_table_of_strings(value, key, place, problems)
    if key.type == fields.TABLE_OF_TABLES:
        return _read_images(value, key, place, problems)
    if isinstance(value, list):
        return _read_array(value, key, place, problems)
    _check(value, key, place, problems)
    return (value,) if key.type == fields.STRING_OR_STRINGS else value


def _read_array(values: list[Any], key: Key, place: Place, problems: Problems) -> tuple[Any, ...]:
    item = Key(
        type=fields.TABLE if key.table else fields.STRING, description="", rule=key.rule, table=key.table
    )
    read = (_read_value(value, item, (*place, index), problems) for index, value in enumerate(values))
    return tuple((key.table() if key.table else "") if value is _WRONG else value for value in read)


def _read_table_of_strings(
    values: dict[str, Any], key: Key, place: Place, problems: Problems
) -> dict[str, str]:
    item = Key(type=fields.STRING, description="", rule=key.rule, may_be_empty=key.may_be_empty)
    read = {}
    for name, value in values.items():
        _check_name(name, key, place, problems)
        text = _read_value(value, item, (*place, name), problems)
        read[name] = "" if text is _WRONG else text
    return read


def _read_images(images: dict[str, Any], key: Key, place: Place, problems: Problems) -> tuple[str, ...]:
    """Return the names of the images, with what is wrong with their tables as such reported."""
    if not images:
        problems.add(place, f"{spell_table(place)} has no image", f"Write: {spell_table((*place, 'gpu'))}")
    for name, table in images.items():
        _check_name(name, key, place, problems)
        if not isinstance(table, dict):
            what = f"{spell((*place, name))} must be a table, got {with_value(table)}"
            problems.add((*place, name), what, f"Write: {spell_table((*place, name))}", code="wrong-type")
    for misplaced in image_tables.misplaced_keys(images, _SHARED):
        problems.add(
            misplaced, f"{spell(misplaced)}: all images share this key", f"Write it in {spell_table(())}"
        )
    return tuple(images)


def _check_name(name: str, key: Key, place: Place, problems: Problems) -> None:
    """Report a name in the table at *place* that *key* does not allow."""
    if key.names and (error := key.names.error(name)):
        written = json.dumps(name, ensure_ascii=False)
        problems.add((*place, name), f"{spell(place)}: {written} {error}", key.names.fix, code="wrong-value")


def _check(value: Any, key: Key, place: Place, problems: Problems) -> None:
    if value == "" and not key.may_be_empty:
        problems.add(place, f"{spell(place)} is empty", _fix(key.rule), code="wrong-value")
    elif isinstance(value, float) and not math.isfinite(value):
        problems.add(place, f"{spell(place)} is {value}, which is not a finite number", code="wrong-value")
    elif (rule := _rule(key, problems)) and (error := rule.error(value)):
        fix = rule.fix_of(value) or rule.fix
        problems.add(
            place, f"{spell(place)}: {hide_login(as_written(value))} {error}", fix, code="wrong-value"
        )


def _rule(key: Key, problems: Problems) -> Rule | None:
    has_root = "root" in problems.sources or problems.is_written(("root",))
    return validators.PATH_BELOW_ROOT if key.rule is validators.PATH and has_root else key.rule


def _not_json(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    """Yield each part of *value* that JSON cannot express, with its place."""
    if isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _not_json(inner, (*place, name))
    elif isinstance(value, float) and not math.isfinite(value):
        yield place, str(value)
    elif kind(value) == fields.DATE:
        yield place, fields.DATE


_WORDS_ELSEWHERE = {
    "build-commands": "run",
    "commands": "run",
    "dependencies": "pip",
    "environment": "env",
    "environment-variables": "env",
    "image": "base",
    "packages": "pip",
    "python-packages": "pip",
    "python-requirements": "requirements",
    "scoring-script": "entry-script",
    "system-packages": "apt",
    "variables": "env",
}
"""What Azure ML's YAML and other tools that make images call a key → the key."""
_ALIKE = 0.75
"""How much of a word must be the same, from 0 to 1: "cuda" is not "conda", and "python" is not "python-path"."""


def _similar(name: str, known: list[str]) -> str:
    written = name.lower().replace("_", "-")
    first_word = written.partition("-")[0]
    elsewhere = {word: key for word, key in _WORDS_ELSEWHERE.items() if key in known}
    exact = [key for word, key in elsewhere.items() if word == written]
    similar = exact + difflib.get_close_matches(written, known, n=1, cutoff=_ALIKE)
    similar = similar or [key for key in known if key == first_word]
    similar = similar or [
        elsewhere[word] for word in difflib.get_close_matches(written, elsewhere, n=1, cutoff=_ALIKE)
    ]
    quoted = " or ".join(f'"{key}"' for key in dict.fromkeys(similar))
    return f"Did you mean {quoted}?" if similar else f"Known keys: {', '.join(known)}."


def _fix(rule: Rule | None) -> str:
    return rule.fix if rule else "Remove the key, or give it a value."
