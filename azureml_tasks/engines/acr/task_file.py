"""The file of a multi-step task that builds an image, smoke-tests it and pushes it if it has passed.

Format: https://learn.microsoft.com/azure/container-registry/container-registry-tasks-reference-yaml. How the agent
reads it: Azure/acr-builder, graph/ and builder/. The agent expands its aliases (`$NAME`) and templates (`{{…}}`) in
the text, and runs each command through a shell.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from azureml_tasks.context.context_file import ContextFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.project.model import BuildSecret

    Step = Mapping[str, str | int | bool | Sequence[str] | Sequence[Mapping[str, str]]]

RESERVED = ".azureml-image"
"""The folder of the build context with the scripts of the smoke test; no COPY instruction names it."""
SERVER = "server"
"""The step that runs the image under test; also the name and the host name of its container."""
WORKSPACE = "/workspace"
"""Where the agent mounts the build context in every step."""
_BUILDKIT = "DOCKER_BUILDKIT=1"
"""Turns BuildKit on for a build; the agent compares this string exactly."""
_SECRETS = "secrets"
_SECRETS_PATH = "/run/azureml-secrets"


@dataclass(frozen=True, kw_only=True)
class BuildPiece:
    """One `docker build` of a run.

    Args:
        dockerfile: name of its Dockerfile in the context.
        context: the text of this Dockerfile, and the files that it copies.
        image: the image to build, `login-server/repository:tag`.
        installs: whether it installs the Python packages, and so needs the build secrets.
        folder: of the context that the Dockerfile copies from.
        buildkit: whether the Dockerfile needs BuildKit.
    """

    dockerfile: str
    context: BuildContext
    image: str
    installs: bool
    folder: str = "."
    buildkit: bool = False


@dataclass(frozen=True, kw_only=True)
class TaskFile:
    """A task file; `str()` is its text.

    Args:
        plan: the image.
        image: the image to push or to smoke-test, `login-server/repository:tag` or `…@sha256:…`.
        context_sha256: of the build context.
        pieces: the builds, that of the image last; empty to smoke-test an image that is already in the registry.
        smoke_test: whether to smoke-test the image.
        timeout: seconds that a step may take.
    """

    plan: Plan
    image: str
    context_sha256: str
    pieces: Sequence[BuildPiece]
    smoke_test: bool
    timeout: int

    def __str__(self) -> str:
        lines = ["version: v1.1.0", f"stepTimeout: {self.timeout}"]
        if self.secrets:
            lines += ["volumes:", f"  - name: {_SECRETS}", "    secret:"]
            lines += [
                f"      {secret.id}: '{{{{.Values.{value_name(secret.id)}}}}}'" for secret in self.secrets
            ]
        return "\n".join([*lines, "steps:", *(line for step in self._steps() for line in _yaml(step))]) + "\n"

    @property
    def secrets(self) -> Sequence[BuildSecret]:
        """The secrets that its builds need."""
        return self.plan.secrets if any(piece.installs for piece in self.pieces) else ()

    def _steps(self) -> Iterator[Step]:
        for piece in self.pieces[:-1]:
            name = piece.dockerfile.partition(".")[2]
            yield self._build(f"build-{name}", piece)
            # Cached layers are pushed before the smoke test, which says nothing about them.
            yield {"id": f"push-{name}", "push": [piece.image]}
        for piece in self.pieces[-1:]:
            yield self._build("build", piece)
        if self.smoke_test and self.plan.smoke_test.mini_batch:
            yield self._batch()
        elif self.smoke_test:
            yield self._server()
            # As root, to be able to read the state of the server from the agent's engine.
            probe = f"{WORKSPACE}/{RESERVED}/probe.sh"
            own_entrypoint = bool(
                self.plan.own_dockerfile
            )  # It may have any, to which the command would be given.
            yield {
                "id": "smoke-test",
                "cmd": f"{self.image} {probe}" if own_entrypoint else f"{self.image} /bin/sh {probe}",
                **({"entryPoint": "/bin/sh"} if own_entrypoint else {}),
                "user": "root",
                "disableWorkingDirectoryOverride": True,
            }
        if self.pieces:
            yield {"id": "push", "push": [self.image]}

    def _build(self, step_id: str, piece: BuildPiece) -> Step:
        words = ["-f", piece.dockerfile, "-t", piece.image, "--platform", self.plan.platform]
        if piece.context.has_hash_argument:
            words += ["--build-arg", f"CONTEXT_SHA256={self.context_sha256}"]
        if not (self.plan.secrets and piece.installs):
            build = " ".join([*words, piece.folder])
            return {"id": step_id, "build": build, **({"env": [_BUILDKIT]} if piece.buildkit else {})}
        for secret in self.plan.secrets:
            words += ["--secret", f"id={secret.id},src={_SECRETS_PATH}/{secret.id}"]
        return {
            "id": step_id,
            "build": " ".join([*words, "."]),
            "env": [_BUILDKIT],
            "volumeMounts": [{"name": _SECRETS, "mountPath": _SECRETS_PATH}],
        }

    def _batch(self) -> Step:
        """Return the step that calls the script of a batch deployment in the image, as its user."""
        variables = server_variables(self.plan)
        return {
            "id": "smoke-test",
            "cmd": f"{self.image} /bin/sh {WORKSPACE}/{RESERVED}/probe.sh",
            "disableWorkingDirectoryOverride": True,
            **({"env": variables} if variables else {}),
        }

    def _server(self) -> Step:
        """Return the step that runs the image with its own command and user, and keeps it, so that its log stays."""
        variables = server_variables(self.plan)
        return {
            "id": SERVER,
            "cmd": self.image,
            "detach": True,
            "keep": True,
            "disableWorkingDirectoryOverride": True,
            **({"env": variables} if variables else {}),
        }


def without_secrets() -> ContextFile:
    """Return the file that keeps the secrets out of every build context of a run.

    The agent writes the files of a volume into a folder of the same name in the workspace, which is the context of
    each build, before it copies them to the volume (Azure/acr-builder, builder/builder.go: createSecretFiles).
    """
    text = f"{_SECRETS}\n".encode()
    return ContextFile(name=".dockerignore", data=text, size=len(text))


def value_name(secret_id: str) -> str:
    """Return the name of a secret's value in the run request: names in templates cannot contain `-`."""
    return secret_id.replace("-", "")


def server_variables(plan: Plan) -> list[str]:
    """Return the environment of the container under test, each `NAME=value` quoted for the agent's shell."""
    # The agent sets HOME to a folder that the runtime user cannot write to.
    home = {} if not plan.user or plan.user.isdigit() else {"HOME": f"/home/{plan.user}"}
    default_script = {"AML_APP_ROOT": f"{WORKSPACE}/{RESERVED}", "AZUREML_ENTRY_SCRIPT": "default_score.py"}
    env = {**home, **(default_script if plan.smoke_test.default_script else {}), **plan.smoke_test.env}
    return [shlex.quote(f"{name}={value}") for name, value in env.items()]


def _yaml(step: Step) -> Iterator[str]:
    """Yield a step as the lines of a list item; a JSON string is also a YAML string."""
    indent = "  - "
    for key, value in step.items():
        if isinstance(value, list | tuple):
            yield f"{indent}{key}:"
            # Variables come from the user; everything else is ours, and may contain a template.
            yield from (f"      - {quote_yaml(item) if key == 'env' else _json(item)}" for item in value)
        else:
            yield f"{indent}{key}: {_json(value)}"
        indent = "    "


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def quote_yaml(text: object) -> str:
    """Return *text* as a YAML string without characters that the agent would expand before it parses the YAML.

    The agent expands `$` and `{{`, and removes `<no value>` from the result. YAML has more line breaks than JSON.
    """
    return re.sub(r"[$<{]|[^ -~]", _escape, _json(text))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code <= 0xFF else f"\\U{code:08x}"  # noqa: PLR2004 -- two digits, or eight
