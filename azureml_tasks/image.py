"""Extend an Azure ML inference image, test that it serves, and push what passed.

Everything about the image is in [tool.azureml-image] of pyproject.toml. Flags say how one run goes.
"""

from __future__ import annotations

from azureml_tasks.cli.collection import collection

__all__ = [
    "build",
    "cache",
    "check",
    "clean",
    "context",
    "dockerfile",
    "doctor",
    "environment",
    "init",
    "logs",
    "ns",
    "push",
    "release",
    "report",
    "resume",
    "serve",
    "shell",
    "smoke_test",
]

ns = collection()
init = ns["init"]
check = ns["check"]
doctor = ns["doctor"]
dockerfile = ns["dockerfile"]
context = ns["context"]
build = ns["build"]
resume = ns["resume"]
smoke_test = ns["smoke-test"]
serve = ns["serve"]
shell = ns["shell"]
logs = ns["logs"]
push = ns["push"]
release = ns["release"]
environment = ns["environment"]
report = ns["report"]
cache = ns["cache"]
clean = ns["clean"]
