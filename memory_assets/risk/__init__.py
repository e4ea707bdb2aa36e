"""What leaks, in money. Importing the package is cheap; its modules bring scipy along."""

from pathlib import Path

from memory_assets.store.paths import is_file


def profile_file(name: str, root: Path) -> Path:
    """Where a profile is: a shipped one by its name, else a path from `root`; it may be missing."""
    shipped = Path(__file__).parent / "profiles" / f"{name}.toml"
    return shipped if "/" not in name and is_file(shipped) else root / name
