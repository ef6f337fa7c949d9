"""Whether a command said the truth: its exit code and each effect that it states, against what is there."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tests.machine.faults.checkout import Checkout, Ended
from tests.machine.faults.place import Place
from tests.machine.faults.truth import images, manifest_config, pushed

__all__ = ["Fault", "Judge", "stated"]

_BY_SIGNAL = 128  # exit codes from here on are those of signals


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault that was injected, and what came of it.

    Args:
        kind: row of the table.
        description: which fault, for people.
        wrong: each thing that was said and is not so.
        left: each thing that stayed.
        history: the commands and their output.
    """

    kind: str
    description: str
    wrong: list[str]
    left: list[str]
    history: str


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Judges the commands of one checkout.

    Args:
        place: where they ran.
        checkout: of the project.
        pushed_before: what the registry had before the fault.
        build_before: the text of the record of a build before the fault; "" if there was none.
    """

    place: Place
    checkout: Checkout
    pushed_before: dict[str, str]
    build_before: str

    @classmethod
    def of(cls, place: Place, checkout: Checkout) -> Judge:
        """Return a judge that knows how things are now."""
        return cls(
            place=place,
            checkout=checkout,
            pushed_before=pushed(place, checkout.name),
            build_before=_text(checkout, "build.json"),
        )

    def wrong(self, ended: Ended, codes: Collection[int]) -> list[str]:
        """Return what is wrong about a command that a fault struck.

        Args:
            ended: how it ended.
            codes: the exit codes that name the fault; 0 may be one, if the command got over it.
        """
        problems = []
        if ended.code not in codes:
            problems.append(f"exit code {ended.code}, not {' or '.join(map(str, sorted(codes)))}")
        if "Traceback (most recent call last)" in ended.out + ended.err:
            problems.append("a traceback")
        if ended.code == 0:
            return problems + self.wrong_success(ended)
        return problems + self._wrong_statements(ended)

    def wrong_success(self, ended: Ended) -> list[str]:
        """Return what is not as a command says that succeeded."""
        problems, task = [], ended.words[0].partition(".")[2]
        build = json.loads(_text(self.checkout, "build.json") or "{}")
        image_ids = images(self.place)
        if task in {"build", "release"}:
            problems += [
                f"the record says {name} is {build.get('id')}, the engine {image_ids.get(name)}"
                for name in build.get("names", ["no record"])
                if image_ids.get(name) != build.get("id")
            ]
        if task in {"push", "release"}:
            problems += self._wrong_push(build, ended)
        is_recorded = f'"{build.get("id")}"' in _text(self.checkout, "smoke-test.json")
        if task in {"smoke-test", "release"} and not is_recorded and "warning: " not in ended.err:
            problems.append("no pass of this image is recorded")
        return problems

    def _wrong_push(self, build: Mapping[str, object], ended: Ended) -> list[str]:
        """Compare what is printed with the registry, and what is recorded, if it could be."""
        tags, record = pushed(self.place, self.checkout.name), _text(self.checkout, "result.json")
        printed = re.search(r"@(sha256:[0-9a-f]{64})", ended.out)
        digest = printed[1] if printed else ""
        problems = [
            f"tag {tag} is printed as {digest or 'nothing'}, and in the registry it is {tags.get(tag)}"
            for tag in ("1.0", "latest")
            if not digest or tags.get(tag) != digest
        ]
        if record and json.loads(record)["digest"] != digest:
            problems.append("what is recorded is not what is printed")
        if not record and "warning: " not in ended.err:
            problems.append("the push is not recorded")
        if not problems and manifest_config(self.place, self.checkout.name, digest) != build.get("id"):
            problems.append("what was pushed is not what was built")
        return problems

    def _wrong_statements(self, ended: Ended) -> list[str]:
        """Return each statement about an effect that is not so; a failure that states no effect says too little."""
        statements = stated(
            ended.err,
            pushed_before=self.pushed_before,
            pushed=pushed(self.place, self.checkout.name),
            images=images(self.place),
            is_build_unchanged=_text(self.checkout, "build.json") == self.build_before,
        )
        is_failure = 1 < ended.code < _BY_SIGNAL
        if is_failure and not statements and "is not known" not in ended.err:
            return ["it does not say what was built or pushed"]
        return [f'it says "{statement}", which is not so' for statement, is_so in statements if not is_so]

    def continued(self, ended: Ended) -> list[str]:
        """Run the command that a message ends with, and return what is wrong about that."""
        match = re.search(r"Continue with: (invoke .+)", ended.err)
        if not match:
            return []
        words = shlex.split(match[1])[1:]
        again = self.checkout.run(*words)
        return [f"`{match[1]}` ended with {again.code}"] if again.code else self.wrong_success(again)


def stated(
    text: str,
    *,
    pushed_before: Mapping[str, str],
    pushed: Mapping[str, str],
    images: Mapping[str, str],
    is_build_unchanged: bool,
) -> list[tuple[str, bool]]:
    """Return each statement about an effect in a message, and whether it is so.

    Args:
        text: the message.
        pushed_before: each tag that the registry had before, with its digest.
        pushed: each tag that it has now.
        images: each reference on the engine with the ID of its image.
        is_build_unchanged: whether the record of the last build is as it was before.
    """
    checks = [
        ("Nothing was pushed.", pushed == pushed_before),
        ("Nothing was built.", is_build_unchanged),
        ("It was not pushed.", pushed == pushed_before),
    ]
    statements = [(statement, is_so) for statement, is_so in checks if statement in text]
    statements += [
        (f"Pushed: {names}", set(names.split(", ")) <= pushed.keys())
        for names in re.findall(r"Pushed: (.+?)\.(?:\s|$)", text)
    ]
    statements += [
        (f"{tag} names {digest} now", pushed.get(tag) == digest)
        for tag, digest in re.findall(r":([\w.-]+) names (sha256:[0-9a-f]{64}) now", text)
    ]
    statements += [
        (f"the image is {name}", name in images)
        for name in re.findall(r"(?:was built as|on the engine as) (\S+:\S+?)[.;,]?(?:\s|$)", text)
    ]
    return statements


def _text(checkout: Checkout, name: str) -> str:
    path = checkout.records / name
    return path.read_text(encoding="utf-8") if path.exists() else ""
