"""What the name of a package must be: Debian's and Python's."""

from __future__ import annotations

from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement

from azureml_tasks.rules import Rule, matching

__all__ = ["APT", "PIP"]


def _requirement(value: str) -> str:
    try:
        read = Requirement(value)
    except InvalidRequirement as error:
        return f"is no requirement: {str(error).splitlines()[0]}"
    if not read.url:
        return ""
    parts = urlsplit(read.url)
    if parts.scheme not in {"http", "https"} and not parts.scheme.startswith("git+"):
        return f'points at "{parts.scheme}:", which the image build does not see'
    return "carries a user or password, which would stay in the image" if "@" in parts.netloc else ""


# Names: https://www.debian.org/doc/debian-policy/ch-controlfields.html#source; versions: #version, there.
# apt-get takes a trailing "-" as an order to remove.
APT = matching(
    r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.](=[A-Za-z0-9.+:~-]+)?",
    "is no Debian package",
    'Write the name alone or with its version: "libpng-tools", "libpng-tools=1.6.39-2"',
)
PIP = Rule(
    complaint=_requirement,
    fix='Write a requirement such as "numpy==2.1.3" or "contoso-features[text]>=4; python_version >= \'3.11\'"',
    schema={},
)
