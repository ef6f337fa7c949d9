"""The tables of codes on the page on JSON."""

from __future__ import annotations

import inspect

from azureml_tasks import errors, notice
from tests.documentation import DOCS

__all__ = ["PAGE", "codes_markdown", "rewritten"]

PAGE = DOCS / "json.md"
MARKS = ("<!-- codes:begin -->", "<!-- codes:end -->")
OTHERS = {
    "bug": "a mistake of azureml-tasks itself; the traceback is on stderr",
    "interrupted": "Ctrl-C, SIGTERM or SIGHUP",
}


def codes_markdown() -> str:
    """Return the codes of errors and of warnings as Markdown tables."""
    classes = {
        cls.code: _sentence(cls)
        for cls in vars(errors).values()
        if inspect.isclass(cls) and issubclass(cls, errors.AzuremlTasksError) and cls.code != "error"
    }
    of_errors = {**classes, **errors.PROBLEM_CODES, **OTHERS}
    tables = [("of an error", of_errors), ("of a warning", notice.CODES)]
    return "\n\n".join(
        "\n".join(
            [
                f"| {title} | meaning |",
                "|---|---|",
                *(f"| `{code}` | {codes[code]} |" for code in sorted(codes)),
            ]
        )
        for title, codes in tables
    )


def _sentence(cls: type[object]) -> str:
    first = (inspect.getdoc(cls) or "").partition("\n")[0].rstrip(".")
    return f"{first[0].lower()}{first[1:]}"


def rewritten(text: str) -> str:
    """Return the page with its tables."""
    before, rest = text.split(MARKS[0])
    return f"{before}{MARKS[0]}\n{codes_markdown()}\n{MARKS[1]}{rest.split(MARKS[1])[1]}"
