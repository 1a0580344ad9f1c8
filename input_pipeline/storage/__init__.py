"""Data sets on disk: written, read, exported."""
