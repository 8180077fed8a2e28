"""Compares labels with ground truth: counts, and scores by protocol."""
