"""The only place where stages meet entries and raw files."""
