"""What `image.init` makes of a folder of other teams' projects: `python -m tests.machine.migration_measure FOLDER`.

Each deployment YAML and each Dockerfile below the folder goes through `image.init` in a copy of it, and the table that
it writes through `image.check`, for which no engine has to answer. A line for each file says what became of it, and
the end counts them.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import subprocess
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import NamedTuple

from azureml_tasks.cli.console import Console
from azureml_tasks.commands.check import check_images
from azureml_tasks.commands.init import InitRequest, InitResult, prepare, write
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.errors import AzuremlTasksError, EngineError, SettingsError
from azureml_tasks.migration.questions import Question
from azureml_tasks.migration.reading import Outcome, Reading

WITH_CODE = "deployments with code"
OTHER_DEPLOYMENTS = "other deployments"
ON_INFERENCE = "Dockerfiles on inference images"
OTHER_DOCKERFILES = "other Dockerfiles"
GROUPS = (WITH_CODE, OTHER_DEPLOYMENTS, ON_INFERENCE, OTHER_DOCKERFILES)

WHOLE = "whole"
REST = "with named rest"
DOCKERFILE = "only dockerfile ="
REFUSED = "refused"
WAYS = (WHOLE, REST, DOCKERFILE, REFUSED)

_DOCKERFILE = re.compile(r"(.*\.)?dockerfile(\..*)?", re.IGNORECASE)
_ON_INFERENCE = re.compile(r"^\s*FROM\s+\S*inference", re.IGNORECASE | re.MULTILINE)
_DEPLOYMENT = re.compile(r"^endpoint_name:|Deployment\.schema\.json|^code_configuration:", re.MULTILINE)
_PACKAGE = "ModelVersionPackage"
"""In the schema of a model package, which has code and is no deployment."""
_LARGEST = 1_000_000


class Verdict(NamedTuple):
    """What became of a file.

    Args:
        group: one of `GROUPS`.
        path: of the file, relative to the folder.
        way: one of `WAYS`.
        why: what is left over, or why it is refused; "" for nothing.
    """

    group: str
    path: str
    way: str
    why: str = ""


def sources(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the group and the path of each deployment YAML and each Dockerfile below *folder*, in order of paths."""
    for path in sorted(folder.rglob("*")):
        if ".git" in path.parts or path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if _DOCKERFILE.fullmatch(path.name):
            yield (ON_INFERENCE if _ON_INFERENCE.search(text) else OTHER_DOCKERFILES), path
        elif path.suffix in {".yml", ".yaml"} and _DEPLOYMENT.search(text) and _PACKAGE not in text:
            yield (
                (WITH_CODE if re.search("^code_configuration:", text, re.MULTILINE) else OTHER_DEPLOYMENTS),
                path,
            )


class Scratch:
    """A copy of a folder as a git repository, in which one command after another is tried and undone.

    Args:
        folder: where it lies.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._git("init", "--quiet")
        self._git("add", "--all", "--force")
        self._git("commit", "--quiet", "--message=as it was")

    def adopt(self) -> None:
        """Let git track what is new: a table's `root` counts only in a file that git tracks."""
        self._git("add", "--all", "--force")

    def undo(self) -> None:
        """Make the copy as it was."""
        self._git("reset", "--quiet", "--hard")
        self._git("clean", "-ffdxq")

    def _git(self, *words: str) -> None:
        who = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        alone = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
        nowhere = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        subprocess.run(["git", "-C", str(self.folder), *who, *words], check=True, env={**alone, **nowhere})


class Answers:
    """Answers each question with its first choice, but keeps no Dockerfile as it is, and remembers the answers."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, question: Question) -> int:
        """Return the choice for *question*."""
        index = next(
            at for at, choice in enumerate(question.choices) if choice.flags != ("--keep-dockerfile",)
        )
        self.texts.append(question.choices[index].text)
        return index


def verdict(group: str, path: Path, scratch: Scratch) -> Verdict:
    """Run `image.init` with the file *path* of the scratch copy in its own folder, then `image.check`."""
    name = str(path.relative_to(scratch.folder))
    run = RunContext(folder=path.parent, reporter=Console())
    try:
        answers = Answers()
        result = prepare(run, InitRequest(files=(str(path),)), answers)
        write(run, result)
        if kept := kept_reasons(result):
            return _kept(group, name, run, path, scratch, kept)
        refusal = _refusal(run, scratch)
        if refusal:
            return Verdict(group, name, REFUSED, f"check: {refusal}")
        rest = [*open_lines(result.readings), *result.adds]
        notes = [f"answered {', '.join(answers.texts)}"] if answers.texts else []
        return Verdict(group, name, WHOLE if result.is_whole else REST, "; ".join([*notes, *rest]))
    except AzuremlTasksError as error:
        return Verdict(group, name, REFUSED, _first_line(error))
    except Exception:  # noqa: BLE001 -- a bug is counted and shown, and the other folders are tried
        return Verdict(group, name, REFUSED, f"FAULT: {traceback.format_exc().splitlines()[-1]}")
    finally:
        scratch.undo()


def _kept(
    group: str, name: str, run: RunContext, path: Path, scratch: Scratch, why: Sequence[str]
) -> Verdict:
    """Return the verdict on a Dockerfile that only serves as it is: whether a table that names it is taken."""
    scratch.undo()
    write(run, prepare(run, InitRequest(files=(str(path),), keep_dockerfile=True), Answers()))
    refusal = _refusal(run, scratch)
    return Verdict(group, name, REFUSED if refusal else DOCKERFILE, refusal or "; ".join(why))


def _refusal(run: RunContext, scratch: Scratch) -> str:
    """Return why `image.check` refuses the table, in one line; "" if it misses at most an engine."""
    scratch.adopt()
    errors = [report.error for _, report in check_images(run)]
    return next((_first_line(each) for each in errors if each and not isinstance(each, EngineError)), "")


def _first_line(error: AzuremlTasksError) -> str:
    if isinstance(error, SettingsError):
        return "; ".join(f"{each.file}:{each.line}: {each.what}" for each in error.problems)
    return error.what


def kept_reasons(result: InitResult) -> list[str]:
    """Return why only `dockerfile = …` serves."""
    return [why for reading in result.readings for why in reading.keeps_dockerfile]


def open_lines(readings: Sequence[Reading]) -> list[str]:
    """Return each line of a source that the table does not say, or does not say in full."""
    return [
        f"{reading.source.name}:{line.line} {line.outcome.value}: {line.why}"
        for reading in readings
        for line in reading.lines
        if line.outcome in {Outcome.CHANGED, Outcome.LEFT_OVER}
    ]


def main(folder: Path, only: str) -> None:
    """Print what becomes of each file below *folder* whose path has *only* in it, then the counts."""
    with tempfile.TemporaryDirectory(prefix="azureml-tasks-") as temporary:
        copy = Path(temporary).resolve() / "copy"
        shutil.copytree(folder, copy, symlinks=True, ignore=shutil.ignore_patterns(".git"))
        os.environ["DOCKER_HOST"] = "unix:///nowhere/docker.sock"
        scratch = Scratch(copy)
        counts: Counter[tuple[str, str]] = Counter()
        for group, path in list(sources(copy)):
            if only in str(path.relative_to(copy)):
                with redirect_stderr(io.StringIO()):
                    each = verdict(group, path, scratch)
                counts[each.group, each.way] += 1
                print(f"{each.group}: {each.way}: {each.path}{f': {each.why}' if each.why else ''}")
    print()
    for group in GROUPS:
        if total := sum(counts[group, way] for way in WAYS):
            ways = ", ".join(f"{counts[group, way]} {way}" for way in WAYS)
            print(f"{group}: {total}: {ways}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="part of the paths, to measure these alone")
    options = parser.parse_args()
    main(options.folder, options.only)
