"""Benchmarks' own files of predictions."""
