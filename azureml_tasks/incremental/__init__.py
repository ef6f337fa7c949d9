"""Decide what a build does not need to build again."""
