"""Cameras, visibility, fusion, superpoints: pure functions over arrays."""
