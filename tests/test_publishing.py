"""In which order tags are pushed, and what is said of those that a registry has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from azureml_tasks.built_image import BuiltImage, PushedTag
from azureml_tasks.cli.console import Console
from azureml_tasks.commands.image_push import refuse_other_name, warn_of_other_tags
from azureml_tasks.commands.publishing import Publication, kept_tag
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.commands.run_registry import refuse_moved_registry, with_build_registry
from azureml_tasks.engines.protocol import Engine
from azureml_tasks.errors import AzuremlTasksError, BuildError, MachineError, RegistryError, Terminated
from tests.plans import plan

NEW, OLD = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
KEPT = "kept-1111111111111111"
IMAGE = BuiltImage(id="sha256:3", names=("demo:1.0", "demo:latest"), engine="docker", context_sha256="4")


@dataclass
class Registry:
    """An engine and its registry.

    Args:
        tags: what the registry has.
        known: the digest, if the engine knows it before a push.
        fails: tag → what its push raises.
        silent: tags of which the registry does not say what they name.
        others: tags that get another digest.
        order: the tags that were pushed, in order.
    """

    tags: dict[str, str] = field(default_factory=dict)
    known: str = ""
    fails: dict[str, BaseException] = field(default_factory=dict)
    silent: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    order: list[str] = field(default_factory=list)

    def digest(self, _: BuiltImage) -> str:
        """What the engine knows."""
        return self.known

    def push(self, _: BuiltImage, name: str, *, never_moves: bool = False) -> PushedTag:
        """Move the tag."""
        tag = name.removeprefix("r.io/demo:")
        before = self.tags.get(tag, "")
        if never_moves and before:
            return PushedTag(digest=before, before=before)
        if tag in self.fails:
            raise self.fails[tag]
        self.order.append(tag)
        self.tags[tag] = OLD if tag in self.others else NEW
        return PushedTag(digest=self.tags[tag], before=None if tag in self.silent else before)

    def publish(self) -> str:
        """Publish 1.0 and latest."""
        return Publication(
            engine=cast("Engine", self),
            image=IMAGE,
            repository="r.io/demo",
            reporter=Console(),
            then="The image is here. Continue with: invoke image.push",
        ).publish(("1.0", "latest"))


def test_an_engine_that_knows_the_digest_sets_the_kept_tag_first() -> None:
    """The tag that never moves is there before the others."""
    registry = Registry(known=NEW)

    assert (NEW, [KEPT, "1.0", "latest"]) == (registry.publish(), registry.order)


def test_a_local_engine_sets_the_kept_tag_as_soon_as_it_knows_the_digest() -> None:
    """Only the first push tells the digest, so the kept tag is the second, and is there before a digest is returned."""
    registry = Registry()

    assert (NEW, ["1.0", KEPT, "latest"]) == (registry.publish(), registry.order)


def test_a_kept_tag_is_set_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A later push of the same image leaves its kept tag alone, and nothing has moved."""
    registry = Registry()
    registry.publish()
    registry.order.clear()

    assert (NEW, ["1.0", "latest"]) == (registry.publish(), registry.order)
    assert ("", "") == capsys.readouterr()


def test_a_tag_that_moves_is_news(capsys: pytest.CaptureFixture[str]) -> None:
    """Pushing over a tag that names another digest says which; a tag that nobody can be asked for is said as well."""
    registry = Registry(tags={"1.0": OLD}, silent=("latest",))
    registry.publish()

    stderr = f"r.io/demo:1.0 named {OLD} before\nwhat r.io/demo:latest named before is not known\n"
    assert ("", stderr) == capsys.readouterr()


def test_a_kept_tag_of_another_image_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """A kept tag never moves, also not one that somebody else gave another image."""
    registry = Registry(tags={KEPT: OLD})

    assert (NEW, OLD) == (registry.publish(), registry.tags[KEPT])
    stderr = f"warning: r.io/demo:{KEPT} names {OLD}, so that no tag keeps r.io/demo@{NEW}\n"
    assert ("", stderr) == capsys.readouterr()


@pytest.mark.parametrize("known", ["", NEW])
def test_one_image_has_one_digest(known: str) -> None:
    """If a proxy answers for the registry, an engine may push another manifest: that is refused, and said."""
    registry = Registry(known=known, others=("latest",))
    with pytest.raises(RegistryError) as caught:
        registry.publish()

    pushed = f"{KEPT}, 1.0" if known else f"1.0, {KEPT}"
    state = (
        f"Pushed: {pushed}. r.io/demo:latest names {OLD} now, which may not work. "
        "The image is here. Continue with: invoke image.push"
    )
    assert state == caught.value.state


@pytest.mark.parametrize(
    ("fails", "state"),
    [
        ("1.0", "Nothing was pushed."),
        (KEPT, "Pushed: 1.0."),
        ("latest", f"Pushed: 1.0, {KEPT}."),
    ],
)
def test_a_refusal_says_what_the_registry_has(fails: str, state: str) -> None:
    """An error names the tags that were pushed before, and the command that continues."""
    for refusal, kind in ((RegistryError("No."), RegistryError), (OSError("No."), MachineError)):
        registry = Registry(fails={fails: refusal})
        with pytest.raises(AzuremlTasksError) as caught:
            registry.publish()

        expected = f"{state} The image is here. Continue with: invoke image.push"
        assert (expected, type(caught.value)) == (caught.value.state, kind)


@pytest.mark.parametrize(
    ("fails", "state"),
    [
        ("1.0", "It may be there."),
        ("latest", f"Pushed: 1.0, {KEPT}. It may be there."),
    ],
)
def test_what_the_failed_push_left_is_said(fails: str, state: str) -> None:
    """It is not said that nothing was pushed if the push may have arrived."""
    registry = Registry(fails={fails: RegistryError("No.", state="It may be there.")})
    with pytest.raises(RegistryError) as caught:
        registry.publish()

    assert f"{state} The image is here. Continue with: invoke image.push" == caught.value.state


@pytest.mark.parametrize("ends", [KeyboardInterrupt, lambda: Terminated(15)])
@pytest.mark.parametrize(
    ("at", "state"),
    [
        ("1.0", "Whether the first tag was pushed is not known."),
        ("latest", f"Pushed: 1.0, {KEPT}. Whether the next tag was pushed is not known."),
    ],
)
def test_a_signal_during_a_push(
    at: str, state: str, ends: Callable[[], BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C and SIGTERM end a push with what the registry has by then; the tag on its way may have arrived."""
    registry = Registry(fails={at: ends()})
    with pytest.raises((KeyboardInterrupt, Terminated)):
        registry.publish()

    stderr = f"{state} The image is here. Continue with: invoke image.push\n"
    assert ("", stderr) == capsys.readouterr()


def test_the_kept_tag_is_made_of_the_digest() -> None:
    """`kept-` and 16 hexadecimal digits; `sha256-…` is the tag of a digest's referrers."""
    assert ("kept-0123456789abcdef", "kept-DIGEST") == (
        kept_tag(f"sha256:{'0123456789abcdef' * 4}"),
        kept_tag(""),
    )


@pytest.mark.parametrize(
    ("engine", "built_by", "registry"),
    [
        ("docker", "docker", "new.azurecr.io"),
        ("auto", "docker", "new.azurecr.io"),
        ("auto", "acr", "old.azurecr.io"),
        ("acr", "acr", "old.azurecr.io"),
    ],
)
def test_the_registry_of_an_image(engine: str, built_by: str, registry: str, tmp_path: Path) -> None:
    """A local image can be pushed to the registry that the table names now; any other is where it was built."""
    run = RunContext(folder=tmp_path, reporter=Console(), engine=engine)
    run.records.write_build(
        BuiltImage(id=NEW, names=("old.azurecr.io/demo:1.0",), engine=built_by, context_sha256="4" * 64)
    )

    assert registry == with_build_registry(run, plan(registry="new.azurecr.io")).registry


def test_an_image_is_not_pushed_from_another_registry_than_the_table_names() -> None:
    """An image that a registry built is in that one alone; one without a registry in the table may be anywhere."""
    refuse_moved_registry("acr", "", "old.azurecr.io")
    refuse_moved_registry("acr", "old.azurecr.io", "old.azurecr.io")
    with pytest.raises(BuildError) as caught:
        refuse_moved_registry("acr", "new.azurecr.io", "old.azurecr.io")

    assert (
        "The image was built in old.azurecr.io, and the registry of the table is new.azurecr.io now.",
        "invoke image.build --engine acr\nor push it where it is: --registry old.azurecr.io",
    ) == (caught.value.what, caught.value.next_step)


def test_the_tags_of_the_build_may_be_meant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After `image.build --tag TAG` a build would take them away, and a push that names them warns no more."""
    run = RunContext(folder=tmp_path, reporter=Console())

    warn_of_other_tags(run, plan(tags=("latest", "1.0")), IMAGE)
    warn_of_other_tags(run, plan(tags=("1.0",)), IMAGE._replace(engine="acr"))

    expected = """\
warning: demo:1.0 has the tags of its build, 1.0, latest, and a build would give it 1.0 now
    invoke image.build --engine acr
    or, if these tags are meant: invoke image.push --engine acr --tag=1.0 --tag=latest
"""
    assert ("", expected) == capsys.readouterr()


@pytest.mark.parametrize(("engine", "flag"), [("docker", ""), ("acr", " --engine acr")])
def test_an_image_of_another_name_is_built_and_tested_by_its_engine(engine: str, flag: str) -> None:
    """Both commands of the next step work: a smoke test with another engine would be refused."""
    with pytest.raises(BuildError) as caught:
        refuse_other_name(plan(repository="other"), IMAGE._replace(engine=engine))

    assert f"invoke image.build{flag}\nthen: invoke image.smoke-test{flag}" == caught.value.next_step
