"""Simulated rooms: furnished worlds, a camera that walks through them, and their files."""
