"""The branch of a build, as the CI system tells it: most check out a commit, so that git knows no branch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Environment = Mapping[str, str]

_HEADS = "refs/heads/"


class System(NamedTuple):
    """A CI system.

    Args:
        is_here: returns whether it runs the command, from the environment.
        branch: returns the branch that is built, of a pull request that of its author; "" for a tag.
        flag: what names a tag of this build, to paste.
    """

    is_here: Callable[[Environment], bool]
    branch: Callable[[Environment], str]
    flag: str


def branch(environment: Environment) -> str:
    """Return the branch that the CI system builds; "" if none is known."""
    system = _system(environment)
    return system.branch(environment) if system else ""


def tag_flag(environment: Environment) -> str:
    """Return the flag that names a tag, with the variable of the CI system if there is one."""
    system = _system(environment)
    return system.flag if system else "--tag=TAG"


def _system(environment: Environment) -> System | None:
    return next((system for system in _SYSTEMS if system.is_here(environment)), None)


def _of_azure_pipelines(environment: Environment) -> str:
    source = environment.get("SYSTEM_PULLREQUEST_SOURCEBRANCH") or environment.get("BUILD_SOURCEBRANCH", "")
    return source.removeprefix(_HEADS) if source.startswith(_HEADS) else ""


def _of_github(environment: Environment) -> str:
    if head := environment.get("GITHUB_HEAD_REF"):
        return head
    is_branch = environment.get("GITHUB_REF_TYPE", "branch") == "branch"
    return environment.get("GITHUB_REF_NAME", "") if is_branch else ""


def _of_gitlab(environment: Environment) -> str:
    return "" if environment.get("CI_COMMIT_TAG") else environment.get("CI_COMMIT_REF_NAME", "")


def _of_jenkins(environment: Environment) -> str:
    if environment.get("TAG_NAME"):
        return ""
    named = environment.get("CHANGE_BRANCH") or environment.get("BRANCH_NAME")
    return named or environment.get("GIT_BRANCH", "").removeprefix("origin/")


def _of_buildkite(environment: Environment) -> str:
    return "" if environment.get("BUILDKITE_TAG") else environment.get("BUILDKITE_BRANCH", "")


_SYSTEMS = (
    # https://learn.microsoft.com/azure/devops/pipelines/build/variables
    System(lambda e: "TF_BUILD" in e, _of_azure_pipelines, '--tag="$(Build.SourceBranchName)"'),
    # https://docs.github.com/actions/reference/workflows-and-actions/variables
    System(lambda e: e.get("GITHUB_ACTIONS") == "true", _of_github, '--tag="$GITHUB_REF_NAME"'),
    # https://docs.gitlab.com/ci/variables/predefined_variables/
    System(lambda e: e.get("GITLAB_CI") == "true", _of_gitlab, '--tag="$CI_COMMIT_REF_SLUG"'),
    # https://www.jenkins.io/doc/book/pipeline/multibranch/ and https://plugins.jenkins.io/git/
    System(lambda e: "JENKINS_URL" in e, _of_jenkins, '--tag="$BUILD_NUMBER"'),
    # https://support.atlassian.com/bitbucket-cloud/docs/variables-and-secrets/
    System(
        lambda e: "BITBUCKET_BUILD_NUMBER" in e,
        lambda e: e.get("BITBUCKET_BRANCH", ""),
        '--tag="$BITBUCKET_BUILD_NUMBER"',
    ),
    # https://circleci.com/docs/reference/variables/
    System(
        lambda e: e.get("CIRCLECI") == "true",
        lambda e: e.get("CIRCLE_BRANCH", ""),
        '--tag="$CIRCLE_BUILD_NUM"',
    ),
    # https://buildkite.com/docs/pipelines/configure/environment-variables
    System(lambda e: e.get("BUILDKITE") == "true", _of_buildkite, '--tag="$BUILDKITE_BUILD_NUMBER"'),
)
"""Each by the documentation of its predefined variables. CircleCI and Bitbucket set no branch for a tag."""
