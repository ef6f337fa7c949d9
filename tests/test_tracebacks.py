"""Finding the traceback that explains a failure; the logs are the real server's, shortened."""

from __future__ import annotations

import pytest

from azureml_tasks.smoke.tracebacks import brief_exception, root_traceback, user_traceback

SERVER = "/opt/miniconda/envs/amlenv/lib/python3.12/site-packages/azureml_inference_server_http/server"

HEALTHY_START = f"""\
2026-11-23 00:27:40,128 E [15462] azmlinfsrv - Traceback (most recent call last):
  File "{SERVER}/print_hook.py", line 33, in walk
    for entry in os.scandir(path):
NotADirectoryError: [Errno 20] Not a directory: '/var/azureml-app/azureml-models/model.pkl'

2026-11-23 00:27:40,129 I [15462] azmlinfsrv - Worker with pid 15462 ready for serving traffic
"""

IMPORT_ERROR = """\
Traceback (most recent call last):
  File "<frozen importlib._bootstrap_external>", line 940, in exec_module
  File "/var/azureml-app/score.py", line 1, in <module>
    import nothere
ModuleNotFoundError: No module named 'nothere'"""

WRAPPED = f"""\
Traceback (most recent call last):
  File "{SERVER}/aml_blueprint.py", line 91, in setup
    self.user_script.load_script(config.app_root)
azureml_inference_server_http.server.user_script.UserScriptImportException: Failed to import user script"""

CAUSE = "\n\nThe above exception was the direct cause of the following exception:\n\n"

FAILED_START = f"""\
2026-11-23 00:27:49,272 I [16787] azmlinfsrv.user_script - Found user script at /var/azureml-app/score.py
2026-11-23 00:27:49,272 E [16787] azmlinfsrv - {IMPORT_ERROR}{CAUSE}{WRAPPED}

2026-11-23 00:27:49,492 E [16625] gunicorn.error - Worker (pid:16787) exited with code 3.
"""

FILE_NOT_FOUND = f"""\
Traceback (most recent call last):
  File "{SERVER}/user_script.py", line 77, in load_script
    main_module_spec.loader.exec_module(user_module)
  File "<frozen importlib._bootstrap_external>", line 1130, in get_data
FileNotFoundError: [Errno 2] No such file or directory: '/var/azureml-app/main.py'"""

WRONG_NAME = f"""\
2026-11-30 21:35:20,101 E [12] azmlinfsrv - No such file or directory.
2026-11-30 21:35:20,102 E [12] azmlinfsrv - {FILE_NOT_FOUND}{CAUSE}{WRAPPED}

2026-11-30 21:35:20,102 I [12] gunicorn.error - Worker exiting (pid: 12)
"""

OWN_CHAIN = """\
Traceback (most recent call last):
  File "/var/azureml-app/score.py", line 8, in run
    return row["age"]
KeyError: 'age'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/var/azureml-app/score.py", line 10, in run
    raise ValueError(message)
ValueError: a row lacks its age:
  {'name': 'Ada'}"""

RAISED = f"""\
2026-11-23 00:27:41,612 E [15497] azmlinfsrv - Encountered Exception: {OWN_CHAIN}{CAUSE}{WRAPPED}

2026-11-23 00:27:41,613 I [15497] azmlinfsrv - POST /score 500 1.664ms 92
"""


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        pytest.param("", "", id="empty"),
        pytest.param(HEALTHY_START, "", id="a healthy start"),
        pytest.param(HEALTHY_START + FAILED_START, IMPORT_ERROR, id="without the server's wrapping"),
        pytest.param(
            FAILED_START + RAISED + HEALTHY_START, OWN_CHAIN, id="the last, with what it was raised from"
        ),
        pytest.param(f"{IMPORT_ERROR}\n{IMPORT_ERROR}2", f"{IMPORT_ERROR}2", id="one right after the other"),
        pytest.param(f"x{CAUSE}{IMPORT_ERROR}", IMPORT_ERROR, id="a link without what it links to"),
        pytest.param(
            f"{IMPORT_ERROR}\n[2026-11-23 00:27:41 +0000] [9] [INFO] x",
            IMPORT_ERROR,
            id="gunicorn's own format",
        ),
        pytest.param("Traceback (most recent call last):", "", id="cut off"),
    ],
)
def test_user_traceback(log: str, expected: str) -> None:
    """The user's last exception is shown with its causes and without the server's."""
    assert expected == user_traceback(log)


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        pytest.param("no trace", "", id="none"),
        pytest.param(WRONG_NAME, FILE_NOT_FOUND, id="the cause of the server's"),
        pytest.param(RAISED, OWN_CHAIN, id="with what it was raised beside"),
        pytest.param(f"{WRAPPED}\n\n{IMPORT_ERROR}", IMPORT_ERROR, id="the last"),
        pytest.param(f"x{CAUSE}{IMPORT_ERROR}", IMPORT_ERROR, id="a link without what it links to"),
    ],
)
def test_root_traceback(log: str, expected: str) -> None:
    """The last exception is shown, from any code, without those that it is only wrapped in."""
    assert expected == root_traceback(log)


SYNTAX_ERROR = """\
2026-11-30 21:35:04,367 E [11] azmlinfsrv - Traceback (most recent call last):
  File "<frozen importlib._bootstrap>", line 241, in _call_with_frames_removed
  File "/var/azureml-app/score.py", line 11
    def broken(:
               ^
SyntaxError: invalid syntax
"""


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (FAILED_START, "code/score.py:1: ModuleNotFoundError: No module named 'nothere'"),
        (SYNTAX_ERROR, "code/score.py:11: SyntaxError: invalid syntax"),
        (RAISED, "code/score.py:10: ValueError: a row lacks its age:"),
        (
            FAILED_START.replace("score.py", "x.py"),
            "/var/azureml-app/x.py:1: ModuleNotFoundError: No module named 'nothere'",
        ),
        (WRAPPED, WRAPPED.splitlines()[-1]),
        (WRONG_NAME, FILE_NOT_FOUND.splitlines()[-1]),
        (HEALTHY_START.partition("NotADirectoryError")[0], ""),
        ("ready\n", ""),
    ],
    ids=[
        "an import",
        "a syntax error",
        "a chain",
        "a file that is not the project's",
        "only the server's own",
        "the cause of the server's own",
        "cut off before the exception",
        "no traceback",
    ],
)
def test_an_exception_in_one_line(log: str, expected: str) -> None:
    """It has the innermost line of the user's code, by the file's path in the project."""
    assert expected == brief_exception(log, {"/var/azureml-app/score.py": "code/score.py"})
