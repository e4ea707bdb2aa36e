"""The command line `memory-assets`."""

from memory_assets.cli.main import app

__all__ = ["app"]
