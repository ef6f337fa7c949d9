"""The name of the image: its repository, its tags, and the labels of the Open Container Initiative."""

from __future__ import annotations

import json
import re
from datetime import date, datetime, timezone
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from azureml_tasks.config import validators
from azureml_tasks.config.problems import FILE, spell, spell_table
from azureml_tasks.config.tag_template import BadTag, Unavailable, render
from azureml_tasks.config.toml_messages import with_value
from azureml_tasks.project import ci_branch
from azureml_tasks.project.image_repositories import with_image
from azureml_tasks.project.model import NoRevision, Revision
from azureml_tasks.requirements.lines import normalize_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.config.problems import Problems
    from azureml_tasks.config.settings import Settings
    from azureml_tasks.image_reference import Reference

KEPT_TAG = r"kept-[0-9a-f]{16}"
"""The tags that a push sets beside those of the table, see `commands.publishing.kept_tag`."""
_EXAMPLE = "scoring"

LAST_SECOND = 253_402_300_799
"""The end of the year 9999, the last one that an RFC 3339 timestamp can hold."""


def poetry_table(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the table in which projects of Poetry before version 2 have name and version; empty if there is none."""
    tools = document.get("tool")
    table = tools.get("poetry") if isinstance(tools, dict) else None
    return table if isinstance(table, dict) else {}


def repository(settings: Settings, project: Mapping[str, Any], problems: Problems) -> str:
    """Return the repository of the image: `name`, or else the name of the project, normalised (PEP 503).

    One of several images adds its own name, unless its own table has `name`.
    """
    name = _common_name(settings, project, problems)
    if not name or not problems.own or problems.is_of_image(("name",)):
        return name
    name = with_image(name, problems.own.name)
    error = validators.REPOSITORY.error(name)
    if error and not (problems.is_bad(("name",)) or problems.is_bad(problems.own.place)):
        what = f'{spell(problems.own.place)}: "{name}", the name of its repository, {error}'
        problems.add(problems.own.place, what, f'Write into it: name = "{_EXAMPLE}"')
    return name


def _common_name(settings: Settings, project: Mapping[str, Any], problems: Problems) -> str:
    if settings.name:
        return settings.name
    own = project.get("name")
    name = normalize_name(own) if isinstance(own, str) else ""
    if name and not validators.REPOSITORY.error(name):
        return name
    if problems.is_bad(("name",)):
        return ""
    if "name" in project and own != "":
        what = (
            f"[project].name is {json.dumps(own, ensure_ascii=False)}, which is not a valid image name"
            if isinstance(own, str)
            else f"[project].name must be a string, got {with_value(own)}"
        )
        fix = f'Write in {spell_table(())}: name = "{validators.valid_repository(name) or _EXAMPLE}"'
        problems.add_in_file(FILE, problems.lines.get(("project", "name"), 0), what, fix)
    else:
        fix = f'Write in {spell_table(())} or in [project]: name = "{_EXAMPLE}"'
        other = poetry_table(problems.document).get("name")
        if isinstance(other, str) and not validators.REPOSITORY.error(normalize_name(other)):
            fix = f'Write in {spell_table(())}: name = "{normalize_name(other)}", which is the name in [tool.poetry]'
        problems.add((), "the image has no name: neither the table nor [project] gives one", fix)
    return ""


def tag_values(
    project: Mapping[str, Any],
    revision: Revision | NoRevision,
    today: date,
    environment: Mapping[str, str],
    poetry: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, str | Unavailable]:
    """Return the value of each placeholder of a tag; a dynamic version is `latest`.

    Args:
        project: the table `[project]`.
        revision: the commit.
        today: the date (UTC).
        environment: in which CI systems tell the branch of a commit that is checked out without one.
        poetry: the table `[tool.poetry]`, whose version a message can name.
    """
    fix = 'Write in [project]: version = "1.0.0"'
    other = poetry.get("version")
    if isinstance(other, str) and other.isprintable():
        fix = f'Write the version of [tool.poetry] in [project]: version = "{other}"'
    version: str | Unavailable = Unavailable(why="[project] has no version", fix=fix)
    written = project.get("version")
    if written is not None:
        version = str(written)
    elif is_dynamic(project, "version"):
        version = "latest"
    if isinstance(revision, NoRevision):
        sha: str | Unavailable = Unavailable(why=revision.why, fix=revision.fix)
        branch = sha
    else:
        sha = revision.sha[:12] + ("-dirty" if revision.dirty else "")
        branch = revision.branch or ci_branch.branch(environment) or _no_branch(environment)
    return {"version": version, "git-sha": sha, "git-branch": branch, "date": today.strftime("%Y%m%d")}


def refuse_wrong_version(project: Mapping[str, Any], problems: Problems) -> None:
    """Report a version of [project] that is no string."""
    version = project.get("version")
    if version is None or isinstance(version, str):
        return
    what = f"[project].version must be a string, got {with_value(version)}"
    fix = 'Write it in double quotes in [project], such as: version = "1.0.0"'
    problems.add_in_file(FILE, problems.lines.get(("project", "version"), 0), what, fix)


def _no_branch(environment: Mapping[str, str]) -> Unavailable:
    why = "HEAD is detached, so that no branch is checked out"
    return Unavailable(why=why, fix=f"Name the tag of this run: {ci_branch.tag_flag(environment)}")


def is_dynamic(project: Mapping[str, Any], field: str) -> bool:
    """Return whether only a build of the project can tell *field* of its table."""
    dynamic = project.get("dynamic")
    return isinstance(dynamic, list) and field in dynamic


def tags(settings: Settings, values: Mapping[str, str | Unavailable], problems: Problems) -> tuple[str, ...]:
    """Return the rendered tags, each once, in the order of the table."""
    rendered: dict[str, None] = {}
    for index, template in problems.valid_items("tags", settings.tags):
        what = f'tool.azureml-image.tags[{index + 1}]: "{template}"'
        placeholder = "git-sha" if isinstance(values["git-sha"], str) else "date"
        another = f'rite another tag, such as: tags = ["{{{placeholder}}}"]'
        try:
            tag = render(template, values)
        except BadTag as error:
            fixes = [*error.fixes, f"or w{another}"] if error.fixes else [f"W{another}"]
            problems.add(("tags", index), f"{what} {error}", "\n".join(fixes))
            continue
        if re.fullmatch(KEPT_TAG, tag):
            why = f"{what} is {tag}, and a push sets such tags itself, which never move"
            problems.add(("tags", index), why, f"W{another}")
        rendered[tag] = None
    if not settings.tags and not problems.is_bad(("tags",)):
        problems.add(
            ("tags",),
            "tool.azureml-image.tags is empty, so that the image has no name",
            'Write: tags = ["{version}"]',
        )
    return tuple(rendered)


def labels(
    settings: Settings,
    project: Mapping[str, Any],
    revision: Revision | NoRevision,
    base: Reference,
    *,
    title: str,
    epoch: int | None,
) -> dict[str, str]:
    """Return the labels of https://specs.opencontainers.org/image-spec/annotations/ that are known, and the table's.

    Args:
        settings: its `labels` replace ours.
        project: the table `[project]`.
        revision: the commit.
        base: the base image.
        title: the image's repository.
        epoch: SOURCE_DATE_EPOCH, seconds since 1970 (UTC).
    """
    known = revision if isinstance(revision, Revision) else None
    created = epoch if epoch is not None else known.time if known else None
    ours = {
        "title": title,
        "version": project.get("version", ""),
        "revision": known.sha + ("-dirty" if known.dirty else "") if known else "",
        "created": _rfc3339(created) if created is not None and created <= LAST_SECOND else "",
        "source": _source(project) or (known.remote if known else ""),
        "base.name": f"{base.name}:{base.tag}" if base.tag else base.name,
        "base.digest": base.digest,
    }
    return {f"org.opencontainers.image.{key}": str(value) for key, value in ours.items() if value} | dict(
        settings.labels
    )


def _rfc3339(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _source(project: Mapping[str, Any]) -> str:
    """Return the URL of the source, by https://packaging.python.org/specifications/well-known-project-urls/."""
    urls = project.get("urls")
    named = urls.items() if isinstance(urls, dict) else ()
    plain = {"".join(c for c in name.lower() if c.isalnum()): url for name, url in named}
    known = ("source", "repository", "sourcecode", "github")
    return next((plain[name] for name in known if isinstance(plain.get(name), str)), "")
