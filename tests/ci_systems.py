"""The files for GitHub Actions and Azure Pipelines, run on this machine step by step, as far as it can be.

Scripts, conditions and variables are those of the files. Actions and tasks of others stand aside: they are noted.
"""

from __future__ import annotations

import ast
import re
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from tests.documentation import DOCS, ROOT, blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

__all__ = [
    "ACTION",
    "ACTION_FILE",
    "GITHUB",
    "OURS",
    "PIPELINE",
    "TEMPLATE",
    "TEMPLATE_FILE",
    "AzureRun",
    "GithubRun",
]

GITHUB, PIPELINE = (yaml.safe_load(text) for text in blocks(DOCS / "ci.md", "yaml"))
"""The two recipes of docs/ci.md."""
ACTION_FILE = ROOT / ".github" / "actions" / "azureml-image" / "action.yml"
TEMPLATE_FILE = ROOT / ".azure-pipelines" / "azureml-image.yml"
ACTION, TEMPLATE = (yaml.safe_load(file.read_text(encoding="utf-8")) for file in (ACTION_FILE, TEMPLATE_FILE))
OURS = "OWNER/azureml-tasks/.github/actions/azureml-image@COMMIT"
"""How a workflow names our action."""
_TEMPLATE_NAME = ".azure-pipelines/azureml-image.yml"
_EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
_MACRO = re.compile(r"\$\(([\w.]+)\)")


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step that ran.

    Args:
        name: of the step, or what it uses.
        code: its exit code; None for what stands aside.
        out: what it printed on stdout.
        err: likewise on stderr.
    """

    name: str
    code: int | None = None
    out: str = ""
    err: str = ""


@dataclass(kw_only=True)
class GithubRun:
    """A job of a workflow on a runner.

    Args:
        folder: of the checkout.
        env: of the machine.
        temp: a folder for what the runner keeps.
        event: its name.
        ref: that is built.
        installed: whether an earlier job has installed our package in *temp*, so that this one need not.
        contexts: other values that expressions name, such as `vars.AZURE_CLIENT_ID`.
        steps: that have run.
    """

    folder: Path
    env: Mapping[str, str]
    temp: Path
    event: str
    ref: str
    installed: bool = False
    contexts: dict[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    def job(self, name: str) -> bool:
        """Run a job of the recipe; return False if its condition does not hold."""
        job = GITHUB["jobs"][name]
        if not self._holds(job["if"]):
            return False
        self.run(job["steps"], self.contexts)
        return True

    def action(self, **inputs: str) -> dict[str, str]:
        """Run our action with *inputs*, in which an underscore is a hyphen; return its outputs."""
        values = {name: str(each.get("default", "")) for name, each in ACTION["inputs"].items()}
        values |= {name.replace("_", "-"): value for name, value in inputs.items()}
        inside = {f"inputs.{name}": value for name, value in values.items()}
        self.run(ACTION["runs"]["steps"], inside)
        return {name: self._filled(each["value"], inside) for name, each in ACTION["outputs"].items()}

    def run(self, steps: list[dict[str, Any]], contexts: dict[str, str]) -> None:
        """Run *steps* up to the first that fails; the outputs of each are in *contexts* then."""
        for number, step in enumerate(steps):
            if not self._holds(step.get("if", "true"), contexts):
                continue
            if self.installed and step.get("name") == "Install azureml-tasks":
                continue
            if step.get("uses") == OURS:
                inputs = {name: self._filled(value, contexts) for name, value in step["with"].items()}
                outputs = self.action(**inputs)
            elif "uses" in step:
                self.steps.append(Step(name=step["uses"]))
                continue
            else:
                outputs = self._script(step, number, contexts)
            contexts |= {f"steps.{step.get('id')}.outputs.{name}": value for name, value in outputs.items()}
            if self.steps[-1].code:
                return

    def _script(self, step: dict[str, Any], number: int, contexts: Mapping[str, str]) -> dict[str, str]:
        file = self.temp / f"output-{len(self.steps)}-{number}"
        own = {name: self._filled(str(value), contexts) for name, value in step.get("env", {}).items()}
        env = {
            **self.env,
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(ACTION_FILE.parent),
            "GITHUB_OUTPUT": str(file),
            "GITHUB_STEP_SUMMARY": str(self.temp / "summary.md"),
            "GITHUB_WORKSPACE": str(self.folder),
            "RUNNER_TEMP": str(self.temp),
            **own,
        }
        words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        self.steps.append(_run(step["name"], words, self.folder, env))
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        return {name: value for name, _, value in (line.partition("=") for line in lines)}

    def _filled(self, text: str, contexts: Mapping[str, str]) -> str:
        return _EXPRESSION.sub(lambda match: self._value(match[1], contexts), text)

    def _holds(self, condition: str, contexts: Mapping[str, str] | None = None) -> bool:
        """Judge a condition of `&&`, `==` and `!=`, which ignore case."""
        return all(self._compared(part.strip(), contexts or {}) for part in condition.split("&&"))

    def _compared(self, part: str, contexts: Mapping[str, str]) -> bool:
        if part in {"true", "always()"}:
            return True
        left, operator, right = re.split(r"\s+(==|!=)\s+", part)
        is_equal = self._value(left, contexts).lower() == self._value(right, contexts).lower()
        return is_equal == (operator == "==")

    def _value(self, text: str, contexts: Mapping[str, str]) -> str:
        if text.startswith("'"):
            return text.strip("'")
        own = {"github.event_name": self.event, "github.ref": self.ref}
        if text.startswith("steps."):
            return contexts.get(text, "")
        return {**own, **contexts}[text]


@dataclass(kw_only=True)
class AzureRun:
    """A run of the recipe's pipeline on an agent.

    Args:
        folder: of the checkout.
        env: of the machine.
        temp: a folder for what the agent keeps.
        variables: of the pipeline, such as `Build.Reason`; steps add their output variables.
        steps: that have run.
    """

    folder: Path
    env: Mapping[str, str]
    temp: Path
    variables: dict[str, str]
    steps: list[Step] = field(default_factory=list)

    def run(self, steps: list[Any]) -> None:
        """Run *steps* of a pipeline, those of our template in their place, up to the first that fails."""
        for step in _expanded(steps, {}, self.variables):
            if step.get("template") == _TEMPLATE_NAME:
                self.template(**step["parameters"])
            else:
                self._step(step)
            if self.steps[-1].code:
                return

    def template(self, **parameters: Any) -> None:
        """Run the steps of our template."""
        values = {each["name"]: each.get("default") for each in TEMPLATE["parameters"]} | parameters
        self.run(list(_expanded(TEMPLATE["steps"], values, self.variables)))

    def _step(self, step: dict[str, Any]) -> None:
        script = step.get("bash")
        if step.get("task", "").startswith("AzureCLI"):
            script = step["inputs"]["inlineScript"]
        if script is None:
            self.steps.append(Step(name=step.get("task") or next(iter(step))))
            return
        own = {name: self._macros(str(value)) for name, value in step.get("env", {}).items()}
        env = {**self.env, "TF_BUILD": "True", "AGENT_TEMPDIRECTORY": str(self.temp), **own}
        words = ["bash", "--noprofile", "--norc", "-c", self._macros(script)]
        self.steps.append(_run(step.get("displayName", ""), words, self.folder, env))
        set_here = re.findall(
            r"^##vso\[task\.setvariable variable=(\w+);isOutput=true\](.*)$", self.steps[-1].out, re.MULTILINE
        )
        self.variables |= {f"{step.get('name')}.{name}": value for name, value in set_here}

    def _macros(self, text: str) -> str:
        """Replace `$(NAME)` of variables that exist; the agent leaves others as they are."""
        return _MACRO.sub(lambda match: self.variables.get(match[1], match[0]), text)


def _expanded(node: Any, parameters: Mapping[str, Any], variables: Mapping[str, str]) -> Any:
    """Return *node* of a template with its conditions decided and its expressions filled in."""
    if isinstance(node, list):
        return [
            each
            for item in node
            for each in (
                _inserted(item, parameters, variables)
                if _is_condition(item)
                else [_expanded(item, parameters, variables)]
            )
        ]
    if isinstance(node, dict):
        pairs: dict[str, Any] = {}
        for key, value in node.items():
            if not key.startswith("${{ if "):
                pairs[key] = _expanded(value, parameters, variables)
            elif _evaluated(key.removeprefix("${{ if ").removesuffix(" }}"), parameters, variables):
                pairs |= _expanded(value, parameters, variables)
        return pairs
    if not isinstance(node, str):
        return node
    if whole := _EXPRESSION.fullmatch(node):
        return _evaluated(whole[1], parameters, variables)
    return _EXPRESSION.sub(lambda match: str(_evaluated(match[1], parameters, variables)), node)


def _is_condition(item: Any) -> bool:
    return isinstance(item, dict) and len(item) == 1 and next(iter(item)).startswith("${{ if ")


def _inserted(
    item: dict[str, Any], parameters: Mapping[str, Any], variables: Mapping[str, str]
) -> Iterator[Any]:
    ((key, value),) = item.items()
    if _evaluated(key.removeprefix("${{ if ").removesuffix(" }}"), parameters, variables):
        yield from _expanded(value, parameters, variables)


def _evaluated(text: str, parameters: Mapping[str, Any], variables: Mapping[str, str]) -> Any:
    """Evaluate an expression of a template; with `and`, `or` and `not` renamed, it is Python's grammar."""
    functions: dict[str, Callable[..., bool]] = {
        "eq": lambda one, other: one == other,
        "ne": lambda one, other: one != other,
        "and_": lambda *all_of: all(all_of),
        "or_": lambda *any_of: any(any_of),
        "not_": lambda value: not value,
        "startsWith": lambda text, start: text.lower().startswith(start.lower()),
    }

    def value(node: ast.expr) -> Any:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return functions[node.func.id](*map(value, node.args))
        if isinstance(node, ast.Attribute):
            return parameters[node.attr]
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            return variables.get(str(node.slice.value), "")
        if isinstance(node, ast.Name):
            return {"true": True, "false": False}[node.id]
        assert isinstance(node, ast.Constant), text
        return node.value

    return value(ast.parse(re.sub(r"\b(and|or|not)\(", r"\1_(", text), mode="eval").body)


def _run(name: str, words: list[str], folder: Path, env: Mapping[str, str]) -> Step:
    ended = subprocess.run(words, cwd=folder, env=dict(env), capture_output=True, text=True, check=False)
    return Step(name=name, code=ended.returncode, out=ended.stdout, err=ended.stderr)
