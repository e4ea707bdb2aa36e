"""`python -m memory_assets.cli`."""

from memory_assets.cli.main import app

if __name__ == "__main__":
    app()
