"""What holds for every test: how hypothesis searches."""

from __future__ import annotations

import os

from hypothesis import settings

from tests.examples import examples

# A slow machine is no failure. In CI the examples follow from the tests alone, so that a change is what
# turns it red; a developer's runs search on.
settings.register_profile(
    "quiet", deadline=None, derandomize=bool(os.environ.get("CI")), max_examples=examples(100)
)
settings.load_profile("quiet")
