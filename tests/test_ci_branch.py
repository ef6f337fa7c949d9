"""The branch of a detached HEAD comes from the CI system that runs the build, each from its own variables."""

from __future__ import annotations

from datetime import date

import pytest

from azureml_tasks.config.tag_template import render
from azureml_tasks.project.ci_branch import branch
from azureml_tasks.project.model import NoRevision, Revision
from azureml_tasks.project.naming import tag_values

DETACHED = Revision(sha="0" * 40, dirty=False, branch="", time=0, remote="")
TODAY = date(2026, 11, 30)
AZURE, GITHUB, GITLAB = {"TF_BUILD": "True"}, {"GITHUB_ACTIONS": "true"}, {"GITLAB_CI": "true"}
JENKINS = {"JENKINS_URL": "https://jenkins.example/"}
BUILDS = {
    "Azure Pipelines": ({**AZURE, "BUILD_SOURCEBRANCH": "refs/heads/team/x"}, "team/x"),
    "Azure Pipelines, a pull request": (
        {
            **AZURE,
            "BUILD_SOURCEBRANCH": "refs/pull/7/merge",
            "SYSTEM_PULLREQUEST_SOURCEBRANCH": "refs/heads/fix",
        },
        "fix",
    ),
    "Azure Pipelines, a tag": ({**AZURE, "BUILD_SOURCEBRANCH": "refs/tags/v1"}, ""),
    "GitHub": (
        {**GITHUB, "GITHUB_REF_NAME": "main", "GITHUB_REF_TYPE": "branch", "GITHUB_HEAD_REF": ""},
        "main",
    ),
    "GitHub, a pull request": (
        {**GITHUB, "GITHUB_REF_NAME": "7/merge", "GITHUB_REF_TYPE": "branch", "GITHUB_HEAD_REF": "fix"},
        "fix",
    ),
    "GitHub, a tag": ({**GITHUB, "GITHUB_REF_NAME": "v1", "GITHUB_REF_TYPE": "tag"}, ""),
    "GitLab": ({**GITLAB, "CI_COMMIT_REF_NAME": "team/x"}, "team/x"),
    "GitLab, a tag": ({**GITLAB, "CI_COMMIT_REF_NAME": "v1", "CI_COMMIT_TAG": "v1"}, ""),
    "Jenkins": ({**JENKINS, "BRANCH_NAME": "main"}, "main"),
    "Jenkins, a pull request": ({**JENKINS, "BRANCH_NAME": "PR-7", "CHANGE_BRANCH": "fix"}, "fix"),
    "Jenkins with its git plugin alone": ({**JENKINS, "GIT_BRANCH": "origin/main"}, "main"),
    "Jenkins, a tag": ({**JENKINS, "BRANCH_NAME": "v1", "TAG_NAME": "v1"}, ""),
    "Bitbucket": ({"BITBUCKET_BUILD_NUMBER": "3", "BITBUCKET_BRANCH": "main"}, "main"),
    "CircleCI": ({"CIRCLECI": "true", "CIRCLE_BRANCH": "main"}, "main"),
    "Buildkite": ({"BUILDKITE": "true", "BUILDKITE_BRANCH": "main", "BUILDKITE_TAG": ""}, "main"),
    "Buildkite, a tag": ({"BUILDKITE": "true", "BUILDKITE_BRANCH": "v1", "BUILDKITE_TAG": "v1"}, ""),
    "no CI system": ({}, ""),
    "another system's variable": ({**GITLAB, "BUILD_SOURCEBRANCH": "refs/heads/x", "BRANCH_NAME": "y"}, ""),
    "a variable without its system": (
        {"BRANCH_NAME": "x", "CI_COMMIT_REF_NAME": "y", "GITHUB_HEAD_REF": "z"},
        "",
    ),
}


@pytest.mark.parametrize("build", BUILDS)
def test_each_system_tells_the_branch_by_its_own_variables(build: str) -> None:
    """Of a pull request it is its author's branch; a tag is on none."""
    environment, expected = BUILDS[build]

    assert expected == branch(environment)


def test_the_branch_becomes_a_valid_tag() -> None:
    """What a tag cannot contain becomes a dash, as for a branch that git knows."""
    environment = {**AZURE, "BUILD_SOURCEBRANCH": "refs/heads/team/new  model#2"}

    assert "team-new-model-2" == render("{git-branch}", tag_values({}, DETACHED, TODAY, environment))


def test_the_branch_that_is_checked_out_comes_first() -> None:
    """The variables count only where HEAD is detached, and not without a repository."""
    environment = {**GITHUB, "GITHUB_REF_NAME": "main"}
    on_branch = tag_values({}, DETACHED._replace(branch="local"), TODAY, environment)
    without = tag_values({}, NoRevision(why="this is not a git repository"), TODAY, environment)

    assert "local" == on_branch["git-branch"]
    assert not isinstance(without["git-branch"], str)
