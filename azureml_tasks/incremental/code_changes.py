"""What of a changed project can be put into a running container, and what needs a build."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.context.build_context import digest_of_contents
from azureml_tasks.incremental.fingerprint import fingerprint_parts
from azureml_tasks.incremental.rebuild_reasons import changed_files, changed_inputs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.planning.plan import Plan

CODE = "code/"
"""The folder of the code in a build context."""
_IN_DOUBT = "in doubt"
"""In place of a content that is not known, so that it differs from every other."""
_BESIDE_CODE = "the variables, the place of the code or the commands after it differ"


class CodeChanges(NamedTuple):
    """How the code differs from what a container has.

    Args:
        put: names of the members that are new or differ, sorted; a new folder comes before what is in it.
        removed: names that are gone, without what is in a folder that is gone; none ends with a slash.
        text: for people, such as `code/score.py has changed`.
    """

    put: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    text: str = ""


def code_changes(before: Mapping[str, str], now: Mapping[str, str]) -> CodeChanges:
    """Compare the code of two contexts.

    Args:
        before: members that the container has, and their contents, see `context.build_context.read_contents`.
        now: members that it should have.
    """
    before, now = code_of(before), code_of(now)
    had, has = _entries(before), _entries(now)
    put = sorted(name for name in has if has[name] != had.get(name))
    gone = {name.rstrip("/") for name in had if name not in has}
    removed = sorted(name for name in gone if not any(folder in gone for folder in _folders(name)))
    if not put and not removed:
        return CodeChanges()
    files = [{name: each[name] for name in each if not name.endswith("/")} for each in (before, now)]
    text = changed_files(CODE, *files) if files[0] != files[1] else "folders of the code have changed"
    return CodeChanges(tuple(put), tuple(removed), text)


def half_changed(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Return the code of a container whose change from *before* to *now* may have ended anywhere.

    What differs is in doubt, so that it differs from every later context as well.
    """
    had, has = _entries(code_of(before)), _entries(code_of(now))
    return {name: _IN_DOUBT if had.get(name) != has.get(name) else has[name] for name in {**had, **has}}


def code_of(contents: Mapping[str, str]) -> dict[str, str]:
    """Return those members of a context that are code."""
    return {name: content for name, content in contents.items() if name.startswith(CODE)}


def _entries(contents: Mapping[str, str]) -> dict[str, str]:
    """Return *contents* with every folder that a member is in, as the builder makes it."""
    folders = {f"{folder}/": "folder -" for name in contents for folder in _folders(name)}
    return {name: content for name, content in {**folders, **contents}.items() if name != CODE}


def _folders(name: str) -> Iterator[str]:
    """Yield the folders that a member is in, without a slash at the end."""
    folder = name.rstrip("/").rpartition("/")[0]
    while folder:
        yield folder
        folder = folder.rpartition("/")[0]


def build_reasons(
    plan: Plan, context: BuildContext, base_id: str, image: BuiltImage, files_before: Mapping[str, str]
) -> tuple[str, ...]:
    """Return why *image*, with the code of *context* put into its container, is not what a build would give.

    Labels do not count: they change with every commit, and no server reads them.

    Args:
        plan: what would be built.
        context: its files.
        base_id: ID of the base as it is now; "" if the engine does not have it.
        image: that the container was made of.
        files_before: members of the context that it was built of, and their contents; empty if that is not known.
    """
    if plan.own_dockerfile:
        is_same = context.sha256 == image.context_sha256
        what = "files of the build context differ, and the project's own Dockerfile says where they go"
        return () if is_same else (what,)
    before = dict(image.fingerprint_parts)
    if not before:
        return ("it is not recorded what the image was built of",)
    base = base_id or before.get("base", "")
    other_user = (f"the user is {plan.user}, and was {image.user}",) if plan.user != image.user else ()
    now = {**fingerprint_parts(plan, context, base), "labels": before.get("labels", "")}
    files_now, beside_code = dict(context.contents), tuple[str, ...]()
    if now != before and files_before:
        code = code_of(files_before)
        parts = {**context.parts, "code": digest_of_contents(code) if code else ""}
        now["code"] = fingerprint_parts(plan, context._replace(parts=parts), base)["code"]
        files_now = {**{name: files_now[name] for name in files_now if not name.startswith(CODE)}, **code}
        if now["code"] != before.get("code"):  # Its files are those of the build here.
            absent = "" if base_id else f"; the engine does not have the base {plan.base}"
            now["code"], beside_code = before.get("code", ""), (f"{_BESIDE_CODE}{absent}",)
    _, reasons = changed_inputs(before, now, files_before, files_now)
    return (*reasons, *beside_code, *other_user)


def skipped_commands(plan: Plan) -> list[str]:
    """Return the table's commands that run after the code is copied, and so do not run for code that is put in."""
    return [each.command for each in plan.runs if each.after == "code"]
