"""What PyInstaller does not see by itself: modules that are imported by name, and files of data."""

from pathlib import Path


def hook_folders() -> list[str]:
    """Return the folder of the hooks. PyInstaller finds this function by an entry point."""
    return [str(Path(__file__).parent)]
