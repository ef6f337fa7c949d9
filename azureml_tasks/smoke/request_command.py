"""A request of the smoke test as a command to paste."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.plain_text import one_line, shell_join

if TYPE_CHECKING:
    from azureml_tasks.project.model import SmokeTestPlan

_LONGEST = 2000
"""Characters of a body that is written into the command."""
_SETS = frozenset("[]{}")


def curl_command(smoke_test: SmokeTestPlan, address: str, file: str = "") -> str:
    """Return the `curl` that sends the first request, or asks for the health if there is none.

    Args:
        smoke_test: with the requests.
        address: scheme, host and port.
        file: that holds the request's body; "" to write it into the command.
    """
    if not smoke_test.requests:
        return shell_join(_curl(f"{address}{smoke_test.health}"))
    request = smoke_test.requests[0]
    sends = bool(request.body) or request.method == "POST"
    words = _curl(f"{address}{request.path}")
    if request.method == "HEAD":
        words.append("--head")
    elif request.method != ("POST" if sends else "GET"):
        words += ["--request", request.method]
    headers = {name: f"{name}: {value}" if value else f"{name};" for name, value in request.headers.items()}
    if sends and "content-type" not in map(str.lower, headers):
        headers["Content-Type"] = "Content-Type:"  # Else curl says that the body is a form.
    words += [word for header in headers.values() for word in ("--header", header)]
    if sends:
        words += ["--data-binary", f"@{file}"] if file else ["--data-raw", request.body.decode()]
    return shell_join(words)


def _curl(url: str) -> list[str]:
    """Return the command for *url*; without `--globoff` curl reads brackets and braces as a set of addresses."""
    return ["curl", *(["--globoff"] if set(url) & _SETS else []), url]


def needs_file(body: bytes) -> bool:
    """Return whether a body needs a file, because it is too long for a command, or no line of text."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return True
    return len(text) > _LONGEST or one_line(text) != text
