"""The first request of the smoke test: a table of `image.init` has one if its script answers any."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from azureml_tasks.commands.init_sources import typed
from azureml_tasks.commands.new_files import NewFile
from azureml_tasks.config.smoke_test_settings import Request
from azureml_tasks.migration.draft import declaration, in_order
from azureml_tasks.migration.search.first_request import entry_script, first_request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from azureml_tasks.migration.reading import Reading
    from azureml_tasks.migration.surroundings import Surroundings

_FILE = "sample-request.json"
"""The request, if one has to be written."""


def with_request(
    table: Mapping[str, Any], surroundings: Surroundings
) -> tuple[Mapping[str, Any], list[NewFile], list[str]]:
    """Return the table with a first request if it has none, the file to write for it, and what to know of it."""
    script = entry_script(table)
    smoke_test = table.get("smoke-test", {})
    has_one = bool(smoke_test.keys() & {"request", "requests", "mini-batch"})
    request = None if has_one or not script else first_request(script, surroundings)
    if not request:
        return table, [], []
    name, path = request.file or _FILE, surroundings.folder / _FILE
    if not request.file and os.path.lexists(path):
        return table, [], []
    files = [] if request.file else [NewFile(path=path, text=request.text)]
    changed = in_order({**table, "smoke-test": {**smoke_test, "request": name}})
    return changed, files, [f"{typed(name, surroundings.folder)} {request.why}"]


def with_timeout(table: Mapping[str, Any], readings: Sequence[Reading]) -> Mapping[str, Any]:
    """Return the table with the time that a deployment gives a request, if it is another one than the default."""
    smoke_test = table.get("smoke-test", {})
    timeout = next((each.request_timeout for each in readings if each.request_timeout), 0)
    key = declaration(("smoke-test", "requests", "request-timeout"))
    is_default = timeout in (0, Request().request_timeout)
    if "request" not in smoke_test or is_default or (key.rule and key.rule.error(timeout)):
        return table
    rest = {name: value for name, value in smoke_test.items() if name != "request"}
    requests = [
        {
            "file": smoke_test["request"],
            "request-timeout": int(timeout) if timeout == int(timeout) else timeout,
        }
    ]
    return in_order({**table, "smoke-test": {**rest, "requests": requests}})
