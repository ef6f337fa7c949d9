"""What is wrong with this machine and its accounts, and what is not; with `--fix` what is harmless is put right.

Without a table it works too: then base and registry are not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.commands.doctor_checks import first_checks
from azureml_tasks.commands.doctor_subject import Subject, read_subject
from azureml_tasks.commands.parallel_checks import Check, run_checks
from azureml_tasks.engines.doctor_finding import Finding, Status
from azureml_tasks.notice import Notice
from azureml_tasks.process import MissingProgram, capture

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from azureml_tasks.commands.run_context import RunContext

LIMIT = 5.0
"""Seconds that a check may take."""
_LOCAL = (
    *("docker configuration", "credential helper", "docker client", "buildx", "engine", "context", "images"),
    *("engine's disk", "proxies of builds", "proxies of the engine", "platform", "base"),
)
"""Findings that block builds on the local engine alone."""
_REMOTE = ("Azure libraries", "Azure sign-in", "Azure registry", "roles", "ACR Tasks")
"""Findings that block remote builds alone."""
_ORDER = (
    *("python", "uv", "azureml-tasks", "installation", "disk here", "proxies of pip"),
    *("docker configuration", "credential helper", "docker client", "engine", "images", "engine's disk"),
    *("proxies of builds", "proxies of the engine", "platform", "table", "base", "registry", "azure"),
)
"""The checks in the order of the report; after a colon a name says which of several of its kind it is."""


class Diagnosis(NamedTuple):
    """What was found.

    Args:
        findings: in order.
        repaired: the names of those that were put right.
    """

    findings: tuple[Finding, ...]
    repaired: tuple[str, ...] = ()

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """The findings without which nothing works."""
        return tuple(each for each in self.findings if each.status is Status.BLOCKS)

    @property
    def repairable(self) -> tuple[Finding, ...]:
        """The findings that `--fix` puts right."""
        return tuple(each for each in self.findings if each.repair)


def diagnose(run: RunContext, *, fix: bool, waiting: Callable[[Sequence[str]], None]) -> Diagnosis:
    """Look at everything side by side; then run the commands of harmless findings if *fix* says so.

    Args:
        run: the run.
        fix: whether to put right what is harmless and local; under --dry its commands are printed.
        waiting: takes the names of the checks that have not answered yet, and none at the end.

    Raises:
        SettingsError: what the run itself says is wrong.
    """
    subject = read_subject(run)
    of_checks = run_checks(first_checks(subject), limit=LIMIT, waiting=waiting)
    findings = _in_order(subject, of_checks)
    if not fix:
        return Diagnosis(findings)
    repaired = [each for each in findings if each.repair and _repair(run, each)]
    if not repaired:
        return Diagnosis(findings)
    subject = read_subject(run)
    again = _named(first_checks(subject), repaired)
    of_checks = {**of_checks, **run_checks(again, limit=LIMIT, waiting=waiting)}
    return Diagnosis(_in_order(subject, of_checks), tuple(each.name for each in repaired))


def _named(checks: Sequence[Check], findings: Sequence[Finding]) -> list[Check]:
    names = {each.name for each in findings}
    return [check for check in checks if check.name in names]


def _repair(run: RunContext, finding: Finding) -> bool:
    """Run the command of a finding; False under --dry, and if it fails, which is said."""
    if not run.reporter.effect(finding.repair):
        return False
    try:
        printed = capture(finding.repair)
    except MissingProgram as error:
        run.reporter.warn(Notice("not-repaired", f"{finding.name} was not put right: {error} is not on PATH"))
        return False
    if printed.code:
        why = printed.stderr.strip() or f"exit code {printed.code}"
        run.reporter.warn(Notice("not-repaired", f"{finding.name} was not put right: {why}"))
    return not printed.code


def _in_order(subject: Subject, findings: Mapping[str, Sequence[Finding]]) -> tuple[Finding, ...]:
    """Return all findings, given by check, in the order of the report, weighed by the engine of the run."""
    of_checks = {**findings}
    for each in subject.findings:
        of_checks[each.name] = (each,)
    bases = [str(image.base) for image in subject.images if image.base]
    if not bases:
        of_checks["base"] = (Finding("base", Status.NOTE, "unknown: neither a table nor --base names one"),)
    elif not any(name.startswith("base:") for name in of_checks):
        text = f"{', '.join(dict.fromkeys(bases))}: not looked for, because no engine answers"
        of_checks["base"] = (Finding("base", Status.UNKNOWN, text),)
    if not any(image.registry for image in subject.images):
        why = "Nothing can be pushed without one."
        text = "unknown: neither a table nor --registry names one"
        of_checks["registry"] = (Finding("registry", Status.NOTE, text, why),)
    names = sorted(of_checks, key=lambda name: _ORDER.index(name.partition(":")[0]))
    return weighed(subject, [finding for name in names for finding in of_checks[name]])


def weighed(subject: Subject, findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return *findings*, of which only those block that concern the engine of the run; with `auto` one is enough."""
    engine = subject.run.engine
    blocked = {
        group: any(each.status is Status.BLOCKS and each.name in group for each in findings)
        for group in (_LOCAL, _REMOTE)
    }
    spared: tuple[str, ...] = {"docker": _REMOTE, "acr": _LOCAL}.get(engine, ())
    if engine == "auto" and not all(blocked.values()):
        spared = (*_LOCAL, *_REMOTE)
    is_used = engine != "docker" or any(image.acr for image in subject.images)
    milder = {name: Status.WARNING if is_used or name in _LOCAL else Status.NOTE for name in spared}
    return tuple(
        each._replace(status=milder[each.name])
        if each.status is Status.BLOCKS and each.name in milder
        else each
        for each in findings
    )
