"""Faults that are injected into real builds and pushes: what is said of them, and what they leave behind."""
