"""What deserves attention and stops nothing: a warning as a value, and the list of its codes."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

CODES: Mapping[str, str] = MappingProxyType({
    "base-differs": "the base lacks something of Azure ML's inference images, or has something else",
    "base-outdated": "the base is withdrawn, or what it holds is no longer maintained",
    "base-unknown": "the base is nearly the name of an image of Azure ML",
    "batch-script": "the entry script seems to be that of a batch deployment",
    "cached-layers": "cached or shared layers could not be looked up, used or shared",
    "candidate-left": "a candidate image could not be deleted in the registry",
    "conda-file": "something in the conda file is not used",
    "credential-helper": "a push will need a credential helper that is not on PATH",
    "digest-unconfirmed": "the registry did not confirm a push",
    "files-changed": "files have changed since the image was built",
    "form-not-passed": "the server passes no form to `run()`",
    "ignore-file-unused": "an ignore file does not count, because another one does",
    "job-outputs": "the CI system did not take the outputs of the step or the summary of the job",
    "junit-not-written": "the file of `--junit` could not be written",
    "leftover": "something could not be removed now; the next command of the project tries again",
    "log-cut": "the log of a remote build is not complete",
    "model-file-missing": "the entry script reads a file that the model folder will not have",
    "model-packages": "nothing installs the packages that the model was saved with",
    "no-azureml-core": "a batch deployment needs azureml-core in the image",
    "no-entry-script": "the code has no script with the name that the server looks for",
    "no-revision": "the commit is not known, so the image gets no label for it",
    "no-version": "the project's version is not known, so the tag has another word in its place",
    "not-recorded": "something took effect, and could not be recorded",
    "not-repaired": "a repair of `image.doctor` failed",
    "options-unread": "a file sets options that this program does not read",
    "other-smoke-test": "the image passed another smoke test than the table asks for now",
    "other-tags": "the image has the tags of its build, and a build would give it others now",
    "out-of-memory": "memory ran out in the container",
    "port": "the image exposes another port than the smoke test asks",
    "python-unknown": "the Python of the base could not be compared with that of a file",
    "request-not-json": "the file of a request is not the JSON that it is sent as",
    "response": "an answer of the smoke test is odd, although it passed",
    "root-user": "the image runs as root",
    "run-not-cancelled": "a remote build goes on although nobody waits for it",
    "script-unknown": "only the base tells whether the image has a script that answers",
    "script-unread": "the Python that runs this command cannot read the entry script",
    "secret-readable": "a value looks like a secret, and stays readable",
    "secret-unused": "a build secret is not used",
    "slow-stop": "the container does not stop on request",
    "source-builds": "code of packages can read the build secrets",
    "stand-in": "a default entry script served in the smoke test",
    "system-package": "an apt package is for another Python than the server's",
    "tag-moved": "the tag that should keep the image names another one",
    "untested": "the image has not passed its smoke test",
    "variable": "a variable is misspelt, or has no effect",
})  # fmt: skip
"""Each code with what it means. Programs rely on the codes: none changes its meaning, and none goes away."""


@dataclass(frozen=True)
class Notice:
    """A warning.

    Args:
        code: one of `CODES`.
        what: the fact, in a sentence.
        file: that it is about, relative to the project; "" if it is about none.
        line: 1-based; 0 for the whole file.
        fix: what to do about it, to paste; lines are kept.
        names_place: whether *what* names the key at this place, so that a person needs no line.
    """

    code: str
    what: str
    file: str = ""
    line: int = 0
    fix: str = ""
    names_place: bool = False

    @classmethod
    def of_key(cls, code: str, what: str, file: str, line: int) -> Notice:
        """Return a warning about a key that *what* names; *line* 0 for one that the file does not set."""
        return cls(code, what, file if line else "", line, names_place=True)

    def __str__(self) -> str:
        from azureml_tasks.plain_text import one_line  # to list the tasks needs none of it

        place = f"{self.file}:{self.line}: " if self.line else f"{self.file}: " if self.file else ""
        place = "" if self.names_place else place
        return "\n".join(
            [one_line(f"{place}{self.what}"), *(f"    {line}" for line in self.fix.splitlines())]
        )
