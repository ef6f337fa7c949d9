"""Call an entry script as a batch deployment of Azure ML calls it, and print the results as events.

    python -I batch_driver.py MARKER START_SECONDS RUN_SECONDS FILE...

This runs inside an image under its own Python, so it uses the standard library of Python 3.7 and `probe_in_acr.py`
beside it, which packs the events. A process of its own calls the script: this one reports, also if that one is killed.

What Azure ML does, by https://learn.microsoft.com/azure/machine-learning/how-to-batch-scoring-script and its driver
(score_wrapper.py of the parallel run step): it imports the script, calls `init()` once, then `run` with a list of
paths. `run` must return a list, a tuple or a pandas DataFrame, and an item for each file that succeeded. The working
folder is a temporary one; AZUREML_BI_OUTPUT_PATH is a folder for what the script writes itself. The options on the
command line are those of azureml-pipeline-core, _parallel_run_step_base.py.

The events, in the order in which they come:

    batch-init   seconds, error                   after the import and init()
    batch-run    seconds, error, kind, items      after run(); `kind` is the type that it returned
    container    as in `probe_in_acr.py`, and core: whether the image has azureml-core

`error` is null for success. The exit code is 0 if both succeeded.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import importlib.util
import json
import os
import queue
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import IO

    Event = dict[str, Any]

LIMIT = 256 * 1024
"""Bytes of the end of the script's output that are reported."""
LONGEST = 500
"""Characters of an error."""
GRACE = 5  # seconds
OOM_FILES = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
OPTIONS = "--mini_batch_size {} --error_threshold -1 --output_action append_row --logging_level INFO"


def call(descriptor: int, files: list[str]) -> int:
    """Import the entry script, call its functions, write a line of JSON for each step, and return the exit code."""
    faulthandler.enable()
    with os.fdopen(descriptor, "w", encoding="utf-8") as steps:
        for name, step in (("batch-init", _init), ("batch-run", _run)):
            began = time.monotonic()
            try:
                result = step(files)
            except BaseException as error:  # noqa: BLE001 - a script may also raise SystemExit
                traceback.print_exc()
                line = f"{type(error).__name__}: {error}".strip()
                result = {"error": line[:LONGEST]}
            seconds = round(time.monotonic() - began, 6)
            steps.write(json.dumps({"event": name, "seconds": seconds, "error": None, **result}) + "\n")
            steps.flush()
            if result.get("error"):
                return 1
    return 0


_MODULE: Any = None


def _init(files: list[str]) -> Event:
    global _MODULE  # noqa: PLW0603 - the script's functions share this process
    root = os.environ.get("AML_APP_ROOT") or "/var/azureml-app"
    script = Path(root, os.environ.get("AZUREML_ENTRY_SCRIPT") or "main.py").resolve()
    sys.path[0] = str(script.parent)
    if str(script.parent) != root:
        sys.path.insert(1, root)
    sys.argv = [str(script), "--scoring_module_name", script.name, *OPTIONS.format(len(files)).split()]
    spec: Any = importlib.util.spec_from_file_location(script.stem, str(script))
    module = importlib.util.module_from_spec(spec)
    sys.modules[script.stem] = module
    spec.loader.exec_module(module)
    _MODULE = module
    module.init()
    return {}


def _run(files: list[str]) -> Event:
    result = _MODULE.run(list(files))
    kind = type(result).__name__
    pandas = sys.modules.get("pandas")
    is_frame = pandas is not None and isinstance(result, pandas.DataFrame)
    if not is_frame and not isinstance(result, (list, tuple)):
        return {"kind": kind, "items": 0, "error": f"run() returned {kind}, not a list or a pandas DataFrame"}
    if not len(result):
        return {
            "kind": kind,
            "items": 0,
            "error": "run() returned no item, which counts as no file that succeeded",
        }
    return {"kind": kind, "items": len(result)}


class Output:
    """The output of the script: pass it on, and keep its end. Each event between it begins a line of its own."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.end = bytearray()
        self.lock = threading.Lock()
        self.is_line_open = False
        self.thread = threading.Thread(target=self._copy)
        self.thread.daemon = True
        self.thread.start()

    def _copy(self) -> None:
        for line in iter(lambda: self.stream.readline(LIMIT), b""):  # A line may have no end.
            with self.lock:
                sys.stdout.buffer.write(line)
                sys.stdout.buffer.flush()
                self.is_line_open = not line.endswith(b"\n")
            self.end += line
            if len(self.end) > 2 * LIMIT:
                del self.end[:-LIMIT]

    def print_lines(self, lines: list[str]) -> None:
        """Print lines of our own; the last line of the script may have no end."""
        with self.lock:
            sys.stdout.write("\n" * self.is_line_open + "".join(f"{line}\n" for line in lines))
            sys.stdout.flush()
            self.is_line_open = False

    def text(self) -> str:
        """Return the end of it, after all of it has come."""
        self.thread.join(GRACE)
        return self.end[-LIMIT:].decode(errors="replace")


def main(words: list[str]) -> int:
    """Start the process that calls the script, report on it, and return the exit code."""
    marker, timeouts = words[0], [float(word) for word in words[1:3]]
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    frames: Any = importlib.import_module("probe_in_acr").frames
    count = 0

    process, output, lines = _start(words[3:])

    def emit(event: Event) -> None:
        nonlocal count
        output.print_lines(frames(marker, count, event))
        count += 1

    error = None
    for name, seconds in zip(("batch-init", "batch-run"), timeouts):  # noqa: B905 - Python 3.7 has no strict
        event = _step(process, lines, name, seconds)
        emit(event)
        error = event["error"]
        if error:
            break
    last = _last_event(_ended(process), output.text())
    emit(last)
    return 1 if error else 0


def _start(files: list[str]) -> tuple[subprocess.Popen[bytes], Output, queue.Queue[str]]:
    """Start the process; return it with what it prints, and the lines that it reports, "" at their end."""
    reading, writing = os.pipe()
    folder, place = (tempfile.mkdtemp(prefix=f"azureml-image-{use}-") for use in ("output", "work"))
    process = subprocess.Popen(
        [sys.executable, __file__, "--call", str(writing), *files],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=place,
        env={"AZUREML_BI_OUTPUT_PATH": folder, "PYTHONUNBUFFERED": "1", **os.environ},
        pass_fds=[writing],
    )
    os.close(writing)
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        with os.fdopen(reading, encoding="utf-8") as steps:
            for line in steps:
                lines.put(line)
        lines.put("")

    reader = threading.Thread(target=read)
    reader.daemon = True
    reader.start()
    stdout: Any = process.stdout
    return process, Output(stdout), lines


def _step(process: subprocess.Popen[bytes], lines: queue.Queue[str], name: str, seconds: float) -> Event:
    """Return the event of one step: as the process reports it, or that it took too long or has ended."""
    function = "init()" if name == "batch-init" else "run()"
    began = time.monotonic()
    try:
        line = lines.get(timeout=seconds)
        error = f"the process ended during {function}"
    except queue.Empty:
        with contextlib.suppress(OSError):
            process.send_signal(signal.SIGABRT)  # It prints where it is.
        line, error = "", f"{function} did not return within {seconds:g} s"
    if line:
        event: Event = json.loads(line)
        return event
    return {"event": name, "seconds": round(time.monotonic() - began, 6), "error": error}


def _ended(process: subprocess.Popen[bytes]) -> int:
    """Return the exit code of the process, which is killed if it does not end."""
    try:
        return process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _last_event(code: int, log: str) -> Event:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "event": "container",
        "running": False,
        "exit_code": code if code >= 0 else 128 - code,
        "out_of_memory": code == -signal.SIGKILL and _ran_out_of_memory(),
        "peak_memory": usage.ru_maxrss * 1024,
        "stop": None,
        "core": _has_core(),
        "log": log,
    }


def _ran_out_of_memory() -> bool:
    """Return whether the kernel has killed a process here for lack of memory, by the files of cgroup v2 or v1."""
    for name in OOM_FILES:
        with contextlib.suppress(OSError):
            words = Path(name).read_text("ascii").split()
            if "oom_kill" in words:
                return words[words.index("oom_kill") + 1] != "0"
    return False


def _has_core() -> bool:
    """Return whether the image has azureml-core, without which a batch deployment does not start."""
    try:
        return importlib.util.find_spec("azureml.core") is not None
    except (ImportError, ValueError):
        return False


if __name__ == "__main__":
    if sys.argv[1] == "--call":
        code = call(int(sys.argv[2]), sys.argv[3:])
        sys.stdout.flush()
        os._exit(code)  # Threads of the script may still run.
    sys.exit(main(sys.argv[1:]))
