"""The driver that calls a script as a batch deployment does: what it gives the script, and what it reports."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from azureml_tasks.in_image import batch_driver
from azureml_tasks.smoke.event_form import valid_events
from azureml_tasks.smoke.event_lines import EventCollector

MARK = "azureml-image-smoke-test-0"
DRIVER = Path(batch_driver.__file__)
LOOK = """\
import argparse, os, sys
import helper
options = argparse.ArgumentParser()
options.add_argument("--logging_level")
level = options.parse_known_args()[0].logging_level.upper()

def init():
    global files
    files = []
    print("loaded", end="")

def run(mini_batch):
    with open(os.path.join(os.environ["AZUREML_BI_OUTPUT_PATH"], "out"), "w") as file:
        file.write("1")
    seen = [type(mini_batch).__name__, len(mini_batch), level, helper.NAME, os.listdir(), sys.flags.isolated]
    assert seen == ["list", 2, "INFO", "me", [], 0], seen
    return mini_batch
"""


def called(
    folder: Path, script: str, *files: str, start: str = "30", limit: str = "30", **more: str
) -> tuple[int, list[dict[str, Any]]]:
    """Call a script; the exit code and the events, without times and sizes."""
    (folder / "score.py").write_text(script, encoding="utf-8")
    own = {"AML_APP_ROOT": str(folder), "AZUREML_ENTRY_SCRIPT": "score.py", "TMPDIR": str(folder)}
    env = {**os.environ, **own, **more}
    command = [sys.executable, "-I", str(DRIVER), MARK, start, limit, *(files or ("a.csv",))]
    ended = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.stderr == ""
    collector = EventCollector(marker=MARK)
    for line in ended.stdout.splitlines():
        collector.collect(line)
    events = collector.events()
    assert events == valid_events(events)
    times = ("seconds", "peak_memory")
    return ended.returncode, [{k: v for k, v in event.items() if k not in times} for event in events]


LAST = {
    "event": "container", "running": False, "exit_code": 0, "out_of_memory": False, "stop": None, "core": False,
}  # fmt: skip
INIT = {"event": "batch-init", "error": None}


def test_a_script_is_called_as_by_a_batch_deployment(tmp_path: Path) -> None:
    """With a list of paths, its own folder on the path, the options, a folder for outputs, and an empty work folder."""
    (tmp_path / "helper.py").write_text("NAME = 'me'\n", encoding="utf-8")
    code, events = called(tmp_path, LOOK, "a.csv", "b.csv")

    run = {"event": "batch-run", "error": None, "kind": "list", "items": 2}
    assert (0, [INIT, run, {**LAST, "log": "loaded"}]) == (code, events)


FRAME = """\
class DataFrame:
    def __len__(self): return 3
sys.modules["pandas"] = sys.modules[__name__]
"""
RESULTS: dict[str, tuple[str, dict[str, Any]]] = {
    "a tuple": ("return (1, 2)", {"error": None, "kind": "tuple", "items": 2}),
    "a data frame": ("return DataFrame()", {"error": None, "kind": "DataFrame", "items": 3}),
    "a dictionary": (
        "return {'a': 1}",
        {"error": "run() returned dict, not a list or a pandas DataFrame", "kind": "dict", "items": 0},
    ),
    "nothing": (
        "pass",
        {
            "error": "run() returned NoneType, not a list or a pandas DataFrame",
            "kind": "NoneType",
            "items": 0,
        },
    ),
    "no item": (
        "return []",
        {
            "error": "run() returned no item, which counts as no file that succeeded",
            "kind": "list",
            "items": 0,
        },
    ),
    "an exception": ("raise KeyError('age')", {"error": "KeyError: 'age'"}),
    "an exit": ("sys.exit(2)", {"error": "SystemExit: 2"}),
    "the end of the process": ("os._exit(3)", {"error": "the process ended during run()"}),
}


@pytest.mark.parametrize("how", RESULTS)
def test_what_run_returns_is_judged_as_by_azure_ml(how: str, tmp_path: Path) -> None:
    """A list, a tuple or a data frame with an item; the reason is one line, the traceback is in the log."""
    body, expected = RESULTS[how]
    script = f"import os, sys\n{FRAME}\ndef init(): ...\ndef run(files):\n    {body}\n"

    code, events = called(tmp_path, script)

    assert {"event": "batch-run", **expected} == events[1]
    assert (expected["error"] is not None) == bool(code)
    assert ("KeyError: 'age'\n" in events[2]["log"]) == (how == "an exception")


STARTS = {
    "an import": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    "init": ("def init(): 1 / 0", "ZeroDivisionError: division by zero"),
    "a syntax error": ("def init(:", "SyntaxError: invalid syntax (score.py, line 1)"),
}


@pytest.mark.parametrize("how", STARTS)
def test_what_fails_before_run_ends_the_test(how: str, tmp_path: Path) -> None:
    """Then run() is not called."""
    script, error = STARTS[how]

    code, events = called(tmp_path, f"{script}\ndef run(files): return files\n")

    assert (1, {**INIT, "error": error}, 2) == (code, events[0], len(events))


def test_a_script_that_takes_too_long_is_ended_and_shows_where_it_is(tmp_path: Path) -> None:
    """Also if it waits in a library. The driver is stopped until `run` has begun, which its limit is for."""
    stop, go_on = (f"os.kill(os.getppid(), signal.{name})" for name in ("SIGSTOP", "SIGCONT"))
    script = f"import os, signal, threading\ndef init(): {stop}\ndef run(files): {go_on}; threading.Event().wait()\n"

    code, events = called(tmp_path, script, limit="0.2")

    assert (1, "run() did not return within 0.2 s") == (code, events[1]["error"])
    assert 'score.py", line 3 in run' in events[2]["log"]
    assert 134 == events[2]["exit_code"]  # 128 + SIGABRT


def test_a_thread_of_the_script_keeps_nothing_waiting(tmp_path: Path) -> None:
    """A thread that runs on does not hold up the end."""
    start = "import threading\ndef init(): threading.Thread(target=threading.Event().wait).start()\n"

    assert 0 == called(tmp_path, start + "def run(files): return files\n")[0]


def test_a_line_of_the_script_without_an_end_hides_no_event(capsys: pytest.CaptureFixture[str]) -> None:
    """An event begins a line of its own, whenever the script has printed the beginning of one."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as script:
        script.write(b"loaded")
    with os.fdopen(reading, "rb") as stream:
        output = batch_driver.Output(stream)
        assert output.text() == "loaded"
        output.print_lines(["event 1"])
        output.print_lines(["event 2"])

    assert capsys.readouterr().out == "loaded\nevent 1\nevent 2\n"


def test_a_line_that_does_not_end_is_passed_on_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the driver needs no memory for all of it, and loses nothing."""
    parts: list[bytes] = []
    printed = SimpleNamespace(write=parts.append, flush=lambda: None)
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=printed))
    text = b"x" * 3 * batch_driver.LIMIT + b"\ny"

    output = batch_driver.Output(io.BytesIO(text))

    assert text[-batch_driver.LIMIT :].decode() == output.text()
    assert (text, batch_driver.LIMIT) == (b"".join(parts), max(map(len, parts)))
