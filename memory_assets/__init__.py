"""Measure what a model memorized and what it generalized, price both, and keep the answer true."""

__version__ = "0.1.0"
