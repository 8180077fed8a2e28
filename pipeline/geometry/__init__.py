"""Cameras, projection, fusion, graph segments: pure functions over arrays."""
