"""A mistake that many lines have is shown three times, then counted."""

from __future__ import annotations

from azureml_tasks.errors import FileProblem
from azureml_tasks.requirements.files import read_tree


def mistakes(text: str) -> list[tuple[int, str]]:
    """Return line and message of each problem of a file, as a user reads them."""
    _, problems = read_tree("r.txt", {"r.txt": text}.get)
    assert all(isinstance(problem, FileProblem) for problem in problems)
    return sorted((problem.line, problem.what) for problem in problems)


def test_a_mistake_of_many_lines_is_counted() -> None:
    """The kinds are counted apart, and the count says where the others begin."""
    lines = [f"-e ./part-{number}\n" for number in range(1000)] + ["--no-deps\n"]

    reported = mistakes("".join(lines))

    shown = [(n + 1, f'"-e ./part-{n}" is an editable install, which an image cannot have') for n in range(3)]
    counted = (4, "here and in 996 more lines is the same mistake as in line 1")
    assert [*shown, counted, (1001, '"--no-deps" cannot be parsed: no such option: --no-deps')] == reported


def test_a_few_are_all_shown() -> None:
    """Nothing is hidden for the sake of one line."""
    assert 4 == len(mistakes("".join(f"-e ./part-{number}\n" for number in range(4))))
