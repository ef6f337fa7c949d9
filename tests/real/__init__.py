"""Tests on a real engine with a real registry."""
