"""One dependency of a conda file in pip's terms."""

from __future__ import annotations

import pytest

from azureml_tasks.requirements.conda_spec import CondaSpec, SpecError, parse_spec


@pytest.mark.parametrize(
    ("text", "version", "build"),
    [
        ("numpy", "", ""),
        ("numpy=1.26", "==1.26.*", ""),
        ("numpy=1.26.4", "==1.26.4.*", ""),
        ("numpy=1.26.*", "==1.26.*", ""),
        ("numpy=1.26*", "==1.26.*", ""),
        ("numpy==1.26", "==1.26", ""),
        ("numpy==1.26.*", "==1.26.*", ""),
        ("numpy 1.26", "==1.26", ""),
        ("numpy 1.26.*", "==1.26.*", ""),
        ("numpy = 1.26", "==1.26.*", ""),
        ("numpy>=1.26", ">=1.26", ""),
        ("numpy >=1.26, <2", ">=1.26,<2", ""),
        ("numpy >= 1.26 , < 2", ">=1.26,<2", ""),
        ("numpy>=1.26.*", ">=1.26", ""),
        ("numpy!=1.25", "!=1.25", ""),
        ("numpy!=1.25.*", "!=1.25.*", ""),
        ("numpy~=1.26", "~=1.26", ""),
        ("numpy=1.26,!=1.26.3", "==1.26.*,!=1.26.3", ""),
        ("numpy=1.26=py39_0", "==1.26", "py39_0"),
        ("numpy==1.26.4=py39h1234_0", "==1.26.4", "py39h1234_0"),
        ("numpy 1.26.4 py39_0", "==1.26.4", "py39_0"),
        ("numpy =1.26.4 py39_0", "==1.26.4", "py39_0"),
        ("numpy >=1.26,<2 py39_0", ">=1.26,<2", "py39_0"),
        ("numpy=*=*openblas*", "", "*openblas*"),
        ("numpy=*", "", ""),
        ("numpy *", "", ""),
        ("numpy=1.26=*", "==1.26", "*"),
        ("NumPy=1.26  # as trained", "==1.26.*", ""),
        ("numpy=0.22.2.post1", "==0.22.2.post1", ""),
        ("numpy=2.0.dev1", "==2.0.dev1", ""),
        ("numpy=1!2.0", "==1!2.0.*", ""),
    ],
)
def test_versions(text: str, version: str, build: str) -> None:
    """One sign matches a beginning; two signs, none, and one beside a build match that version alone."""
    assert CondaSpec(channel="", name="numpy", version=version, build=build) == parse_spec(text)


@pytest.mark.parametrize(
    ("text", "channel", "name"),
    [
        ("conda-forge::numpy=1.26", "conda-forge", "numpy"),
        ("conda-forge/linux-64::numpy=1.26", "conda-forge/linux-64", "numpy"),
        ("https://conda.contoso.example/ours::numpy=1.26", "https://conda.contoso.example/ours", "numpy"),
        ("ruamel.yaml=1.26", "", "ruamel.yaml"),
        ("_libgcc_mutex=1.26", "", "_libgcc_mutex"),
    ],
)
def test_channels_and_names(text: str, channel: str, name: str) -> None:
    """A channel comes before the name, and a name may have any of conda's characters."""
    assert CondaSpec(channel=channel, name=name, version="==1.26.*", build="") == parse_spec(text)


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        (
            "numpy=1.25|1.26",
            '"numpy=1.25|1.26" has alternatives, which pip does not know',
            "Write one range, or the version that you use: numpy>=1.26,<2",
        ),
        (
            "numpy[version='>=1.26']",
            "\"numpy[version='>=1.26']\" is written in conda's form with brackets",
            "Write: numpy>=1.26,<2",
        ),
        (
            "numpy-1.26-py39_0.conda",
            '"numpy-1.26-py39_0.conda" is a file of a conda package',
            "Name the package and its version: numpy==1.26.4",
        ),
        (
            "numpy=1.*.4",
            '"numpy=1.*.4" has the version "1.*.4", which pip cannot compare',
            "Write a version as PyPI has it: numpy==1.26.4",
        ),
        (
            "numpy==1.1.1k_5",
            '"numpy==1.1.1k_5" has the version "1.1.1k_5", which pip cannot compare',
            "Write a version as PyPI has it: numpy==1.26.4",
        ),
        (
            "numpy=>1.26",
            '"numpy=>1.26" has a version that is not one',
            "Write: numpy=1.26, numpy==1.26.4 or numpy>=1.26,<2",
        ),
        (
            "numpy=",
            '"numpy=" has a version that is not one',
            "Write: numpy=1.26, numpy==1.26.4 or numpy>=1.26,<2",
        ),
        (
            "./numpy",
            '"./numpy" is not a conda dependency',
            'Write a name and a version: "numpy=1.26"',
        ),
        ("", '"" is not a conda dependency', 'Write a name and a version: "numpy=1.26"'),
    ],
)  # fmt: skip
def test_what_pip_cannot_say(text: str, what: str, fix: str) -> None:
    """Each has its reason and a form that works."""
    with pytest.raises(SpecError) as caught:
        parse_spec(text)

    assert (what, fix) == (caught.value.what, caught.value.fix)


def test_a_very_long_dependency_is_refused() -> None:
    """It is cut in the message, and takes no longer than a short one."""
    with pytest.raises(SpecError, match=r"\Ais longer than 300 characters: numpy {295}…\Z"):
        parse_spec("numpy" + " " * 900_000 + "=1")


def test_a_login_is_not_shown() -> None:
    """An address with a password may be in place of a channel."""
    with pytest.raises(SpecError) as caught:
        parse_spec("https://me:hunter2@conda.contoso.example/ours/numpy-1.conda")

    assert "hunter2" not in caught.value.what
