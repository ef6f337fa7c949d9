"""Image tags from templates such as `{version}-{git-sha}`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from azureml_tasks.image_reference import TAG

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PLACEHOLDERS = ("version", "git-sha", "git-branch", "date")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True, kw_only=True)
class Unavailable:
    """A placeholder without a value.

    Args:
        why: the reason, to follow "but".
        fix: how to get a value; "" if there is none.
    """

    why: str
    fix: str = ""


class BadTag(ValueError):
    """A template that gives no valid tag; the message says why.

    Args:
        why: the message.
        fixes: how to get the values that are unavailable.
    """

    def __init__(self, why: str, fixes: Iterable[str] = ()) -> None:
        super().__init__(why)
        self.fixes = tuple(dict.fromkeys(fix for fix in fixes if fix))


def check(template: str) -> str:
    """Say what is wrong with *template* for any values; "" if it is valid."""
    unknown = [name for name in _PLACEHOLDER.findall(template) if name not in PLACEHOLDERS]
    errors = []
    if unknown:
        names = ", ".join(f'"{{{name}}}"' for name in dict.fromkeys(unknown))
        errors.append(f"has the unknown placeholder{'s' if len(set(unknown)) > 1 else ''} {names}")
    if set(_PLACEHOLDER.sub("", template)) & {"{", "}"}:
        errors.append("has an unmatched brace")
    known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    return f"{' and '.join(errors)}; placeholders: {known}" if errors else ""


def render(template: str, values: Mapping[str, str | Unavailable]) -> str:
    """Fill in *template*; replace each run of characters that a tag cannot contain by `-`.

    Args:
        template: valid by `check`.
        values: one for each of `PLACEHOLDERS`.

    Raises:
        BadTag: a value is unavailable, or the result is not a valid tag
            (https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests).
    """
    used = {name: values[name] for name in _PLACEHOLDER.findall(template)}
    if missing := {name: value for name, value in used.items() if isinstance(value, Unavailable)}:
        why = " and ".join(f"needs {{{name}}}, but {value.why}" for name, value in missing.items())
        raise BadTag(why, [value.fix for value in missing.values()])
    tag = _NOT_ALLOWED.sub("-", _PLACEHOLDER.sub(lambda match: str(used[match[1]]), template))
    if not re.fullmatch(TAG, tag):
        why = "is longer than 128 characters" if tag else "is empty"
        why = 'starts with "." or "-"' if tag.startswith((".", "-")) else why
        raise BadTag(f'gives "{tag}", which is not a valid tag: it {why}')
    return tag
