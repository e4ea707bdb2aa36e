"""Figures measured in the run that prints them: `python -m benchmarks [NAME ...]`."""
