"""A multi-step task that builds an image, smoke-tests it, and pushes it only then, as the text of its file.

https://learn.microsoft.com/azure/container-registry/container-registry-tasks-reference-yaml, and what the
agent does with it: Azure/acr-builder, graph/ and builder/. Each command goes through a shell of the agent,
after its aliases (`$NAME`) and its template (`{{…}}`).
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from azureml_tasks.engines.acr.build_pieces import Piece
    from azureml_tasks.planning.plan import Plan

    Step = Mapping[str, str | int | bool | Sequence[str] | Sequence[Mapping[str, str]]]

__all__ = ["RESERVED", "RUN_ID", "SERVER", "TaskFile", "to_the_letter", "value_name", "variables"]

RUN_ID = "{{.Run.ID}}"
"""What the agent puts the run's id in the place of."""
RESERVED = ".azureml-image"
"""The folder of the context that holds the smoke test; no COPY names it."""
SERVER = "server"
"""The container that is smoke-tested: its step's id, and so its name and its host name."""
_WORKSPACE = "/workspace"
"""Where the agent mounts the context in every step."""
_SECRETS = "secrets"
_MOUNTED = "/run/azureml-secrets"


@dataclass(frozen=True, kw_only=True)
class TaskFile:
    """What a run does.

    Args:
        plan: of the image.
        image: what is built, or only smoke-tested: `login-server/repository:tag` or `…@sha256:…`.
        context_sha256: of the build context.
        pieces: what it builds and pushes, the image last; none where the image is there.
        smoke_test: whether it runs the smoke test.
        timeout: seconds that a step may take.
    """

    plan: Plan
    image: str
    context_sha256: str
    pieces: Sequence[Piece]
    smoke_test: bool
    timeout: int

    def __str__(self) -> str:
        lines = ["version: v1.1.0", f"stepTimeout: {self.timeout}"]
        if self.plan.secrets and any(piece.installs for piece in self.pieces):
            lines += ["volumes:", f"  - name: {_SECRETS}", "    secret:"]
            lines += [
                f"      {secret.id}: '{{{{.Values.{value_name(secret.id)}}}}}'"
                for secret in self.plan.secrets
            ]
        return "\n".join([*lines, "steps:", *(line for step in self._steps() for line in _yaml(step))]) + "\n"

    def _steps(self) -> Iterator[Step]:
        for piece in self.pieces[:-1]:
            name = piece.dockerfile.partition(".")[2]
            yield self._build(f"build-{name}", piece)
            # Before the smoke test: what stands below the code is good, whatever the code does.
            yield {"id": f"push-{name}", "push": [piece.image]}
        for piece in self.pieces[-1:]:
            yield self._build("build", piece)
        if self.smoke_test:
            yield self._server()
            # As root, who may ask the agent's engine how the server is.
            words = f"{self.image} /bin/sh {_WORKSPACE}/{RESERVED}/probe.sh"
            yield {"id": "smoke-test", "cmd": words, "user": "root", "disableWorkingDirectoryOverride": True}
        if self.pieces:
            yield {"id": "push", "push": [self.image]}

    def _build(self, name: str, piece: Piece) -> Step:
        words = ["-f", piece.dockerfile, "-t", piece.image, "--platform", self.plan.platform]
        if piece.context.has_hash_argument:
            words += ["--build-arg", f"CONTEXT_SHA256={self.context_sha256}"]
        if not (self.plan.secrets and piece.installs):
            return {"id": name, "build": " ".join([*words, "."])}
        for secret in self.plan.secrets:
            words += ["--secret", f"id={secret.id},src={_MOUNTED}/{secret.id}"]
        mounts = [{"name": _SECRETS, "mountPath": _MOUNTED}]
        # To the letter: the agent compares it so.
        return {
            "id": name,
            "build": " ".join([*words, "."]),
            "env": ["DOCKER_BUILDKIT=1"],
            "volumeMounts": mounts,
        }

    def _server(self) -> Step:
        """The image with its own command and user, as Azure ML runs it; it is kept, so that its log is too."""
        env = variables(self.plan)
        return {
            "id": SERVER,
            "cmd": self.image,
            "detach": True,
            "keep": True,
            "disableWorkingDirectoryOverride": True,
            **({"env": env} if env else {}),
        }


def value_name(secret: str) -> str:
    """The name under which a secret travels: a template's names hold no `-`."""
    return secret.replace("-", "")


def variables(plan: Plan) -> list[str]:
    """What the container that is smoke-tested gets, each `NAME=text` quoted for the agent's shell."""
    user = plan.user
    # The agent sets HOME to a folder of its own, which the runtime user may not write to.
    home = {} if user.isdigit() else {"HOME": f"/home/{user}"}
    code = {"AML_APP_ROOT": f"{_WORKSPACE}/{RESERVED}", "AZUREML_ENTRY_SCRIPT": "default_score.py"}
    env = {**home, **(code if plan.smoke_test.default_script else {}), **plan.smoke_test.env}
    return [shlex.quote(f"{name}={text}") for name, text in env.items()]


def _yaml(step: Step) -> Iterator[str]:
    """A step as an item of a list; JSON's strings are YAML's in double quotes."""
    mark = "  - "
    for key, value in step.items():
        if isinstance(value, list | tuple):
            yield f"{mark}{key}:"
            # Variables are the user's own words, the rest is ours and holds a template.
            yield from (f"      - {to_the_letter(item) if key == 'env' else _json(item)}" for item in value)
        else:
            yield f"{mark}{key}: {_json(value)}"
        mark = "    "


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def to_the_letter(text: object) -> str:
    """*text* as a string of YAML in which the agent's aliases and template, which come before YAML, find nothing.

    The agent also takes `<no value>` out of what it has rendered, and YAML knows more line breaks than JSON.
    """
    return re.sub(r"[$<{]|[^ -~]", _escaped, _json(text))


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code <= 0xFF else f"\\U{code:08x}"  # noqa: PLR2004 -- two digits, or eight
