"""PyInstaller hooks for modules that are imported by name, and for data files."""

from pathlib import Path


def hook_folders() -> list[str]:
    """Return the folder of the hooks. PyInstaller calls this through an entry point."""
    return [str(Path(__file__).parent)]
