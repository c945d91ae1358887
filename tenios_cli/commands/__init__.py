"""One module for each command, which has its name."""
