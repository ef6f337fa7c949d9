"""Tests of azureml-tasks: pure ones here, those that need an engine in `real`."""
