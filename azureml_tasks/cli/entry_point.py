"""Where the program `azureml-image` begins: what it needs is imported where Ctrl-C ends it without a traceback."""

from __future__ import annotations

_INTERRUPTED = 130
"""As a shell shows a program that SIGINT ended."""


def main() -> int:
    """Run the program with the words of this process, and return its exit code."""
    try:
        from azureml_tasks.cli.program import run

        return run()
    except KeyboardInterrupt:  # Before the tasks have begun, or after they have ended.
        return _INTERRUPTED
