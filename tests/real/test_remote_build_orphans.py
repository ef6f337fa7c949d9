"""Candidate images that nobody takes over, and images that need no run."""

from __future__ import annotations

import pytest

from azureml_tasks.cli.console import Console
from azureml_tasks.commands.clean import clean
from azureml_tasks.commands.resume import resume, start
from azureml_tasks.config.problems import Override
from tests.real.in_process import InProcess, Outcome
from tests.real.remote_build_faults import BUILT
from tests.real.remote_output import SECONDS


def next_id(in_process: InProcess) -> str:
    """Return the ID that the next run will have."""
    return f"ca{len(in_process.acr.runs) + 1}"


def started(in_process: InProcess, *tags: str) -> str:
    """Start a run that pushes a candidate, for an image with these tags, without waiting; return its ID."""
    run = next_id(in_process)
    in_process.succeeding(in_process.put(run))
    job = in_process.job._replace(overrides={"tags": Override(value=list(tags), source="--tag")})
    assert [run] == [each.run for each in start(job, no_cache=False)]
    return run


def cleaned(in_process: InProcess, *, dry: bool = False) -> list[str]:
    """Run `image.clean`; return what it says that it removed."""
    removed: list[str] = []
    clean(in_process.job._replace(reporter=Console(dry=dry)), on_removed=removed.append)
    return [in_process.normal(line) for line in removed]


@pytest.mark.parametrize("status", ["Timeout", "Error", "Canceled", "Failed"])
def test_the_candidate_of_a_run_that_did_not_succeed(in_process: InProcess, status: str) -> None:
    """What a run pushed before it ended otherwise is deleted, and nothing stays on record."""
    in_process.put(next_id(in_process))
    in_process.acr.next_run(status=status)
    outcome = in_process.build()

    assert (7, (status,)) == (outcome.code, outcome.runs)
    assert {} == in_process.acr.tags(in_process.candidates)
    assert [] == in_process.project.records()


def test_a_candidate_that_could_not_be_deleted_at_once(in_process: InProcess) -> None:
    """If the registry does not delete it, it stays on record, and image.clean deletes it."""
    in_process.put(next_id(in_process))
    in_process.acr.next_run(status="Timeout")
    in_process.acr.settings.caller_actions = {"*": frozenset({"pull", "push"})}
    in_process.build()
    before = in_process.acr.tags(in_process.candidates)
    in_process.acr.settings.caller_actions = {"*": frozenset({"pull", "push", "delete"})}

    assert ["REGISTRY/NAME/candidate@sha256:ID", ".azureml-image"] == cleaned(in_process)
    assert (1, {}) == (len(before), in_process.acr.tags(in_process.candidates))


def test_runs_that_nobody_resumed(in_process: InProcess) -> None:
    """After a second --no-wait both runs are on record; image.clean deletes the candidates of those not resumed."""
    first, second = started(in_process, "1"), started(in_process, "2")
    for run in in_process.acr.runs[-2:]:
        assert run.done.wait(SECONDS)
    names = [run.names for run in in_process.job.records.started_runs()]
    resumed = in_process.resume()
    left = [run.run for run in in_process.job.records.started_runs()]

    image = f"{in_process.acr.login_server}/{in_process.name}"
    assert ([(f"{image}:1",), (f"{image}:2",)], 0, [first]) == (names, resumed.code, left)
    assert second in in_process.acr.tags(in_process.candidates)
    in_process.capsys.readouterr()
    cleaned(in_process, dry=True)
    delete = f"az acr repository delete --name {in_process.acr.login_server} --image {in_process.candidates}"
    assert f"{delete}:{first} --yes\n" in in_process.capsys.readouterr().out
    cleaned(in_process)
    assert {} == in_process.acr.tags(in_process.candidates)


def test_candidates_of_others_are_only_named(in_process: InProcess) -> None:
    """A candidate of a run that was not started here is named, with the command that deletes it."""
    in_process.put("cb7", b"{}")
    run = started(in_process, "1")
    assert in_process.acr.runs[-1].done.wait(SECONDS)
    in_process.capsys.readouterr()
    removed = cleaned(in_process)

    stderr = in_process.capsys.readouterr().err
    assert ".azureml-image" in removed
    assert ({"cb7"}, False) == (set(in_process.acr.tags(in_process.candidates)), f"{run}," in stderr)
    assert f"az acr repository delete --name loopbackregistry --image {in_process.candidates}:RUN\n" in stderr


def test_a_run_that_goes_on_is_named(in_process: InProcess) -> None:
    """A run that has not ended is not touched: image.clean shows how to cancel it."""
    script = in_process.acr.next_run(silent=True, status="Succeeded")
    run = start(in_process.job, no_cache=False)[0].run
    assert script.reached.wait(SECONDS)
    in_process.capsys.readouterr()
    cleaned(in_process)

    stderr = in_process.capsys.readouterr().err
    assert "Running" == in_process.acr.runs[-1].status
    assert f"az acr task cancel-run --registry {in_process.acr.login_server} --run-id {run}\n" in stderr
    script.release()


def test_a_run_gets_the_tags_that_it_was_started_for(in_process: InProcess) -> None:
    """A run that is resumed gives its image the tags of the command that started it."""
    started(in_process, "1.5", "latest")
    assert in_process.acr.runs[-1].done.wait(SECONDS)
    resume(in_process.job, "")

    image = f"{in_process.acr.login_server}/{in_process.name}"
    assert [f"{image}:1.5", f"{image}:latest"] == in_process.project.record("build.json")["names"]


def test_nothing_is_run_if_nothing_has_changed(in_process: InProcess) -> None:
    """The image of the last remote build is used again while its inputs are the same, and is built again if not."""
    in_process.succeeding()
    first, same = in_process.build(), in_process.build()
    uploads = [
        request.path
        for request in in_process.acr.requests
        if request.path.endswith("/listBuildSourceUploadUrl")
    ]
    with (in_process.project.folder / "code" / "score.py").open("a", encoding="utf-8") as script:
        script.write("# changed\n")
    in_process.succeeding()
    changed = in_process.build()

    twice = Outcome(code=0, message=BUILT.message, runs=("Succeeded", "Succeeded"))
    assert (BUILT, BUILT, 1, twice) == (first, same, len(uploads), changed)
