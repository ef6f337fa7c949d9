"""What an ambiguity says where nobody can be asked."""

from azureml_tasks.migration.questions import Choice, Question, command_line

_SCRIPTS = Question(
    subject="entry-script",
    what="2 scripts define init() and run()",
    asks="Which one answers?",
    choices=(
        Choice("online/score.py", ("--from", "online/score.py")),
        Choice("batch scoring/score.py", ("--from", "batch scoring/score.py")),
        Choice("neither", ()),
    ),
)


def test_a_question_lists_the_flags_of_its_choices() -> None:
    """The answer "neither" has none, so it is not listed."""
    assert str(_SCRIPTS.problem()) == (
        "entry-script: 2 scripts define init() and run()\n"
        "    Which one answers? Add one of:\n"
        "    --from online/score.py\n"
        "    --from 'batch scoring/score.py'"
    )


def test_a_command_names_what_is_clear_and_an_answer_to_each_question() -> None:
    """It is an example, with the first choice of each question."""
    command = command_line(("azureml-image", "init"), ("conda.yaml",), (_SCRIPTS,))
    assert command == "azureml-image init --from conda.yaml --from online/score.py"
