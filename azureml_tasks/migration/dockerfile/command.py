"""CMD and ENTRYPOINT of a Dockerfile: whether they start Azure ML's inference server, and with what.

The options of the server: azureml-inference-server-http 1.5.1, azureml_inference_server_http/amlserver.py.
"""

from __future__ import annotations

import posixpath
import shlex
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.config.variable_references import literal
from azureml_tasks.migration.dockerfile.shell_commands import plain_chain
from azureml_tasks.migration.dockerfile.words import json_words
from azureml_tasks.migration.reading import Outcome
from azureml_tasks.planning.server_steps import ENVIRONMENT

if TYPE_CHECKING:
    from azureml_tasks.migration.dockerfile.stage import Stage
    from azureml_tasks.project.dockerfile_text import Instruction

_RUNIT = ["runsvdir", "/var/runit"]
_PORT = "5001"
"""Where every image of the table serves: that of the inference images' nginx."""
_OPTIONS = ("--entry_script", "--model_dir", "--port")


class Server(NamedTuple):
    """How the image starts.

    Args:
        starts: whether its command starts the inference server; None if it is that of the base.
        entry_script: path in the image; "" for none.
        folder: that the server starts in.
    """

    starts: bool | None = None
    entry_script: str = ""
    folder: str = ""


def read_command(stage: Stage, instruction: Instruction) -> None:
    """Keep a CMD or an ENTRYPOINT: of each the last one counts."""
    if instruction.name in stage.command:
        line, _ = stage.command[instruction.name]
        stage.note(line, Outcome.NOT_NEEDED, f"line {instruction.line} sets it again")
    words = json_words(instruction.arguments)
    if words is None:
        chain = plain_chain(instruction.arguments, stage.shell_value)
        words = list(chain[0].words) if chain and len(chain) == 1 and not chain[0].is_open else []
        words = words or ["/bin/sh", "-c", instruction.arguments]
        words = words[1:] if words[0] == "exec" else words
    if instruction.name == "ENTRYPOINT" and "CMD" not in stage.command:
        stage.command["CMD"] = (0, [])
    stage.command[instruction.name] = (instruction.line, words)


def decide_command(stage: Stage) -> Server:
    """Say what became of CMD and ENTRYPOINT."""
    lines = [line for line, _ in stage.command.values() if line]
    if not lines:
        return Server()
    words = [word for name in ("ENTRYPOINT", "CMD") for word in stage.command.get(name, (0, []))[1]]
    if words == _RUNIT and stage.serves is not False:
        for line in lines:
            stage.note(line, Outcome.NOT_NEEDED, "the base starts so")
        return Server(starts=True)
    if not words and stage.serves is not False and "CMD" in stage.command:
        for line in lines:
            stage.note(line, Outcome.NOT_NEEDED, "the base has no ENTRYPOINT")
        return Server()
    server = _server(words)
    if not server:
        shown = shlex.join(words)[:80] or "nothing"
        for line in lines:
            stage.keep(line, f"it starts {shown}, which is not Azure ML's inference server")
        return Server(starts=False)
    options, others = server
    _note_server(stage, lines, options.get("--port", "31311"), others)
    folder = stage.folder or "/"
    script, model = options.get("--entry_script", ""), options.get("--model_dir", "")
    if model and "AZUREML_MODEL_DIR" not in stage.env:  # The server sets it.
        stage.env["AZUREML_MODEL_DIR"] = literal(posixpath.normpath(posixpath.join(folder, model)))
        stage.env_lines["AZUREML_MODEL_DIR"] = lines[-1]
    return Server(
        starts=True,
        entry_script=posixpath.normpath(posixpath.join(folder, script)) if script else "",
        folder=folder,
    )


def _note_server(stage: Stage, lines: list[int], port: str, others: list[str]) -> None:
    """Say that the image starts the inference server, and in what it differs."""
    differences = [f"on port {_PORT}, not on {port}"] if port != _PORT else []
    differences += [f"without {' '.join(others)}"] if others else []
    why = []
    if stage.serves is False:
        stage.set(("server",), "azmlinfsrv", lines[-1])
        why = ['server = "azmlinfsrv"']
        differences.append(f"Python packages go into its environment, {ENVIRONMENT}")
    elif stage.serves is None:
        differences.append("the base's own command starts the image: if it starts no server, add server")
    else:
        differences.append("the base itself starts the server, behind nginx")
    for line in lines:
        stage.note(line, Outcome.CHANGED if differences else Outcome.KEY, "; ".join([*why, *differences]))


def _server(words: list[str]) -> tuple[dict[str, str], list[str]] | None:
    """Return the options of a command that starts the server, and those that nothing here knows; None for another."""
    if not words:
        return None
    rest = words[1:]
    if words[0:3] == ["python", "-m", "azureml_inference_server_http"]:
        rest = words[3:]
    elif posixpath.basename(words[0]) != "azmlinfsrv":
        return None
    options: dict[str, str] = {}
    others: list[str] = []
    at = 0
    while at < len(rest):
        name, sign, value = rest[at].partition("=")
        at += 1
        if name not in _OPTIONS:
            others.append(rest[at - 1])
            continue
        if not sign and at < len(rest):
            value, at = rest[at], at + 1
        options[name] = value
    return options, others
