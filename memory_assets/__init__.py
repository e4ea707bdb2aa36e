"""Measure what a model memorized and what it generalized, price both, and keep the answer true."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memory_assets.dagster import ClassifierAudit, LanguageModelAudit

__version__ = "0.1.0"
__all__ = ["ClassifierAudit", "LanguageModelAudit"]


def __getattr__(name: str) -> Any:
    """The components, imported when they are asked for: the library alone needs no Dagster."""
    if name in __all__:
        return getattr(import_module("memory_assets.dagster"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """With the components, so that Dagster's registry finds them."""
    return sorted({*globals(), *__all__})
