"""Push an image with each of its tags and with one that never moves, and say what the registry has if that fails."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.errors import AzuremlTasksError, RegistryError, stating
from azureml_tasks.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.engines.protocol import Engine
    from azureml_tasks.reporter import Reporter

KEPT = "kept-"
"""How the tag begins that keeps an image. The digest's own form, `sha256-…`, is the tag of its referrers:
https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema."""
_DIGITS = 16


def kept_tag(digest: str) -> str:
    """Return the tag that an image keeps when its other tags move on: `kept-` and 16 hexadecimal digits.

    A registry's retention policy removes what has no tag, also what an Azure ML environment names by its digest:
    https://learn.microsoft.com/azure/container-registry/container-registry-retention-policy.

    Args:
        digest: `sha256:…`; "" under --dry, if nobody knows it yet.
    """
    return f"{KEPT}{digest.partition(':')[2][:_DIGITS] or 'DIGEST'}"


class Publication(NamedTuple):
    """One image on its way into a registry.

    Args:
        engine: pushes it.
        image: that was built.
        repository: with its login server.
        reporter: says what moved.
        then: a sentence for a failure: where the image still is, and the command that continues.
    """

    engine: Engine
    image: BuiltImage
    repository: str
    reporter: Reporter
    then: str

    def publish(self, tags: Sequence[str]) -> str:
        """Push the image with each of *tags* and its kept tag, and return its digest; "" under --dry.

        The kept tag is the first that is pushed. A local engine knows the digest only after its first push: then it
        is the second. In any case the digest is neither printed nor recorded before the registry has that tag.

        Raises:
            AzuremlTasksError: the engine or the registry refuses; it says which tags the registry has.
        """
        pushed: list[str] = []
        digest = self.engine.digest(self.image)
        if digest:
            self._keep(digest, pushed)
        for tag in tags:
            with self._saying_what_was_pushed(pushed):
                digest = self._same(tag, self._push(tag), digest)
            pushed.append(tag)
            if kept_tag(digest) not in pushed:
                self._keep(digest, pushed)
        return digest

    def _push(self, tag: str) -> str:
        name = f"{self.repository}:{tag}"
        pushed = self.engine.push(self.image, name)
        if pushed.before is None:
            self.reporter.say(f"what {name} named before is not known")
        elif pushed.before not in {"", pushed.digest}:
            self.reporter.say(f"{name} named {pushed.before} before")
        return pushed.digest

    def _same(self, tag: str, pushed: str, digest: str) -> str:
        """Return the digest of a tag that was pushed, if the image has the same one by the tags before.

        An engine describes layers as the registry answers, so a wrong answer gives another digest.

        Raises:
            RegistryError: it is another one.
        """
        if digest and pushed and pushed != digest:
            what = f"The push of {self.repository}:{tag} gave the image {pushed}, the one before it {digest}."
            fix = "Something between the engine and the registry may answer in its place. Push again."
            state = f"{self.repository}:{tag} names {pushed} now, which may not work."
            raise RegistryError(what, next_step=fix, state=state)
        return pushed

    def _keep(self, digest: str, pushed: list[str]) -> None:
        tag = kept_tag(digest)
        name = f"{self.repository}:{tag}"
        with self._saying_what_was_pushed(pushed):
            named = self.engine.push(self.image, name, never_moves=True).digest
        pushed.append(tag)
        if named and named != digest:
            what = f"{name} names {named}, so that no tag keeps {self.repository}@{digest}"
            self.reporter.warn(Notice("tag-moved", what))

    @contextmanager
    def _saying_what_was_pushed(self, pushed: Sequence[str]) -> Iterator[None]:
        """Add to an error, or say before a signal's exception, which tags the registry has now."""
        state = f"Pushed: {', '.join(pushed)}." if pushed else "Nothing was pushed."
        try:
            with stating(""):  # for an error of this machine
                yield
        except AzuremlTasksError as error:
            if error.state:  # What the push of this tag has left.
                state = f"{state} {error.state}" if pushed else error.state
            error.state = f"{state} {self.then}"
            raise
        except BaseException:
            words = [state] if pushed or self.reporter.dry else []
            if not self.reporter.dry:
                which = "next" if pushed else "first"
                words.append(f"Whether the {which} tag was pushed is not known.")
            self.reporter.say(" ".join([*words, self.then]))
            raise
